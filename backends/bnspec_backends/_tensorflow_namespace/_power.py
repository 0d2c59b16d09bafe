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

_MANTISSA = 52
# The bits of a number next to the root of 1/2: what is scaled by a power of 2 comes to lie around 1.
_ORIGIN = 0x3FE6A09E00000000
_UPPER = -(1 << 27)  # keeps 26 bits of the significand
_PARTS = 256  # of which reciprocals are multiples
_FIRST, _LAST = 180, 363
_GRID = 2.0**-42  # sums of multiples of it below 2^11 are exact
_BEYOND = 800.0  # exp of it is infinite, of its negative 0


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
    y = tf.where(usual, y, tf.zeros_like(plain))
    product = y * high
    y_upper, high_upper = _upper(y), _upper(high)
    y_lower, high_lower = y - y_upper, high - high_upper
    # What the product was rounded by, exactly.
    lost = ((y_upper * high_upper - product) + y_upper * high_lower + y_lower * high_upper) + y_lower * high_lower
    correction = lost + y * low
    within = tf.abs(product) < _BEYOND
    rough = tf.exp(tf.clip_by_value(product, -_BEYOND, _BEYOND))
    sound = within & tf.math.is_finite(rough)
    zero = tf.zeros_like(plain)
    found = tf.where(sound, rough + tf.where(sound, rough, zero) * tf.where(sound, correction, zero), rough)
    found = tf.where(plain < 0, -found, found)
    # A negative base has a power of the other sign, or none.
    return tf.where(usual & ~tf.math.is_nan(plain), found, plain)


def _upper(x: Any) -> Any:
    return tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.int64), tf.constant(_UPPER, tf.int64)), tf.float64)


def _logarithm(x: Any) -> tuple[Any, Any]:
    """Return the logarithm of positive normal numbers as an unevaluated sum, to some 62 bits.

    With x = 2^k m and c next to 1/m, of 9 bits, it is k log 2 - log c + log(1 + r), and r = m c - 1 is exact.
    """
    bits = tf.bitcast(x, tf.int64)
    exponent = tf.bitwise.right_shift(bits - _ORIGIN, tf.constant(_MANTISSA, tf.int64))
    m = tf.bitcast(bits - exponent * (1 << _MANTISSA), tf.float64)
    k = tf.cast(exponent, tf.float64)
    part = tf.round(_PARTS / m)
    c = part / _PARTS
    table, log_two = _table()
    place = tf.cast(part, tf.int64) - _FIRST
    upper = _upper(m)
    r_high, r_low = upper * c - 1, (m - upper) * c
    r = r_high + r_low
    series = tf.zeros_like(r)
    for n in range(8, 1, -1):
        series = series * r + (-1.0) ** (n + 1) / n
    base = k * log_two[0] + tf.gather(tf.constant(table[0]), place)
    high = base + r_high
    low = (r_high - (high - base)) + r_low + (k * log_two[1] + tf.gather(tf.constant(table[1]), place)) + r * r * series
    return high, low


@cache
def _table() -> tuple[np.ndarray[Any, Any], tuple[float, float]]:
    """Return -log c for each c, and log 2, each as a multiple of the grid and what is left."""
    with localcontext() as context:
        context.prec = 50
        logarithms = [-(Decimal(part) / _PARTS).ln() for part in range(_FIRST, _LAST + 1)]
        pairs = [_parts(value) for value in (*logarithms, Decimal(2).ln())]
    return np.asarray(pairs[:-1]).T.copy(), pairs[-1]


def _parts(value: Decimal) -> tuple[float, float]:
    high = float(round(value / Decimal(_GRID))) * _GRID
    return high, float(value - Decimal(high))
