"""What a bijector is besides a map: its name, its parameters, equality, copies, and what calling it means."""

from __future__ import annotations

from functools import singledispatch
from re import sub
from typing import TYPE_CHECKING, Any, Self

from bnspec.arrays import common_namespace, dtype_name, shape_of
from bnspec.errors import message, nearest
from bnspec.variables import Module, Variable, first_array, is_concrete, require_common_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Contract", "applied"]


class Contract(Module):
    """A named object that its parameters are all of.

    Parameters
    ----------
    parameters : mapping
        The arguments of the constructor by name.
    forward_min_event_ndims, inverse_min_event_ndims : int or structure of int
        The rank of the smallest event that is mapped, and of what it is mapped to.
    is_constant_jacobian : bool
        Whether the Jacobian does not depend on the input.
    validate_args : bool
        Whether values are checked where they are known.
    dtype : dtype, optional
        What inputs must have; by default that of the parameters that are arrays.
    graph_parents : iterable of array
        Accepted for TFP's sake.
    name : str, optional
        By default, the name of the class in lower case.
    """

    def __init__(
        self,
        *,
        parameters: Mapping[str, Any],
        forward_min_event_ndims: Any,
        inverse_min_event_ndims: Any,
        is_constant_jacobian: bool,
        validate_args: bool,
        dtype: Any,
        graph_parents: Iterable[Any],
        name: str | None,
    ) -> None:
        for key, value in (("is_constant_jacobian", is_constant_jacobian), ("validate_args", validate_args)):
            if not isinstance(value, bool):
                raise TypeError(message(f"{key} must be a bool", **{key: value}))
        require_name(name)
        self._parameters = dict(parameters)
        self._forward_min_event_ndims = forward_min_event_ndims
        self._inverse_min_event_ndims = inverse_min_event_ndims
        self._is_constant_jacobian = is_constant_jacobian
        self._validate_args = validate_args
        self._graph_parents = list(graph_parents)
        self._name = sub(r"[/\s]", "_", _lower(type(self).__name__) if name is None else name)
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
    def parameters(self) -> dict[str, Any]:
        """The arguments of the constructor, by name."""
        return dict(self._parameters)

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
    def is_constant_jacobian(self) -> bool:
        """Whether the Jacobian does not depend on the input, as the constructor was told."""
        return self._is_constant_jacobian

    @property
    def is_injective(self) -> bool:
        """Whether no two inputs have one output."""
        return True

    @property
    def forward_min_event_ndims(self) -> Any:
        """The rank of the smallest event that ``forward`` maps; a structure of them for a structured input."""
        return self._forward_min_event_ndims

    @property
    def inverse_min_event_ndims(self) -> Any:
        """The rank of the smallest event that ``inverse`` maps; a structure of them for a structured input."""
        return self._inverse_min_event_ndims

    @property
    def has_static_min_event_ndims(self) -> bool:
        """Whether these ranks are known, which they always are."""
        return True

    @property
    def event_ndims(self) -> Any:
        """The same as :attr:`forward_min_event_ndims`; the name of ``tf.contrib.distributions``."""
        return self.forward_min_event_ndims

    @property
    def graph_parents(self) -> list[Any]:
        """What the constructor was given as such."""
        return list(self._graph_parents)

    def copy(self, **overrides: Any) -> Self:
        """Make another bijector with some arguments of the constructor changed.

        Parameters
        ----------
        **overrides
            The arguments that change. Arrays, variables and layers among the others are shared.

        Returns
        -------
        Bijector

        Raises
        ------
        TypeError
            If there is no such argument.
        """
        for key in overrides:
            if key not in self._parameters:
                raise TypeError(
                    message(f"{self.name} must have the argument", nearest(key, self._parameters), argument=key)
                )
        return type(self)(**{**self._parameters, **overrides})

    def __call__(self, value: Any, name: str | None = None, **kwargs: Any) -> Any:
        """Transform a distribution, compose with a bijector, or map an input forward.

        Parameters
        ----------
        value : Distribution, Bijector or array
            What it is applied to.
        name : str, optional
            The name of the result, where that has one.
        **kwargs
            Further arguments of the result's constructor, or conditions of ``forward``.

        Returns
        -------
        TransformedDistribution, Chain or array
        """
        return applied(value, self, name, kwargs)

    def __eq__(self, other: object) -> bool:
        """Tell whether another bijector is of the same class with equal parameters, names aside."""
        return type(other) is type(self) and isinstance(other, Contract) and _equal(self._compared(), other._compared())

    def __hash__(self) -> int:
        return hash((type(self), *self._compared()))

    def __repr__(self) -> str:
        shown = f"{self.name!r}, min_event_ndims={self.forward_min_event_ndims}"
        if self.inverse_min_event_ndims != self.forward_min_event_ndims:
            shown += f"->{self.inverse_min_event_ndims}"
        dtype = self.dtype
        return f"{type(self).__name__}({shown}{'' if dtype is None else f', dtype={dtype_name(dtype)}'})"

    def _like(self) -> Any:
        """Return an array that gives numbers their library, dtype and device; None where nothing does."""
        return first_array(value for value in self._parameters.values() if _is_array(value))

    def _compared(self) -> dict[str, Any]:
        return {key: value for key, value in self._parameters.items() if key != "name"}


@singledispatch
def applied(value: Any, bijector: Any, name: str | None, kwargs: dict[str, Any]) -> Any:
    """Return what a bijector makes of a value: of anything that is not registered, the output of ``forward``."""
    return bijector.forward(value, **({} if name is None else {"name": name}), **kwargs)


def require_name(name: Any) -> None:
    """Refuse a name that is not a string.

    Raises
    ------
    TypeError
        If it is neither a string nor None.
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(message("name must be a string or None", name=name))


def _lower(name: str) -> str:
    """Write ``CamelCase`` as ``camel_case``."""
    return sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _is_array(value: Any) -> bool:
    return isinstance(value, Variable) or (hasattr(value, "shape") and hasattr(value, "dtype"))


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
    same = common_namespace(left=left, right=right).all(left == right)
    return is_concrete(same) and bool(same)
