"""The generated section of docs/differential-bijectors.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bnspec_conformance.report.document import section, table
from differential.page import Page, known_failures, largest, off

from .gather import out_of_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["PAGE", "SECTION", "made"]

SECTION = "differential-bijectors"
_COMMAND = "nox -s differential -- bijectors --keep"
_FACTS = ("min_event_ndims", "event_ndims", "event_shape", "batch_shape")


def _figures(probe: Mapping[str, Any]) -> str:
    """Say what is seen in a probe: exceptions, and by how much a quantity is off."""
    parts = [f"`{text.split(': ')[1]}` in {text.split(': ')[0]}" for text in probe["raised"][:1]]
    for name, ratio in probe["ratios"].items():
        error = probe["errors"][name]
        if name.startswith("dtype of"):
            parts.append(f"another {name}")
        elif ratio is None:
            parts.append(f"{name} is not finite" if "log" in name or "derivative" in name else f"another {name}")
        else:
            parts.append(off(name, error, ratio))
    return "; ".join(parts)


def _sides(family: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    found = [(f"TFP on {substrate}", side) for substrate, side in family["theirs"].items()]
    return found + [(f"bnspec on {backend}", side) for backend, side in family["ours"].items()]


def _counts(result: Mapping[str, Any]) -> str:
    rows = []
    for name, family in result["families"].items():
        for who, side in _sides(family):
            counted = [side[key] for key in ("configurations", "agree", "silent", "narrow", "known", "missed_count")]
            rows.append([name, who, *counted, largest(side["worst"])])
    head = ("family", "who", "draws", "agree", "of them, no promise somewhere", "a log-det to be broadcast", "known")
    return table([*head, "misses", "closest to its bound"], rows, names=2)


def _quantities(result: Mapping[str, Any]) -> str:
    """Tell the worst of both sides, by family and quantity."""
    rows = []
    for name, family in result["families"].items():
        columns: list[dict[str, float]] = [{}, {}]
        for place, kind in enumerate(("theirs", "ours")):
            for side in family[kind].values():
                for quantity, ratio in side["worst"].items():
                    columns[place][quantity] = max(columns[place].get(quantity, 0.0), ratio)
        for quantity in columns[1]:
            if quantity not in _FACTS:
                each = [f"{column[quantity]:.2f}" if quantity in column else "-" for column in columns]
                rows.append([name, quantity, *each])
    return table(("family", "quantity", "TFP", "bnspec"), rows, names=2)


def _known(result: Mapping[str, Any]) -> str:
    rows = []
    for name, family in result["families"].items():
        for probe in family["probes"]:
            count = family["theirs"][probe["substrate"]]["explained"].get(probe["name"], 0)
            where = f"{name} on {probe['substrate']}"
            rows.append([probe["name"], where, probe["what"], count, _figures(probe), probe["reference"]])
    return known_failures("where", "in the probe", rows)


def made(result: Mapping[str, Any]) -> str:
    """Render the section.

    Parameters
    ----------
    result : mapping
        What is kept of a run.

    Returns
    -------
    str
        Markdown with its markers.
    """
    seconds = sum(family["seconds"] for family in result["families"].values())
    counted = (
        f"{result['version']}, seed {result['seed']}: {result['count']} draws of each family or more, in "
        f"{seconds / 60:.0f} minutes. An error is given as a fraction of its bound: within it, at most 1. bnspec runs "
        "all draws on NumPy, and the first ones on the other backends."
    )
    parts = [counted, _counts(result), "### Known failures", _known(result)]
    explained = "The worst errors as fractions of their bounds, of TFP where no known failure is in the way."
    return section(SECTION, _COMMAND, [*parts, "### Quantities", explained, _quantities(result)])


def _lines(result: Mapping[str, Any]) -> Iterable[str]:
    for name, family in result["families"].items():
        for who, side in _sides(family):
            yield (
                f"{name}, {who}: {side['configurations']} draws, {side['agree']} agree, {side['known']} known, "
                f"{side['missed_count']} miss"
            )
            for case in side["missed"]:
                yield f"  {json.dumps(case)}"


PAGE = Page("differential-bijectors", SECTION, made, _lines, out_of_place)
"""The page on bijectors and distributions."""
