"""Which named convention comes nearest to what was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bnspec.conventions import ALL, Convention

from ._result import Difference, Nearness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._result import Observation

__all__ = ["FIELDS", "built", "ranked"]

FIELDS = tuple(name for name in Convention.__dataclass_fields__ if name not in ("name", "source"))
"""The fields in which implementations differ."""


def ranked(observations: Sequence[Observation]) -> tuple[Nearness, ...]:
    """Order the named conventions by the number of observed fields in which they differ."""
    found = []
    for named in ALL:
        different = tuple(
            Difference(each.name, each.fits, getattr(named, each.name))
            for each in observations
            if not each.allows(getattr(named, each.name))
        )
        found.append(Nearness(named.name, different))
    return tuple(sorted(found, key=lambda each: len(each.differences)))


def built(observations: Sequence[Observation], nearest: Nearness) -> Convention:
    """Build a convention of what was seen, and of the nearest for the rest."""
    base: Convention = next(each for each in ALL if each.name == nearest.convention)
    name = f"{base.name}-seen" if nearest.differences else base.name
    known = {
        each.name: each.fits[0]
        for each in observations
        if each.known or (each.fits and not each.allows(getattr(base, each.name)))
    }
    values: dict[str, Any] = {"name": name, "source": "seen from the outside", **known}
    return replace(base, **values)
