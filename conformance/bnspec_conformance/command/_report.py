"""``bnspec report``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bnspec_conformance.report import console as table
from bnspec_conformance.report.explained import render
from bnspec_conformance.report.junit import write_junit

from ._common import console

__all__ = ["report"]


def report(
    result: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What check or the suite has written.")],
    junit: Annotated[Path | None, typer.Option(dir_okay=False, help="Write a JUnit report into this file.")] = None,
) -> None:
    """Draw a result that was kept, of a check or of the conformance suite."""
    try:
        found = json.loads(result.read_text(encoding="utf-8"))
        text = render(found) if "verdict" in found else table.render(found)
    except (ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{result} must be a result of bnspec: {error}", param_hint="RESULT") from error
    if junit:
        write_junit(found, junit)
    console.print(text, end="")
