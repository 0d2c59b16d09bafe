"""``bnspec backends``."""

from rich import box
from rich.table import Table

from bnspec_conformance.subjects import present_backends

from ._common import console

__all__ = ["backends"]


def backends() -> None:
    """List the backends of bnspec, and why those that are not here are not."""
    present, absent = present_backends()
    table = Table("backend", "here", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in present:
        table.add_row(name, "yes")
    for name, reason in absent.items():
        table.add_row(name, f"no: {reason}")
    console.print(table)
