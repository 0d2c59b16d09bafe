"""The result of a run as plain data, and its file."""

from __future__ import annotations

import json
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["OUTCOMES", "save", "summarize", "write"]

OUTCOMES = ("passed", "failed", "known", "skipped")
"""How a trial ends; a failure that is on a list is known."""


def summarize(trials: list[dict[str, Any]], absent: dict[str, str]) -> dict[str, Any]:
    """Count outcomes per subject and group.

    Parameters
    ----------
    trials : list of dict
        As the collector makes them.
    absent : dict of str
        The backends that are not present, each with the reason.

    Returns
    -------
    dict
        The content of ``results.json``.
    """
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for trial in trials:
        cell = cells.setdefault(trial["subject"], {}).setdefault(
            trial["group"], {**dict.fromkeys(OUTCOMES, 0), "worst": None}
        )
        cell[trial["outcome"]] += 1
        if trial["worst"] is not None:
            cell["worst"] = max(cell["worst"] or 0.0, trial["worst"])
    skips: dict[str, Counter[str]] = {}
    for trial in trials:
        if trial["outcome"] == "skipped":
            skips.setdefault(trial["subject"], Counter())[trial["reason"]] += 1
    outcomes = Counter(trial["outcome"] for trial in trials)
    return {
        "bnspec": version("bnspec"),
        "summary": {name: outcomes[name] for name in OUTCOMES},
        "table": cells,
        "skips": {subject: dict(reasons) for subject, reasons in skips.items()},
        "absent": absent,
        "trials": trials,
    }


def write(found: dict[str, Any], folder: str) -> Path:
    """Write ``results.json``, whole or not at all.

    Parameters
    ----------
    found : dict
        As of :func:`summarize`.
    folder : str
        Made if it is not there.

    Returns
    -------
    pathlib.Path
        The file.
    """
    return save(found, Path(folder) / "results.json")


def save(found: dict[str, Any], path: Path) -> Path:
    """Write a result, whole or not at all.

    Parameters
    ----------
    found : dict
        As of :func:`summarize`, and more.
    path : pathlib.Path
        The file; its folder is made.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.partial")
    # JSON has no infinity; an error beyond all bounds is written as a string.
    draft.write_text(json.dumps(_finite(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)
    return path


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return value
