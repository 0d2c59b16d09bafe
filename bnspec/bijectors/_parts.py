"""Bijectors that are made of others: what they check, and which condition reaches which part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace, dtype_name
from bnspec.bijectors._base import Bijector
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["accepted", "common_like", "joined_names", "require_bijectors", "require_known"]


def require_bijectors(name: str, given: Iterable[Any], *, structured: bool = False) -> list[Bijector]:
    """Take bijectors.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : iterable of Bijector
        What came.
    structured : bool
        Whether parts may map structures of arrays.

    Returns
    -------
    list of Bijector

    Raises
    ------
    TypeError
        If one is no bijector, or maps structures where it must not.
    """
    if isinstance(given, Bijector) or not hasattr(given, "__iter__"):
        raise TypeError(message(f"{name} must be a list of bijectors", **{name: given}))
    parts = list(given)
    for part in parts:
        if not isinstance(part, Bijector):
            raise TypeError(message(f"{name} must be bijectors", part=part))
        if not structured and not isinstance(part.forward_min_event_ndims, int):
            raise TypeError(
                message(f"{name} must map arrays, and not structures of them", "Put them inside.", part=part.name)
            )
    return parts


def common_like(parts: Sequence[Bijector]) -> tuple[Any, Any]:
    """Find an array that gives numbers their library, and the dtype that inputs must have.

    Parameters
    ----------
    parts : sequence of Bijector

    Returns
    -------
    like : array or None
    dtype : dtype or None

    Raises
    ------
    TypeError, ValueError
        If the parts' parameters are of several libraries or dtypes, or on several devices.
    """
    found = {f"{part.name} ({number})": part._like() for number, part in enumerate(parts)}
    arrays = {name: like for name, like in found.items() if like is not None}
    if arrays:
        common_namespace(**arrays)
    dtypes = {f"{part.name} ({number})": part.dtype for number, part in enumerate(parts) if part.dtype is not None}
    names = {name: dtype_name(dtype) for name, dtype in dtypes.items()}
    if len(set(names.values())) > 1:
        raise TypeError(message("all parts must have one dtype", "Convert the parameters of one of them.", **names))
    return next(iter(arrays.values()), None), next(iter(dtypes.values()), None)


def joined_names(parts: Iterable[Bijector]) -> frozenset[str] | None:
    """Return the names of the conditions of all parts and the names of the parts; None where one takes any."""
    names: set[str] = set()
    for part in parts:
        own = part.condition_names
        if own is None:
            return None
        names.update(own, [part.name] if own else [])
    return frozenset(names)


def accepted(part: Bijector, condition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions that are for a part: those that it takes, and those that lie under its name.

    Parameters
    ----------
    part : Bijector
        The part.
    condition : mapping
        All conditions.

    Returns
    -------
    dict
    """
    names, own = part.condition_names, condition.get(part.name)
    found = {key: value for key, value in condition.items() if names is None or key in names}
    if isinstance(own, Mapping):
        found.pop(part.name, None)
        for key in own:
            if names is not None and key not in names:
                raise TypeError(message(f"{part.name} must know its conditions", condition=key))
        found.update(own)
    return found


def require_known(parts: Iterable[Bijector], condition: dict[str, Any]) -> dict[str, Any]:
    """Refuse what lies under the name of a part and is no condition of it, before any part has run.

    Parameters
    ----------
    parts : iterable of Bijector
    condition : dict
        All conditions.

    Returns
    -------
    dict
        The same.

    Raises
    ------
    TypeError
        If there is such a condition.
    """
    for part in parts:
        part._conditions(accepted(part, condition))
    return condition
