"""Invert: a bijector with its directions exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.bijectors._base import Bijector
from bnspec.bijectors._parts import require_bijectors
from bnspec.bijectors._shapes import OTHER
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Invert"]


class Invert(Bijector):
    """Exchange the directions of a bijector.

    Parameters
    ----------
    bijector : Bijector
        An injective one.
    validate_args : bool
        Whether values are checked; the bijector checks them where it was told so itself, too.
    name : str, optional
        By default, ``"invert_"`` and the name of the bijector.

    Raises
    ------
    TypeError
        If `bijector` is none.
    NotImplementedError
        If it is not injective: then its inverse is no map to one array.
    """

    def __init__(self, bijector: Bijector, validate_args: bool = False, name: str | None = None) -> None:
        (part,) = require_bijectors("bijector", [bijector], structured=True)
        if not part.is_injective:
            raise NotImplementedError(message("bijector must be injective to be inverted", bijector=part.name))
        self._inverted = part
        super().__init__(
            forward_min_event_ndims=part.inverse_min_event_ndims,
            inverse_min_event_ndims=part.forward_min_event_ndims,
            is_constant_jacobian=part.is_constant_jacobian,
            validate_args=validate_args,
            dtype=part.dtype,
            parameters={"bijector": part, "validate_args": validate_args, "name": name},
            name=f"invert_{part.name}" if name is None else name,
        )

    @property
    def bijector(self) -> Bijector:
        """The bijector whose directions are exchanged."""
        return self._inverted

    @property
    def is_affine(self) -> bool:
        """Whether the bijector is."""
        return self._inverted.is_affine

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._inverted._is_increasing(like, condition)

    def _linear_part(self, direction: str, x: Any, condition: dict[str, Any]) -> Any:
        return self._inverted._linear_part(OTHER[direction], x, condition)

    def _own_condition_names(self) -> frozenset[str] | None:
        return self._inverted.condition_names

    def _conditions(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._inverted._conditions(given)

    def _has(self, direction: str) -> bool:
        return self._inverted._has(OTHER[direction])

    def _like(self) -> Any:
        return self._inverted._like()

    def _needs(self) -> list[tuple[Any, Any]]:
        return self._inverted._needs()

    def _as_min_ndims(self, name: str, ndims: Any) -> Any:
        return ndims

    def _inputs(self, name: str, given: Any) -> Any:
        return self._inverted._inputs(name, given)

    def _moved(self, direction: str, shape: Any) -> Any:
        return self._inverted._moved(OTHER[direction], shape)

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        return self._inverted.parameter_batch_shape(self._inverted.inverse_event_ndims(event_ndims))

    def _moved_array(self, direction: str, shape: Any) -> Any:
        return self._inverted._moved_array(OTHER[direction], shape)

    def _risen(self, direction: str, ndims: Any) -> Any:
        return self._inverted._risen(OTHER[direction], ndims)

    def _typed(self, dtype: Any) -> Any:
        return self._inverted._typed(dtype)

    def mapped(self, direction: str, x: Any, condition: dict[str, Any], *, validate: bool = False) -> tuple[Any, Any]:
        """Map in the other direction; see :meth:`Bijector.mapped`."""
        return self._inverted.mapped(OTHER[direction], x, condition, validate=validate or self.validate_args)

    def mapped_with_log_det(
        self, direction: str, x: Any, event_ndims: Any, condition: dict[str, Any], *, validate: bool = False
    ) -> tuple[Any, Callable[[], Any]]:
        """Map in the other direction; see :meth:`Bijector.mapped_with_log_det`."""
        checked = validate or self.validate_args
        return self._inverted.mapped_with_log_det(OTHER[direction], x, event_ndims, condition, validate=checked)
