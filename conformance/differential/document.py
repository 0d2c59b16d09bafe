"""The generated section of docs/differential.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bnspec_conformance.report.document import section, table

from .page import BACKENDS, Page, known_failures, largest, off
from .summary import out_of_place as layers_out_of_place
from .variables.gather import KNOWN
from .variables.gather import out_of_place as variables_out_of_place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["PAGE", "SECTION", "made"]

SECTION = "differential"
_COMMAND = "nox -s differential -- --keep"


def _figures(probe: Mapping[str, Any]) -> str:
    """Say by how much each quantity is off, in the probe."""
    if probe["raised"]:
        return f"`{probe['raised'].partition(':')[0]}`"
    nan = [name for name, ratio in probe["ratios"].items() if ratio is None]
    beyond = {name: error for name, error in probe["errors"].items() if error is not None and name not in nan}
    parts = [f"NaN in {', '.join(nan)}"] if nan else []
    parts += [off(name, error, probe["ratios"][name]) for name, error in beyond.items()]
    return "; ".join(parts)


def _counts(result: Mapping[str, Any]) -> str:
    rows = []
    for name, each in result["originals"].items():
        rows.append(
            [
                name,
                each["version"],
                each["algorithm"],
                each["configurations"],
                each["agree"],
                each["silent"],
                each["missed_count"],
                each["known"],
                largest(each["worst_original"]),
                each["ours_missed_count"],
                largest(each["worst_ours"]),
                f"{each['seconds']:.0f}",
            ]
        )
    head = ("original", "release", "algorithm", "draws", "agree", "of them, no promise somewhere", "misses", "known")
    return table([*head, "closest to its bound", "bnspec misses", "bnspec's closest", "seconds"], rows, names=3)


def _known(result: Mapping[str, Any]) -> str:
    rows: dict[str, list[Any]] = {}
    for name, each in result["originals"].items():
        for probe in each["probes"]:
            if probe["name"] in rows:
                rows[probe["name"]][1] += f", {name}"
                rows[probe["name"]][3] += probe["configurations"]
            else:
                seen = [probe["configurations"], _figures(probe), probe["reference"]]
                rows[probe["name"]] = [probe["name"], name, probe["what"], *seen]
    return known_failures("originals", "in the probe of the first", rows.values())


def _arguments(result: Mapping[str, Any]) -> str:
    rows = []
    for argument, row in {**result["arguments"], **result["variables"]["rows"]}.items():
        order = [name for name in BACKENDS if name in row["backends"]]
        backends = ", ".join(f"{name} {row['backends'][name]}" for name in order)
        originals = ", ".join(f"{name} {count}" for name, count in row["originals"].items())
        rows.append([argument, backends, originals, f"{row['ours']:.2f}", f"{row['original']:.2f}"])
    head = ("argument", "backends, and draws on each", "originals, and draws against each", "bnspec", "original")
    return table(head, rows, names=3)


def _variables(probes: Sequence[Mapping[str, Any]]) -> str:
    """List what is wrong with variables: one row for each entry."""
    rows = []
    for entry in KNOWN:
        seen = [probe for probe in probes if probe["name"] == entry["name"]]
        figures = dict.fromkeys(f"{probe['object']}: {probe['seen']}" for probe in seen)
        rows.append(
            [f"`{entry['name']}`", ", ".join(entry["originals"]), entry["what"], "; ".join(figures), entry["reference"]]
        )
    return table(("name", "originals", "what happens", "in the probe", "reference"), rows, names=5)


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
    seconds = sum(each["seconds"] for each in result["originals"].values())
    draws = sum(each["configurations"] for each in result["originals"].values())
    variables = result["variables"]
    counted = (
        f"Seed {result['seed']}: {draws} draws, {result['count']} for each original, in {seconds / 60:.0f} minutes "
        "of processes, some of them at the same time. An error is given as a fraction of its bound: within it, at most "
        "1."
    )
    explained = (
        "Draws in which the argument is not its default. The last columns are the worst errors as fractions of their "
        "bounds, of bnspec on all these backends, and of the originals where no known failure is in the way. From "
        f"{next(iter(variables['rows']))} on, the arguments decide about variables alone; they have "
        f"{variables['draws']} draws of their own ({variables['seconds']:.0f} s), of the layer as a whole: a constant "
        "must be there to the bit, random numbers follow their distribution, penalties and projections keep to the "
        "bound of their formula, and a name is kept."
    )
    parts = [counted, _counts(result), "### Known failures", _known(result)]
    parts += ["With variables, always in float64:", _variables(variables["probes"])]
    parts += ["### Arguments", explained, _arguments(result)]
    return section(SECTION, _COMMAND, parts)


def _lines(result: Mapping[str, Any]) -> Iterable[str]:
    for name, each in result["originals"].items():
        yield (
            f"{name} ({each['version']}): {each['configurations']} draws, {each['agree']} agree "
            f"({each['silent']} of them with a bound that promises nothing somewhere), {each['missed_count']} miss, "
            f"{each['known']} known; bnspec misses {each['ours_missed_count']}; {each['seconds']:.0f} s"
        )
        for case in (*each["missed"], *each["ours_missed"]):
            yield f"  {json.dumps(case)}"


def _out_of_place(result: Mapping[str, Any]) -> list[str]:
    wrong = layers_out_of_place(result)
    if result["variables"] is None:  # some originals alone do not have every argument
        return [line for line in wrong if not line.startswith("nothing was tried")]
    return wrong + variables_out_of_place(result["variables"])


PAGE = Page("differential", SECTION, made, _lines, _out_of_place)
"""The page on layers."""
