"""Which condition reaches the bijector of a transformed distribution, and which its base."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnspec.bijectors._parts import accepted, joined_names
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.variables import Named

__all__ = ["names_of", "split"]

_OWN = ("distribution_kwargs", "bijector_kwargs")


def names_of(distribution: Named, bijector: Named) -> frozenset[str] | None:
    """Return the names of the conditions that the two take, and of the mappings that hold those of one of them.

    Parameters
    ----------
    distribution : Distribution
        The base.
    bijector : Bijector
        What its draws are mapped by.

    Returns
    -------
    frozenset of str or None
        None where one takes any.
    """
    names = joined_names([distribution, bijector])
    return None if names is None else names | set(_OWN)


def split(distribution: Named, bijector: Named, condition: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give each of the two its conditions: those it takes, and those of the mapping that is for it.

    Parameters
    ----------
    distribution, bijector
        As of :func:`names_of`.
    condition : mapping
        All conditions.

    Returns
    -------
    pair of dict
        Those of the distribution and of the bijector.

    Raises
    ------
    TypeError
        If one of the mappings is none, or has a condition that is unknown.
    """
    plain = {key: value for key, value in condition.items() if key not in _OWN}
    found = []
    for part, key in zip((distribution, bijector), _OWN, strict=True):
        own = condition.get(key)
        if own is not None and not isinstance(own, Mapping):
            raise TypeError(message(f"{key} must be a mapping", **{key: own}))
        found.append({**accepted(part, plain, (distribution, bijector)), **part._conditions(dict(own or {}))})
    return found[0], found[1]
