"""``bnspec report``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bnspec_conformance.report import console as table
from bnspec_conformance.report.explained import render
from bnspec_conformance.report.junit import write_junit

from ._common import VERDICTS, clear, console

__all__ = ["report"]


def report(
    result: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What check or the suite has written.")],
    junit: Annotated[Path | None, typer.Option(dir_okay=False, help="Write a JUnit report into this file.")] = None,
) -> None:
    """Draw a result that was kept, of a check or of the conformance suite, and exit as that check did."""
    clear(junit)
    try:
        found = json.loads(result.read_text(encoding="utf-8"))
        text = render(found) if "verdict" in found else table.render(found)
        code = VERDICTS[found["verdict"] if "verdict" in found else _verdict(found["summary"])]
        if junit:
            write_junit(found, junit)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        text = f"{result} must be a whole result, as check --json or the suite writes it"
        raise typer.BadParameter(
            f"{text}. Got {type(error).__name__}: {error}. Run the check again.", param_hint="RESULT"
        ) from error
    console.print(text, end="")
    raise typer.Exit(code)


def _verdict(summary: dict[str, int]) -> str:
    """Judge a run of the suite, which leaves that to pytest."""
    return "broken" if summary["failed"] else "conforms" if summary["passed"] else "unproven"
