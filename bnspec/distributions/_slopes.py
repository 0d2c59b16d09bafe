"""The slopes of maps: the linear part of affine ones, and where monotonic ones rise."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace, device_of, sizes_of
from bnspec.bijectors import Blockwise, Chain, Invert, Shift
from bnspec.bijectors._parts import accepted
from bnspec.bijectors._shapes import OTHER

if TYPE_CHECKING:
    from bnspec.bijectors import Bijector

__all__ = ["linear_part", "rises"]


def linear_part(bijector: Bijector, x: Any, condition: dict[str, Any], direction: str = "forward") -> Any:
    """Map by an affine map without its shift, by which deviations are not moved.

    Parameters
    ----------
    bijector : Bijector
        An affine one.
    x : array, float32 or float64
        What is mapped.
    condition : dict
        Conditions, all of them known.
    direction : {"forward", "inverse"}
        Which way.

    Returns
    -------
    array
        What the map returns, minus what it returns for 0. The shifts of this package cost no digits.
    """
    if isinstance(bijector, Invert):
        return linear_part(bijector.bijector, x, condition, OTHER[direction])
    if isinstance(bijector, Chain):
        for part in bijector.bijectors if direction == "inverse" else reversed(bijector.bijectors):
            x = linear_part(part, x, accepted(part, condition, bijector.bijectors), direction)
        return x
    xp = common_namespace(x=x)
    y, _ = bijector.mapped(direction, x, condition)
    if isinstance(bijector, Shift):
        return xp.broadcast_to(x, sizes_of(y))
    if isinstance(bijector, Blockwise):
        ends, batch, found = list(accumulate(bijector.block_sizes)), sizes_of(y)[:-1], []
        for part, start, end in zip(bijector.bijectors, [0, *ends], ends, strict=False):
            block = linear_part(part, x[..., start:end], accepted(part, condition, bijector.bijectors), direction)
            found.append(xp.broadcast_to(block, (*batch, end - start)))
        return xp.concat(found, axis=-1)
    return y - bijector.mapped(direction, xp.zeros_like(x), condition)[0]


def rises(bijector: Bijector, like: Any, condition: dict[str, Any]) -> Any:
    """Tell where a map of numbers rises, for each of its parameters.

    Parameters
    ----------
    bijector : Bijector
        The map.
    like : array, float32 or float64
        Gives library, dtype and device.
    condition : dict
        Conditions, all of them known.

    Returns
    -------
    bool, array of bool, or None
        True where it rises and False where it falls; an array where the signs of factors differ, or are not known
        before the call runs. None where it is not known to be monotonic.
    """
    if bijector.is_increasing is not None:
        return bijector.is_increasing
    if isinstance(bijector, Invert):
        return rises(bijector.bijector, like, condition)
    if bijector.is_affine:
        one = common_namespace(like=like).ones((), dtype=like.dtype, device=device_of(like))
        return linear_part(bijector, one, condition) > 0.0
    if not isinstance(bijector, Chain):
        return None
    found: Any = True
    for part in bijector.bijectors:
        own = rises(part, like, accepted(part, condition, bijector.bijectors))
        if own is None:
            return None
        found = own == found
    return found
