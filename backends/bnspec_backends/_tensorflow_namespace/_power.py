"""Powers in float64. TensorFlow's vectorized kernel loses a digit for each factor of 10 in the logarithm of the result.

It knows the logarithm of the base to little more than float64, so that the result is off by 0.7 ulp for each unit of
log2(result), 650 ulp at the ends; and for the number next to 1 it is wrong altogether. XLA's own is right, and not
harmed by this one.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["power", "unbroadcast"]

_EXPONENTS = 520  # half of those of float64, and some more
_PARTS = 256  # of which reciprocals are multiples
_FIRST, _LAST = 180, 363
_GRID = 2.0**-42  # sums of multiples of it below 2^11 are exact
_BEYOND = 800.0  # exp of it is infinite, of its negative 0
_HUGE = 1e30  # a larger exponent of anything but 1 is beyond it


@tf.custom_gradient  # type: ignore[untyped-decorator]
def power(x: Any, y: Any) -> Any:
    """Return x to the power of y, for float64 arrays that are broadcast.

    Returns
    -------
    tensor, float64
        With the gradient of ``tf.pow``.
    """
    found = _compiled()(x, y) if tf.executing_eagerly() else _power(x, y)

    def gradient(upstream: Any) -> tuple[Any, Any]:
        logarithm = tf.math.log(tf.where(x > 0, x, tf.ones_like(x)))
        by_base = upstream * y * power(x, y - 1)
        return unbroadcast(by_base, x), unbroadcast(upstream * power(x, y) * logarithm, y)

    return found, gradient


def unbroadcast(gradient: Any, x: Any) -> Any:
    """Sum a gradient over the axes along which an argument was broadcast.

    Returns
    -------
    tensor
        Of the shape of `x`.
    """
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(x), s1=tf.shape(gradient))
    return tf.reshape(tf.math.reduce_sum(gradient, axis=axes), tf.shape(x))


@cache
def _compiled() -> Any:
    """Make one call of the many operations, for eager use."""
    any_shape = tf.TensorSpec(None, tf.float64)
    return tf.function(_power, input_signature=[any_shape, any_shape], autograph=False)


def _power(x: Any, y: Any) -> Any:
    plain = tf.pow(x, y)
    size = tf.abs(x)
    usual = (size >= np.finfo(np.float64).tiny) & tf.math.is_finite(x) & tf.math.is_finite(y)
    high, low = _logarithm(tf.where(usual, size, tf.ones_like(plain)))
    y = tf.clip_by_value(tf.where(usual, y, tf.zeros_like(plain)), -_HUGE, _HUGE)
    product = y * high
    y_upper, high_upper = _upper(y), _upper(high)
    y_lower, high_lower = y - y_upper, high - high_upper
    # What the product was rounded by, exactly.
    lost = ((y_upper * high_upper - product) + y_upper * high_lower + y_lower * high_upper) + y_lower * high_lower
    correction = lost + y * low
    rough = tf.exp(tf.clip_by_value(product, -_BEYOND, _BEYOND))
    sound = (tf.abs(product) < _BEYOND) & tf.math.is_finite(rough)
    # Not rough + rough * correction: next to underflow the second term is flushed to zero.
    found = rough * (1 + tf.where(sound, correction, tf.zeros_like(plain)))
    found = tf.where(plain < 0, -found, found)  # the power of a negative base may be negative
    # Of two that agree the kernel's is the better one, and exact where the power is.
    # Next to underflow both sides are flushed to 0, and nothing is known.
    agree = tf.abs(found - plain) < np.finfo(np.float64).eps * tf.abs(plain)
    return tf.where(usual & ~tf.math.is_nan(plain) & ~agree, found, plain)


def _upper(x: Any) -> Any:
    """Keep 24 bits. Not by masking: bitcast has no rule for ``tf.vectorized_map``."""
    return tf.cast(tf.cast(x, tf.float32), tf.float64)


def _logarithm(x: Any) -> tuple[Any, Any]:
    """Return the logarithm of positive normal numbers as an unevaluated sum, to some 62 bits.

    With x = 2^k m and c next to 1/m, of 9 bits, it is k log 2 - log c + log(1 + r), and r = m c - 1 is exact.
    """
    k = tf.round(tf.math.log(x) / np.log(2.0))
    table, powers, log_two = _table()
    # In two steps, because the inverse of the largest power of 2 is no normal number.
    for half in (tf.floor(k / 2), k - tf.floor(k / 2)):
        x *= tf.gather(tf.constant(powers), _EXPONENTS - tf.cast(half, tf.int64))
    m = x
    part = tf.round(_PARTS / m)
    c = part / _PARTS
    place = tf.cast(part, tf.int64) - _FIRST
    upper = _upper(m)
    r_high, r_low = upper * c - 1, (m - upper) * c
    r, r_lost = _sum(r_high, r_low)
    series = tf.zeros_like(r)
    for n in range(8, 1, -1):
        series = series * r + (-1.0) ** (n + 1) / n
    base = k * log_two[0] + tf.gather(tf.constant(table[0]), place)
    high, lost = _sum(base, r)
    rest = k * log_two[1] + tf.gather(tf.constant(table[1]), place)
    return _sum(high, lost + r_lost + rest + r * r * series)


def _sum(larger: Any, smaller: Any) -> tuple[Any, Any]:
    """Add exactly: return the sum and what it was rounded by. The first may be 0, whatever the second is."""
    total = larger + smaller
    return total, smaller - (total - larger)


@cache
def _table() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], tuple[float, float]]:
    """Return -log c for each c as a multiple of the grid and what is left, powers of 2, and log 2 like the first."""
    with localcontext() as context:
        context.prec = 50
        logarithms = [-(Decimal(part) / _PARTS).ln() for part in range(_FIRST, _LAST + 1)]
        pairs = [_parts(value) for value in (*logarithms, Decimal(2).ln())]
    powers = np.ldexp(1.0, np.arange(-_EXPONENTS, _EXPONENTS + 1))
    return np.asarray(pairs[:-1]).T.copy(), powers, pairs[-1]


def _parts(value: Decimal) -> tuple[float, float]:
    high = float(round(value / Decimal(_GRID))) * _GRID
    return high, float(value - Decimal(high))
