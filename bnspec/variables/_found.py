"""What an object holds: its variables, and the parts that have variables of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["found"]

_PLAIN = (str, int, float, type(None))


def found(value: Any, kinds: tuple[type, ...]) -> list[Any]:
    """List the objects of some kinds that a value holds, each once, in the order in which they are met.

    Parameters
    ----------
    value : object
        Containers are searched; what functions have bound: partial arguments, the object of a method, and the
        variables of the enclosing functions; and the attributes of callable objects and of dataclasses.
    kinds : tuple of type
        What is looked for; it is not searched itself.

    Returns
    -------
    list
    """
    seen: dict[int, Any] = {}
    return list(_search(value, kinds, seen))


def _search(value: Any, kinds: tuple[type, ...], seen: dict[int, Any]) -> Iterator[Any]:
    if id(value) in seen:
        return
    seen[id(value)] = value  # kept, so that no other object takes its place in memory
    if isinstance(value, kinds):
        yield value
        return
    for held in _held(value):
        if not isinstance(held, _PLAIN):  # most attributes are, and a compiler traces each step
            yield from _search(held, kinds, seen)


def _held(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, MethodType):
        own = value.__self__
        return [own, value.__func__, *(getattr(own, "__dict__", {}).values() if not isinstance(own, type) else ())]
    if isinstance(value, FunctionType):
        try:
            closure = value.__closure__ or ()
        except AttributeError:  # under torch.compile, of a function that is made inside of what it traces
            return []
        cells = [cell.cell_contents for cell in closure if _is_filled(cell)]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    if isinstance(value, type) or hasattr(value, "dtype"):
        return []
    return list(getattr(value, "__dict__", {}).values()) if callable(value) or is_dataclass(value) else []


def _is_filled(cell: Any) -> bool:
    """Tell whether a variable of an enclosing function has a value yet."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
