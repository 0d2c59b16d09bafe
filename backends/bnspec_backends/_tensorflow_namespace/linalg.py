"""Linear algebra: what the main namespace has of it, and slogdet of the extension."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from bnspec.arrays import fits
from bnspec.errors import message
from bnspec_backends._tensorflow_namespace._common import axes_of, floating, paired, public, rank_of, tensor
from bnspec_backends._tensorflow_namespace._dtypes import kind_of

__all__ = ["matmul", "matrix_transpose", "slogdet", "tensordot", "vecdot"]


class SlogdetResult(NamedTuple):
    """Sign, and logarithm of the absolute value, of a determinant."""

    sign: Any
    logabsdet: Any


def _wide(x1: Any, x2: Any) -> tuple[Any, Any, Any]:
    """Convert integers for whose products TensorFlow has no kernel."""
    x1, x2 = paired(x1, x2)
    own = x1.dtype
    if kind_of(own) not in ("signed integer", "unsigned integer"):
        return x1, x2, lambda y: y
    if own == tf.uint64:
        return tf.bitcast(x1, tf.int64), tf.bitcast(x2, tf.int64), lambda y: tf.bitcast(y, own)
    return tf.cast(x1, tf.int64), tf.cast(x2, tf.int64), lambda y: tf.cast(y, own)


@public
def matmul(x1: Any, x2: Any, /) -> Any:
    """Multiply matrices, or vectors with them."""
    x1, x2, back = _wide(x1, x2)
    if 0 in (rank_of(x1), rank_of(x2)):
        raise ValueError(message("the arguments of matmul must have at least one axis", x1=x1.shape, x2=x2.shape))
    row, column = rank_of(x1) == 1, rank_of(x2) == 1
    y = tf.matmul(*_summable(x1[None, :] if row else x1, x2[:, None] if column else x2))
    if column:
        y = y[..., 0]
    if row:
        y = y[..., 0, :] if not column else y[..., 0]
    return back(y)


def _summable(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Add a zero to sums of nothing.

    In a graph, TensorFlow 2.21 makes one kernel of a product of matrices, a bias and a function; that of oneDNN ends
    the process where nothing is summed. Where a size is not known, there is no such kernel.
    """
    if 0 not in (x1.shape[-1], x2.shape[-2]):
        return x1, x2
    around = [[0, 0]] * (rank_of(x1) - 2), [[0, 0]] * (rank_of(x2) - 2)
    return tf.pad(x1, [*around[0], [0, 0], [0, 1]]), tf.pad(x2, [*around[1], [0, 1], [0, 0]])


@public
def matrix_transpose(x: Any, /) -> Any:
    """Exchange the last two axes."""
    return tf.linalg.matrix_transpose(tensor(x))


@public
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sum products over several axes."""
    x1, x2, back = _wide(x1, x2)
    if not isinstance(axes, int):
        first, second = axes
        axes = [axes_of(x1, tuple(first)), axes_of(x2, tuple(second))]
    return back(tf.tensordot(x1, x2, axes))


@public
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Sum products along an axis; the first array is conjugated."""
    x1, x2, back = _wide(x1, x2)
    if not fits(x1.shape[axis : axis + 1 or None], x2.shape[axis : axis + 1 or None]):
        raise ValueError(message("the axis of vecdot must have one size", axis=axis, x1=x1.shape, x2=x2.shape))
    x1 = tf.math.conj(x1) if x1.dtype.is_complex else x1
    return back(tf.reduce_sum(x1 * x2, axis=axis))


@public
def slogdet(x: Any, /) -> SlogdetResult:
    """Return sign and logarithm of the absolute value of the determinant."""
    sign, logabsdet = tf.linalg.slogdet(floating(x))
    return SlogdetResult(sign, tf.math.real(logabsdet))
