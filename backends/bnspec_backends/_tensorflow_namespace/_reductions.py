"""Reductions and what runs along an axis."""

from __future__ import annotations

from math import prod as product_of
from typing import Any

import numpy as np
import tensorflow as tf

from bnspec_backends._tensorflow_namespace._common import (
    as_axis,
    axes_of,
    constant,
    floating,
    pack,
    public,
    rank_of,
    sizes,
    tensor,
    via,
)
from bnspec_backends._tensorflow_namespace._dtypes import kind_of
from bnspec_backends._tensorflow_namespace._manipulation import concat

__all__ = [
    "all",
    "any",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]

_any = Any
_WIDER = {tf.float16: tf.float32, tf.bfloat16: tf.float32}
_ORDERED = {tf.uint8: tf.int32, tf.uint16: tf.int32, tf.int8: tf.int32, tf.int16: tf.int32, tf.uint32: tf.int64}


def _accumulated(x: _any, dtype: _any) -> _any:
    """Convert to the dtype in which sums and products are returned."""
    if dtype is None:
        dtype = {"signed integer": tf.int64, "unsigned integer": tf.uint64}.get(kind_of(x.dtype), x.dtype)
    return tf.cast(x, dtype)


def _wrapping(function: _any, x: _any) -> _any:
    """Compute with unsigned integers, which have few kernels, as with signed ones: both wrap around."""
    if kind_of(x.dtype) not in ("signed integer", "unsigned integer") or x.dtype == tf.int64:
        return function(x)
    if x.dtype == tf.uint64:
        return tf.bitcast(function(tf.bitcast(x, tf.int64)), tf.uint64)
    return tf.cast(function(tf.cast(x, tf.int64)), x.dtype)


@public
def sum(x: _any, /, *, axis: _any = None, dtype: _any = None, keepdims: bool = False) -> _any:  # noqa: A001
    """Add up; small integers in 64 bits."""
    x = tensor(x)
    axes = axes_of(x, axis)
    return _wrapping(lambda x: tf.reduce_sum(x, axes, keepdims), _accumulated(x, dtype))


@public
def prod(x: _any, /, *, axis: _any = None, dtype: _any = None, keepdims: bool = False) -> _any:
    """Multiply up; small integers in 64 bits."""
    x = tensor(x)
    axes = axes_of(x, axis)
    x = _accumulated(x, dtype)
    if not x.dtype.is_floating:
        return _wrapping(lambda x: tf.reduce_prod(x, axes, keepdims), x)
    kept = [axis for axis in range(rank_of(x)) if axis not in axes]
    shape = sizes(x)
    count = product_of([shape[axis] for axis in axes])
    rows = tf.reshape(tf.transpose(x, [*kept, *axes]), pack([*(shape[axis] for axis in kept), count]))
    y = _product(rows)
    return tf.reshape(y, pack(1 if axis in axes else size for axis, size in enumerate(shape))) if keepdims else y


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _product(rows: _any) -> _any:
    """Multiply along the last axis. TensorFlow's own derivative has no second one where an element is zero."""

    def gradient(upstream: _any) -> _any:
        last = rank_of(rows) - 1
        one = tf.ones_like(rows[..., :1])
        before = tf.concat([one, _cumprod(rows, last)[..., :-1]], axis=-1)[..., : sizes(rows)[-1]]
        behind = tf.reverse(_cumprod(tf.reverse(rows, [last]), last), [last])
        after = tf.concat([behind[..., 1:], one], axis=-1)[..., : sizes(rows)[-1]]
        return upstream[..., None] * before * after

    return tf.reduce_prod(rows, axis=-1), gradient


@public
def max(x: _any, /, *, axis: _any = None, keepdims: bool = False) -> _any:  # noqa: A001
    """Return the largest element, or NaN where there is one."""
    return _extreme(tf.reduce_max, x, axis, keepdims)


@public
def min(x: _any, /, *, axis: _any = None, keepdims: bool = False) -> _any:  # noqa: A001
    """Return the smallest element, or NaN where there is one."""
    return _extreme(tf.reduce_min, x, axis, keepdims)


def _extreme(function: _any, x: _any, axis: _any, keepdims: bool) -> _any:
    x = tensor(x)
    axes = axes_of(x, axis)
    found = via(_ORDERED, lambda x: function(x, axes, keepdims), x)
    if not x.dtype.is_floating:
        return found
    # XLA's reductions pass over NaN.
    lost = tf.reduce_any(tf.math.is_nan(x), axes, keepdims)
    return tf.where(lost, constant(float("nan"), x.dtype), found)


def _count(x: _any, axes: list[int]) -> _any:
    """Count what is averaged, in the real dtype of `x`."""
    shape = sizes(x)
    return tf.cast(product_of([shape[axis] for axis in axes]), x.dtype.real_dtype)


@public
def mean(x: _any, /, *, axis: _any = None, keepdims: bool = False) -> _any:
    """Return the mean, NaN of nothing."""
    x = floating(x)
    axes = axes_of(x, axis)
    wide = tf.cast(x, _WIDER.get(x.dtype, x.dtype))
    return tf.cast(tf.reduce_sum(wide, axes, keepdims) / tf.cast(_count(wide, axes), wide.dtype), x.dtype)


