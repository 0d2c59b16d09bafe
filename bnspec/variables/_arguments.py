"""Arguments: numbers, lists, arrays and variables, as bijectors and distributions take them.

A scalar of NumPy's is a number where a parameter is asked for, whatever its dtype, as float64 is for Python itself;
where an input is, it is an array of shape (), which NumPy turns into one whenever it computes.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import (
    ACCUMULATES_IN,
    broadcast_shapes,
    common_namespace,
    device_of,
    dtype_name,
    require_real_floating,
    shape_of,
)
from bnspec.errors import message
from bnspec.registry import backend_of, default_backend
from bnspec.variables._variable import Variable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "as_input",
    "as_parameter",
    "default_like",
    "first_array",
    "frozen",
    "has_values",
    "is_array",
    "known_values",
    "parameter_shape",
    "require_broadcastable",
    "require_common_dtype",
    "resolved",
]


def as_parameter(name: str, given: Any) -> Any:
    """Take a parameter.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : number, nested list of numbers, array, Variable or None
        What came.

    Returns
    -------
    object
        The same; of a list a tuple, which nobody can change, and of a scalar of NumPy's a number. Numbers become an
        array once the library, dtype and device of an input are known: :func:`resolved`.

    Raises
    ------
    TypeError
        If it is none of these, or an array that is not real floating.
    ValueError
        If it is a list of which the parts have several shapes.
    """
    if given is None or _is_plain(given):
        if isinstance(given, (list, tuple)):
            _as_numpy(name, given)
        return _numbers(given)
    require_real_floating(**{name: _array(name, given)})
    return given


def resolved(name: str, given: Any, like: Any) -> Any:
    """Turn a parameter into an array that can be computed with another.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : number, nested list of numbers, array, Variable or None
        What :func:`as_parameter` took.
    like : array
        Of float32 or float64, the dtype of the computation.

    Returns
    -------
    array or None
        Of the dtype of `like`.

    Raises
    ------
    TypeError, ValueError
        If it is of another library or precision, or lies on another device.
    """
    if given is None:
        return None
    if _is_plain(given):
        return common_namespace(x=like).asarray(_numbers(given), dtype=like.dtype, device=device_of(like))
    value = _array(name, given)
    xp = common_namespace(x=like, **{name: value})
    if ACCUMULATES_IN[dtype_name(value.dtype)] != dtype_name(like.dtype):
        require_common_dtype(x=like, **{name: value})
    return xp.astype(value, like.dtype)


def as_input(name: str, given: Any, like: Any, dtype: Any = None) -> Any:
    """Turn an input into an array.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : number, nested list of numbers, array or Variable
        What came.
    like : array or None
        Gives numbers their library, dtype and device; without it, the default backend does. An array must be of its
        library and device.
    dtype : dtype, optional
        What an array must have.

    Returns
    -------
    array, real floating

    Raises
    ------
    TypeError, ValueError
        If it is none of these, not real floating, or of another library, dtype or device.
    """
    if isinstance(given, np.generic):
        given = np.asarray(given)
    if _is_plain(given):
        if like is None:
            like = default_like()
        _as_numpy(name, given)
        return common_namespace(like=like).asarray(_numbers(given), dtype=like.dtype, device=device_of(like))
    value = _array(name, given)
    require_real_floating(**{name: value})
    if like is not None:
        common_namespace(**{name: value, "the parameters": like})
    if dtype is not None and dtype_name(dtype) != dtype_name(value.dtype):
        raise TypeError(
            message(
                f"{name} must have the dtype of the parameters",
                "Convert one of them; nothing is cast in silence.",
                **{name: dtype_name(value.dtype), "parameters": dtype_name(dtype)},
            )
        )
    return value


def default_like() -> Any:
    """Return an array of shape () of the default backend, in the dtype that numbers have there."""
    backend = default_backend()
    with backend.context():
        kind = dtype_name(backend.namespace().asarray(0.0).dtype)
        return backend.asarray(np.zeros((), dtype=kind))


def first_array(values: Iterable[Any]) -> Any:
    """Return the first array among parameters, variables' values included; None where all are numbers."""
    for value in values:
        if value is not None and not _is_plain(value):
            return _array("parameter", value)
    return None


