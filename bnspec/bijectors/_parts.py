"""Bijectors that are made of others: what they check, and which condition reaches which part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnspec.bijectors._base import Bijector
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bnspec.variables import Named

__all__ = ["accepted", "joined_names", "numbered", "require_bijectors", "require_known"]


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


def numbered(parts: Iterable[Bijector]) -> dict[str, Bijector]:
    """Give each part a name of its own for messages."""
    return {f"{part.name} ({number})": part for number, part in enumerate(parts)}


def joined_names(parts: Iterable[Named]) -> frozenset[str] | None:
    """Return the names of the conditions of all parts and the names of the parts; None where one takes any."""
    names: set[str] = set()
    for part in parts:
        own = part.condition_names
        if own is None:
            return None
        names.update(own, [part.name] if own else [])
    return frozenset(names)


def accepted(part: Named, condition: Mapping[str, Any], parts: Iterable[Named]) -> dict[str, Any]:
    """Return the conditions that are for a part: those that it takes, and those that lie under its name.

    Parameters
    ----------
    part : Bijector or Distribution
        The part.
    condition : mapping
        All conditions.
    parts : iterable of Bijector or Distribution
        All parts: one that takes any condition takes none that lie under the names of the others.

    Returns
    -------
    dict
    """
    names, own = part.condition_names, condition.get(part.name)
    others = {each.name for each in parts if isinstance(condition.get(each.name), Mapping)}
    found = {key: value for key, value in condition.items() if (key not in others if names is None else key in names)}
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
    several = list(parts)
    for part in several:
        own, names = condition.get(part.name, {}), part.condition_names
        taken = any(each.condition_names is None or part.name in each.condition_names for each in several)
        if not isinstance(own, Mapping) and not taken:
            raise TypeError(
                message(
                    f"what lies under the name of {part.name} must be a mapping of its conditions",
                    f"They are: {', '.join(sorted(names or ())) or 'none'}.",
                    **{part.name: own},
                )
            )
        part._conditions(accepted(part, condition, several))
    return condition
