"""Exponentials, logarithms, trigonometric and hyperbolic functions, element by element."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from bnspec_backends._tensorflow_namespace import _complex as complex_
from bnspec_backends._tensorflow_namespace._common import constant, floating, paired, public, via

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "sin",
    "sinh",
    "tan",
    "tanh",
]

# Functions whose kernels come to 4 ulp or more in float32, and are seldom in an inner loop.
_DOUBLE = {tf.float32: tf.float64}
_ODD = 2.0**-30  # below it an odd function is its argument, to all digits


@public
def exp(x: Any, /) -> Any:
    """Return e to the power of `x`."""
    x = floating(x)
    return complex_.exp(x) if x.dtype.is_complex else tf.exp(x)


@public
def expm1(x: Any, /) -> Any:
    """Return ``exp(x) - 1``, accurately near 0."""
    x = floating(x)
    return complex_.expm1(x) if x.dtype.is_complex else tf.math.expm1(x)


@public
def log(x: Any, /) -> Any:
    """Return the natural logarithm."""
    x = floating(x)
    return complex_.log(x) if x.dtype.is_complex else tf.math.log(x)


@public
def log1p(x: Any, /) -> Any:
    """Return ``log(1 + x)``, accurately near 0."""
    x = floating(x)
    if x.dtype == tf.float64:
        # Between -0.41 and -0.3 XLA's is off by 128 ulp.
        low = x < -0.3
        return tf.where(
            low,
            tf.math.log(constant(1, x.dtype) + tf.where(low, x, tf.zeros_like(x))),
            tf.math.log1p(tf.where(low, tf.zeros_like(x), x)),
        )
    return complex_.log1p(x) if x.dtype.is_complex else tf.math.log1p(x)


@public
def log2(x: Any, /) -> Any:
    """Return the logarithm to base 2."""
    return _log_to_base(2, x)


@public
def log10(x: Any, /) -> Any:
    """Return the logarithm to base 10."""
    return _log_to_base(10, x)


def _log_to_base(base: int, x: Any) -> Any:
    y = log(x)
    scale = constant(math.log(base), y.dtype.real_dtype)
    return complex_.scaled(y, scale) if y.dtype.is_complex else y / scale


@public
def logaddexp(x1: Any, x2: Any, /) -> Any:
    """Return ``log(exp(x1) + exp(x2))`` without overflow."""
    x1, x2 = paired(x1, x2)
    return _log_of_sum(x1 + tf.zeros_like(x2), x2 + tf.zeros_like(x1))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _log_of_sum(x1: Any, x2: Any) -> Any:
    """Of two arrays of one shape. The gradient of maximum would give all to one of two equal arguments."""

    def difference() -> Any:
        # Of two equal infinities it is NaN; between finite equals the gradient has to flow.
        same = tf.equal(x1, x2) & tf.math.is_inf(x1)
        zero = tf.zeros_like(x1)
        return tf.where(same, zero, x1) - tf.where(same, zero, x2)

    def gradient(upstream: Any) -> tuple[Any, Any]:
        gap = difference()
        return upstream * tf.sigmoid(gap), upstream * tf.sigmoid(-gap)

    return tf.maximum(x1, x2) + tf.math.log1p(tf.exp(-tf.abs(difference()))), gradient


@public
def sin(x: Any, /) -> Any:
    """Return the sine."""
    return tf.sin(floating(x))


@public
def cos(x: Any, /) -> Any:
    """Return the cosine."""
    return tf.cos(floating(x))


@public
def tan(x: Any, /) -> Any:
    """Return the tangent."""
    return tf.tan(floating(x))


@public
def asin(x: Any, /) -> Any:
    """Return the inverse sine."""
    x = floating(x)
    if x.dtype == tf.float32:
        return via(_DOUBLE, tf.asin, x)
    if x.dtype != tf.float64:
        return tf.asin(x)
    # XLA halves the argument, and loses what is next to underflow.
    return tf.where(tf.abs(x) < _ODD, x, tf.asin(x))


@public
def acos(x: Any, /) -> Any:
    """Return the inverse cosine."""
    return via(_DOUBLE, tf.acos, floating(x))


@public
def atan(x: Any, /) -> Any:
    """Return the inverse tangent."""
    return via(_DOUBLE, tf.atan, floating(x))


@public
def atan2(x1: Any, x2: Any, /) -> Any:
    """Return the angle of the point (x2, x1)."""
    return via(_DOUBLE, tf.atan2, *paired(x1, x2))


@public
def sinh(x: Any, /) -> Any:
    """Return the hyperbolic sine."""
    x = floating(x)
    return tf.sinh(x) if x.dtype.is_complex else via(_DOUBLE, _sinh, x)


def _sinh(x: Any) -> Any:
    """Keep XLA from ``exp(x - log(2))``, whose argument is rounded: it costs 500 ulp in float64."""
    near, rising, falling = _exponentials(x)
    return tf.where(tf.abs(x) < 1, tf.sinh(near), tf.sign(x) * (rising - falling))


def _exponentials(x: Any) -> tuple[Any, Any, Any]:
    """Return `x` where it is less than 1, and exp(x)/2 and exp(-x)/2 of the rest, each finite elsewhere."""
    one = constant(1, x.dtype)
    size = tf.maximum(tf.abs(x), one)
    # size - 1 is exact, and exp of it does not overflow before cosh does.
    rising, falling = tf.exp(size - one) * constant(math.e / 2, x.dtype), tf.exp(-size) / 2
    return tf.where(tf.abs(x) < 1, x, tf.zeros_like(x)), rising, falling


@public
def cosh(x: Any, /) -> Any:
    """Return the hyperbolic cosine."""
    x = floating(x)
    return tf.cosh(x) if x.dtype.is_complex else via(_DOUBLE, _cosh, x)


def _cosh(x: Any) -> Any:
    near, rising, falling = _exponentials(x)
    return tf.where(tf.abs(x) < 1, tf.cosh(near), rising + falling)


@public
def tanh(x: Any, /) -> Any:
    """Return the hyperbolic tangent."""
    x = floating(x)
    if x.dtype.is_complex:
        return complex_.tanh(x)
    if x.dtype in (tf.float16, tf.bfloat16):
        return tf.tanh(x)
    # Towards 1 the kernel, a rational function, is off by 7 ulp. At 40 all is 1, and nothing overflows yet.
    size = tf.minimum(tf.abs(x), constant(40, x.dtype))
    far = tf.sign(x) * (1 - 2 / (tf.exp(2 * size) + 1))
    return tf.where(size < 0.55, tf.tanh(x), far)


@public
def asinh(x: Any, /) -> Any:
    """Return the inverse hyperbolic sine."""
    return tf.asinh(floating(x))


@public
def acosh(x: Any, /) -> Any:
    """Return the inverse hyperbolic cosine."""
    return tf.acosh(floating(x))


@public
def atanh(x: Any, /) -> Any:
    """Return the inverse hyperbolic tangent."""
    x = floating(x)
    if x.dtype.is_complex:
        return complex_.atanh(x)
    if x.dtype != tf.float64:
        return tf.atanh(x)
    # XLA's has the error of its log1p.
    middle = (tf.abs(x) > 0.3) & (tf.abs(x) < 0.5)
    chosen = tf.where(middle, x, tf.zeros_like(x))
    return tf.where(middle, (log1p(chosen) - log1p(-chosen)) / 2, tf.atanh(tf.where(middle, tf.zeros_like(x), x)))
