"""Named: an object that its parameters are all of; its name, its parameters, equality, copies, dtypes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from re import sub
from typing import TYPE_CHECKING, Any, Self

from bnspec.arrays import ACCUMULATES_IN, accumulation_dtype, common_namespace, device_of, dtype_name, shape_of
from bnspec.errors import message, nearest
from bnspec.variables._arguments import as_input, first_array, frozen, has_values, is_array, require_common_dtype
from bnspec.variables._module import Module
from bnspec.variables._variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Named", "common_like", "common_needs", "require_name", "rounded", "widened"]


class Named(Module):
    """What bijectors and distributions are: a name, and the arguments of a constructor.

    Parameters
    ----------
    parameters : mapping or None
        The arguments of the constructor by name; without them, an object equals itself alone, and has no copy.
    validate_args : bool
        Whether values are checked where they are known.
    dtype : dtype, optional
        What inputs must have; by default that of the parameters that are arrays.
    name : str
        The name; blanks and slashes become underscores.

    Raises
    ------
    TypeError
        If an argument is not as described, or parameters are of several libraries or dtypes.
    ValueError
        If parameters lie on several devices.
    """

    def __init__(self, *, parameters: Mapping[str, Any] | None, validate_args: bool, dtype: Any, name: str) -> None:
        if not isinstance(validate_args, bool):
            raise TypeError(message("validate_args must be a bool", validate_args=validate_args))
        require_name(name)
        self._described = parameters is not None
        self._parameters = {key: frozen(value) for key, value in (parameters or {}).items()}
        self._validate_args = validate_args
        self._name = sub(r"[/\s]", "_", name)
        given = {key: value for key, value in self._parameters.items() if _is_array(value)}
        if len(given) > 1:
            arrays = {key: first_array([value]) for key, value in given.items()}
            common_namespace(**arrays)
            require_common_dtype(**arrays)
        self._dtype = dtype

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The arguments of the constructor, by name; None where they were not given on."""
        return dict(self._parameters) if self._described else None

    @property
    def dtype(self) -> Any:
        """The dtype that inputs must have; None where any real floating one is taken."""
        if self._dtype is not None:
            return self._dtype
        like = first_array(value for value in self._parameters.values() if _is_array(value))
        return None if like is None else like.dtype

    @property
    def validate_args(self) -> bool:
        """Whether values are checked where they are known: eagerly, and not inside a compiler."""
        return self._validate_args

    @property
    def condition_names(self) -> frozenset[str] | None:
        """The names of the conditions that the methods take; None where they take any."""
        return frozenset()

    def copy(self, **overrides: Any) -> Self:
        """Make another object with some arguments of the constructor changed.

        Parameters
        ----------
        **overrides
            The arguments that change. Arrays, variables and layers among the others are shared.

        Returns
        -------
        object of the same class

        Raises
        ------
        TypeError
            If there is no such argument, or the arguments are not known.
        """
        if not self._described:
            raise TypeError(
                message(f"{self.name} must know its parameters", "Give them to the constructor of the base.")
            )
        for key in overrides:
            if key not in self._parameters:
                raise TypeError(
                    message(f"{self.name} must have the argument", nearest(key, self._parameters), argument=key)
                )
        return type(self)(**{**self._parameters, **overrides})

    def __eq__(self, other: object) -> bool:
        """Tell whether another object is of the same class with equal parameters, names aside."""
        if other is self:
            return True
        if type(other) is not type(self) or not isinstance(other, Named) or not (self._described and other._described):
            return False
        return _equal(self._compared(), other._compared())

    def __hash__(self) -> int:
        return hash((type(self), _hashed(self._compared()))) if self._described else id(self)

    def __repr__(self) -> str:
        dtype = self.dtype
        shown = [repr(self.name), *self._shown(), *([] if dtype is None else [f"dtype={dtype_name(dtype)}"])]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown(self) -> list[str]:
        """List what is printed between the name and the dtype."""
        return []

    def _like(self) -> Any:
        """Return an array that gives numbers their library, dtype and device; None where nothing does."""
        return first_array(value for value in self._parameters.values() if _is_array(value))

    def _compared(self) -> dict[str, Any]:
        return {key: value for key, value in self._parameters.items() if key != "name"}

    def _inputs(self, name: str, given: Any) -> tuple[Any, Callable[[Any], Any]]:
        """Turn an input into an array of the dtype of the computation; and what turns results back."""
        return widened(name, given, self._like(), self.dtype)

    def _conditions(self, given: dict[str, Any]) -> dict[str, Any]:
        """Refuse conditions that nothing takes, and widen the others as inputs are."""
        names = self.condition_names
        for key in () if names is None else given:
            if key not in (names or ()):
                raise TypeError(
                    message(f"{self.name} must know its conditions", nearest(key, names or ()), condition=key)
                )
        return {key: _widened_condition(key, value) for key, value in given.items()}


