"""The result of a check, as a text that a reader understands the defect from."""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["render"]

_VERDICTS = {
    "conforms": "conforms: everything that was tried is within its bounds",
    "broken": "does not conform",
    "unproven": "nothing was proven: everything was skipped",
}


def render(found: dict[str, Any], width: int = 100) -> str:
    """Draw a table of groups, each broken law with its explanation, and the verdict.

    Parameters
    ----------
    found : dict
        As of :func:`bnspec_conformance.check.check`.
    width : int
        In characters; snippets may be wider.

    Returns
    -------
    str
        Text with line ends.
    """
    out = io.StringIO()
    console = Console(
        file=out, width=width, highlight=False, markup=False, emoji=False, color_system=None, soft_wrap=True
    )
    console.print(f"{found['implementation']}, as {found['convention']['name']}, held to the {found['grade']} grade\n")
    console.print(_table(found))
    skips = Counter(trial["reason"] for trial in found["trials"] if trial["outcome"] == "skipped")
    for reason, count in skips.items():
        console.print(f"skipped {count:3d}  {reason}")
    for trial in found["trials"]:
        if trial["outcome"] == "known":
            console.print(f"known        {trial['id']}: {trial['reason']}")
    for line in found["stale"]:
        console.print(f"stale        {line}")
    for each in found["explanations"]:
        console.print(f"\n{'-' * width}")
        console.print("\n".join(_explanation(each, width)))
    left = len({(t["group"], t["law"]) for t in found["trials"] if t["outcome"] == "failed"}) - len(
        found["explanations"]
    )
    if left > 0:
        console.print(f"\n{left} more laws are broken; their names are in the table's groups and in the JSON result.")
    if found["alike"]:
        console.print(f"\n{'-' * width}\nKnown defects that give the same wrong numbers:")
        for each in found["alike"]:
            console.print(f"\n  {each['name']}, on {each['same']} of {each['tried']} broken laws: {each['defect']}")
            console.print(f"  as in {', '.join(each['references'])}")
    counts = {name: count for name, count in found["summary"].items() if count or name in ("passed", "failed")}
    console.print(f"\n{found['implementation']} {_VERDICTS[found['verdict']]}")
    console.print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return out.getvalue()


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("laws", no_wrap=True)
    for name in ("passed", "failed", "known", "skipped", "worst error / bound"):
        table.add_column(name, justify="right")
    (cells,) = found["table"].values()
    for group, cell in cells.items():
        worst = cell["worst"]
        shown = "" if worst is None else worst if isinstance(worst, str) else f"{worst:.3g}"
        table.add_row(group, *(str(cell[name] or "") for name in ("passed", "failed", "known", "skipped")), shown)
    return table


def _explanation(each: dict[str, Any], width: int) -> list[str]:
    count = each["failures"]
    lines = [f"{each['law']} is broken on {count} case{'s' if count > 1 else ''}", ""]
    rows = [
        ("the law", each.get("sentence", "")),
        ("in practice", each.get("effect", "")),
        ("smallest input", each.get("smaller", "")),
        ("seen", each["message"]),
        ("where", each.get("begins", "")),
    ]
    for name, text in rows:
        if text:
            lines += textwrap.wrap(
                text, width, initial_indent=f"  {name:16s}", subsequent_indent=" " * 18, break_long_words=False
            )
    if each.get("snippet"):
        lines += ["", "  It shows itself without the suite:", "", textwrap.indent(each["snippet"].rstrip(), "    ")]
    return lines
