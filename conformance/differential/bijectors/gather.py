"""Gather: the draws of each family, what explains failures, and what makes a run red."""

from __future__ import annotations

import re
from collections import Counter
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnspec_conformance.expectation import forget
from differential.judge import Verdict
from differential.known import explanation, known, not_as_listed

from .draw import draw
from .judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from differential.known import Known

    from .draw import Draw, Family

    Makers = Mapping[str, Callable[[], Any]]

__all__ = ["KNOWN", "explained", "listed", "merged", "out_of_place", "run"]

KNOWN = Path(__file__).with_name("known.toml")
"""The known failures."""

_PROBES = 10_000_000
_LISTED = 20
# How many draws of a family each other backend gets.
_SOME = 30


def listed(original: str) -> list[Known]:
    """List the known failures of a family on a substrate, ``"FAMILY on SUBSTRATE"``."""
    return known(original, KNOWN)


def explained(failures: Sequence[Known], options: Mapping[str, Any], side: Mapping[str, Any]) -> list[str]:
    """Name the known failures that explain a side.

    Parameters
    ----------
    failures : sequence of Known
        Those of the original.
    options : mapping
        Those of the draw.
    side : mapping
        As :func:`judge` returns it.

    Returns
    -------
    list of str
        Empty if an exception or a quantity that is off is not explained.
    """
    there = [failure for failure in failures if failure.applies(options)]
    found: dict[str, None] = {}
    for raised in side["raised"]:
        name = next((each.name for each in there if each.raises and re.search(each.raises, raised)), "")
        if not name:
            return []
        found[name] = None
    ratios = {name: inf if ratio is None else ratio for name, ratio in side["ratios"].items()}
    if any(not ratio <= 1.0 for ratio in ratios.values()):
        name = explanation(there, options, Verdict(ratios, {}, False, ""))
        if not name:
            return []
        found.update(dict.fromkeys(name.split(" and ")))
    return list(found)


class _Count:
    """What is kept of a side's draws."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {
            "configurations": 0,
            "agree": 0,
            "narrow": 0,
            "silent": 0,
            "known": 0,
            "missed_count": 0,
            "missed": [],
        }
        self.names: Counter[str] = Counter()
        self.worst: dict[str, float] = {}

    def enter(self, found: Draw, side: Mapping[str, Any], names: Sequence[str]) -> None:
        """Count one draw."""
        kept = self.kept
        kept["configurations"] += 1
        kept["narrow"] += bool(side["narrow"])
        if side["agrees"]:
            kept["agree"] += 1
            kept["silent"] += bool(side["silent"])
            for name, ratio in side["ratios"].items():
                self.worst[name] = max(self.worst.get(name, 0.0), round(ratio, 4))
        elif names:
            kept["known"] += 1
            self.names.update(names)
        else:
            kept["missed_count"] += 1
            if len(kept["missed"]) < _LISTED:
                case = {"number": found.number, "options": dict(found.options)}
                kept["missed"].append({**case, **{key: side[key] for key in ("ratios", "errors", "raised")}})

    def plain(self) -> dict[str, Any]:
        """Return plain data."""
        return {**self.kept, "worst": self.worst, "explained": dict(self.names)}


def run(
    name: str, family: Family, count: int, seed: int, theirs: Makers, ours: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any]:
    """Judge draws of a family.

    Parameters
    ----------
    name : str
        Of the family.
    family : Family
        What it draws from.
    count, seed : int
        How many draws, and which.
    theirs : mapping
        Substrate to what makes a side.
    ours : mapping
        Backend to what makes a side for a dtype; the first runs every draw, the others some.

    Returns
    -------
    dict
        ``ours`` and ``theirs``: backend or substrate to counts, worst ratios and failures; ``probes``.
    """
    failures = {substrate: listed(f"{name} on {substrate}") for substrate in theirs}
    sides = {substrate: make() for substrate, make in theirs.items()}
    counts = {kind: {each: _Count() for each in makers} for kind, makers in (("ours", ours), ("theirs", theirs))}
    for number in range(count):
        found = draw(name, family, seed, number)
        for place, (backend, make) in enumerate(ours.items()):
            if place == 0 or number < _SOME:
                side = make(found.dtype)
                counts["ours"][backend].enter(found, judge(found, side, side.grade(found)), [])
        for substrate, side in sides.items():
            verdict = judge(found, side, side.grade(found))
            counts["theirs"][substrate].enter(found, verdict, explained(failures[substrate], found.options, verdict))
        forget()
    probes = [
        _probe(name, family, seed, substrate, sides[substrate], failure, place)
        for substrate, several in failures.items()
        for place, failure in enumerate(several)
    ]
    plain = {kind: {each: kept.plain() for each, kept in several.items()} for kind, several in counts.items()}
    return {**plain, "probes": probes}


def _probe(
    name: str, family: Family, seed: int, substrate: str, side: Any, failure: Known, place: int
) -> dict[str, Any]:
    """Try a known failure where it must appear."""
    found = draw(name, family, seed, _PROBES + (place if failure.draw is None else failure.draw), failure.forced)
    verdict = judge(found, side, side.grade(found))
    forget()
    beyond = [key for key, ratio in verdict["ratios"].items() if ratio is None or ratio > 1.0]
    return {
        "name": failure.name,
        "substrate": substrate,
        "version": failure.version,
        "what": failure.what,
        "reference": failure.reference,
        "appears": bool(explained([failure], found.options, verdict)),
        "raised": verdict["raised"],
        "ratios": {key: verdict["ratios"][key] for key in beyond},
        "errors": {key: verdict["errors"].get(key) for key in beyond},
    }


def out_of_place(found: Mapping[str, Any]) -> list[str]:
    """List what makes a run red.

    Parameters
    ----------
    found : mapping
        ``version``, and ``families``: name to what :func:`run` returns.

    Returns
    -------
    list of str
        Draws in which we are out of our bound, or TFP is out of its own and no entry says why; entries that do not
        appear in their probe, or are of another release.
    """
    lines = []
    for name, family in found["families"].items():
        for backend, side in family["ours"].items():
            if side["missed_count"]:
                lines.append(f"{name}: bnspec on {backend} misses its bound {side['missed_count']} times")
        for substrate, side in family["theirs"].items():
            if side["missed_count"]:
                lines.append(f"{name}: {side['missed_count']} failures of TFP on {substrate} are not in the list")
        for probe in family["probes"]:
            lines += not_as_listed(f"{name} on {probe['substrate']}", [probe], found["version"])
    return lines


def merged(results: Sequence[Mapping[str, Any]], order: Iterable[str]) -> dict[str, Any]:
    """Put the families of several runs together.

    Parameters
    ----------
    results : sequence of mapping
        At least one; of a family in several of them, the last counts.
    order : iterable of str
        All families.

    Returns
    -------
    dict
        ``version``, ``seed``, ``families``, and ``count``, the least number of draws of any family.

    Raises
    ------
    ValueError
        If they are of several releases or seeds.
    """
    shared: dict[str, Any] = {"count": min(found["count"] for found in results)}
    for key in ("version", "seed"):
        values = {found[key] for found in results}
        if len(values) > 1:
            raise ValueError(f"{key} must be the same for all families. Got {sorted(values)}: run all again.")
        shared[key] = values.pop()
    families = {name: family for found in results for name, family in found["families"].items()}
    return {**shared, "families": {name: families[name] for name in order if name in families}}
