"""Activations by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace
from bnspec.errors import message, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ACTIVATIONS", "as_activation"]


def _linear(x: Any) -> Any:
    return x


def _relu(x: Any) -> Any:
    """Keep NaN, and have the slope 0 at 0, where the networks of zeros are."""
    xp = common_namespace(x=x)
    return xp.where(x <= 0, xp.zeros_like(x), x)


def _tanh(x: Any) -> Any:
    return common_namespace(x=x).tanh(x)


def _sigmoid(x: Any) -> Any:
    """Raise e to no positive power; abs would have no slope at 0."""
    xp = common_namespace(x=x)
    negative = x < 0
    power = xp.exp(xp.where(negative, x, -x))
    return xp.where(negative, power, xp.ones_like(x)) / (1.0 + power)


def _softplus(x: Any) -> Any:
    """Raise e to no positive power, and have the slope 1/2 at 0."""
    xp = common_namespace(x=x)
    negative = x < 0
    power = xp.exp(xp.where(negative, x, -x))
    return xp.where(negative, xp.zeros_like(x), x) + xp.log1p(power)


def _elu(x: Any) -> Any:
    """Raise e to no positive power: what it overflows to would reach the gradient."""
    xp = common_namespace(x=x)
    return xp.where(x > 0, x, xp.expm1(xp.where(x > 0, xp.zeros_like(x), x)))


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": _linear,
    "relu": _relu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "elu": _elu,
}
"""The activations that have a name."""


def as_activation(given: Any) -> Callable[[Any], Any]:
    """Find what an argument names.

    Parameters
    ----------
    given : str, callable or None
        A name of :data:`ACTIVATIONS`; a function of an array, which is returned as it is; or None for the linear one.

    Returns
    -------
    callable

    Raises
    ------
    TypeError, ValueError
        If it is none of these, or there is no such name.
    """
    if given is None:
        return _linear
    if isinstance(given, str):
        if given not in ACTIVATIONS:
            raise ValueError(
                message("activation must name an activation", nearest(given, ACTIVATIONS), activation=given)
            )
        return ACTIVATIONS[given]
    if not callable(given):
        raise TypeError(message("activation must be the name of an activation, or callable", activation=given))
    found: Callable[[Any], Any] = given
    return found