def parameter_shape(given: Any) -> tuple[int | None, ...]:
    """Return the shape that a parameter has as an array.

    Parameters
    ----------
    given : object
        What :func:`as_parameter` took, or anything else.

    Returns
    -------
    tuple of int or None
        ``()`` for what is neither numbers nor an array.
    """
    if _is_plain(given):
        sizes: list[int | None] = []
        while isinstance(given, (list, tuple)):  # not NumPy, which torch's compiler would trace
            sizes.append(len(given))
            given = given[0] if given else 0.0
        return tuple(sizes)
    value = given.value if isinstance(given, Variable) else given
    return shape_of(value) if is_array(value) else ()


def known_values(given: Any) -> np.ndarray[Any, Any] | None:
    """Return the values of a parameter, for a check of them.

    Parameters
    ----------
    given : number, nested list of numbers, array or Variable
        What :func:`as_parameter` took.

    Returns
    -------
    numpy.ndarray or None
        None where they are not known, as inside a compiler.
    """
    if _is_plain(given):
        return np.asarray(given, dtype=np.float64)
    value = _array("parameter", given)
    if not has_values(value):
        return None
    found: np.ndarray[Any, Any] = backend_of(value).to_numpy(value)
    return found


def require_common_dtype(**arrays: Any) -> None:
    """Refuse arrays of several dtypes.

    Parameters
    ----------
    **arrays : array or None
        Arrays by the name of their argument; ``None`` is passed over.

    Raises
    ------
    TypeError
        If two have not the same.
    """
    names = {name: dtype_name(array.dtype) for name, array in arrays.items() if array is not None}
    if len(set(names.values())) > 1:
        raise TypeError(
            message("all arrays must have one dtype", "Convert one of them; nothing is cast in silence.", **names)
        )


def require_broadcastable(**parameters: Any) -> None:
    """Refuse parameters that cannot be computed with each other.

    Parameters
    ----------
    **parameters : number, nested list of numbers, array, Variable or None
        What :func:`as_parameter` took, by the name of the argument.

    Raises
    ------
    ValueError
        If two have shapes that do not broadcast, as far as these are known.
    """
    shapes = {name: parameter_shape(given) for name, given in parameters.items()}
    try:
        broadcast_shapes(*shapes.values())
    except ValueError:
        raise ValueError(message(f"{' and '.join(shapes)} must have shapes that can be broadcast", **shapes)) from None


def has_values(array: Any) -> bool:
    """Tell whether an array has values now, at which Python may look: inside a compiler it has none."""
    found: bool = backend_of(array).has_values(array)
    return found


def _is_plain(given: Any) -> bool:
    """Tell whether something is numbers alone, scalars of NumPy's among them."""
    if isinstance(given, (list, tuple)):
        return all(_is_plain(part) for part in given)
    if isinstance(given, Real):
        return not isinstance(given, bool)
    return isinstance(given, np.generic) and given.dtype.name in ACCUMULATES_IN  # bfloat16 is not registered


def _numbers(given: Any) -> Any:
    """Turn numbers of NumPy's into Python's, and lists into tuples."""
    if isinstance(given, (list, tuple)):
        return tuple(_numbers(part) for part in given)
    return float(given) if isinstance(given, np.generic) else given


def frozen(given: Any) -> Any:
    """Make a tuple of a list of numbers, which nobody can change; leave all else as it is."""
    return tuple(map(frozen, given)) if isinstance(given, list) and _is_plain(given) else given


def is_array(given: Any) -> bool:
    """Tell whether something is an array; a scalar of NumPy's is none, and neither is a Variable."""
    if isinstance(given, (int, float, np.generic)):  # torch's compiler has no attributes of a number
        return False
    return hasattr(given, "shape") and hasattr(given, "dtype")


def _array(name: str, given: Any) -> Any:
    value = given
    if isinstance(given, Variable):
        # What NumPy computes of an array of shape () is a scalar.
        value = np.asarray(given.value) if isinstance(given.value, np.generic) else given.value
    if not is_array(value):
        raise TypeError(
            message(
                f"{name} must be a number, a list of numbers, an array or a Variable",
                type=f"{type(given).__module__}.{type(given).__qualname__}",
            )
        )
    common_namespace(**{name: value})
    return value


def _as_numpy(name: str, given: Any) -> Any:
    try:
        return np.asarray(given, dtype=np.float64)
    except ValueError:
        raise ValueError(message(f"{name} must be a list of which all parts have one shape", **{name: given})) from None
