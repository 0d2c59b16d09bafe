"""Permute: another order along one axis."""

from __future__ import annotations

from operator import index
from typing import Any

from bnspec.arrays import common_namespace, device_of, shape_of
from bnspec.bijectors._affine import no_change
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._integers import as_integers
from bnspec.errors import message

__all__ = ["Permute"]


class Permute(Bijector):
    """Change the order along an axis: y[i] = x[permutation[i]].

    Parameters
    ----------
    permutation : sequence of int, or array, shape (D,), integer
        Each of 0 to D - 1, once.
    axis : int
        The axis, counted from the end: negative. Events have at least ``-axis`` axes.
    validate_args : bool
        Accepted for the sake of uniformity: every number is allowed.
    name : str, optional
        By default, ``"permute"``.

    Raises
    ------
    TypeError
        If `permutation` is no list of integers, or `axis` is none.
    ValueError
        If it is no permutation. At a call, if the axis has not D elements.
    NotImplementedError
        If `axis` is not negative.
    """

    def __init__(self, permutation: Any, axis: int = -1, validate_args: bool = False, name: str | None = None) -> None:
        order = as_integers("permutation", permutation)
        if sorted(order) != list(range(len(order))):
            raise ValueError(message(f"permutation must have each of 0 to {len(order) - 1} once", permutation=order))
        if isinstance(axis, bool) or not hasattr(axis, "__index__"):
            raise TypeError(message("axis must be an integer", axis=axis))
        if index(axis) >= 0:
            raise NotImplementedError(message("axis must be negative", "Count it from the end.", axis=axis))
        self._order, self._axis = order, index(axis)
        self._back = tuple(sorted(range(len(order)), key=order.__getitem__))
        super().__init__(
            forward_min_event_ndims=-self._axis,
            is_constant_jacobian=True,
            validate_args=validate_args,
            parameters={"permutation": order, "axis": self._axis, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def permutation(self) -> tuple[int, ...]:
        """The permutation."""
        return self._order

    @property
    def axis(self) -> int:
        """The axis, negative."""
        return self._axis

    @property
    def is_affine(self) -> bool:
        """Whether each element of the output is a multiple of one of the input, plus a constant: yes."""
        return True

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        return ()

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        return self._taken(x, self._order)

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        return self._taken(y, self._back)

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        size = shape[self._axis]
        if isinstance(size, int) and size != len(self._order):
            raise ValueError(
                message(f"axis {self._axis} must have the {len(self._order)} elements of the permutation", shape=shape)
            )
        after = len(shape) + self._axis
        return (*shape[:after], len(self._order), *shape[after + 1 :])

    _inverse_event_shape = _forward_event_shape

    def _taken(self, x: Any, order: tuple[int, ...]) -> tuple[Any, Any]:
        self._forward_event_shape(shape_of(x))
        xp = common_namespace(x=x)
        indices = xp.asarray(order, dtype=xp.int32, device=device_of(x))
        return xp.take(x, indices, axis=self._axis), no_change(x)
