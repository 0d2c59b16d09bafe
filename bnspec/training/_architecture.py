"""What a module is made of, without its values, so that two can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import partial
from hashlib import sha256
from numbers import Real
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import dtype_name, shape_of
from bnspec.layers import BatchNormalization
from bnspec.layers._serialization import Stored
from bnspec.variables import Module, Named, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["described", "difference"]

# What says how values began, how things are called, or what is checked: not what is computed. Which variables are
# trained stands beside the arrays of a checkpoint.
_ASIDE = ("initializer", "seed", "name", "validate_args", "graph_parents", "trainable")


def described(value: Any) -> Any:
    """Describe a module, or what one is made from, so that JSON can hold it.

    Parameters
    ----------
    value : object
        A module, an optimizer, a container, a number, an array or a function.

    Returns
    -------
    object
        Classes, arguments and attributes, those of callable objects and of dataclasses too; of variables the shapes,
        dtypes, regularizers and constraints, and of other arrays, such as masks and knots, a digest of the values. Of a
        module, names, initializers and the values of variables are left out. Of a function it is the qualified name
        and what it has bound: two of one name that compute something else are not told apart.
    """
    return _described(value, ())


def _described(value: Any, around: tuple[Any, ...]) -> Any:
    """Describe what lies within others, which it may hold in its turn."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.generic):
        return _described(value.item(), around)
    if isinstance(value, Real):
        return int(value) if isinstance(value, int) else repr(float(value))  # infinity is not JSON
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if any(value is other for other in around):
        return f"the {kind} around it"
    around = (*around, value)
    if isinstance(value, Mapping):
        return {str(key): _described(part, around) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(part, around) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_described(part, around) for part in value), key=str)
    if isinstance(value, Variable):
        return _variable(value, around)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{dtype_name(value.dtype)} {list(shape_of(value))} sha256 {_digest(value)}"
    held = _held(value)
    return getattr(value, "__qualname__", kind) if held is None else {"class": kind, **_described(held, around)}


def _variable(value: Variable, around: tuple[Any, ...]) -> Any:
    shown = f"{dtype_name(value.dtype)} {list(shape_of(value.value))}"
    rules = {"regularizer": value.regularizer, "constraint": value.constraint}
    ruled = any(rule is not None for rule in rules.values())
    return {"variable": shown, **_described(rules, around)} if ruled else shown


def _held(value: Any) -> dict[str, Any] | None:
    """Return what makes an object what it is, by name; None where nothing is known but what it is called."""
    if isinstance(value, BatchNormalization):
        given = value._settings.arguments  # noqa: SLF001 - a layer with an adjustment has no configuration
        calls = {name: given[name] for name in ("adjustment", "fused", "defer_updates")}
        return {**vars(value.spec), **calls, "variables": {own.name: own for own in value.variables}}
    if isinstance(value, partial):
        return {"function": value.func, "args": value.args, "keywords": value.keywords}
    if isinstance(value, MethodType):
        return {"method": value.__func__, "of": value.__self__}
    if isinstance(value, FunctionType):
        return _bound(value)
    if isinstance(value, Named) and value.parameters is not None:
        return _relevant(value.parameters)
    if isinstance(value, Module):
        return _relevant(vars(value))
    plain = isinstance(value, type) or not (callable(value) or is_dataclass(value))
    return None if plain else getattr(value, "__dict__", None)


def _bound(function: FunctionType) -> dict[str, Any] | None:
    """Return what a function has of its own besides its code; None where it has nothing."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    empty = type(next(iter(cells.values())))() if cells else None  # of a name that is not assigned yet
    parts = {name: cell.cell_contents for name, cell in cells.items() if cell != empty}
    given = {"enclosing": parts, "defaults": function.__defaults__, "keywords": function.__kwdefaults__}
    found = {key: part for key, part in given.items() if part}
    return {"function": function.__qualname__, **found} if found else None


def _relevant(arguments: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key.lstrip("_"): value for key, value in arguments.items()}
    return {
        key: value
        for key, value in kept.items()
        if not any(key == aside or key.endswith(f"_{aside}") for aside in _ASIDE)
    }


def _digest(array: Any) -> str:
    values = Stored.of(array).values
    return sha256(np.asarray(values, order="C", dtype=values.dtype.newbyteorder("<")).tobytes()).hexdigest()


def difference(ours: Any, theirs: Any) -> tuple[str, Any, Any] | None:
    """Find the first difference of two descriptions.

    Parameters
    ----------
    ours, theirs : object
        As :func:`described` returns them.

    Returns
    -------
    tuple of str, object, object, or None
        Where it is, and what stands there; None where there is none.
    """
    return next(_differences("", ours, theirs), None)


def _differences(where: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in {**ours, **theirs}:
            yield from _differences(f"{where}.{key}" if where else key, ours.get(key), theirs.get(key))
    elif isinstance(ours, list) and isinstance(theirs, list):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            yield from _differences(f"{where}[{number}]", one, other)
        if len(ours) != len(theirs):
            yield f"the length of {where}", len(ours), len(theirs)
    elif ours != theirs:
        yield where, ours, theirs
