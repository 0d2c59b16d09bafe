"""Reshape: the same elements as an event of another shape."""

from __future__ import annotations

from math import prod
from typing import Any

from bnspec.arrays import common_namespace, fits, shape_of, sizes_of
from bnspec.bijectors._affine import no_change
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._integers import as_integers
from bnspec.errors import message

__all__ = ["Reshape"]

_INFERRED = -1


class Reshape(Bijector):
    """Lay the elements of an event out in another shape, in row-major order.

    Parameters
    ----------
    event_shape_out : sequence of int, or array, shape (R',), integer
        The shape after. One size may be -1: it follows from the others.
    event_shape_in : sequence of int, or array, shape (R,), integer
        The shape before; by default a vector of any length.
    validate_args : bool
        Accepted for the sake of uniformity: every number is allowed.
    name : str, optional
        By default, ``"reshape"``.

    Raises
    ------
    TypeError
        If a shape is no list of integers.
    ValueError
        If it has a size below -1, or -1 twice; or the two have not the same number of elements. At a call, if an
        event has another shape.

    Notes
    -----
    Shapes may be empty, for scalars, and sizes may be 0. A -1 beside a 0 could be anything, and is refused.
    """

    def __init__(
        self,
        event_shape_out: Any,
        event_shape_in: Any = (-1,),
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        given = {
            "forward": _as_event_shape("event_shape_in", event_shape_in),
            "inverse": _as_event_shape("event_shape_out", event_shape_out),
        }
        self._shapes = _matched(given["forward"], given["inverse"])
        super().__init__(
            forward_min_event_ndims=len(given["forward"]),
            inverse_min_event_ndims=len(given["inverse"]),
            is_constant_jacobian=True,
            validate_args=validate_args,
            parameters={
                "event_shape_out": given["inverse"],
                "event_shape_in": given["forward"],
                "validate_args": validate_args,
                "name": name,
            },
            name=name,
        )

    @property
    def is_affine(self) -> bool:
        """Whether each element of the output is a multiple of one of the input, plus a constant: yes."""
        return True

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        return ()

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        return self._laid_out(x, "forward", "inverse")

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        return self._laid_out(y, "inverse", "forward")

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._moved_sizes(shape, "forward", "inverse")

    def _inverse_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._moved_sizes(shape, "inverse", "forward")

    def _laid_out(self, x: Any, before: str, after: str) -> tuple[Any, Any]:
        self._moved_sizes(shape_of(x), before, after)  # its message has the shape as it is known
        y = common_namespace(x=x).reshape(x, self._moved_sizes(sizes_of(x), before, after))
        return y, no_change(x)

    def _moved_sizes(self, sizes: tuple[Any, ...], before: str, after: str) -> tuple[Any, ...]:
        """Turn the shape of an event into the other, with the axes in front of it."""
        own, other = self._shapes[before], self._shapes[after]
        rank = len(sizes) - len(own)
        event = sizes[rank:]
        wanted = tuple(None if size == _INFERRED else size for size in own)
        rest = prod([size for size in other if size != _INFERRED])
        known = all(size is not None for size in event)
        wrong = known and _INFERRED in other and isinstance(prod(event), int) and prod(event) % rest
        if wrong or not fits(event, wanted):
            raise ValueError(
                message(f"an event of {self.name} must have the shape {own} to become {other}", shape=sizes)
            )
        inferred = prod(event) // rest if known and _INFERRED in other else None
        return (*sizes[:rank], *(inferred if size == _INFERRED else size for size in other))


def _as_event_shape(name: str, given: Any) -> tuple[int, ...]:
    shape = as_integers(name, given)
    if any(size < _INFERRED for size in shape) or shape.count(_INFERRED) > 1:
        raise ValueError(message(f"{name} must have sizes, and -1 at most once", **{name: shape}))
    if _INFERRED in shape and 0 in shape:
        raise ValueError(message(f"{name} must not have a -1 beside a 0", "Write the size.", **{name: shape}))
    return shape


def _matched(before: tuple[int, ...], after: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Find what the two shapes say of one another; a -1 in both stays."""
    if _INFERRED in before and _INFERRED in after:
        return {"forward": before, "inverse": after}
    count = prod(after if _INFERRED in before else before)
    shapes = {"forward": _completed(before, count), "inverse": _completed(after, count)}
    if any(prod(shape) != count for shape in shapes.values()):
        raise ValueError(
            message(
                "event_shape_out must have as many elements as event_shape_in",
                "Give the shape of the event as event_shape_in.",
                event_shape_out=after,
                event_shape_in=before,
            )
        )
    return shapes


def _completed(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Put the size that a number of elements leaves in the place of -1."""
    rest = prod([size for size in shape if size != _INFERRED])
    return tuple(count // rest if size == _INFERRED else size for size in shape)
