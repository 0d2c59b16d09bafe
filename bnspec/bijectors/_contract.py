"""What a bijector is besides a map: its ranks, what it promises, and what calling it means."""

from __future__ import annotations

from functools import singledispatch
from re import sub
from typing import TYPE_CHECKING, Any

from bnspec.errors import message
from bnspec.variables import Named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Contract", "applied"]


class Contract(Named):
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
        parameters: Mapping[str, Any] | None,
        forward_min_event_ndims: Any,
        inverse_min_event_ndims: Any,
        is_constant_jacobian: bool,
        validate_args: bool,
        dtype: Any,
        graph_parents: Iterable[Any],
        name: str | None,
    ) -> None:
        if not isinstance(is_constant_jacobian, bool):
            raise TypeError(message("is_constant_jacobian must be a bool", is_constant_jacobian=is_constant_jacobian))
        super().__init__(
            parameters=parameters,
            validate_args=validate_args,
            dtype=dtype,
            name=_lower(type(self).__name__) if name is None else name,
        )
        self._forward_min_event_ndims = forward_min_event_ndims
        self._inverse_min_event_ndims = inverse_min_event_ndims
        self._is_constant_jacobian = is_constant_jacobian
        self._graph_parents = list(graph_parents)

    @property
    def is_constant_jacobian(self) -> bool:
        """Whether the Jacobian does not depend on the input, as the constructor was told."""
        return self._is_constant_jacobian

    @property
    def is_injective(self) -> bool:
        """Whether no two inputs have one output."""
        return True

    @property
    def is_affine(self) -> bool:
        """Whether each element of the output is a constant times one element of the input, plus a constant.

        False where that is not known. Statistics of a transformed distribution need it: that the Jacobian is constant
        does not suffice, since a coupling layer that only shifts has one too.
        """
        return False

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

    def _shown(self) -> list[str]:
        shown = f"min_event_ndims={self.forward_min_event_ndims}"
        if self.inverse_min_event_ndims != self.forward_min_event_ndims:
            shown += f"->{self.inverse_min_event_ndims}"
        return [shown]


@singledispatch
def applied(value: Any, bijector: Any, name: str | None, kwargs: dict[str, Any]) -> Any:
    """Return what a bijector makes of a value: of anything that is not registered, the output of ``forward``."""
    return bijector.forward(value, **({} if name is None else {"name": name}), **kwargs)


def _lower(name: str) -> str:
    """Write ``CamelCase`` as ``camel_case``."""
    return sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
