"""The table of a run, drawn from its result."""

from __future__ import annotations

import io
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["render"]


def render(found: dict[str, Any], width: int = 118) -> str:
    """Draw subject by group: passed, failed and skipped, and the worst error as a fraction of its bound.

    Parameters
    ----------
    found : dict
        As ``results.summarize`` gives it.
    width : int
        In characters.

    Returns
    -------
    str
        Text with line ends.
    """
    groups = list(dict.fromkeys(group for cells in found["table"].values() for group in cells))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for group in groups:
        table.add_column(group, justify="right", no_wrap=True)
    for subject, cells in found["table"].items():
        table.add_row(subject, *(_cell(cells.get(group)) for group in groups))
    for name in found["absent"]:
        table.add_row(name, *["-"] * len(groups))
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, markup=False, emoji=False, color_system=None)
    console.print(table)
    console.print(
        "passed[/failed][~known][+skipped], below it the worst error as a fraction of its bound; - not present"
    )
    for subject, reasons in found["skips"].items():
        for reason, count in reasons.items():
            console.print(f"skipped {count:3d}  {subject}: {reason}")
    for trial in found["trials"]:
        if trial["unbounded"] and trial["outcome"] == "passed":
            console.print(
                f"no bound for {trial['unbounded']} elements  {trial['id']}: the grade promises nothing there"
            )
    for name, reason in found["absent"].items():
        console.print(f"not present  {name}: {reason}")
    counts = {name: count for name, count in found["summary"].items() if count or name != "known"}
    console.print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return out.getvalue()


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return ""
    text = str(cell["passed"])
    text += f"/{cell['failed']}" if cell["failed"] else ""
    text += f"~{cell['known']}" if cell["known"] else ""
    text += f"+{cell['skipped']}" if cell["skipped"] else ""
    return text if cell["worst"] is None else f"{text}\n{cell['worst']:.2f}"