@public
def var(x: _any, /, *, axis: _any = None, correction: float = 0.0, keepdims: bool = False) -> _any:
    """Return the variance; NaN or infinite where nothing is left after the correction."""
    x = floating(x)
    if x.dtype in _WIDER:
        wide = var(tf.cast(x, _WIDER[x.dtype]), axis=axis, correction=correction, keepdims=keepdims)
        return tf.cast(wide, x.dtype)
    axes = axes_of(x, axis)
    count = _count(x, axes)
    deviation = x - tf.reduce_sum(x, axes, keepdims=True) / count
    freedom = tf.maximum(count - constant(correction, x.dtype), constant(0, x.dtype))
    return tf.reduce_sum(deviation * deviation, axes, keepdims) / freedom


@public
def std(x: _any, /, *, axis: _any = None, correction: float = 0.0, keepdims: bool = False) -> _any:
    """Return the standard deviation."""
    return tf.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


@public
def all(x: _any, /, *, axis: _any = None, keepdims: bool = False) -> _any:  # noqa: A001
    """Tell whether no element is zero; NaN is not."""
    x = tensor(x)
    return tf.reduce_all(_truth(x), axes_of(x, axis), keepdims)


@public
def any(x: _any, /, *, axis: _any = None, keepdims: bool = False) -> _any:  # noqa: A001
    """Tell whether an element is not zero; NaN is not."""
    x = tensor(x)
    return tf.reduce_any(_truth(x), axes_of(x, axis), keepdims)


def _truth(x: _any) -> _any:
    return x if x.dtype == tf.bool else tf.not_equal(x, constant(0, x.dtype))


@public
def cumulative_sum(x: _any, /, *, axis: int | None = None, dtype: _any = None, include_initial: bool = False) -> _any:
    """Add up along an axis; with `include_initial`, from 0 on."""
    return _cumulative(tf.cumsum, 0, x, axis, dtype, include_initial)


@public
def cumulative_prod(x: _any, /, *, axis: int | None = None, dtype: _any = None, include_initial: bool = False) -> _any:
    """Multiply up along an axis; with `include_initial`, from 1 on."""
    return _cumulative(_cumprod, 1, x, axis, dtype, include_initial)


def _cumulative(function: _any, initial: int, x: _any, axis: int | None, dtype: _any, include_initial: bool) -> _any:
    x = tensor(x)
    axis = as_axis(0 if axis is None else axis, rank_of(x))
    y = _wrapping(lambda x: function(x, axis), _accumulated(x, dtype))
    if not include_initial:
        return y
    shape = (*sizes(y)[:axis], 1, *sizes(y)[axis + 1 :])
    return concat([tf.broadcast_to(constant(initial, y.dtype), pack(shape)), y], axis=axis)


def _cumprod(x: _any, axis: int) -> _any:
    """TensorFlow's, with a gradient that is right where an element is zero: its own divides by the element."""
    if not x.dtype.is_floating:
        return tf.math.cumprod(x, axis)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(x: _any) -> _any:
        def gradient(upstream: _any) -> _any:
            return _cumprod_gradient(x, upstream, axis)

        return tf.math.cumprod(x, axis), gradient

    return function(x)


def _cumprod_gradient(x: _any, upstream: _any, axis: int) -> _any:
    """Return sum_{k >= i} upstream_k prod_{j <= k, j != i} x_j, without a division.

    With P the exclusive product up to i, it is P_i r_i, r_i = upstream_i + x_{i+1} r_{i+1}: the recurrence is solved
    by doubling, so that it needs log2(n) steps and no loop that depends on the values.
    """
    last = rank_of(x) - 1
    order = [*(each for each in range(last + 1) if each != axis), axis]
    back = sorted(range(last + 1), key=order.__getitem__)
    x, upstream = tf.transpose(x, order), tf.transpose(upstream, order)
    zero = tf.zeros_like(x[..., :1])
    factor = tf.concat([x[..., 1:], zero], axis=-1)
    total = upstream
    *_, count = sizes(x)
    # 2^31 elements along one axis are not reached; where the size is known, fewer doublings do.
    doublings = 31 if isinstance(count, tf.Tensor) else int(np.ceil(np.log2(np.maximum(count, 1))))
    for power in range(doublings):
        step = tf.minimum(tf.cast(2**power, tf.int64), tf.cast(count, tf.int64))

        def moved(value: _any, step: _any = step) -> _any:
            return tf.concat([value[..., step:], tf.zeros_like(value[..., :step])], axis=-1)

        total, factor = total + factor * moved(total), factor * moved(factor)
    # Not with exclusive=True: its gradient is TensorFlow's own, and the second derivative would divide again.
    before = tf.concat([tf.ones_like(zero), _cumprod(x[..., :-1], last)], axis=-1)
    return tf.transpose(before * total, back)


@public
def diff(x: _any, /, *, axis: int = -1, n: int = 1, prepend: _any = None, append: _any = None) -> _any:
    """Subtract neighbours along an axis, `n` times."""
    x = tensor(x)
    axis = as_axis(axis, rank_of(x))
    parts = [part for part in (prepend, x, append) if part is not None]
    if len(parts) > 1:
        x = concat(parts, axis=axis)
    order = [*(each for each in range(rank_of(x)) if each != axis), axis]
    x = tf.transpose(x, order)
    for _ in range(n):
        x = tf.subtract(x[..., 1:], x[..., :-1])
    return tf.transpose(x, sorted(range(len(order)), key=order.__getitem__))
