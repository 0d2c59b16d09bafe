"""Making arrays."""

from __future__ import annotations

import builtins
import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from bnspec.errors import message
from bnspec_backends._tensorflow_namespace._common import constant, is_array, pack, public, sizes, tensor
from bnspec_backends._tensorflow_namespace._dtypes import result_type

__all__ = [
    "arange",
    "asarray",
    "astype",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]

# The defaults of deep learning, and of TensorFlow but for the integers, for which the standard's indices are 64-bit.
DEFAULTS = {builtins.bool: tf.bool, int: tf.int64, float: tf.float32, complex: tf.complex64}


def _on(device: Any) -> AbstractContextManager[Any]:
    """Place what follows; a traced tensor has the device "" until its graph is placed."""
    placed: AbstractContextManager[Any] = tf.device(device) if device else nullcontext()
    return placed


def _as_shape(shape: Any) -> tuple[Any, ...]:
    return tuple(shape) if isinstance(shape, (tuple, list, tf.TensorShape)) else (shape,)


@public
def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """Convert a Python scalar, a nested sequence of them, an array of NumPy or one of ours.

    A tensor is immutable, so a copy is needed only where the caller asks for one.
    """
    if is_array(obj):
        x = tensor(obj)
        if copy is False and dtype not in (None, x.dtype):
            raise ValueError(message("copy=False needs an array of that dtype", dtype=x.dtype.name))
        with _on(device):
            x = x if dtype in (None, x.dtype) else astype(x, dtype)
            return tf.identity(x) if copy or device else x
    if isinstance(obj, (list, tuple)) and any(map(is_array, _leaves(obj))):
        dtype = dtype or result_type(*(tensor(leaf) if is_array(leaf) else leaf for leaf in _leaves(obj)))
        with _on(device):
            return tf.stack([asarray(item, dtype=dtype) for item in obj])
    if copy is False:
        raise ValueError(message("copy=False needs an array of TensorFlow", type=type(obj).__name__))
    found = np.asarray(obj)
    python = {"b": builtins.bool, "i": int, "u": int, "f": float, "c": complex}.get(found.dtype.kind)
    if hasattr(obj, "dtype"):
        found = found if dtype is None else found.astype(dtype.as_numpy_dtype)
    elif python is None and dtype is None:
        raise TypeError(message("obj must be numbers, nested in sequences, or an array", type=type(obj).__name__))
    else:
        # NumPy refuses a Python integer that the dtype does not hold.
        found = np.asarray(obj, dtype=(dtype or DEFAULTS[python or int]).as_numpy_dtype)
    with _on(device):
        return tf.constant(found)


def _leaves(nested: Any) -> list[Any]:
    return [leaf for item in nested for leaf in (_leaves(item) if isinstance(item, (list, tuple)) else [item])]


@public
def astype(x: Any, dtype: Any, /, *, copy: builtins.bool = True, device: Any = None) -> Any:
    """Convert to a dtype."""
    x = tensor(x)
    with _on(device):
        if x.dtype == dtype:
            return tf.identity(x) if copy or device else x
        if dtype == tf.bool:
            return tf.not_equal(x, constant(0, x.dtype))
        return tf.cast(x, dtype)


@public
def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Any:
    """Return evenly spaced numbers from `start` to before `stop`, which may be a tensor of shape ()."""
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        floats = any(isinstance(value, float) for value in (start, stop, step))
        dtype = DEFAULTS[float if floats else int]
    with _on(device):
        if not all(isinstance(value, (int, float)) for value in (start, stop, step)):
            if any(is_array(value) and not value.dtype.is_integer for value in (start, stop, step)):
                raise TypeError(message("arange takes tensors of integers only", start=start, stop=stop, step=step))
            return tf.cast(tf.range(*(tf.cast(value, tf.int64) for value in (start, stop, step))), dtype)
        count = builtins.max(0, math.ceil((stop - start) / step))
        steps = tf.range(tf.constant(count, tf.int64), dtype=tf.int64)
        if dtype.is_integer:
            # Wraps around to what uint64 holds beyond int64.
            whole = tf.constant(np.asarray(int(start) % 2**64, np.uint64).astype(np.int64)) + steps * int(step)
            return tf.cast(whole, dtype)
        return constant(start, dtype) + tf.cast(steps, dtype) * constant(step, dtype)


@public
def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: builtins.bool = True
) -> Any:
    """Return `num` evenly spaced numbers from `start` to `stop`."""
    if dtype is None:
        kind = complex if isinstance(start, complex) or isinstance(stop, complex) else float
        dtype = DEFAULTS[kind]
    # Exact ends and steps that are rounded once, whatever the dtype.
    with np.errstate(over="ignore", invalid="ignore"):
        found = np.linspace(start, stop, num, endpoint=endpoint, dtype=np.result_type(start, stop, np.float64))
        return asarray(found.astype(dtype.as_numpy_dtype), device=device)


@public
def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Any:
    """Return ones on the diagonal `k`, and zeros."""
    rows = arange(n_rows, device=device)
    columns = arange(n_rows if n_cols is None else n_cols, device=device)
    return tf.cast(tf.equal(columns[None, :] - rows[:, None], _diagonal(k)), dtype or DEFAULTS[float])


@public
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Fill a shape with one value; a size may be a tensor of shape ()."""
    with _on(device):
        return tf.broadcast_to(asarray(fill_value, dtype=dtype), pack(_as_shape(shape)))


@public
def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Fill a shape with zeros."""
    return full(shape, 0, dtype=dtype or DEFAULTS[float], device=device)


@public
def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Fill a shape with ones."""
    return full(shape, 1, dtype=dtype or DEFAULTS[float], device=device)


@public
def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array whose values nobody should read; they are zeros."""
    return zeros(shape, dtype=dtype, device=device)


@public
def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """Fill the shape of an array with one value, by default in its dtype."""
    x = tensor(x)
    return full(sizes(x), fill_value, dtype=dtype or x.dtype, device=device)


@public
def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Fill the shape of an array with zeros."""
    with _on(device):
        return tf.zeros_like(x, dtype)


@public
def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Fill the shape of an array with ones."""
    with _on(device):
        return tf.ones_like(x, dtype)


@public
def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Any:
    """Make an array like another whose values nobody should read; they are zeros."""
    return zeros_like(x, dtype=dtype, device=device)


@public
def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Return coordinate matrices."""
    return list(tf.meshgrid(*arrays, indexing=indexing))


@public
def tril(x: Any, /, *, k: int = 0) -> Any:
    """Keep the lower triangle, up to the diagonal `k`."""
    return _triangle(x, lambda distance: distance <= _diagonal(k))


@public
def triu(x: Any, /, *, k: int = 0) -> Any:
    """Keep the upper triangle, from the diagonal `k` on."""
    return _triangle(x, lambda distance: distance >= _diagonal(k))


def _diagonal(k: int) -> int:
    """Limit the number of a diagonal, which may be any integer, to those that int64 can tell apart."""
    return max(-(2**62), min(k, 2**62))


def _triangle(x: Any, kept: Any) -> Any:
    x = tensor(x)
    rows, columns = sizes(x)[-2:]
    return tf.where(kept(arange(columns)[None, :] - arange(rows)[:, None]), x, tf.zeros_like(x))


@public
def from_dlpack(x: Any, /, *, device: Any = None, copy: Any = None) -> Any:
    """Take an array of another library through DLPack."""
    return asarray(tf.experimental.dlpack.from_dlpack(x.__dlpack__()), device=device, copy=copy)