def common_like(parts: Mapping[str, Named]) -> tuple[Any, Any]:
    """Find an array that gives numbers their library, and the dtype that inputs must have.

    Parameters
    ----------
    parts : mapping
        What an object is made of, by what the messages call it.

    Returns
    -------
    like : array or None
    dtype : dtype or None

    Raises
    ------
    TypeError, ValueError
        If the parts' parameters are of several libraries or dtypes, or on several devices.
    """
    return common_needs({name: (part._like(), part.dtype) for name, part in parts.items()})


def common_needs(needs: Mapping[str, tuple[Any, Any]]) -> tuple[Any, Any]:
    """Find what several parts need together; see :func:`common_like`.

    Parameters
    ----------
    needs : mapping
        By what the messages call a part, an array that gives numbers their library, and the dtype that inputs must
        have; either may be None.

    Returns
    -------
    like : array or None
    dtype : dtype or None

    Raises
    ------
    TypeError, ValueError
        If these are of several libraries or dtypes, or on several devices.
    """
    arrays = {name: like for name, (like, _) in needs.items() if like is not None}
    if arrays:
        common_namespace(**arrays)
    dtypes = {name: dtype for name, (_, dtype) in needs.items() if dtype is not None}
    names = {name: dtype_name(dtype) for name, dtype in dtypes.items()}
    if len(set(names.values())) > 1:
        raise TypeError(message("all parts must have one dtype", "Convert the parameters of one of them.", **names))
    return next(iter(arrays.values()), None), next(iter(dtypes.values()), None)


def widened(name: str, given: Any, like: Any, dtype: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Turn an input into an array of the dtype of the computation; and what turns results back.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : number, nested list of numbers, array or Variable
        What came.
    like : array or None
        Gives numbers their library, dtype and device.
    dtype : dtype or None
        What an array must have.

    Returns
    -------
    x : array, float32 or float64
    back : callable
        Rounds a result, or a tuple of them, to the dtype of the input.

    Raises
    ------
    TypeError, ValueError
        If it is none of these, not real floating, or of another library, dtype or device.
    """
    x = as_input(name, given, like, dtype)
    xp = common_namespace(x=x)
    wide = accumulation_dtype(xp, x)
    if x.dtype == wide:
        return x, lambda result: result
    return xp.astype(x, wide), lambda result: rounded(result, x.dtype, xp)


def rounded(result: Any, dtype: Any, xp: Any) -> Any:
    """Round one array, or a tuple of them.

    Parameters
    ----------
    result : array or tuple of array
        What was computed.
    dtype : dtype
        What it is rounded to.
    xp : namespace
        Its namespace.

    Returns
    -------
    array or tuple of array
    """
    if isinstance(result, tuple):
        return tuple(rounded(part, dtype, xp) for part in result)
    return xp.astype(result, dtype)


def require_name(name: Any) -> None:
    """Refuse a name that is not a string.

    Parameters
    ----------
    name : str or None
        What came.

    Raises
    ------
    TypeError
        If it is neither a string nor None.
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(message("name must be a string or None", name=name))


def _widened_condition(name: str, given: Any) -> Any:
    """Turn an array of half precision, alone or in a mapping, into float32; leave all else as it is."""
    if isinstance(given, Mapping):
        return {key: _widened_condition(key, value) for key, value in given.items()}
    if not is_array(given) or dtype_name(given.dtype) not in ACCUMULATES_IN:
        return given
    xp = common_namespace(**{name: given})
    wide = accumulation_dtype(xp, given)
    return given if given.dtype == wide else xp.astype(given, wide)


def _is_array(value: Any) -> bool:
    return isinstance(value, Variable) or is_array(value)


def _hashed(value: Any) -> Any:
    """Return something that has a hash, and is equal for what is equal by `_equal`: of an array all but its values."""
    if isinstance(value, dict):
        return frozenset((key, _hashed(part)) for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashed, value))
    if isinstance(value, Variable):
        return id(value)
    if is_array(value):
        return type(value), dtype_name(value.dtype), shape_of(value)
    return value if isinstance(value, Hashable) else type(value)


def _equal(left: Any, right: Any) -> bool:
    """Compare parameters: arrays by their values, variables and functions by identity."""
    if left is right:
        return True
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, Variable) or isinstance(right, Variable) or _is_array(left) != _is_array(right):
        return False
    if not _is_array(left):
        return bool(left == right)
    if type(left) is not type(right) or left.dtype != right.dtype or shape_of(left) != shape_of(right):
        return False
    if device_of(left) != device_of(right):
        return False
    same = common_namespace(left=left, right=right).all(left == right)
    return has_values(same) and bool(same)
