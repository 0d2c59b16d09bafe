"""Choosing, searching and sorting."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bnspec.errors import message
from bnspec_backends._tensorflow_namespace._common import (
    as_axis,
    constant,
    is_array,
    pack,
    paired,
    public,
    rank_of,
    sizes,
    tensor,
)
from bnspec_backends._tensorflow_namespace._creation import DEFAULTS
from bnspec_backends._tensorflow_namespace._manipulation import broadcast_to

__all__ = [
    "argmax",
    "argmin",
    "argsort",
    "count_nonzero",
    "nonzero",
    "searchsorted",
    "sort",
    "take",
    "take_along_axis",
    "where",
]

_SORTABLE = {tf.uint8: tf.int32, tf.uint16: tf.int32, tf.uint32: tf.int64, tf.int8: tf.int32, tf.int16: tf.int32}


def _from_the_end(indices: Any, size: Any) -> Any:
    """Count negative indices from the end."""
    return tf.where(indices < 0, indices + tf.cast(size, indices.dtype), indices)


@public
def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    """Choose elements along an axis by a vector of indices."""
    x, indices = tensor(x), tf.cast(indices, tf.int64)
    axis = as_axis(0 if axis is None else axis, rank_of(x))
    return tf.gather(x, _from_the_end(indices, sizes(x)[axis]), axis=axis)


@public
def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    """Choose elements along an axis, by indices of their own at each place of the other axes."""
    x, indices = tensor(x), tf.cast(indices, tf.int64)
    rank = rank_of(x)
    axis = as_axis(axis, rank)
    order = [*(each for each in range(rank) if each != axis), axis]
    x, indices = tf.transpose(x, order), tf.transpose(indices, order)
    *_, count = sizes(x)
    *_, wanted = sizes(indices)
    others = sizes(tf.zeros_like(x[..., :1], tf.bool) | tf.zeros_like(indices[..., :1], tf.bool))[:-1]
    x, indices = broadcast_to(x, (*others, count)), broadcast_to(indices, (*others, wanted))
    found = tf.gather(x, _from_the_end(indices, count), axis=-1, batch_dims=rank - 1)
    back = sorted(range(rank), key=order.__getitem__)
    return tf.transpose(found, back)


@public
def where(condition: Any, x1: Any, x2: Any, /) -> Any:
    """Choose between two arrays, element by element."""
    if not (is_array(x1) or is_array(x2)):
        # The kind of a sum; a bool counts as a number beside one.
        dtype = DEFAULTS[bool if isinstance(x1, bool) and isinstance(x2, bool) else type(x1 + x2)]
        return tf.where(condition, constant(x1, dtype), constant(x2, dtype))
    return tf.where(condition, *paired(x1, x2))


@public
def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return the indices that sort along an axis; always stable."""
    x = _sortable(tensor(x))
    axis, direction = as_axis(axis, rank_of(x)), _direction(descending)
    if not x.dtype.is_floating:
        return tf.cast(tf.argsort(x, axis=axis, direction=direction, stable=True), tf.int64)
    # TensorFlow leaves numbers beside NaN unsorted: NaN is put last, by a second sort that is stable.
    lost = tf.math.is_nan(x)
    order = tf.argsort(tf.where(lost, tf.zeros_like(x), x), axis=axis, direction=direction, stable=True)
    last = tf.argsort(tf.cast(take_along_axis(lost, order, axis=axis), tf.int32), axis=axis, stable=True)
    return take_along_axis(tf.cast(order, tf.int64), last, axis=axis)


@public
def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sort along an axis."""
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


def _direction(descending: bool) -> str:
    return "DESCENDING" if descending else "ASCENDING"


def _sortable(x: Any) -> Any:
    """Bring an integer into a dtype that TensorFlow sorts, with the order kept."""
    if x.dtype == tf.uint64:
        return tf.bitcast(tf.bitwise.bitwise_xor(x, constant(2**63, x.dtype)), tf.int64)
    return tf.cast(x, _SORTABLE.get(x.dtype, x.dtype))


@public
def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first of the largest elements."""
    return _extreme(tf.argmax, x, axis, keepdims)


@public
def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first of the smallest elements."""
    return _extreme(tf.argmin, x, axis, keepdims)


def _extreme(function: Any, x: Any, axis: int | None, keepdims: bool) -> Any:
    x = _sortable(tensor(x))
    rank = rank_of(x)
    if axis is None:
        found = function(tf.reshape(x, (-1,)), axis=0, output_type=tf.int64)
        return tf.reshape(found, (1,) * rank) if keepdims else found
    axis = as_axis(axis, rank)
    found = function(x, axis=axis, output_type=tf.int64)
    return tf.expand_dims(found, axis) if keepdims else found


@public
def nonzero(x: Any, /) -> tuple[Any, ...]:
    """Return the indices of the elements that are not zero, one array for each axis."""
    x = tensor(x)
    if rank_of(x) == 0:
        raise ValueError(message("x must have at least one axis", shape=()))
    found = tf.where(x if x.dtype == tf.bool else tf.not_equal(x, constant(0, x.dtype)))
    return tuple(tf.unstack(found, num=rank_of(x), axis=1))


@public
def count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Count the elements that are not zero."""
    x = tensor(x)
    set_ = x if x.dtype == tf.bool else tf.not_equal(x, constant(0, x.dtype))
    return tf.reduce_sum(tf.cast(set_, tf.int64), axis=axis, keepdims=keepdims)


@public
def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Any:
    """Return the places at which elements are inserted into a sorted vector."""
    x1, x2 = paired(x1, x2)
    x1, x2 = _sortable(x1), _sortable(x2)
    if sorter is not None:
        x1 = take(x1, sorter)
    found = tf.searchsorted(x1, tf.reshape(x2, (-1,)), side=side, out_type=tf.int64)
    return tf.reshape(found, pack(sizes(x2)))
