"""The part of the Array API standard that the specification uses, over plain ``tf.Tensor``.

Nothing of TensorFlow is patched, and ``enable_numpy_behavior`` is not needed. Shapes are static.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow import (
    bfloat16,
    bool,  # noqa: A004 - the standard's name
    concat,
    float16,
    float32,
    float64,
    int32,
    ones_like,
    reshape,
    sqrt,
    where,
    zeros_like,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "astype",
    "bfloat16",
    "bool",
    "broadcast_to",
    "concat",
    "float16",
    "float32",
    "float64",
    "full_like",
    "int32",
    "ones",
    "ones_like",
    "permute_dims",
    "reshape",
    "sqrt",
    "sum",
    "where",
    "zeros",
    "zeros_like",
]


def astype(x: Any, dtype: Any) -> Any:
    """Convert to a dtype."""
    return tf.cast(x, dtype)


def broadcast_to(x: Any, shape: Sequence[int]) -> Any:
    """Broadcast to a shape."""
    return tf.broadcast_to(x, tuple(shape))


def full_like(x: Any, fill_value: float) -> Any:
    """Fill an array of the same shape and dtype."""
    return tf.fill(tf.shape(x), tf.constant(fill_value, x.dtype))


def ones(shape: Sequence[int], *, dtype: Any, device: str) -> Any:
    """Make an array of ones on a device."""
    with tf.device(device):
        return tf.ones(tuple(shape), dtype)


def permute_dims(x: Any, axes: Sequence[int]) -> Any:
    """Permute the axes."""
    return tf.transpose(x, tuple(axes))


def sum(x: Any, *, axis: int) -> Any:  # noqa: A001 - the standard's name
    """Sum over an axis."""
    return tf.reduce_sum(x, axis=axis)


def zeros(shape: Sequence[int], *, dtype: Any, device: str) -> Any:
    """Make an array of zeros on a device."""
    with tf.device(device):
        return tf.zeros(tuple(shape), dtype)
