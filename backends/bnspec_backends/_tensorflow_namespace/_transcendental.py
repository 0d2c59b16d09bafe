"""Exponentials, logarithms, trigonometric and hyperbolic functions, element by element."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

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
    if not x.dtype.is_complex:
        return tf.exp(x)
    a, b = tf.math.real(x), tf.math.imag(x)
    size, turned = tf.exp(a), tf.math.is_finite(b)
    # Where the size is 0 or infinite, the standard does not ask for the angle of what is not finite.
    real = tf.where(turned, size * tf.cos(b), tf.where(tf.math.is_inf(a), size, b - b))
    imaginary = tf.where(turned, size * tf.sin(b), tf.where(tf.equal(a, -math.inf), tf.zeros_like(b), b - b))
    return tf.complex(real, tf.where(tf.equal(b, 0), b, imaginary))


@public
def expm1(x: Any, /) -> Any:
    """Return ``exp(x) - 1``, accurately near 0."""
    x = floating(x)
    if not x.dtype.is_complex:
        return tf.math.expm1(x)
    a, b = tf.math.real(x), tf.math.imag(x)
    half = tf.sin(b / 2)
    real, imaginary = tf.math.expm1(a) * tf.cos(b) - 2 * half * half, tf.exp(a) * tf.sin(b)
    # Where the exponential is 0 or infinite, the standard does not ask for the angle of what is not finite.
    low, high = tf.equal(a, -math.inf), tf.equal(a, math.inf)
    turned = tf.math.is_finite(b)
    real = tf.where(tf.equal(real, 0), tf.zeros_like(a), real)
    real = tf.where(low, -tf.ones_like(a), tf.where(high & ~turned, a, real))
    imaginary = tf.where(low & ~turned, tf.zeros_like(b), tf.where(tf.equal(b, 0), b, imaginary))
    return tf.complex(real, imaginary)


@public
def log(x: Any, /) -> Any:
    """Return the natural logarithm."""
    x = floating(x)
    if not x.dtype.is_complex:
        return tf.math.log(x)
    a, b = tf.math.real(x), tf.math.imag(x)
    return tf.complex(_log_modulus(a, b, a - 1), tf.atan2(b, a))


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
    if not x.dtype.is_complex:
        return tf.math.log1p(x)
    a, b = tf.math.real(x), tf.math.imag(x)
    return tf.complex(_log_modulus(1 + a, b, a), tf.atan2(b, 1 + a))


def _log_modulus(a: Any, b: Any, less_one: Any) -> Any:
    """Return ``log |a + bi|``, given a - 1 too; TensorFlow's complex logarithm overflows where the modulus does not."""
    first, second = tf.abs(a), tf.abs(b)
    longer, shorter = tf.maximum(first, second), tf.minimum(first, second)
    ratio = shorter / longer
    far = tf.math.log(longer) + tf.math.log1p(ratio * ratio) / 2
    near = tf.math.log1p(less_one * (a + 1) + b * b) / 2
    found = tf.where((a > 0.5) & (a < 1.5) & (second < 0.5), near, far)
    found = tf.where(tf.equal(longer, 0), tf.math.log(longer), found)
    # XLA's maximum passes over NaN; an infinity outweighs it.
    found = tf.where(tf.math.is_nan(a) | tf.math.is_nan(b), constant(math.nan, a.dtype), found)
    infinite = tf.math.is_inf(a) | tf.math.is_inf(b)
    return tf.where(infinite, constant(math.inf, a.dtype), found)


@public
def log2(x: Any, /) -> Any:
    """Return the logarithm to base 2."""
    x = floating(x)
    return tf.math.log(x) / constant(math.log(2), x.dtype)


@public
def log10(x: Any, /) -> Any:
    """Return the logarithm to base 10."""
    x = floating(x)
    return tf.math.log(x) / constant(math.log(10), x.dtype)


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
    if x.dtype in (tf.float16, tf.bfloat16):
        return tf.tanh(x)
    if not x.dtype.is_complex:
        # Towards 1 the kernel, a rational function, is off by 7 ulp. At 40 all is 1, and nothing overflows yet.
        size = tf.minimum(tf.abs(x), constant(40, x.dtype))
        far = tf.sign(x) * (1 - 2 / (tf.exp(2 * size) + 1))
        return tf.where(size < 0.55, tf.tanh(x), far)
    a, b = tf.math.real(x), tf.math.imag(x)
    # Beyond 20 the real part is 1 in float64 too, and TensorFlow's quotient overflows.
    far = tf.complex(tf.sign(a), 4 * tf.sin(b) * tf.cos(b) * tf.exp(-2 * tf.abs(a)))
    far = tf.where(tf.math.is_inf(a), tf.complex(tf.sign(a), tf.zeros_like(b)), far)
    return tf.where(tf.math.is_inf(a) | ((tf.abs(a) > 20) & tf.math.is_finite(b)), far, tf.tanh(x))


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
    if x.dtype != tf.float64:
        return tf.atanh(x)
    # XLA's has the error of its log1p.
    middle = (tf.abs(x) > 0.3) & (tf.abs(x) < 0.5)
    chosen = tf.where(middle, x, tf.zeros_like(x))
    return tf.where(middle, (log1p(chosen) - log1p(-chosen)) / 2, tf.atanh(tf.where(middle, tf.zeros_like(x), x)))
