"""``bnspec check``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bnspec_conformance.check import Isolation, Request, Unloadable, identified, read_known
from bnspec_conformance.check import check as run
from bnspec_conformance.report import results
from bnspec_conformance.report.explained import render
from bnspec_conformance.report.junit import write_junit

from ._common import (
    UNLOADABLE,
    VERDICTS,
    Implementation,
    clear,
    console,
    convention_of,
    fail,
    look_here,
    seen_of,
    stderr,
)

__all__ = ["check"]


class Grade(StrEnum):
    """The bounds by name."""

    NAIVE = "naive"
    TWO_PASS = "two-pass"  # noqa: S105 - no password
    DEFINITION = "definition"


def check(
    implementation: Implementation,
    convention: Annotated[
        str | None,
        typer.Option(metavar="NAME|auto", help="Hold it to this convention; auto identifies one."),
    ] = None,
    grade: Annotated[
        Grade, typer.Option(help="How exact it must be: naive is what every sound implementation reaches.")
    ] = Grade.NAIVE,
    select: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Groups or laws, such as running or gradients.*")
    ] = None,
    known_failures: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Failures that are known: a TOML file.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    max_examples: Annotated[int, typer.Option(min=0, help="Cases to draw for each law that takes any.")] = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a case may take.")] = 60.0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at a time.")] = 1,
    json: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the result into this file.")] = None,
    junit: Annotated[Path | None, typer.Option(dir_okay=False, help="Write a JUnit report into this file.")] = None,
) -> None:
    """Hold an implementation to the laws of batch normalization, and explain what it breaks."""
    look_here()
    clear(json, junit)
    wanted = None if convention == "auto" else convention_of(convention)
    try:
        known = read_known(known_failures) if known_failures else ()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--known-failures") from error
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Isolation(jobs) as isolation, Progress(*columns, transient=True, console=stderr) as progress:
        task = progress.add_task(f"loading {implementation}", total=None)

        def show(done: int, total: int) -> None:
            doing = "trying laws" if done < total else "explaining"
            progress.update(task, description=doing, completed=done, total=total)

        try:
            if convention == "auto":
                seen = identified(implementation, isolation, timeout=timeout, findings=False)
                wanted = seen_of(implementation, seen)
            request = Request(implementation, wanted, grade.value, seed, max_examples)
            found = run(request, isolation, select=select or (), known=known, timeout=timeout, progress=show)
        except Unloadable as error:
            fail(str(error), UNLOADABLE)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--select") from error
    console.print(render(found), end="")
    if json:
        results.save(found, json)
    if junit:
        write_junit(found, junit)
    raise typer.Exit(VERDICTS[found["verdict"]])
