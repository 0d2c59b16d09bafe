"""What is kept of a run: counts, failures and figures, by original and by argument."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from .arguments import ARGUMENTS
from .judge import Verdict
from .known import explanation, not_as_listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .known import Known

__all__ = ["arguments", "out_of_place", "summary"]

# How many failures are listed in full.
_LISTED = 20


def _worst(ratios: Iterable[Mapping[str, float | None]]) -> dict[str, float]:
    """Return the largest ratio of each quantity."""
    worst: dict[str, float] = {}
    for found in ratios:
        for name, ratio in found.items():
            if ratio is not None:
                worst[name] = max(worst.get(name, 0.0), ratio)
    return {name: round(value, 4) for name, value in worst.items()}


def _case(result: Mapping[str, Any], side: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Describe a draw with which a side failed."""
    kept = ("number", "options", "shapes", "epsilon", "take", "mean", "deviation")
    return {"who": who, **{name: result[name] for name in kept}, **{k: side[k] for k in ("ratios", "errors", "raised")}}


def _known(failures: list[Known], result: Mapping[str, Any]) -> str:
    """Name the known failures that explain what an original did; empty if it agrees, and if none does."""
    side = result["original"]
    if side["agrees"]:
        return ""
    ratios, errors = ({k: inf if v is None else v for k, v in side[kind].items()} for kind in ("ratios", "errors"))
    return explanation(failures, result["options"], Verdict(ratios, errors, side["silent"], side["raised"]))


def summary(run: Mapping[str, Any], failures: list[Known]) -> dict[str, Any]:
    """Sum up what a worker found.

    Parameters
    ----------
    run : mapping
        As ``differential.worker`` writes it.
    failures : list of Known
        Those of the original.

    Returns
    -------
    dict
        Plain data.
    """
    results = run["results"]
    agree = [each for each in results if each["original"]["agrees"]]
    names = [_known(failures, each) for each in results]
    explained = [name.split(" and ") for name in names if name]
    missed = [each for each, name in zip(results, names, strict=True) if not each["original"]["agrees"] and not name]
    ours = [(each, name, side) for each in results for name, side in each["ours"].items() if "missing" not in side]
    wrong = [_case(each, side, f"bnspec on {name}") for each, name, side in ours if not side["agrees"]]
    probes = []
    for probe in run["probes"]:
        count = sum(probe["name"] in each for each in explained)
        beyond = {k: v for k, v in probe["ratios"].items() if v is None or v > 1.0}
        figures = {k: probe["errors"].get(k) for k in beyond}
        kept = {k: probe[k] for k in ("name", "what", "reference", "version", "appears", "raised")}
        probes.append({**kept, "configurations": count, "errors": figures, "ratios": beyond})
    return {
        "version": run["version"],
        "algorithm": run["algorithm"],
        "seconds": run["seconds"],
        "configurations": len(results),
        "agree": len(agree),
        "silent": sum(each["original"]["silent"] for each in agree),
        "known": len(explained),
        "missed": [_case(each, each["original"], "original") for each in missed][:_LISTED],
        "missed_count": len(missed),
        "ours": {name: sum(n == name for _, n, _ in ours) for name in sorted({n for _, n, _ in ours})},
        "ours_missed": wrong[:_LISTED],
        "ours_missed_count": len(wrong),
        "worst_original": _worst(each["original"]["ratios"] for each in agree),
        "worst_ours": _worst(side["ratios"] for _, _, side in ours),
        "probes": probes,
    }


def arguments(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Gather, for each argument, who was tried with it, how often, and how far off.

    Parameters
    ----------
    runs : mapping
        The original's name to what its worker found.

    Returns
    -------
    dict
        Argument to ``backends``, ``originals`` (configurations in which both sides were judged), ``ours`` and
        ``original``: the worst error as a fraction of the bound, known failures of the original left out.
    """
    table: dict[str, Any] = {}
    for argument in ARGUMENTS:
        backends: dict[str, int] = {}
        originals: dict[str, int] = {}
        ours = original = 0.0
        for name, run in runs.items():
            for each in run["results"]:
                if argument not in each["arguments"]:
                    continue
                originals[name] = originals.get(name, 0) + 1
                if each["original"]["agrees"]:
                    original = max(original, *_finite(each["original"]))
                for backend, side in each["ours"].items():
                    if "missing" not in side:
                        backends[backend] = backends.get(backend, 0) + 1
                        ours = max(ours, *_finite(side))
        table[argument] = {
            "backends": backends,
            "originals": originals,
            "ours": round(ours, 4),
            "original": round(original, 4),
        }
    return table


def _finite(side: Mapping[str, Any]) -> list[float]:
    return [0.0, *(ratio for ratio in side["ratios"].values() if ratio is not None)]


def out_of_place(result: Mapping[str, Any]) -> list[str]:
    """List what makes a run red.

    Parameters
    ----------
    result : mapping
        What is kept.

    Returns
    -------
    list of str
        A failure that is not listed, of either side; a listed one that does not appear, or was found in another
        release; an argument that nothing was tried with.
    """
    lines = []
    for name, each in result["originals"].items():
        if each["missed_count"]:
            lines.append(f"{name}: {each['missed_count']} failures are not in the list")
        if each["ours_missed_count"]:
            lines.append(f"{name}: bnspec misses its bound {each['ours_missed_count']} times")
        lines += not_as_listed(name, each["probes"], each["version"])
    lines += [
        f"nothing was tried with {argument}"
        for argument, row in result["arguments"].items()
        if not row["originals"] or not row["backends"]
    ]
    return lines
