"""The log-det that a direction does not give: that of the other one, or by automatic differentiation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace, shape_of, sizes_of
from bnspec.bijectors._shapes import OTHER
from bnspec.errors import message
from bnspec.registry import backend_of

if TYPE_CHECKING:
    from bnspec.bijectors._base import Bijector

__all__ = ["derived_log_det"]


def derived_log_det(bijector: Bijector, direction: str, x: Any, y: Any, condition: dict[str, Any]) -> Any:
    """Derive the log-det of the minimal event.

    Parameters
    ----------
    bijector : Bijector
        An injective one.
    direction : {"forward", "inverse"}
        Which way.
    x, y : array, float32 or float64
        What was mapped, and what it was mapped to.
    condition : dict
        Conditions, all of them known.

    Returns
    -------
    array, broadcastable to the shape of the batch

    Raises
    ------
    NotImplementedError
        If neither direction gives it, and the map is not one of numbers.
    """
    other = OTHER[direction]
    if bijector._has(other):
        _, log_det = bijector.mapped(other, y, condition)
        found = log_det() if callable(log_det) else log_det
        if found is not None:
            return -found
    if bijector.forward_min_event_ndims != 0 or bijector.inverse_min_event_ndims != 0:
        raise NotImplementedError(
            message(
                f"{bijector.name} must give a log-det in one direction",
                "Only that of a scalar map can be derived by automatic differentiation.",
                min_event_ndims=bijector.forward_min_event_ndims,
            )
        )
    xp = common_namespace(x=x)

    def total(arrays: tuple[Any]) -> Any:
        return xp.sum(bijector.mapped(direction, arrays[0], condition)[0])

    # What parameters add in front of the batch would be summed too: each of them needs an x of its own.
    spread = xp.broadcast_to(x, sizes_of(y)) if len(shape_of(y)) >= len(shape_of(x)) else x
    _, (slope,) = backend_of(x).value_and_grad(total)((spread,))
    return xp.log(xp.abs(slope))
