"""The same namespace over an array class, for code that needs the array object of the standard too.

``tf.Tensor`` lacks what the standard asks of an array: a tuple as its shape, operators between dtypes, ``__setitem__``,
``T``, ``to_device``. bnspec itself passes plain tensors; this class is for array-api-tests and for Array API code of
others. It is generated from the functions: there is nothing to keep in step.
"""

from __future__ import annotations

import operator
from functools import wraps
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from bnspec.errors import message
from bnspec_backends import _tensorflow_namespace as plain
from bnspec_backends._tensorflow_namespace._common import sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Array", "namespace"]

_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_UNARY = {"abs": "abs", "neg": "negative", "pos": "positive", "invert": "bitwise_invert"}
# Made from Python values, or asked of dtypes: nothing that could be traced.
_EAGER = frozenset({"asarray", "from_dlpack", "can_cast", "finfo", "iinfo", "isdtype", "result_type"})


class Array:
    """An array of the standard: one ``tf.Tensor``, and the namespace that it belongs to."""

    __slots__ = ("_namespace", "tensor")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, tensor: Any, namespace: Any) -> None:
        self.tensor = tensor
        self._namespace = namespace

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Any:
        if api_version not in (None, "2021.12", "2022.12", "2023.12", plain.__array_api_version__):
            raise ValueError(
                message(f"api_version must be at most {plain.__array_api_version__}", api_version=api_version)
            )
        return self._namespace

    @property
    def dtype(self) -> Any:
        """The dtype."""
        return self.tensor.dtype

    @property
    def device(self) -> str:
        """The device, as TensorFlow names it in a graph."""
        return f"/{self.tensor.device.rpartition('/')[2]}"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The sizes of the axes; None for one that is not known."""
        return tuple(self.tensor.shape.as_list())

    @property
    def size(self) -> int | None:
        """The number of elements, None if it is not known."""
        number: int | None = self.tensor.shape.num_elements()
        return number

    @property
    def T(self) -> Array:  # noqa: N802 - the standard's name
        """The transposed matrix."""
        if self.ndim != 2:
            raise ValueError(message("T is of a matrix", "Use mT or permute_dims.", shape=self.shape))
        return self.mT

    @property
    def mT(self) -> Array:  # noqa: N802 - the standard's name
        """The array with its last two axes exchanged."""
        transposed: Array = self._namespace.matrix_transpose(self)
        return transposed

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        """Copy to a device."""
        if stream is not None:
            raise ValueError(message("TensorFlow has no streams to choose", stream=stream))
        copied: Array = self._namespace.asarray(self, device=device)
        return copied

    def __bool__(self) -> bool:
        return bool(self._item())

    def __int__(self) -> int:
        return int(self._item())

    def __float__(self) -> float:
        return float(self._item())

    def __complex__(self) -> complex:
        return complex(self._item())

    def __index__(self) -> int:
        return operator.index(self._item())

    def __len__(self) -> int:
        return len(self.tensor)

    def __repr__(self) -> str:
        return f"Array({self.tensor!r})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.tensor.numpy(), dtype=dtype)

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        return self.tensor.__dlpack__()

    def __dlpack_device__(self) -> Any:
        return self.tensor.__dlpack_device__()

    def __iter__(self) -> Iterator[Array]:
        # Without this, Python would count up until an IndexError, which a traced index does not raise.
        return iter([self[index] for index in range(len(self))])

    def __getitem__(self, key: Any, /) -> Array:
        chosen: Array = self._namespace._getitem(self, key)  # noqa: SLF001 - its own
        return chosen

    def __setitem__(self, key: Any, value: Any, /) -> None:
        if not isinstance(value, Array):
            value = Array(plain.asarray(value, dtype=self.dtype), self._namespace)
        if plain.result_type(self.dtype, value.dtype) != self.dtype:
            raise TypeError(message("the value must promote to the array's dtype", array=self.dtype, value=value.dtype))
        self.tensor = _updated(self.tensor, _unwrapped(key), plain.astype(value.tensor, self.dtype))

    def _item(self) -> Any:
        if self.ndim:
            raise TypeError(message("only an array of shape () is one number", shape=self.shape))
        return self.tensor.numpy().item()


def namespace(mode: Any = None) -> Any:
    """Generate a namespace over :class:`Array`.

    Parameters
    ----------
    mode : callable, optional
        What each function of tensors is passed through, for example ``tf.function``.

    Returns
    -------
    module
        With every name of the plain namespace, and `Array`.
    """
    made = ModuleType("bnspec_backends._tensorflow_wrapper.namespace", __doc__)
    _fill(made, plain, made, mode)
    made.linalg = ModuleType(f"{made.__name__}.linalg")  # type: ignore[attr-defined]
    _fill(made.linalg, plain.linalg, made, mode)
    made.asarray = _sharing(made.asarray)  # type: ignore[attr-defined]
    made._getitem = _lifted("_getitem", _getitem, made, mode)  # type: ignore[attr-defined]  # noqa: SLF001
    made.__array_api_version__ = plain.__array_api_version__  # type: ignore[attr-defined]
    made.Array = Array  # type: ignore[attr-defined]
    return made


def _fill(module: Any, source: Any, made: Any, mode: Any) -> None:
    for name in source.__all__:
        value = getattr(source, name)
        lift = callable(value) and not isinstance(value, (tf.DType, ModuleType))
        setattr(module, name, _lifted(name, value, made, mode) if lift else value)


def _lifted(name: str, function: Any, made: Any, mode: Any) -> Any:
    """Let a function of tensors take and return arrays."""
    called = function if mode is None or name in _EAGER else mode(function)

    @wraps(function)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        try:
            found = called(*map(_unwrapped, args), **{key: _unwrapped(arg) for key, arg in kwargs.items()})
        except tf.errors.InvalidArgumentError as error:
            # What a graph finds out when it runs, where an eager call raises this.
            raise ValueError(str(error).partition("\n")[0]) from error
        return _wrapped(found, made)

    return lifted


def _sharing(asarray: Any) -> Any:
    """Return the array itself where a copy is not allowed: what is assigned to the one is then seen in the other."""

    @wraps(asarray)
    def shared(obj: Any, /, **options: Any) -> Any:
        made = asarray(obj, **options)
        return obj if options.get("copy") is False and isinstance(obj, Array) else made

    return shared


def _unwrapped(value: Any) -> Any:
    """Replace arrays, also those in a list or tuple, by their tensors."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_unwrapped, value))
    return value.tensor if isinstance(value, Array) else value


