"""Arithmetic, element by element."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bnspec.errors import message
from bnspec_backends._tensorflow_namespace._common import constant, floating, paired, public, tensor, via
from bnspec_backends._tensorflow_namespace._dtypes import kind_of
from bnspec_backends._tensorflow_namespace._power import power, unbroadcast

__all__ = [
    "abs",
    "add",
    "ceil",
    "clip",
    "conj",
    "copysign",
    "divide",
    "floor",
    "floor_divide",
    "hypot",
    "imag",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "positive",
    "pow",
    "real",
    "reciprocal",
    "remainder",
    "round",
    "sign",
    "signbit",
    "sqrt",
    "square",
    "subtract",
    "trunc",
]

_WIDER = {tf.uint8: tf.int32, tf.uint16: tf.int32, tf.uint32: tf.int64}
_BITS = {2: tf.int16, 4: tf.int32, 8: tf.int64}


@public
def abs(x: Any, /) -> Any:  # noqa: A001 - the standard's name
    """Return the absolute value; of a complex number, its modulus."""
    x = tensor(x)
    return x if kind_of(x.dtype) == "unsigned integer" else tf.abs(x)


@public
def add(x1: Any, x2: Any, /) -> Any:
    """Add."""
    return tf.add(*paired(x1, x2))


@public
def subtract(x1: Any, x2: Any, /) -> Any:
    """Subtract."""
    return tf.subtract(*paired(x1, x2))


@public
def multiply(x1: Any, x2: Any, /) -> Any:
    """Multiply."""
    return tf.multiply(*paired(x1, x2))


@public
def divide(x1: Any, x2: Any, /) -> Any:
    """Divide."""
    return tf.divide(*paired(x1, x2))


@public
def negative(x: Any, /) -> Any:
    """Change the sign; an unsigned integer wraps around."""
    x = tensor(x)
    # Not 0 - x: the graph optimizer rewrites it to Neg, which has no unsigned kernel.
    return tf.bitwise.invert(x) + constant(1, x.dtype) if kind_of(x.dtype) == "unsigned integer" else tf.negative(x)


@public
def positive(x: Any, /) -> Any:
    """Return the argument."""
    return tf.identity(tensor(x))


@public
def square(x: Any, /) -> Any:
    """Multiply by itself."""
    x = tensor(x)
    return x * x


@public
def reciprocal(x: Any, /) -> Any:
    """Divide 1 by it."""
    x = floating(x)
    # Not 1 / x: the graph optimizer rewrites it to Reciprocal, whose kernel is off by thousands of ulp in float32.
    return -(constant(-1, x.dtype) / x)


@public
def sqrt(x: Any, /) -> Any:
    """Return the square root."""
    return tf.sqrt(floating(x))


@public
def pow(x1: Any, x2: Any, /) -> Any:  # noqa: A001 - the standard's name
    """Raise to a power."""
    x1, x2 = paired(x1, x2)
    if x1.dtype == tf.uint64:  # products wrap around alike
        return tf.bitcast(tf.pow(tf.bitcast(x1, tf.int64), tf.bitcast(x2, tf.int64)), tf.uint64)
    if x1.dtype == tf.float64:
        return power(x1, x2)
    # In float32 the vectorized kernel is infinite or 0 for the number next to 1, and off by 5 ulp elsewhere.
    wider = {**_WIDER, tf.int8: tf.int32, tf.int16: tf.int32, tf.uint32: tf.int64, tf.float32: tf.float64}
    return via(wider, tf.pow, x1, x2)


@public
def hypot(x1: Any, x2: Any, /) -> Any:
    """Return ``sqrt(x1**2 + x2**2)`` without overflow; its gradient at the origin is 0."""
    x1, x2 = paired(x1, x2)
    return _length(x1 + tf.zeros_like(x2), x2 + tf.zeros_like(x1))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _length(x1: Any, x2: Any) -> Any:
    """Of two arrays of one shape. XLA turns the gradient of a quotient into one by a square, which overflows."""
    first, second = tf.abs(x1), tf.abs(x2)
    longer, shorter = maximum(first, second), minimum(first, second)
    origin = tf.equal(longer, constant(0, x1.dtype))
    ratio = shorter / tf.where(origin, tf.ones_like(longer), longer)
    length = longer * tf.sqrt(constant(1, x1.dtype) + ratio * ratio)
    infinite = constant(float("inf"), x1.dtype)

    def gradient(upstream: Any) -> tuple[Any, Any]:
        divisor = _length(x1, x2)
        divisor = tf.where(origin, tf.ones_like(divisor), divisor)
        return upstream * (x1 / divisor), upstream * (x2 / divisor)

    return tf.where(tf.math.is_inf(x1) | tf.math.is_inf(x2), infinite, length), gradient


@public
def maximum(x1: Any, x2: Any, /) -> Any:
    """Return the larger one, or NaN."""
    return _extreme(tf.maximum, *paired(x1, x2))


@public
def minimum(x1: Any, x2: Any, /) -> Any:
    """Return the smaller one, or NaN."""
    return _extreme(tf.minimum, *paired(x1, x2))


def _extreme(function: Any, x1: Any, x2: Any) -> Any:
    found = via({tf.uint16: tf.int32, tf.int8: tf.int32}, function, x1, x2)
    # XLA passes over a NaN in the second argument.
    return tf.where(tf.math.is_nan(x2), x2, found) if x2.dtype.is_floating else found


@public
def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:  # noqa: A002 - the standard's names
    """Limit to the range from `min` to `max`, in the dtype of `x`."""
    x = tensor(x)
    for limit, side in ((min, maximum), (max, minimum)):
        if limit is not None:
            if not isinstance(limit, (tf.Tensor, tf.Variable)):
                limit = constant(limit, x.dtype)  # noqa: PLW2901
            x = side(x, tf.cast(limit, x.dtype))
    return tf.identity(x)


@public
def floor(x: Any, /) -> Any:
    """Round down."""
    x = tensor(x)
    return tf.floor(x) if x.dtype.is_floating else x


@public
def ceil(x: Any, /) -> Any:
    """Round up."""
    x = tensor(x)
    return tf.math.ceil(x) if x.dtype.is_floating else x


@public
def trunc(x: Any, /) -> Any:
    """Round towards zero."""
    x = tensor(x)
    return tf.where(x < 0, tf.math.ceil(x), tf.floor(x)) if x.dtype.is_floating else x


@public
def round(x: Any, /) -> Any:  # noqa: A001 - the standard's name
    """Round to the nearest integer, halves to the even one."""
    x = tensor(x)
    if x.dtype.is_complex:
        return tf.complex(tf.round(tf.math.real(x)), tf.round(tf.math.imag(x)))
    return tf.round(x) if x.dtype.is_floating else x


@public
def sign(x: Any, /) -> Any:
    """Return -1, 0 or 1, or NaN; of a complex number, its direction."""
    x = tensor(x)
    if kind_of(x.dtype) == "unsigned integer":
        return tf.cast(tf.not_equal(x, constant(0, x.dtype)), x.dtype)
    if not x.dtype.is_complex:
        found = via({tf.int8: tf.int32, tf.int16: tf.int32}, tf.sign, x)
        # XLA keeps the sign of zero.
        return tf.where(tf.equal(x, constant(0, x.dtype)), tf.zeros_like(x), found)
    # Scaled first, so that the modulus does not overflow.
    a, b = tf.math.real(x), tf.math.imag(x)
    size = tf.maximum(tf.abs(a), tf.abs(b))
    zero = tf.equal(size, constant(0, size.dtype))
    safe = tf.where(zero, tf.ones_like(size), size)
    a, b = a / safe, b / safe
    length = tf.where(zero, tf.ones_like(size), hypot(a, b))
    return tf.where(zero, tf.zeros_like(x), tf.complex(a / length, b / length))


@public
def signbit(x: Any, /) -> Any:
    """Tell whether the sign bit is set, that of -0.0 and of NaN included."""
    x = floating(x)
    bits = _BITS[x.dtype.size]
    return tf.bitcast(x, bits) < constant(0, bits)


@public
def copysign(x1: Any, x2: Any, /) -> Any:
    """Give `x1` the sign of `x2`."""
    x1, x2 = paired(x1, x2)
    return tf.where(tf.equal(signbit(x1), signbit(x2)), x1, -x1)


@public
def nextafter(x1: Any, x2: Any, /) -> Any:
    """Return the next representable number from `x1` towards `x2`."""
    x1, x2 = paired(x1, x2)
    if x1.dtype not in (tf.float32, tf.float64):
        raise TypeError(
            message("nextafter needs float32 or float64", "Convert first with astype.", dtype=x1.dtype.name)
        )
    return tf.math.nextafter(x1, x2)


@public
def floor_divide(x1: Any, x2: Any, /) -> Any:
    """Divide and round down. By an integer 0, where the standard leaves the result open, it is 0."""
    x1, x2 = paired(x1, x2)
    if x1.dtype.is_integer:
        zero = tf.equal(x2, constant(0, x2.dtype))
        return tf.where(zero, tf.zeros_like(x1), tf.math.floordiv(x1, tf.where(zero, tf.ones_like(x2), x2)))
    if x1.dtype.size == 2:
        return tf.cast(floor_divide(tf.cast(x1, tf.float32), tf.cast(x2, tf.float32)), x1.dtype)
    quotient = x1 / x2
    whole = tf.round((x1 - _float_remainder(x1, x2)) / x2)
    # Divided by zero or by infinity it is the quotient; and a zero has the quotient's sign.
    direct = tf.equal(x2, constant(0, x2.dtype)) | tf.math.is_inf(x2) | tf.math.is_inf(x1)
    return tf.where(
        direct, quotient, tf.where(tf.equal(whole, constant(0, whole.dtype)), copysign(whole, quotient), whole)
    )


@public
def remainder(x1: Any, x2: Any, /) -> Any:
    """Return what division leaves, with the sign of the divisor. By an integer 0 it is 0."""
    x1, x2 = paired(x1, x2)
    if x1.dtype.is_integer:
        zero = tf.equal(x2, constant(0, x2.dtype))
        return tf.where(zero, tf.zeros_like(x1), tf.math.floormod(x1, tf.where(zero, tf.ones_like(x2), x2)))
    return via({tf.float16: tf.float32, tf.bfloat16: tf.float32}, _float_remainder, x1, x2)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _float_remainder(x1: Any, x2: Any) -> Any:
    """Python's remainder, exactly; TensorFlow's has the wrong zeros, and its truncated one has no gradient."""
    left = tf.truncatemod(x1, x2)
    zero = tf.equal(left, constant(0, left.dtype))
    agrees = tf.equal(signbit(left), signbit(x2 + tf.zeros_like(left)))
    found = tf.where(zero, copysign(left, x2), tf.where(agrees, left, left + x2))

    def gradient(upstream: Any) -> tuple[Any, Any]:
        return (
            unbroadcast(upstream * tf.ones_like(found), x1),
            unbroadcast(-upstream * tf.floor(x1 / x2), x2),
        )

    return found, gradient


@public
def conj(x: Any, /) -> Any:
    """Return the complex conjugate."""
    x = tensor(x)
    return tf.math.conj(x) if x.dtype.is_complex else x


@public
def real(x: Any, /) -> Any:
    """Return the real part."""
    x = tensor(x)
    return tf.math.real(x) if x.dtype.is_complex else x


@public
def imag(x: Any, /) -> Any:
    """Return the imaginary part."""
    return tf.math.imag(tensor(x))
