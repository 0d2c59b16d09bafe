"""Variable: a named array that is replaced and never changed in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from bnspec.arrays import common_namespace, device_of, dtype_name, shape_of
from bnspec.errors import message
from bnspec.registry import backend_of
from bnspec.variables._scope import current

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Variable", "copied", "from_numpy", "require_concrete", "taken"]


class Variable:
    """A named array with a fixed shape, dtype, library and device.

    Parameters
    ----------
    name : str
        The name within the layer, for example ``"gamma"``.
    value : array, shape K
        The first value.
    trainable : bool
        Whether an optimizer is to change it.
    regularizer : callable, optional
        Maps the value to a penalty of shape ().
    constraint : callable, optional
        Maps the value to the one that is allowed, of the same shape and dtype.

    Raises
    ------
    TypeError
        If the value is no array, or stands for one that a compiler traces.

    Notes
    -----
    The value is an array of the layer's library, and :meth:`assign` puts another in its place. Where the library has
    arrays that change, as NumPy and PyTorch do, an optimizer may also change the value in place.

    While a ``stateless_call`` runs, the value is the one that was given to it, and an assignment is to be returned by
    it: the variable itself does not change.
    """

    def __init__(
        self,
        name: str,
        value: Any,
        *,
        trainable: bool,
        regularizer: Callable[[Any], Any] | None = None,
        constraint: Callable[[Any], Any] | None = None,
    ) -> None:
        require_concrete(name, value)
        self.name = name
        self.trainable = trainable
        self.regularizer = regularizer
        self.constraint = constraint
        self._value = value

    @property
    def value(self) -> Any:
        """The array."""
        values = current()
        return self._value if values is None else values.get(self, self._value)

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Its shape."""
        return shape_of(self.value)

    @property
    def dtype(self) -> Any:
        """Its dtype, an object of its library."""
        return self.value.dtype

    def assign(self, value: Any) -> None:
        """Put another array in the place of the value.

        Parameters
        ----------
        value : array, shape K
            An array of the same library, device and dtype, which is not copied; or one of NumPy, which is.

        Raises
        ------
        TypeError
            If it is of another library or dtype, or stands for an array that a compiler traces.
        ValueError
            If it has another shape, or lies on another device.
        """
        values = current()
        if values is None:
            self._value = taken(self.name, value, self._value)
        else:
            values[self] = taken(self.name, value, self.value)

    def numpy(self) -> np.ndarray[Any, Any]:
        """Copy the value to NumPy."""
        array: np.ndarray[Any, Any] = backend_of(self.value).to_numpy(self.value)
        return array

    def __repr__(self) -> str:
        return (
            f"Variable({self.name!r}, shape={self.shape}, dtype={dtype_name(self.dtype)}, trainable={self.trainable})"
        )


def taken(name: str, value: Any, like: Any) -> Any:
    """Take an array that is to stand in the place of another.

    Parameters
    ----------
    name : str
        The name of the variable, for the message.
    value : array
        What came: of the library of `like`, or of NumPy.
    like : array, shape K
        What it replaces.

    Returns
    -------
    array, shape K
        Of the library, device and dtype of `like`.

    Raises
    ------
    TypeError, ValueError
        As of :meth:`Variable.assign`.
    """
    common_namespace(**{name: value})  # refuses what is no array
    if (shape_of(value), dtype_name(value.dtype)) != (shape_of(like), dtype_name(like.dtype)):
        error = TypeError if shape_of(value) == shape_of(like) else ValueError
        raise error(
            message(
                f"{name} must have shape {shape_of(like)} and dtype {dtype_name(like.dtype)}",
                "Convert it first." if error is TypeError else "",
                shape=shape_of(value),
                dtype=dtype_name(value.dtype),
            )
        )
    if isinstance(value, np.ndarray) and not isinstance(like, np.ndarray):
        value = from_numpy(value, like)
    common_namespace(**{f"the old {name}": like, name: value})
    if current() is None:  # in a scope it is no variable that takes the value
        require_concrete(name, value)
    return value


def from_numpy(array: np.ndarray[Any, Any], like: Any) -> Any:
    """Copy a NumPy array to the library and device of another array, without a change of dtype where it has that.

    Parameters
    ----------
    array : numpy.ndarray, shape S
    like : array

    Returns
    -------
    array, shape S
    """
    made = backend_of(like).asarray(array)
    device = device_of(like)
    return made if device_of(made) == device else array_api_compat.to_device(made, device)


def copied(array: Any) -> Any:
    """Copy an array, so that no two owners share memory.

    Parameters
    ----------
    array : array, shape S

    Returns
    -------
    array, shape S
    """
    return common_namespace(array=array).asarray(array, copy=True)


def require_concrete(name: str, value: Any) -> None:
    """Refuse an array that stands for one that a compiler traces.

    Parameters
    ----------
    name : str
        The name of the variable, for the message.
    value : array
        What came.

    Raises
    ------
    TypeError
        If it has no values yet.
    """
    if not backend_of(value, name=name).is_concrete(value):
        raise TypeError(
            message(
                f"{name} must have values: inside a compiler or a transformation nothing must be built or changed",
                "Build it before, and call its stateless_call there.",
                type=f"{type(value).__module__}.{type(value).__qualname__}",
            )
        )
