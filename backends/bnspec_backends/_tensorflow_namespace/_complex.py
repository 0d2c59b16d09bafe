"""Functions of complex numbers, where TensorFlow's kernels miss the standard's table of special values.

Each takes real and imaginary part apart, because a complex product mixes infinities and NaN into both.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from bnspec_backends._tensorflow_namespace._common import constant

__all__ = ["atanh", "exp", "expm1", "log", "log1p", "scaled", "tanh"]


def _parts(z: Any) -> tuple[Any, Any]:
    return tf.math.real(z), tf.math.imag(z)


def scaled(z: Any, divisor: Any) -> Any:
    """Divide by a real number."""
    a, b = _parts(z)
    return tf.complex(a / divisor, b / divisor)


def exp(z: Any) -> Any:
    """Return e to the power of z."""
    a, b = _parts(z)
    size, turned = tf.exp(a), tf.math.is_finite(b)
    # Where the size is 0 or infinite, the standard does not ask for the angle of what is not finite.
    real = tf.where(turned, size * tf.cos(b), tf.where(tf.math.is_inf(a), size, b - b))
    imaginary = tf.where(turned, size * tf.sin(b), tf.where(tf.equal(a, -math.inf), tf.zeros_like(b), b - b))
    return tf.complex(real, tf.where(tf.equal(b, 0), b, imaginary))


def expm1(z: Any) -> Any:
    """Return ``exp(z) - 1``, accurately near 0."""
    a, b = _parts(z)
    half = tf.sin(b / 2)
    real, imaginary = tf.math.expm1(a) * tf.cos(b) - 2 * half * half, tf.exp(a) * tf.sin(b)
    low, high = tf.equal(a, -math.inf), tf.equal(a, math.inf)
    turned = tf.math.is_finite(b)
    real = tf.where(tf.equal(real, 0), tf.zeros_like(a), real)
    real = tf.where(low, -tf.ones_like(a), tf.where(high & ~turned, a, real))
    imaginary = tf.where(low & ~turned, tf.zeros_like(b), tf.where(tf.equal(b, 0), b, imaginary))
    return tf.complex(real, imaginary)


def log(z: Any) -> Any:
    """Return the natural logarithm."""
    a, b = _parts(z)
    return tf.complex(_log_modulus(a, b, a - 1), tf.atan2(b, a))


def log1p(z: Any) -> Any:
    """Return ``log(1 + z)``, accurately near 0."""
    a, b = _parts(z)
    return tf.complex(_log_modulus(1 + a, b, a), tf.atan2(b, 1 + a))


def tanh(z: Any) -> Any:
    """Return the hyperbolic tangent."""
    a, b = _parts(z)
    zero = tf.zeros_like(a)
    # Beyond 20 the real part is 1 in float64 too, and TensorFlow's quotient overflows.
    far = tf.complex(tf.sign(a), 4 * tf.sin(b) * tf.cos(b) * tf.exp(-2 * tf.abs(a)))
    found = tf.where((tf.abs(a) > 20) & tf.math.is_finite(b), far, tf.tanh(z))
    found = tf.where(tf.equal(a, 0) & ~tf.math.is_finite(b), tf.complex(zero, b - b), found)
    return tf.where(tf.math.is_inf(a), tf.complex(tf.sign(a), zero), found)


def atanh(z: Any) -> Any:
    """Return the inverse hyperbolic tangent."""
    a, b = _parts(z)
    nan, zero = tf.fill(tf.shape(a), constant(math.nan, a.dtype)), tf.zeros_like(a)
    # Of a NaN, what the other part says.
    still = tf.equal(a, 0) | tf.math.is_inf(a) | tf.math.is_inf(b)
    lost = tf.complex(tf.where(still, zero, nan), tf.where(tf.math.is_inf(b), tf.sign(b) * (math.pi / 2), nan))
    return tf.where(tf.math.is_nan(a) | tf.math.is_nan(b), lost, tf.atanh(z))


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
