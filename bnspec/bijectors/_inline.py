"""Inline: a bijector of functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.bijectors._base import Bijector
from bnspec.bijectors._signatures import names_after
from bnspec.errors import message
from bnspec.variables import resolved

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Inline"]


class Inline(Bijector):
    """Make a bijector of functions.

    Parameters
    ----------
    forward_fn, inverse_fn : callable, optional
        Map an array of float32 or float64. At least one of them is given.
    forward_log_det_jacobian_fn, inverse_log_det_jacobian_fn : callable, optional
        Map the input of the direction to its log-det at the minimal event: an array that is broadcastable to the
        batch, or a number. A missing one is that of the other direction; if both are missing, that of a scalar map
        is found by automatic differentiation, where the backend has it.
    forward_event_shape_fn, inverse_event_shape_fn : callable, optional
        Map the shape of an event, a tuple of int, None or arrays of shape (); by default it stays.
    is_constant_jacobian : bool
        Whether the Jacobian does not depend on the input. It is not verified.
    forward_min_event_ndims, inverse_min_event_ndims : int, optional
        As of :class:`Bijector`; by default 0.
    validate_args : bool
        Accepted for the sake of uniformity: nothing is known of the domain.
    name : str, optional
        The name.

    Raises
    ------
    TypeError
        If one of them cannot be called, or neither direction is given. At a call, if one returns no array.

    Notes
    -----
    Conditions are the further arguments of the functions, by the names in their signatures. Each function gets those
    that it names. A direction that is missing is a NotImplementedError once it is asked for.

    Examples
    --------
    >>> from math import log
    >>> from bnspec.bijectors import Inline
    >>> double = Inline(lambda x: 2.0 * x, lambda y: y / 2.0, inverse_log_det_jacobian_fn=lambda y: -log(2.0))
    >>> print(double.forward([1.0, 2.0]), double.forward_log_det_jacobian([1.0, 2.0], event_ndims=1).round(3))
    [2. 4.] 1.386
    """

    def __init__(
        self,
        forward_fn: Callable[..., Any] | None = None,
        inverse_fn: Callable[..., Any] | None = None,
        forward_log_det_jacobian_fn: Callable[..., Any] | None = None,
        inverse_log_det_jacobian_fn: Callable[..., Any] | None = None,
        forward_event_shape_fn: Callable[..., Any] | None = None,
        inverse_event_shape_fn: Callable[..., Any] | None = None,
        is_constant_jacobian: bool = False,
        forward_min_event_ndims: int | None = None,
        inverse_min_event_ndims: int | None = None,
        validate_args: bool = False,
        name: str = "inline",
    ) -> None:
        functions = {
            "forward_fn": forward_fn,
            "inverse_fn": inverse_fn,
            "forward_log_det_jacobian_fn": forward_log_det_jacobian_fn,
            "inverse_log_det_jacobian_fn": inverse_log_det_jacobian_fn,
            "forward_event_shape_fn": forward_event_shape_fn,
            "inverse_event_shape_fn": inverse_event_shape_fn,
        }
        for key, function in functions.items():
            if function is not None and not callable(function):
                raise TypeError(message(f"{key} must be a function", **{key: function}))
        if forward_fn is None and inverse_fn is None:
            raise TypeError(message("forward_fn or inverse_fn must be given"))
        self._functions = functions
        scalar = forward_min_event_ndims is None and inverse_min_event_ndims is None
        super().__init__(
            forward_min_event_ndims=0 if scalar else forward_min_event_ndims,
            inverse_min_event_ndims=inverse_min_event_ndims,
            is_constant_jacobian=is_constant_jacobian,
            validate_args=validate_args,
            parameters={
                **functions,
                "is_constant_jacobian": is_constant_jacobian,
                "forward_min_event_ndims": forward_min_event_ndims,
                "inverse_min_event_ndims": inverse_min_event_ndims,
                "validate_args": validate_args,
                "name": name,
            },
            name=name,
        )

    def _has(self, direction: str) -> bool:
        return self._functions[f"{direction}_fn"] is not None

    def _own_condition_names(self) -> frozenset[str] | None:
        names: set[str] = set()
        for key, function in self._functions.items():
            own = frozenset() if function is None or "shape" in key else _condition_names(function)
            if own is None:
                return None
            names.update(own)
        return frozenset(names)

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._reshaped("forward", shape)

    def _inverse_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._reshaped("inverse", shape)

    def _reshaped(self, direction: str, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        function = self._functions[f"{direction}_event_shape_fn"]
        return shape if function is None else tuple(function(shape))

    def _forward_and_log_det(self, x: Any, **condition: Any) -> tuple[Any, Any]:
        return self._computed("forward", "inverse", x, condition)

    def _inverse_and_log_det(self, y: Any, **condition: Any) -> tuple[Any, Any]:
        return self._computed("inverse", "forward", y, condition)

    def _computed(self, direction: str, other: str, x: Any, condition: dict[str, Any]) -> tuple[Any, Any]:
        if not self._has(direction):
            raise NotImplementedError(
                message(f"{self.name} must have the direction {direction}", f"Give it {direction}_fn.")
            )
        y = self._applied(f"{direction}_fn", x, condition)
        here, there = f"{direction}_log_det_jacobian_fn", f"{other}_log_det_jacobian_fn"
        if self._functions[here] is not None:
            return y, lambda: self._applied(here, x, condition)
        if self._functions[there] is not None:
            return y, lambda: -self._applied(there, y, condition)
        return y, None

    def _applied(self, key: str, x: Any, condition: dict[str, Any]) -> Any:
        function: Any = self._functions[key]
        names = _condition_names(function)
        own = {name: value for name, value in condition.items() if names is None or name in names}
        found = function(x, **own)
        if found is None:
            raise TypeError(message(f"{key} must return an array", "Its last line may lack a return.", returned=found))
        return resolved(key, found, x)


def _condition_names(function: Callable[..., Any]) -> frozenset[str] | None:
    """List what a function takes by name besides the array; None where it takes any name."""
    try:
        return names_after(1, function)
    except ValueError:  # it is built in, and does not say
        return frozenset()
