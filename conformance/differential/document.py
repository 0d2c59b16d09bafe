"""The generated section of docs/differential.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec_conformance.report.document import section, table

from .variables.gather import KNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SECTION", "made"]

SECTION = "differential"
_COMMAND = "nox -s differential -- --keep"
_BACKENDS = ("numpy", "array-api-strict", "torch", "jax", "tensorflow")


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _largest(ratios: Mapping[str, float]) -> str:
    """Name the quantity that comes closest to its bound."""
    if not ratios:
        return "-"
    name = max(ratios, key=lambda each: ratios[each])
    return f"{_ratio(ratios[name])} ({name})"


def _figures(probe: Mapping[str, Any]) -> str:
    """Say by how much each quantity is off, in the probe."""
    if probe["raised"]:
        return f"`{probe['raised'].partition(':')[0]}`"
    nan = [name for name, ratio in probe["ratios"].items() if ratio is None]
    off = {name: error for name, error in probe["errors"].items() if error is not None and name not in nan}
    parts = [f"NaN in {', '.join(nan)}"] if nan else []
    parts += [f"{name} off by {error:.1e}, {probe['ratios'][name]:.0e} bounds" for name, error in off.items()]
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
                _largest(each["worst_original"]),
                each["ours_missed_count"],
                _largest(each["worst_ours"]),
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
                found = _figures(probe)
                rows[probe["name"]] = [
                    f"`{probe['name']}`",
                    name,
                    probe["what"],
                    probe["configurations"],
                    found,
                    probe["reference"],
                ]
    head = ("name", "originals", "what happens", "draws", "in the probe of the first", "reference")
    return table(head, rows.values(), names=6)


def _arguments(result: Mapping[str, Any]) -> str:
    rows = []
    for argument, row in {**result["arguments"], **result["variables"]["rows"]}.items():
        order = [name for name in _BACKENDS if name in row["backends"]]
        backends = ", ".join(f"{name} {row['backends'][name]}" for name in order)
        originals = ", ".join(f"{name} {count}" for name, count in row["originals"].items())
        rows.append([argument, backends, originals, _ratio(row["ours"]), _ratio(row["original"])])
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
