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
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["weights_of"]


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
