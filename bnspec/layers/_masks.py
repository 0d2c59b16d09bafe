"""Masks: which elements of a batch are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import (
    accumulation_dtype,
    common_namespace,
    dtype_name,
    require_real_floating,
    resolve_axes,
    shape_of,
)
from bnspec.batchnorm._moments import require_weights
from bnspec.errors import message
from bnspec.registry import backend_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["require_frequencies", "weights_of"]


def weights_of(mask: Any, x: Any, axes: Sequence[int]) -> Any:
    """Turn a mask into weights: 1 where it is True, 0 elsewhere.

    Parameters
    ----------
    mask : array, boolean
        Of x's rank and broadcastable to it; or, with one feature axis, of one axis less: x's without that.
    x : array, shape S, real floating
        The input.
    axes : sequence of int
        The feature axes.

    Returns
    -------
    array, of x's rank
        float32, or float64 if x is float64.

    Raises
    ------
    TypeError
        If the mask is not boolean, or of another library.
    ValueError
        If it has another rank, or lies on another device.
    """
    xp = common_namespace(x=x, mask=mask)
    require_real_floating(x=x)
    if dtype_name(mask.dtype) != "bool":
        raise TypeError(message("mask must be boolean", "Pass frequencies as weights.", dtype=dtype_name(mask.dtype)))
    shape, given = shape_of(x), shape_of(mask)
    features = resolve_axes("axis", tuple(axes), shape)
    if len(given) == len(shape) - 1 and len(features) == 1:
        mask = xp.expand_dims(mask, axis=features[0])
    elif len(given) != len(shape):
        fewer = " or one axis less, without the feature axis" if len(features) == 1 else ""
        raise ValueError(message(f"mask must have the rank of x{fewer}", x=shape, mask=given))
    return xp.astype(mask, accumulation_dtype(xp, x))


def require_frequencies(weights: Any, x: Any, training: Any) -> None:
    """Refuse weights of which one is negative or NaN, and in training those that are all 0, where they have values.

    Parameters
    ----------
    weights : array, or None
        Frequency weights.
    x : array, shape S
        The input.
    training : bool or array
        The mode; an array counts as False.

    Raises
    ------
    TypeError, ValueError
        If they are so, or do not lie against x. Inside a compiler there are no values to look at.
    """
    if weights is None:
        return
    xp = common_namespace(x=x, weights=weights)
    require_real_floating(weights=weights)
    require_weights(shape_of(weights), shape_of(x))
    sound = xp.all(weights >= 0)
    if not backend_of(sound, name="weights").has_values(sound):
        return
    if not bool(sound):
        least = -float(xp.max(-weights))
        raise ValueError(message("weights must not be negative or NaN", least=least))
    if training is True and 0 not in shape_of(x) and not bool(xp.any(weights > 0)):
        raise ValueError(
            message(
                "weights must not all be 0 in training: there is nothing to normalize by",
                "Leave the batch out.",
                shape=shape_of(weights),
            )
        )
