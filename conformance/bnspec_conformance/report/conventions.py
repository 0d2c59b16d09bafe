"""The page on the named conventions, made from their records and from what was measured on releases.

``python -m bnspec_conformance.report.conventions`` writes it.
"""

from __future__ import annotations

import argparse
import ast
import sys
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnspec.conventions import ALL

from .document import kept, rewrite, section, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bnspec.conventions import Convention

__all__ = ["SECTION", "described", "made", "main"]

SECTION = "conventions"
_NUMBERS = ("axis", "momentum", "momentum_weighs", "epsilon", "initial_variance", "average")
_STATISTICS = ("running_variance", "normalizing_variance", "statistics", "one_element", "empty_batch")
_REST = ("mask", "ghost_grouping", "ghost_update", "sync", "state_dtype", "output_dtype", "freeze")


def described() -> dict[str, str]:
    """Read what stands below each named value in its module.

    Returns
    -------
    dict
        The text by name, one paragraph a line.
    """
    found = {}
    for file in resources.files("bnspec.conventions").iterdir():
        if file.name.endswith(".py"):
            body = ast.parse(file.read_text(encoding="utf-8")).body
            for statement, below in pairwise(body):
                text = below.value if isinstance(below, ast.Expr) else None
                if isinstance(statement, ast.Assign) and isinstance(text, ast.Constant):
                    (target,) = statement.targets
                    paragraphs = str(text.value).strip().split("\n\n")
                    found[ast.unparse(target)] = "\n".join(" ".join(part.split()) for part in paragraphs)
    return found


def made(rows: Sequence[dict[str, Any]]) -> str:
    """Render the section.

    Parameters
    ----------
    rows : sequence of dict
        What was measured: the convention, the library with its version, the scenarios, the departures.

    Returns
    -------
    str
        Markdown, from the first marker to the last.
    """
    texts = described()
    parts = ["## Averages", _fields(_NUMBERS), "## Statistics", _fields(_STATISTICS)]
    parts += ["## Weights, ghost batches, replicas, dtypes, freezing", _fields(_REST)]
    parts += ["## Where the values are from", table(["convention", "source", "measured on"], _sources(rows), names=3)]
    parts += ["## What departs from them in the releases", "\n".join(_departures(rows)), "## Notes"]
    for value in ALL:
        parts += [f"### {value.name}", texts[value.name].replace("``", "`").replace("\n", "\n\n")]
    return section(SECTION, "python -m bnspec_conformance.report.conventions", parts)


def _fields(names: Sequence[str]) -> str:
    rows = [[f"`{value.name}`", *(getattr(value, name) for name in names)] for value in ALL]
    return table(["convention", *(f"`{name}`" for name in names)], rows, names=len(names) + 1)


def _sources(rows: Sequence[dict[str, Any]]) -> Iterable[list[str]]:
    for value in ALL:
        measured = [f"{row['library']}: {', '.join(row['scenarios'])}" for row in _of(value, rows)]
        yield [f"`{value.name}`", value.source, "; ".join(measured) or "nothing: read from source"]


def _departures(rows: Sequence[dict[str, Any]]) -> Iterable[str]:
    for value in ALL:
        texts: dict[str, list[str]] = {}
        for row in _of(value, rows):
            for scenario, text in row["departures"].items():
                texts.setdefault(f"{text} ({row['library']})", []).append(scenario)
        for text, scenarios in texts.items():
            yield f"- `{value.name}`, {', '.join(scenarios)}: {text}."


def _of(value: Convention, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["convention"] == value.name]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the section.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(prog="bnspec_conformance.report.conventions", description="Write the page.")
    parser.add_argument("--results", type=Path, default=Path("docs/results/conventions.json"), help="what is kept")
    parser.add_argument("--document", type=Path, default=Path("docs/conventions.md"), help="what has the section")
    options = parser.parse_args(arguments)
    rewrite(options.document, SECTION, made(kept(options.results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
