"""Moving elements: shapes, axes, and parts put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from bnspec.errors import message
from bnspec_backends._tensorflow_namespace._common import (
    as_axis,
    axes_of,
    pack,
    public,
    rank_of,
    sizes,
    tensor,
)
from bnspec_backends._tensorflow_namespace._dtypes import result_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "broadcast_arrays",
    "broadcast_to",
    "concat",
    "expand_dims",
    "flip",
    "moveaxis",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "squeeze",
    "stack",
    "tile",
    "unstack",
]


def carried(function: Callable[[Any], Any], x: Any) -> Any:
    """Move uint16, for which TensorFlow often has no kernel, as int16."""
    return tf.bitcast(function(tf.bitcast(x, tf.int16)), tf.uint16) if x.dtype == tf.uint16 else function(x)


@public
def reshape(x: Any, /, shape: Any, *, copy: Any = None) -> Any:
    """Lay the elements out in another shape; a size may be a tensor of shape ()."""
    x = tensor(x)
    y = tf.reshape(x, pack(shape))
    return tf.identity(y) if copy else y


@public
def broadcast_to(x: Any, /, shape: Any) -> Any:
    """Broadcast to a shape; a size may be a tensor of shape ()."""
    return carried(lambda x: tf.broadcast_to(x, pack(shape)), tensor(x))


@public
def broadcast_arrays(*arrays: Any) -> list[Any]:
    """Broadcast arrays against each other."""
    shape = _common_shape(*arrays)
    return [carried(lambda x: tf.broadcast_to(x, shape), tensor(x)) for x in arrays]


def _common_shape(*arrays: Any) -> Any:
    static = tf.TensorShape([])
    for x in arrays:
        static = tf.broadcast_static_shape(static, x.shape)
    if static.is_fully_defined():
        return static
    shape = tf.shape(arrays[0])
    for x in arrays[1:]:
        shape = tf.broadcast_dynamic_shape(shape, tf.shape(x))
    return shape


@public
def expand_dims(x: Any, /, axis: int) -> Any:
    """Insert an axis of size 1."""
    x = tensor(x)
    return tf.expand_dims(x, as_axis(axis, rank_of(x) + 1))


@public
def squeeze(x: Any, /, axis: Any) -> Any:
    """Remove axes of size 1.

    Raises
    ------
    ValueError
        If a size is known not to be 1.
    """
    x = tensor(x)
    axes = axes_of(x, axis)
    if any(x.shape[each] not in (1, None) for each in axes):
        raise ValueError(message("squeezed axes must have the size 1", shape=x.shape, axis=axis))
    return tf.reshape(x, pack(size for each, size in enumerate(sizes(x)) if each not in axes))


@public
def permute_dims(x: Any, /, axes: Sequence[int]) -> Any:
    """Permute the axes."""
    x = tensor(x)
    return tf.transpose(x, axes_of(x, tuple(axes)))


@public
def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    """Move axes to other places."""
    x = tensor(x)
    origin, target = axes_of(x, source), axes_of(x, destination)
    order = [axis for axis in range(rank_of(x)) if axis not in origin]
    for place, axis in sorted(zip(target, origin, strict=True)):
        order.insert(place, axis)
    return tf.transpose(x, order)


@public
def flip(x: Any, /, *, axis: Any = None) -> Any:
    """Reverse the order of the elements along axes, by default all."""
    x = tensor(x)
    for each in axes_of(x, axis):  # one by one: TensorFlow's takes no more than eight axes, and a gather any number
        x = tf.gather(x, tf.range(sizes(x)[each] - 1, -1, -1), axis=each)
    return x


@public
def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    """Move elements along axes, those that fall off to the other end."""
    x = tensor(x)
    if axis is None:
        return tf.reshape(roll(tf.reshape(x, (-1,)), shift, axis=0), pack(sizes(x)))
    axes = axes_of(x, axis)
    shifts = list(shift) if isinstance(shift, (tuple, list)) else [shift] * len(axes)
    axes = axes * len(shifts) if len(axes) == 1 else axes
    for step, each in zip(shifts, axes, strict=True):
        count = tf.cast(sizes(x)[each], tf.int64)
        order = tf.math.floormod(tf.range(count) - tf.constant(step, tf.int64), tf.maximum(count, 1))
        x = tf.gather(x, order, axis=each)
    return x


def _together(arrays: Any) -> list[Any]:
    """Convert arrays to their common dtype."""
    dtype = result_type(*arrays)
    return [tf.cast(tensor(x), dtype) for x in arrays]


@public
def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Join arrays along an axis; with None, flattened."""
    arrays = _together(arrays)
    if axis is None:
        arrays, axis = [tf.reshape(x, (-1,)) for x in arrays], 0
    return tf.concat(arrays, as_axis(axis, rank_of(arrays[0])))


@public
def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """Join arrays along a new axis."""
    arrays = _together(arrays)
    return tf.stack(arrays, as_axis(axis, rank_of(arrays[0]) + 1))


@public
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Take an array apart along an axis, whose size must be known."""
    x = tensor(x)
    return tuple(tf.unstack(x, axis=as_axis(axis, rank_of(x))))


@public
def tile(x: Any, repetitions: tuple[int, ...], /) -> Any:
    """Repeat the whole array along each axis."""
    x = tensor(x)
    missing = len(repetitions) - rank_of(x)
    repetitions = (1,) * -missing + tuple(repetitions)
    shape = (1,) * missing + sizes(x)
    x = tf.reshape(x, pack(shape))
    return carried(lambda x: tf.tile(x, repetitions), x)


@public
def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Repeat each element."""
    x = tensor(x)
    if axis is None:
        x, axis = tf.reshape(x, (-1,)), 0
    axis = as_axis(axis, rank_of(x))
    return tf.gather(x, tf.repeat(tf.range(sizes(x)[axis]), repeats), axis=axis)
