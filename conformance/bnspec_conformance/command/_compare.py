"""``bnspec compare``."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from bnspec_conformance.check import Distance, Isolation, Request, Unloadable, check, distances, identified
from bnspec_conformance.identify import Identification
from bnspec_conformance.report import results

from ._common import BROKEN, UNLOADABLE, UNPROVEN, Timeout, clear, console, fail, look_here, seen_of
from ._identify import value_of

__all__ = ["compare"]


def compare(
    one: Annotated[str, typer.Argument(metavar="MODULE:ATTR", help="The adapter of an implementation.")],
    other: Annotated[str, typer.Argument(metavar="MODULE:ATTR", help="That of another.")],
    select: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Groups or laws, such as running or gradients.*")
    ] = None,
    timeout: Timeout = 60.0,
    json: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the result into this file.")] = None,
) -> None:
    """Say in what two implementations differ: in the fields of their conventions, in numbers, and in laws."""
    look_here()
    clear(json)
    paths = (one, other)
    with Isolation() as isolation:
        try:
            seen = [identified(path, isolation, timeout=timeout, findings=False) for path in paths]
            asked = [Request(path, seen_of(path, found), "naive") for path, found in zip(paths, seen, strict=True)]
            ran = [check(each, isolation, select=select or (), timeout=timeout, explained=0) for each in asked]
        except Unloadable as error:
            fail(str(error), UNLOADABLE)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--select") from error
        apart = distances(asked[0], asked[1], isolation, timeout=timeout)
    fields = _fields(*seen)
    unequal = [
        (first["id"], first["outcome"], second["outcome"], first["message"] or second["message"])
        for first, second in zip(ran[0]["trials"], ran[1]["trials"], strict=True)
        if first["outcome"] != second["outcome"]
    ]
    # What one of them cannot be asked is no difference.
    laws = [trial for trial in unequal if "skipped" not in trial]
    if json:
        outputs = [asdict(each) for each in apart]
        results.save({"implementations": paths, "fields": fields, "outputs": outputs, "laws": laws}, json)
    table = Table("field", one, other, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in fields:
        table.add_row(*row)
    console.print(table if fields else "The same convention, as far as it can be seen.", soft_wrap=not fields)
    _print_distances(apart)
    table = Table("law and case", one, other, "why", box=box.SIMPLE_HEAD, pad_edge=False)
    for trial in laws:
        table.add_row(*trial)
    if len(unequal) > len(laws):
        console.print(f"tried on one alone: {len(unequal) - len(laws)}")
    passed, failed = ([found["summary"][name] for found in ran] for name in ("passed", "failed"))
    console.print(table if laws else "The same outcomes, each under its own convention.", soft_wrap=not laws)
    for path, kept, broken in zip(paths, passed, failed, strict=True):
        console.print(f"{path}: {kept} passed, {broken} failed")
    verdicts = {each.verdict for each in apart}
    if fields or laws or any(failed) or "differ" in verdicts:
        raise typer.Exit(BROKEN)
    raise typer.Exit(0 if all(passed) and "agree" in verdicts else UNPROVEN)


def _fields(one: Identification, other: Identification) -> list[tuple[str, str, str]]:
    """List the fields that are seen to differ."""
    return [
        (a.name, value_of(a), value_of(b))
        for a, b in zip(one.fields, other.fields, strict=True)
        if (a.fits or a.evidence) and (b.fits or b.evidence) and not set(a.fits) & set(b.fits)
    ]


def _print_distances(apart: list[Distance]) -> None:
    """Draw how far the answers are apart, and count what could not be compared."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("difference / both bounds")
    for name in ("output", "moving_mean", "moving_variance", "in roundoffs"):
        table.add_column(name, justify="right")
    table.add_column("")
    for each in apart:
        if each.verdict != "not compared":
            numbers = (each.output, each.moving_mean, each.moving_variance, each.roundoffs)
            shown = ["-"] * len(numbers) if each.reason else [f"{number:.3g}" for number in numbers]
            table.add_row(each.case, *shown, f"{each.verdict}{': ' if each.reason else ''}{each.reason}")
    console.print(table if table.row_count else "No case that both can be asked.", soft_wrap=False)
    reasons = Counter(each.reason for each in apart if each.verdict == "not compared")
    for reason, count in reasons.items():
        console.print(f"not compared {count:3d}  {reason}")
