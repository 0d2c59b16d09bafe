"""The table of conversions between the named conventions, found by trying each.

``python -m bnspec_conformance.conversions docs/convert.md`` writes it into the documentation.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import bnspec
from bnspec.conventions import ALL

from .report.document import rewrite, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.conventions import Convention

__all__ = ["SECTION", "classes", "made", "main", "needed"]

SECTION = "conversions"

_COUNT = 5
_BATCHES = np.random.default_rng(29).normal(2.0, 3.0, (3, _COUNT, 2))


def classes() -> list[list[Convention]]:
    """Sort the named conventions by what their averages hold.

    Returns
    -------
    list of list of Convention
        Each list has one kind of average, one estimator and one initial variance.
    """
    found: dict[tuple[str, str, float], list[Convention]] = {}
    for convention in ALL:
        key = (_kind(convention), convention.running_variance, convention.initial_variance)
        found.setdefault(key, []).append(convention)
    return list(found.values())


def needed(source: Convention, target: Convention) -> str:
    """Try what a conversion of statistics needs after several batches.

    Parameters
    ----------
    source, target : Convention
        The two ends.

    Returns
    -------
    str
        "same" where the values are the same to the last bit; "no" where it is refused; else which of n, the number of
        batches, and N, the number of elements of each, it takes.
    """
    spec = bnspec.BatchNorm(axis=-1, convention=source)
    _, state = spec.init(_BATCHES[0].shape, like=_BATCHES)
    params, _ = spec.init(_BATCHES[0].shape, like=_BATCHES)
    for batch in _BATCHES:
        _, state = spec.apply(params, state, batch, training=True)
    for names in ((), ("n",), ("N",), ("n", "N")):
        given = state if "n" in names else state._replace(num_batches=None)
        count = _COUNT if "N" in names else None
        try:
            found = bnspec.convert(given, spec, target, keep="statistics", count=count).state
        except ValueError:
            continue
        if names:
            return ", ".join(names)
        same = all(np.array_equal(getattr(found, name), getattr(state, name)) for name in state._fields[:2])
        return "same" if same else "changed"
    return "no"


def made() -> str:
    """Render the section.

    Returns
    -------
    str
        Markdown, from the first marker to the last.
    """
    groups = classes()
    letters = [chr(ord("A") + index) for index in range(len(groups))]
    kinds = [
        (letter, _kind(group[0]), group[0].running_variance, f"{group[0].initial_variance:g}", _names(group))
        for letter, group in zip(letters, groups, strict=True)
    ]
    rows = [
        (f"from {letter}", *(needed(source[0], target[0]) for target in groups))
        for letter, source in zip(letters, groups, strict=True)
    ]
    parts = [
        table(("", "average", "running variance", "starts at", "conventions"), kinds, names=5),
        table(("", *(f"to {letter}" for letter in letters)), rows, names=len(letters) + 1),
    ]
    return section(SECTION, "python -m bnspec_conformance.conversions docs/convert.md", parts)


def _kind(convention: Convention) -> str:
    return "cumulative" if convention.momentum is None else convention.average


def _names(group: Sequence[Convention]) -> str:
    return ", ".join(f"`{convention.name}`" for convention in group)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the section into a document.

    Parameters
    ----------
    arguments : sequence of str, optional
        The path of the document.

    Returns
    -------
    int
        0.
    """
    (name,) = sys.argv[1:] if arguments is None else arguments
    rewrite(Path(name), SECTION, made())
    return 0


if __name__ == "__main__":
    sys.exit(main())
