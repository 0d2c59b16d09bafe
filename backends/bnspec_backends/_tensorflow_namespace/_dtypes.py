"""Data types: the objects, the promotion table, and the questions about them."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import (
    bfloat16,
    bool,  # noqa: A004 - the standard's name
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)

from bnspec.errors import message

__all__ = [
    "bfloat16",
    "bool",
    "can_cast",
    "complex64",
    "complex128",
    "finfo",
    "float16",
    "float32",
    "float64",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

# float16 and bfloat16 are not in the standard; they promote as in NumPy with ml_dtypes.
KINDS = {
    bool: "bool",
    **dict.fromkeys((int8, int16, int32, int64), "signed integer"),
    **dict.fromkeys((uint8, uint16, uint32, uint64), "unsigned integer"),
    **dict.fromkeys((float16, bfloat16, float32, float64), "real floating"),
    **dict.fromkeys((complex64, complex128), "complex floating"),
}
_SIGNED = (int8, int16, int32, int64)
_UNSIGNED = (uint8, uint16, uint32, uint64)
_INTEGRAL = ("signed integer", "unsigned integer")
_FLOATING = ("real floating", "complex floating")
_KIND_GROUPS = {
    "integral": _INTEGRAL,
    "numeric": (*_INTEGRAL, *_FLOATING),
}


def kind_of(dtype: Any) -> str:
    """Name the kind of a dtype, as ``isdtype`` does.

    Raises
    ------
    TypeError
        If it is none of the dtypes of the namespace.
    """
    kind = KINDS.get(dtype)
    if kind is None:
        raise TypeError(message("dtype must be one of the namespace's", dtype=dtype))
    return kind


def isdtype(dtype: Any, kind: Any) -> Any:
    """Tell whether a dtype is of a kind, or of one of several."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, each) for each in kind)
    if isinstance(kind, str):
        return kind_of(dtype) in _KIND_GROUPS.get(kind, (kind,))
    return dtype == kind


def result_type(*arrays_and_dtypes: Any) -> Any:
    """Return the dtype that arrays, dtypes and Python scalars have together.

    Raises
    ------
    TypeError
        If the standard does not define it: two kinds that do not mix, uint64 with a signed integer, a Python scalar
        of a higher kind than the arrays, or nothing but scalars.
    """
    scalars = [value for value in arrays_and_dtypes if isinstance(value, (int, float, complex))]
    dtypes = [
        value if isinstance(value, tf.DType) else value.dtype
        for value in arrays_and_dtypes
        if not isinstance(value, (int, float, complex))
    ]
    if not dtypes:
        raise TypeError(message("at least one argument must be an array or a dtype", arguments=arrays_and_dtypes))
    return reduce(_with_scalar, scalars, reduce(_promoted, dtypes))


def can_cast(from_: Any, to: Any) -> Any:
    """Tell whether promotion leads from one dtype, or an array's, to another."""
    origin = from_ if isinstance(from_, tf.DType) else from_.dtype
    try:
        return _promoted(origin, to) == to
    except TypeError:
        return False


def _promoted(first: Any, second: Any) -> Any:
    """Promote two dtypes."""
    if first == second:
        return first
    kinds = {kind_of(first), kind_of(second)}
    if kinds <= set(_INTEGRAL):
        if len(kinds) == 1:
            return max(first, second, key=lambda dtype: dtype.size)
        signed, unsigned = (first, second) if first in _SIGNED else (second, first)
        if unsigned != uint64:
            return max(signed, _SIGNED[_UNSIGNED.index(unsigned) + 1], key=lambda dtype: dtype.size)
    elif kinds <= set(_FLOATING):
        if len(kinds) == 1:
            # Of two halves neither holds the other.
            return float32 if first.size == second.size else max(first, second, key=lambda dtype: dtype.size)
        return complex128 if {float64, complex128} & {first, second} else complex64
    raise TypeError(
        message(
            "the dtypes must be of one kind", "Convert one of them with astype.", first=first.name, second=second.name
        )
    )


def _with_scalar(dtype: Any, scalar: complex) -> Any:
    """Promote a dtype with a Python scalar, which takes part with its kind only."""
    kind = kind_of(dtype)
    if isinstance(scalar, builtins.bool):
        allowed = kind == "bool"
    elif isinstance(scalar, int):
        allowed = kind != "bool"
    elif isinstance(scalar, float):
        allowed = kind in _FLOATING
    else:
        allowed = kind == "complex floating"
        if kind == "real floating":
            return complex128 if dtype == float64 else complex64
    if not allowed:
        raise TypeError(
            message(
                "a Python scalar must not be of a higher kind than the array",
                "Convert the array with astype.",
                dtype=dtype.name,
                scalar=scalar,
            )
        )
    return dtype


@dataclass(frozen=True)
class FInfo:
    """Limits of a floating dtype; of a complex one, those of its parts."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: Any


@dataclass(frozen=True)
class IInfo:
    """Limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def finfo(type: Any, /) -> FInfo:  # noqa: A002 - the standard's name
    """Return the limits of a floating dtype or an array of it."""
    dtype = type if isinstance(type, tf.DType) else type.dtype
    kind_of(dtype)
    real = dtype.real_dtype
    if real == bfloat16:
        import ml_dtypes  # noqa: PLC0415 - TensorFlow brings it

        found: Any = ml_dtypes.finfo(ml_dtypes.bfloat16)  # type: ignore[no-untyped-call]
    else:
        found = np.finfo(real.as_numpy_dtype)
    return FInfo(found.bits, float(found.eps), float(found.max), float(found.min), float(found.smallest_normal), real)


def iinfo(type: Any, /) -> IInfo:  # noqa: A002 - the standard's name
    """Return the limits of an integer dtype or an array of it."""
    dtype = type if isinstance(type, tf.DType) else type.dtype
    found = np.iinfo(dtype.as_numpy_dtype)
    return IInfo(found.bits, int(found.max), int(found.min), dtype)
