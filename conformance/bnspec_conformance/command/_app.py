"""The subcommands, and what the exit codes mean."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from ._backends import backends
from ._check import check
from ._compare import compare
from ._convert import convert
from ._identify import identify
from ._init import init
from ._report import report

__all__ = ["app"]

_CODES = """
Exit codes: 0 where all is well; 1 where a law is broken, where an entry of the known failures is stale, where two
implementations differ, or where a file cannot be converted; 2 for a wrong option, or a file that is not what it must
be; 3 where an implementation cannot be loaded; 4 where nothing was proven, because everything was skipped or nothing
could be observed. report exits as the check did whose result it draws.
"""

app = typer.Typer(
    name="bnspec",
    help="Batch normalization: what it means, and who computes it.",
    epilog=_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"bnspec {version('bnspec')}")
        raise typer.Exit


@app.callback()
def _options(
    shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Batch normalization: what it means, and who computes it."""


for command, example in (
    (init, "bnspec init my_adapter.py"),
    (check, "bnspec check my_adapter:MyBatchNorm --json result.json"),
    (identify, "bnspec identify my_adapter:MyBatchNorm"),
    (compare, "bnspec compare my_adapter:MyBatchNorm bnspec_conformance.peers:TORCH"),
    (report, "bnspec report result.json"),
    (convert, "bnspec convert in.safetensors out.safetensors --source torch --target keras --count 32"),
    (backends, "bnspec backends"),
):
    app.command(epilog=f"Example: [bold]{example}[/bold]")(command)