def _wrapped(value: Any, made: Any) -> Any:
    """Replace tensors, also those in a list or tuple, by arrays."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_wrapped(item, made) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_wrapped(item, made) for item in value)
    return Array(value, made) if isinstance(value, tf.Tensor) else value


def _getitem(x: Any, key: Any) -> Any:
    """Index by integers, slices, an ellipsis and None, by one mask, or by integers and integer arrays."""
    key = key if isinstance(key, tuple) else (key,)
    arrays = [item for item in key if isinstance(item, tf.Tensor)]
    if any(item.dtype == tf.bool for item in arrays):
        return _masked(x, *key)
    if arrays and any(item.shape.rank for item in arrays):
        return _gathered(x, key)
    for axis, item in _placed(key, x.shape.rank):
        # One axis after the other, by a gather: a strided slice takes no more than eight axes and no uint64.
        x = _along(x, axis, item)
    return x


def _masked(x: Any, mask: Any) -> Any:
    """Index the leading axes by a mask; one that is empty along an axis chooses nothing."""
    if mask.shape.rank == 0:
        return tf.boolean_mask(x[None], mask[None])
    pairs = list(zip(mask.shape, x.shape, strict=False))
    if mask.shape.rank > x.shape.rank or any(size not in (0, None, own) and own is not None for size, own in pairs):
        raise IndexError(message("a mask must have the shape of the leading axes", array=x.shape, mask=mask.shape))
    if any(size == 0 for size, _ in pairs):
        return tf.zeros((0, *sizes(x)[mask.shape.rank :]), x.dtype)
    return tf.boolean_mask(x, mask)


def _placed(key: tuple[Any, ...], rank: int) -> list[tuple[int, Any]]:
    """Give each part of a key its axis, the last first, so that a removed axis moves none that follows."""
    named = sum(item is not None and item is not Ellipsis for item in key)
    if named > rank or (named < rank and Ellipsis not in [item for item in key if not isinstance(item, tf.Tensor)]):
        raise IndexError(message("a key must name each axis, or have an ellipsis", rank=rank, key=key))
    placed, axis = [], 0
    for item in key:
        if item is Ellipsis:
            axis += rank - named
        elif item is None:
            placed.append((axis, None))
        else:
            placed.append((axis, item))
            axis += 1
    return placed[::-1]


def _along(x: Any, axis: int, item: Any) -> Any:
    if item is None:
        return tf.expand_dims(x, axis)
    if isinstance(item, slice):
        if item == slice(None):
            return x
        bounds = [None if bound is None else int(bound) for bound in (item.start, item.stop, item.step)]
        count = x.shape[axis]
        if count is None:
            chosen = tf.range(tf.shape(x)[axis])[slice(*bounds)]
        else:
            places = list(range(count)[slice(*bounds)])
            chosen = tf.constant(places, tf.int32, shape=(len(places),))
        return tf.gather(x, chosen, axis=axis)
    return plain.take(x, tf.cast(item, tf.int64), axis=axis)


def _gathered(x: Any, key: tuple[Any, ...]) -> Any:
    """Index each axis by an integer or an array of integers, broadcast together."""
    indices = [tf.cast(item, tf.int64) for item in key]
    counts = sizes(x)
    indices = [
        tf.where(item < 0, item + tf.cast(count, tf.int64), item) for item, count in zip(indices, counts, strict=True)
    ]
    return tf.gather_nd(x, tf.stack(plain.broadcast_arrays(*indices), axis=-1))


def _updated(x: Any, key: Any, value: Any) -> Any:
    """Return the array with some elements replaced: the same key chooses their places in the flat array."""
    places = tf.reshape(tf.range(tf.size(x)), tf.shape(x))
    chosen = _getitem(places, key)
    flat = tf.reshape(tf.broadcast_to(value, tf.shape(chosen)), (-1,))
    updated = tf.tensor_scatter_nd_update(tf.reshape(x, (-1,)), tf.reshape(chosen, (-1, 1)), flat)
    return tf.reshape(updated, tf.shape(x))


def _operator(name: str, swapped: bool) -> Any:
    def method(self: Array, other: Any, /) -> Any:
        if not isinstance(other, (Array, bool, int, float, complex)):
            return NotImplemented
        function = getattr(self._namespace, name)
        return function(other, self) if swapped else function(self, other)

    return method


def _in_place(name: str) -> Any:
    def method(self: Array, other: Any, /) -> Any:
        if not isinstance(other, (Array, bool, int, float, complex)):
            return NotImplemented
        result = getattr(self._namespace, name)(self, other)
        if result.dtype != self.dtype or result.shape != self.shape:
            raise TypeError(
                message(
                    "an array must keep its dtype and shape in place",
                    dtype=result.dtype.name,
                    shape=result.shape,
                )
            )
        self.tensor = result.tensor
        return self

    return method


def _unary(name: str) -> Any:
    def method(self: Array, /) -> Any:
        return getattr(self._namespace, name)(self)

    return method


for _short, _name in _BINARY.items():
    setattr(Array, f"__{_short}__", _operator(_name, swapped=False))
    setattr(Array, f"__r{_short}__", _operator(_name, swapped=True))
    setattr(Array, f"__i{_short}__", _in_place(_name))
for _short, _name in _COMPARISONS.items():
    setattr(Array, f"__{_short}__", _operator(_name, swapped=False))
for _short, _name in _UNARY.items():
    setattr(Array, f"__{_short}__", _unary(_name))
