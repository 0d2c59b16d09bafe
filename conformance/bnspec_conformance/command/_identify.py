"""``bnspec identify``."""

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from bnspec_conformance.check import Isolation, Unloadable, identified
from bnspec_conformance.identify import Observation
from bnspec_conformance.report import results

from ._common import UNLOADABLE, Implementation, Timeout, clear, console, fail, look_here, seen_of

__all__ = ["identify", "value_of"]


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
        table.add_row(field.name, value_of(field), field.evidence or field.reason)
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


def value_of(field: Observation) -> str:
    """Write what was seen of a field."""
    if field.known:
        return str(field.value)
    return " or ".join(map(str, field.fits)) if field.fits else "no value fits" if field.evidence else "not observable"
