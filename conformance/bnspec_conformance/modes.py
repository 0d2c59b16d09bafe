"""The laws in every mode of a backend.

``python -m bnspec_conformance.modes`` tries every law on every case in every mode of a backend, keeps the counts beside
those of the other backends, makes their table in the documentation, and exits with 1 where a law is broken.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

import bnspec

from .checks import Checks, LawBroken
from .definition import OUTSIDE
from .flows import flow_trials
from .laws import trials
from .report.document import keep, kept, rewrite, section, table
from .subjects import backend_subject

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FLOWS", "LAYERS", "SECTION", "Row", "made", "main", "rows_of", "tried"]

SECTION = "modes"
LAYERS, FLOWS = "batch normalization", "flows"
DIFFERENTIATES = frozenset({"autodiff", "hessian_vector_product"})


class Row(NamedTuple):
    """What is tried at once.

    Attributes
    ----------
    backend : str
        A backend, as ``bnspec.backend`` takes it.
    mode : str
        One of its modes, or ``"eager"``.
    tape : {"inside", "outside"}
        With the tape outside, the laws about what a framework differentiates; with the tape inside, all laws.
    laws : {"batch normalization", "flows"}
        The laws of layers, or those of bijectors and distributions.
    """

    backend: str
    mode: str
    tape: str
    laws: str


def rows_of(backend: str) -> list[Row]:
    """List what is tried on a backend.

    Parameters
    ----------
    backend : str
        A backend, as ``bnspec.backend`` takes it.

    Returns
    -------
    list of Row
    """
    modes = list(bnspec.backend(backend).modes())
    return [
        *(Row(backend, mode, "inside", LAYERS) for mode in ("eager", *modes)),
        *(Row(backend, mode, "outside", LAYERS) for mode in modes),
        *(Row(backend, mode, "inside", FLOWS) for mode in ("eager", *modes)),
    ]


def tried(row: Row) -> dict[str, Any]:
    """Try the laws of a row.

    Parameters
    ----------
    row : Row
        One of :func:`rows_of`.

    Returns
    -------
    dict
        Its fields; counts, the worst error as a fraction of its bound, the reasons of the skips, and what was broken.
    """
    outside = row.tape == "outside"
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    broken: dict[str, str] = {}
    worst = 0.0
    mode = "" if row.mode == "eager" else row.mode
    subject = backend_subject(row.backend, mode + OUTSIDE if outside else mode)
    every: list[Any] = [*(trials(subject) if row.laws == LAYERS else flow_trials(subject))]
    for trial in every:
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
        **row._asdict(),
        "version": bnspec.backend(row.backend).version,
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
        Each as of :func:`tried`.

    Returns
    -------
    str
        Markdown.
    """
    numbers = ("passed", "failed", "skipped", "worst")
    head = (*Row._fields, *numbers)
    cells = [(f"`{row['backend']}`", *(row[name] for name in head[1:])) for row in rows]
    parts = [table(head, cells, names=len(Row._fields))]
    reasons = sorted({reason for row in rows for reason in row["reasons"]})
    if reasons:
        parts += ["Skipped, with the declared reason:", "\n".join(f"- {reason}" for reason in reasons)]
    versions = {(row["backend"], row["version"]): None for row in rows}
    parts += ["\n".join(f"- `{backend}` is {version}." for backend, version in versions)]
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
    parser.add_argument("--laws", choices=(LAYERS, FLOWS), help="these laws alone; the other rows stay")
    parser.add_argument("--results", type=Path, default=Path("docs/results/modes.json"), help="what is kept")
    parser.add_argument("--document", type=Path, default=Path("docs/backends.md"), help="what has the section")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    order = rows_of(options.backend)
    failed = 0
    for row in order:
        if options.mode not in (None, row.mode) or options.laws not in (None, row.laws):
            continue
        found = tried(row)
        console.print(f"{', '.join(row)}: {found['passed']} passed, {found['failed']} failed", markup=False)
        for test, line in found["broken"].items():
            console.print(f"  {test}: {line}", markup=False)
        failed += found["failed"]
        rows = {_row(other): other for other in kept(options.results) or []}
        rows[row] = found
        others = [other for key, other in rows.items() if key.backend != options.backend]
        ordered = [*others, *(rows[key] for key in order if key in rows)]
        keep(options.results, ordered)
        rewrite(options.document, SECTION, made(ordered))
    return 1 if failed else 0


def _row(found: dict[str, Any]) -> Row:
    return Row(*(found[name] for name in Row._fields))


if __name__ == "__main__":
    sys.exit(main())
