"""What every function of the namespace needs: shapes with unknown sizes, constants, promotion of two arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import tensorflow as tf

from bnspec.errors import message
from bnspec_backends._tensorflow_namespace._dtypes import kind_of, result_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "as_axis",
    "axes_of",
    "constant",
    "is_array",
    "known",
    "pack",
    "paired",
    "public",
    "rank_of",
    "require_dense",
    "sizes",
    "tensor",
    "via",
]

Function = TypeVar("Function", bound="Callable[..., Any]")


def public(function: Function) -> Function:
    """Keep AutoGraph out: it would trace a user's call through our lines, slowly and with warnings."""
    kept: Function = tf.autograph.experimental.do_not_convert(function)
    return kept


def is_array(x: Any) -> bool:
    """Tell whether an argument is an array rather than a Python scalar."""
    return bool(tf.is_tensor(x))  # tensors, variables, and those of Keras


def tensor(x: Any) -> Any:
    """Read a variable; leave a tensor as it is.

    Raises
    ------
    TypeError
        If it is ragged, sparse, or a list of rows.
    """
    if isinstance(x, tf.Tensor):
        return x
    require_dense("x", x)
    return tf.convert_to_tensor(x)


def require_dense(name: str, x: Any) -> None:
    """Refuse what TensorFlow counts as a tensor and is none.

    Raises
    ------
    TypeError
        If it is ragged, sparse, or a list of rows.
    """
    cures = {
        tf.RaggedTensor: ".to_tensor()",
        tf.SparseTensor: "tf.sparse.to_dense",
        tf.IndexedSlices: "tf.convert_to_tensor",
    }
    for kind, cure in cures.items():
        if isinstance(x, kind):
            raise TypeError(message(f"{name} must be dense", f"Convert it first with {cure}.", type=kind.__name__))


def constant(value: Any, dtype: Any) -> Any:
    """Make a constant. TensorFlow caches Python scalars, and returns 0.0 for -0.0; it does not cache NumPy's."""
    return tf.constant(np.asarray(value, dtype=dtype.as_numpy_dtype))


def rank_of(x: Any) -> int:
    """Return the number of axes.

    Raises
    ------
    ValueError
        If it is not known.
    """
    rank: int | None = x.shape.rank
    if rank is None:
        cure = "Trace with an input signature, [None, None] for a matrix."
        raise ValueError(message("the rank must be known", cure, shape=x.shape))
    return rank


def sizes(x: Any) -> tuple[Any, ...]:
    """Return the shape of an array: an integer for each known size, an int64 tensor for each unknown one.

    This is the one place where an unknown size becomes a value.

    Raises
    ------
    ValueError
        If not even the rank is known.
    """
    rank_of(x)
    static = x.shape.as_list()
    if None not in static:
        return tuple(static)
    dynamic = tf.shape(x, out_type=tf.int64)
    return tuple(dynamic[axis] if size is None else size for axis, size in enumerate(static))


def known(shape: Iterable[Any]) -> bool:
    """Tell whether all sizes of a shape are integers."""
    return not any(isinstance(size, tf.Tensor) for size in shape)


def pack(shape: Iterable[Any]) -> Any:
    """Turn a shape whose sizes may be tensors into what TensorFlow's functions take."""
    shape = tuple(shape)
    return shape if known(shape) else tf.stack([tf.cast(size, tf.int64) for size in shape])


def as_axis(axis: int, rank: int) -> int:
    """Resolve an axis against a rank.

    Raises
    ------
    IndexError
        If it is out of range.
    """
    if not -rank <= axis < rank:
        raise IndexError(message(f"axis must be in [{-rank}, {rank - 1}]", axis=axis))
    return axis % rank


def axes_of(x: Any, axis: int | Sequence[int] | None) -> list[int]:
    """Resolve one axis, several, or None for all of them."""
    rank = rank_of(x)
    if axis is None:
        return list(range(rank))
    several = axis if isinstance(axis, (tuple, list)) else (axis,)
    return [as_axis(each, rank) for each in several]


def paired(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Convert two arguments, of which one may be a Python scalar, to one dtype."""
    if is_array(x1) and is_array(x2):
        x1, x2 = tensor(x1), tensor(x2)
        if x1.dtype == x2.dtype:
            return x1, x2
        dtype = result_type(x1, x2)
        return tf.cast(x1, dtype), tf.cast(x2, dtype)
    if is_array(x1):
        x1 = tensor(x1)
        return x1, constant(x2, result_type(x1, x2))
    x2 = tensor(x2)
    return constant(x1, result_type(x1, x2)), x2


def via(dtypes: dict[Any, Any], function: Callable[..., Any], *arrays: Any) -> Any:
    """Call a function in a wider dtype where TensorFlow has no kernel for the arrays' own, and convert back."""
    own = arrays[0].dtype
    if own not in dtypes:
        return function(*arrays)
    return tf.cast(function(*(tf.cast(array, dtypes[own]) for array in arrays)), own)


def floating(x: Any) -> Any:
    """Read an array that must be floating, real or complex."""
    x = tensor(x)
    if kind_of(x.dtype) not in ("real floating", "complex floating"):
        raise TypeError(message("x must be floating", "Convert it first with astype.", dtype=x.dtype.name))
    return x
