"""The slopes of maps: the linear part of affine ones, and where monotonic ones rise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace, device_of
from bnspec.bijectors import Blockwise, Chain, Invert, Shift
from bnspec.bijectors._parts import accepted
from bnspec.variables import Variable

if TYPE_CHECKING:
    from bnspec.bijectors import Bijector

__all__ = ["linear_part", "rises"]


def linear_part(bijector: Bijector, x: Any, condition: dict[str, Any]) -> Any:
    """Map forward by an affine map without its shift, by which deviations are not moved.

    Parameters
    ----------
    bijector : Bijector
        An affine one.
    x : array, float32 or float64
        What is mapped.
    condition : dict
        Conditions, all of them known.

    Returns
    -------
    array
        What ``forward`` returns, minus what it returns for 0. The shifts of this package cost no digits.
    """
    plain = _unshifted(bijector)
    x, origin = (plain.mapped("forward", one, condition)[0] for one in (x, common_namespace(x=x).zeros_like(x)))
    return x - origin


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
        own = rises(part, like, accepted(part, condition))
        if own is None:
            return None
        found = own == found
    return found


def _unshifted(bijector: Bijector) -> Bijector:
    """Return a map with the same linear part, and without the shifts whose rounding it would have."""
    kind = type(bijector)
    if kind is Shift:
        return bijector.copy(shift=_zeros(bijector.parameters["shift"]))
    if kind is Invert:
        return bijector.copy(bijector=_unshifted(bijector.parameters["bijector"]))
    if kind in (Chain, Blockwise):
        return bijector.copy(bijectors=[_unshifted(part) for part in bijector.parameters["bijectors"]])
    return bijector


def _zeros(given: Any) -> Any:
    """Return a parameter of zeros: it keeps its shape, to which results are broadcast."""
    if isinstance(given, (list, tuple)):
        return [_zeros(part) for part in given]
    value = given.value if isinstance(given, Variable) else given
    return 0.0 if isinstance(value, (int, float)) else common_namespace(shift=value).zeros_like(value)
