"""The laws in every mode of a backend.

``python -m bnspec_conformance.modes`` tries every law on every case in every mode, keeps the counts, makes their table
in the documentation, and exits with 1 where a law is broken.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import bnspec

from .checks import Checks, LawBroken
from .definition import OUTSIDE
from .laws import trials
from .report.document import keep, kept, rewrite, section, table
from .subjects import backend_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SECTION", "made", "main", "rows_of", "tried"]

SECTION = "modes"
DIFFERENTIATES = frozenset({"autodiff", "hessian_vector_product"})


def rows_of(backend: str) -> list[tuple[str, str]]:
    """List what is tried on a backend.

    Parameters
    ----------
    backend : str
        A backend, as ``bnspec.backend`` takes it.

    Returns
    -------
    list of tuple
        The mode, empty for at once, and where the tape is.
    """
    modes = ["", *bnspec.backend(backend).modes()]
    return [(mode, "inside") for mode in modes] + [(mode, "outside") for mode in modes if mode]


def tried(backend: str, mode: str, tape: str) -> dict[str, Any]:
    """Try the laws in one mode.

    Parameters
    ----------
    backend, mode : str
        As of :func:`backend_subject`.
    tape : {"inside", "outside"}
        With the tape outside, the laws about what a framework differentiates; with the tape inside, all laws.

    Returns
    -------
    dict
        Counts, the worst error as a fraction of its bound, the reasons of the skips, and what was broken.
    """
    outside = tape == "outside"
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    broken: dict[str, str] = {}
    worst = 0.0
    for trial in trials(backend_subject(backend, mode + OUTSIDE if outside else mode)):
        if outside and not trial.law.requires & DIFFERENTIATES:
            continue
        if trial.missing:
            counts["skipped"] += 1
            reasons[trial.missing] += 1
            continue
        checks = Checks()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                trial.run(checks)
        except LawBroken as error:
            broken[trial.id] = str(error)
        except Exception as error:  # noqa: BLE001 - to raise on valid input breaks a law too
            broken[trial.id] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        else:
            counts["passed"] += 1
        worst = max(worst, checks.worst or 0.0)
    return {
        "backend": backend,
        "version": bnspec.backend(backend).version,
        "mode": mode or "eager",
        "tape": tape,
        "passed": counts["passed"],
        "failed": len(broken),
        "skipped": counts["skipped"],
        "worst": round(worst, 2),
        "reasons": dict(reasons),
        "broken": broken,
    }


def made(rows: Sequence[dict[str, Any]]) -> str:
    """Render the section.

    Parameters
    ----------
    rows : sequence of dict
        As of :func:`tried`.

    Returns
    -------
    str
        Markdown.
    """
    numbers = ("passed", "failed", "skipped", "worst")
    head = ("backend", "mode", "tape", *numbers)
    cells = [(f"`{row['backend']}`", row["mode"], row["tape"], *(row[name] for name in numbers)) for row in rows]
    parts = [table(head, cells, names=3)]
    reasons = sorted({reason for row in rows for reason in row["reasons"]})
    if reasons:
        parts += ["Skipped, with the declared reason:", "\n".join(f"- {reason}" for reason in reasons)]
    parts += ["\n".join(f"- `{row['backend']}` is {row['version']}." for row in rows[:1])]
    broken = [f"- `{test}`: `{line}`" for row in rows for test, line in row["broken"].items()]
    return section(SECTION, "nox -s modes", [*parts, *(["\n".join(broken)] if broken else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Try every mode of a backend.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        1 where a law is broken, else 0.
    """
    parser = argparse.ArgumentParser(prog="bnspec_conformance.modes", description="Try the laws in every mode.")
    parser.add_argument("--backend", default="tensorflow", help="a backend that has modes")
    parser.add_argument("--mode", help="this mode alone; the other rows stay")
    parser.add_argument("--results", type=Path, default=Path("docs/results/modes.json"), help="what is kept")
    parser.add_argument("--document", type=Path, default=Path("docs/backends.md"), help="what has the section")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    order = rows_of(options.backend)
    rows = {(row["mode"], row["tape"]): row for row in kept(options.results) or []}
    failed = 0
    for mode, tape in order:
        if options.mode not in (None, mode or "eager"):
            continue
        row = tried(options.backend, mode, tape)
        rows[row["mode"], tape] = row
        console.print(f"{row['mode']}, tape {tape}: {row['passed']} passed, {row['failed']} failed", markup=False)
        for test, line in row["broken"].items():
            console.print(f"  {test}: {line}", markup=False)
        failed += row["failed"]
        ordered = [rows[mode or "eager", tape] for mode, tape in order if (mode or "eager", tape) in rows]
        keep(options.results, ordered)
        rewrite(options.document, SECTION, made(ordered))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
