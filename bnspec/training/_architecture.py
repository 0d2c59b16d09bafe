"""What a module is made of, without its values, so that two can be told apart."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

from bnspec.arrays import dtype_name, shape_of
from bnspec.layers import BatchNormalization
from bnspec.variables import Module, Named, Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["described", "difference"]

# What says how values began, how things are called, or what is checked: not what is computed.
_ASIDE = ("initializer", "seed", "name", "validate_args", "graph_parents", "trainable")


def described(value: Any) -> Any:
    """Describe a module, or what one is made from, so that JSON can hold it.

    Parameters
    ----------
    value : object
        A module, a container, a number, an array or a function.

    Returns
    -------
    object
        Classes, arguments, and the shapes and dtypes of variables and arrays. Names, initializers and the values of
        variables and arrays are left out. Of a function it is the name.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Real) and not hasattr(value, "dtype"):
        return int(value) if isinstance(value, int) else repr(float(value))  # infinity is not JSON
    if isinstance(value, dict):
        return {str(key): described(part) for key, part in value.items() if not _is_aside(str(key))}
    if isinstance(value, (list, tuple)):
        return [described(part) for part in value]
    if isinstance(value, Variable) or (hasattr(value, "dtype") and hasattr(value, "shape")):
        return f"{dtype_name(value.dtype)} {list(shape_of(value.value if isinstance(value, Variable) else value))}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, BatchNormalization):  # below, its settings would be an object of their own
        settings = {"axis": value.spec.axis, "center": value.spec.center, "scale": value.spec.scale}
        spec = {
            "momentum": value.spec.momentum,
            "epsilon": value.spec.epsilon,
            "convention": value.spec.convention.name,
        }
        shapes = {own.name: described(own) for own in value.variables}
        return {"class": kind, **described({**settings, **spec}), "variables": shapes}
    if isinstance(value, partial):
        return {"partial": described(value.func), "args": described(value.args), **described(value.keywords)}
    if isinstance(value, Named) and value.parameters is not None:
        return {"class": kind, **described(value.parameters)}
    if isinstance(value, Module):
        return {"class": kind, **described({key.lstrip("_"): part for key, part in vars(value).items()})}
    return getattr(value, "__qualname__", kind)


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


def _is_aside(key: str) -> bool:
    return any(key == part or key.endswith(f"_{part}") for part in _ASIDE)
