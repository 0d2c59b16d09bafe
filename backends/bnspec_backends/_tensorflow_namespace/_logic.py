"""Comparison, logic, bits, and the questions about single elements."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bnspec_backends._tensorflow_namespace._common import constant, paired, public, tensor

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]


@public
def equal(x1: Any, x2: Any, /) -> Any:
    """Tell where two arrays are equal."""
    return tf.equal(*paired(x1, x2))


@public
def not_equal(x1: Any, x2: Any, /) -> Any:
    """Tell where two arrays differ."""
    return tf.not_equal(*paired(x1, x2))


@public
def less(x1: Any, x2: Any, /) -> Any:
    """Tell where the first is smaller."""
    return tf.less(*paired(x1, x2))


@public
def less_equal(x1: Any, x2: Any, /) -> Any:
    """Tell where the first is not larger."""
    return tf.less_equal(*paired(x1, x2))


@public
def greater(x1: Any, x2: Any, /) -> Any:
    """Tell where the first is larger."""
    return tf.greater(*paired(x1, x2))


@public
def greater_equal(x1: Any, x2: Any, /) -> Any:
    """Tell where the first is not smaller."""
    return tf.greater_equal(*paired(x1, x2))


@public
def logical_and(x1: Any, x2: Any, /) -> Any:
    """Tell where both are true."""
    return tf.logical_and(*paired(x1, x2))


@public
def logical_or(x1: Any, x2: Any, /) -> Any:
    """Tell where one is true."""
    return tf.logical_or(*paired(x1, x2))


@public
def logical_xor(x1: Any, x2: Any, /) -> Any:
    """Tell where exactly one is true."""
    return tf.not_equal(*paired(x1, x2))


@public
def logical_not(x: Any, /) -> Any:
    """Tell where it is false."""
    return tf.logical_not(tensor(x))


@public
def bitwise_and(x1: Any, x2: Any, /) -> Any:
    """Combine bits by and."""
    x1, x2 = paired(x1, x2)
    return tf.logical_and(x1, x2) if x1.dtype == tf.bool else tf.bitwise.bitwise_and(x1, x2)


@public
def bitwise_or(x1: Any, x2: Any, /) -> Any:
    """Combine bits by or."""
    x1, x2 = paired(x1, x2)
    return tf.logical_or(x1, x2) if x1.dtype == tf.bool else tf.bitwise.bitwise_or(x1, x2)


@public
def bitwise_xor(x1: Any, x2: Any, /) -> Any:
    """Combine bits by exclusive or."""
    x1, x2 = paired(x1, x2)
    return tf.not_equal(x1, x2) if x1.dtype == tf.bool else tf.bitwise.bitwise_xor(x1, x2)


@public
def bitwise_invert(x: Any, /) -> Any:
    """Change every bit."""
    x = tensor(x)
    return tf.logical_not(x) if x.dtype == tf.bool else tf.bitwise.invert(x)


@public
def bitwise_left_shift(x1: Any, x2: Any, /) -> Any:
    """Shift to the left; what is shifted by all bits is 0, where TensorFlow leaves it open."""
    x1, x2 = paired(x1, x2)
    out = tf.greater_equal(x2, constant(8 * x1.dtype.size, x2.dtype))
    shifted = tf.bitwise.left_shift(x1, tf.where(out, tf.zeros_like(x2), x2))
    return tf.where(out, tf.zeros_like(shifted), shifted)


@public
def bitwise_right_shift(x1: Any, x2: Any, /) -> Any:
    """Shift to the right, with the sign; by more than all bits is by all bits."""
    x1, x2 = paired(x1, x2)
    last = constant(8 * x1.dtype.size - 1, x2.dtype)
    out = tf.greater(x2, last)
    shifted = tf.bitwise.right_shift(x1, tf.where(out, last, x2))
    return shifted if not x1.dtype.is_unsigned else tf.where(out, tf.zeros_like(shifted), shifted)


@public
def isnan(x: Any, /) -> Any:
    """Tell where it is NaN, in either part."""
    x = tensor(x)
    if x.dtype.is_complex:
        return tf.math.is_nan(tf.math.real(x)) | tf.math.is_nan(tf.math.imag(x))
    return tf.math.is_nan(x) if x.dtype.is_floating else tf.zeros_like(x, tf.bool)


@public
def isinf(x: Any, /) -> Any:
    """Tell where it is infinite, in either part."""
    x = tensor(x)
    if x.dtype.is_complex:
        return tf.math.is_inf(tf.math.real(x)) | tf.math.is_inf(tf.math.imag(x))
    return tf.math.is_inf(x) if x.dtype.is_floating else tf.zeros_like(x, tf.bool)


@public
def isfinite(x: Any, /) -> Any:
    """Tell where it is neither infinite nor NaN, in both parts."""
    x = tensor(x)
    if x.dtype.is_complex:
        return tf.math.is_finite(tf.math.real(x)) & tf.math.is_finite(tf.math.imag(x))
    return tf.math.is_finite(x) if x.dtype.is_floating else tf.ones_like(x, tf.bool)
