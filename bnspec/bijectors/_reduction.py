"""The sum of a log-det over an event, and the batch that is left."""

from __future__ import annotations

from typing import Any

from bnspec.arrays import blocked_sum, common_namespace, shape_of, sizes_of, to_rows
from bnspec.errors import message

__all__ = ["reduced", "summed"]


def reduced(name: str, log_det: Any, x: Any, y: Any, ndims: int, before: int, after: int) -> Any:
    """Give a log-det the full shape of the batch, summed over the event.

    Parameters
    ----------
    name : str
        The bijector, for the message.
    log_det : array
        That of the minimal event, broadcastable to the batch of these.
    x, y : array
        What was mapped, and what it was mapped to.
    ndims : int
        The rank of an event of x.
    before, after : int
        The minimal ranks of an event of x and of y.

    Returns
    -------
    array, shape batch

    Raises
    ------
    ValueError
        If y has a larger event than x.
    """
    xp = common_namespace(x=x, y=y, log_det=log_det)
    shape, mapped = shape_of(x), shape_of(y)
    more = ndims - before
    old = shape[len(shape) - ndims : len(shape) - before]
    new = mapped[len(mapped) - after - more : len(mapped) - after]
    if any(None not in (a, b) and a != b for a, b in zip(old, new, strict=True)):
        raise ValueError(
            message(
                f"the parameters of {name} must not be larger than an event",
                "Broadcast the input to the shape of the parameters.",
                x=shape,
                y=mapped,
                event_ndims=ndims,
            )
        )
    sizes = sizes_of(y)
    full = xp.broadcast_to(log_det, sizes[: len(sizes) - after])
    return summed(full, more, xp)


def summed(x: Any, ndims: int, xp: Any) -> Any:
    """Sum over the last axes, by the one reduction.

    Parameters
    ----------
    x : array, shape (*batch, *event)
        The terms.
    ndims : int
        The rank of the event.
    xp : namespace
        The namespace of `x`.

    Returns
    -------
    array, shape batch
    """
    if ndims == 0:
        return x
    rank = len(shape_of(x))
    return blocked_sum(to_rows(x, tuple(range(rank - ndims, rank)), xp), xp)
