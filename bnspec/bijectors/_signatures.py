"""What a function takes by name."""

from __future__ import annotations

from inspect import CO_VARKEYWORDS, Parameter, signature
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["names_after"]

_OTHERWISE = ("__wrapped__", "__signature__")
"""Where a function says that it takes something else than it does."""


def names_after(count: int, function: Callable[..., Any]) -> frozenset[str] | None:
    """List what a function takes by name besides its first arguments.

    Parameters
    ----------
    count : int
        How many arguments come by place.
    function : callable
        Anything that can be called.

    Returns
    -------
    frozenset of str or None
        None where it takes any name.

    Raises
    ------
    ValueError
        If it does not say, as some that are not written in Python.
    """
    if isinstance(function, FunctionType) and not any(hasattr(function, name) for name in _OTHERWISE):
        # torch.compile knows no signature of a function that is made inside of what it traces.
        return _names_of_code(count, function.__code__)
    parameters = list(signature(function).parameters.values())
    if any(one.kind is Parameter.VAR_KEYWORD for one in parameters):
        return None
    named = [one.name for one in parameters if one.kind is Parameter.KEYWORD_ONLY]
    placed = [one for one in parameters if one.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    more = [one.name for one in placed[count:] if one.kind is Parameter.POSITIONAL_OR_KEYWORD]
    return frozenset((*named, *more))


def _names_of_code(count: int, code: Any) -> frozenset[str] | None:
    if code.co_flags & CO_VARKEYWORDS:
        return None
    places, names = code.co_argcount, code.co_varnames
    more = names[max(count, code.co_posonlyargcount) : places]
    return frozenset((*names[places : places + code.co_kwonlyargcount], *more))
