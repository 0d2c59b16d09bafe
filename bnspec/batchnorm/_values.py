"""Params and State: named tuples, hence pytrees in every framework."""

from __future__ import annotations

from typing import Any, NamedTuple

from bnspec.errors import message

__all__ = ["Params", "State", "take"]


class Params(NamedTuple):
    """Trainable parameters.

    Attributes
    ----------
    gamma, beta : array, shape K, or None
        Scale and offset; None where the configuration has none. K is (C,) with one feature axis, and of x's
        rank with size 1 on the reduced axes with several.
    """

    gamma: Any
    beta: Any


class State(NamedTuple):
    """Running statistics.

    Attributes
    ----------
    moving_mean, moving_variance : array, shape K, float32 or float64
        The running averages.
    num_batches : array, shape (), int32
        How many training batches have been counted.
    moving_stddev : array, shape K, or None
        With renormalization, the running average of ``sqrt(variance + epsilon)``, from which moving_variance follows.
    renorm_mean, renorm_stddev : array, shape K, or None
        With renormalization, the averages that a training batch is corrected by.
    """

    moving_mean: Any
    moving_variance: Any
    num_batches: Any
    moving_stddev: Any = None
    renorm_mean: Any = None
    renorm_stddev: Any = None


def take(kind: type[Any], value: Any, name: str) -> Any:
    """Take a NamedTuple of our own, or another with the same fields, as a reloaded SavedModel returns it.

    Parameters
    ----------
    kind : type
        Params or State.
    value : object
        What came.
    name : str
        The name of the argument, for the message.

    Returns
    -------
    Params or State

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, tuple) and getattr(value, "_fields", None) == kind._fields:
        return kind(*value)
    raise TypeError(
        message(
            f"{name} must be a bnspec.{kind.__name__} of {', '.join(kind._fields)}",
            "Take what init returns.",
            type=f"{type(value).__module__}.{type(value).__qualname__}",
        )
    )
