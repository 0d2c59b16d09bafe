"""``bnspec identify`` and ``bnspec compare``."""

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from bnspec_conformance.check import Isolation, Request, Unloadable, check, identified
from bnspec_conformance.identify import Identification, Observation
from bnspec_conformance.report import results

from ._common import BROKEN, UNLOADABLE, UNPROVEN, Implementation, clear, console, fail, look_here, seen_of

__all__ = ["compare", "identify"]

Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds that a case may take.")]


def identify(
    implementation: Implementation,
    findings: Annotated[bool, typer.Option(help="Measure algorithms and precision too.")] = True,
    timeout: Timeout = 60.0,
    json: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the result into this file.")] = None,
) -> None:
    """Tell the convention of an implementation from the outside, with the evidence for each field."""
    look_here()
    clear(json)
    with Isolation() as isolation:
        try:
            found = identified(implementation, isolation, timeout=timeout, findings=findings)
        except Unloadable as error:
            fail(str(error), UNLOADABLE)
    if json:
        results.save(found.to_json(), json)
    table = Table("field", "value", "evidence", box=box.SIMPLE_HEAD, pad_edge=False)
    for field in found.fields:
        table.add_row(field.name, _value(field), field.evidence or field.reason)
    console.print(table, soft_wrap=False)
    if found.findings:
        table = Table("finding", "where", "value", "evidence", box=box.SIMPLE_HEAD, pad_edge=False)
        for each in found.findings:
            table.add_row(each.topic, each.where, each.value, each.evidence)
        console.print(table, soft_wrap=False)
    if found.nearest:
        differences = found.nearest[0].differences
        console.print(f"{implementation} follows {' or '.join(found.names)}" + (", except:" if differences else ""))
        for one in differences:
            seen = " or ".join(map(str, one.seen)) or "nothing that has a name"
            console.print(f"  {one.field}: {seen}, where {found.names[0]} has {one.named}")
    else:
        console.print(f"{implementation} follows no convention that can be told: no field has a value")
    for field in found.unexplained:
        console.print(f"  {field.name}: {field.evidence}; no convention has that")
    seen_of(implementation, found)


def _value(field: Observation) -> str:
    if field.known:
        return str(field.value)
    return " or ".join(map(str, field.fits)) if field.fits else "no value fits" if field.evidence else "not observable"


def compare(
    one: Annotated[str, typer.Argument(metavar="MODULE:ATTR", help="The adapter of an implementation.")],
    other: Annotated[str, typer.Argument(metavar="MODULE:ATTR", help="That of another.")],
    select: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Groups or laws, such as running or gradients.*")
    ] = None,
    timeout: Timeout = 60.0,
    json: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the result into this file.")] = None,
) -> None:
    """Say in what two implementations differ: in which fields of their conventions, and in which laws they keep."""
    look_here()
    clear(json)
    paths = (one, other)
    with Isolation() as isolation:
        try:
            seen = [identified(path, isolation, timeout=timeout, findings=False) for path in paths]
            ran = [
                check(
                    Request(path, seen_of(path, found), "naive"),
                    isolation,
                    select=select or (),
                    timeout=timeout,
                    explained=0,
                )
                for path, found in zip(paths, seen, strict=True)
            ]
        except Unloadable as error:
            fail(str(error), UNLOADABLE)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--select") from error
    fields = _fields(*seen)
    laws = [
        (first["id"], first["outcome"], second["outcome"], first["message"] or second["message"])
        for first, second in zip(ran[0]["trials"], ran[1]["trials"], strict=True)
        if first["outcome"] != second["outcome"]
    ]
    if json:
        results.save({"implementations": paths, "fields": fields, "laws": laws}, json)
    table = Table("field", one, other, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in fields:
        table.add_row(*row)
    console.print(table if fields else "The same convention, as far as it can be seen.", soft_wrap=not fields)
    table = Table("law and case", one, other, "why", box=box.SIMPLE_HEAD, pad_edge=False)
    for trial in laws:
        table.add_row(*trial)
    passed, failed = ([found["summary"][name] for found in ran] for name in ("passed", "failed"))
    console.print(table if laws else "The same outcomes, each under its own convention.", soft_wrap=not laws)
    for path, kept, broken in zip(paths, passed, failed, strict=True):
        console.print(f"{path}: {kept} passed, {broken} failed")
    if fields or laws or any(failed):
        raise typer.Exit(BROKEN)
    raise typer.Exit(0 if all(passed) else UNPROVEN)


def _fields(one: Identification, other: Identification) -> list[tuple[str, str, str]]:
    """List the fields that are seen to differ."""
    return [
        (a.name, _value(a), _value(b))
        for a, b in zip(one.fields, other.fields, strict=True)
        if (a.fits or a.evidence) and (b.fits or b.evidence) and not set(a.fits) & set(b.fits)
    ]
