"""Invert: a bijector with its directions exchanged."""

from __future__ import annotations

from typing import Any

from bnspec.bijectors._base import Bijector
from bnspec.bijectors._parts import require_bijectors
from bnspec.errors import message

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

    @property
    def is_increasing(self) -> bool | None:
        """Whether the bijector is."""
        return self._inverted.is_increasing

    def _own_condition_names(self) -> frozenset[str] | None:
        return self._inverted.condition_names

    def _has(self, direction: str) -> bool:
        return self._inverted._has("inverse" if direction == "forward" else "forward")

    def _like(self) -> Any:
        return self._inverted._like()

    def _as_min_ndims(self, name: str, ndims: Any) -> Any:
        return ndims

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._inverted.inverse_event_shape(shape)

    def _inverse_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._inverted.forward_event_shape(shape)

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        return self._inverted.parameter_batch_shape(self._inverted.inverse_event_ndims(event_ndims))

    def _forward_and_log_det(self, x: Any, **condition: Any) -> tuple[Any, Any]:
        return self._inverted.mapped("inverse", x, condition)

    def _inverse_and_log_det(self, y: Any, **condition: Any) -> tuple[Any, Any]:
        return self._inverted.mapped("forward", y, condition)
