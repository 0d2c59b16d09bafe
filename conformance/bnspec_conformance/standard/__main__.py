"""The command line: run the rows, keep the result, and write the section of the documentation."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bnspec.errors import message, nearest
from bnspec_conformance.report.document import keep, kept, rewrite

from .checkout import find
from .document import SECTION, made, merge
from .suite import EAGER, MODES, NAMESPACES, OUTCOMES, ROWS, Row, run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["chosen", "main"]


def chosen(only: str | None, mode: str | None, functions: str | None) -> tuple[Row, ...]:
    """Choose rows.

    Parameters
    ----------
    only, mode, functions : str or None
        What the rows must have; None takes all.

    Returns
    -------
    tuple of Row
        Those of `ROWS`, or the one that is described in full and is not among them.

    Raises
    ------
    ValueError
        If there is none.
    """
    wanted = (only, mode, functions)
    rows = tuple(row for row in ROWS if all(want in (None, have) for want, have in zip(wanted, row.key, strict=True)))
    if rows:
        return rows
    modes = MODES.get(only or "", (EAGER,))
    if only in NAMESPACES and functions is not None and (mode or EAGER) in modes:
        return (Row(str(only), mode or EAGER, functions),)
    known = only is None or only in NAMESPACES
    cure = nearest(mode or "", modes) if known else nearest(str(only), NAMESPACES)
    raise ValueError(message("There must be such a row", cure, only=only, mode=mode, functions=functions))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run array-api-tests on the namespaces.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        1 where a test failed, 2 where nothing could be run, else 0.
    """
    parser = argparse.ArgumentParser(
        prog="bnspec_conformance.standard", description="Run array-api-tests on the functions that we need."
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="an unmodified checkout of array-api-tests")
    parser.add_argument("--only", metavar="NAMESPACE", help=f"one of {', '.join(NAMESPACES)}")
    parser.add_argument("--mode", help="run the rows of this mode alone")
    parser.add_argument("--functions", choices=("needed", "exported"), help="run the rows of these functions alone")
    parser.add_argument(
        "--max-examples",
        type=int,
        metavar="N",
        help="examples for each test; at another number than the row's own, an expected failure may pass",
    )
    parser.add_argument("--suite-commit", metavar="COMMIT", help="of array-api-tests, where PATH is no git checkout")
    parser.add_argument("--standard-commit", metavar="COMMIT", help="of array-api, where PATH is no git checkout")
    parser.add_argument("--report", type=Path, default=Path("array-api-report"), help="the outcomes of all tests")
    parser.add_argument("--results", type=Path, default=Path("docs/results/array_api.json"), help="what is kept")
    parser.add_argument("--document", type=Path, default=Path("docs/backends.md"), help="what has the section")
    parser.add_argument("--render", action="store_true", help="run nothing; make the section from what is kept")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    failed = 0
    try:
        if options.render:
            rewrite(options.document, SECTION, made(kept(options.results) or []))
            return 0
        checkout = find(options.path, options.suite_commit, options.standard_commit)
        for row in chosen(options.only, options.mode, options.functions):
            examples = options.max_examples or row.examples
            found = run(changed(row, examples=examples), checkout, strict=examples == row.examples)
            keep(options.report / f"{row.slug}-{row.functions}.json", [found])
            rows = merge(kept(options.results) or [], found)
            keep(options.results, rows)
            rewrite(options.document, SECTION, made(rows))
            counts = ", ".join(f"{found[name]} {name}" for name in OUTCOMES)
            console.print(f"{', '.join(row.key)}, {examples} examples: {counts}, {found['seconds']} s", markup=False)
            for test, line in found["failures"].items():
                console.print(f"  {test}: {line}", markup=False)
            failed += found["failed"]
    except (OSError, RuntimeError, ValueError) as error:
        console.print(f"error: {error}", markup=False)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
