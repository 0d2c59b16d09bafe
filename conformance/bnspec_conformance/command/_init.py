"""``bnspec init``."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from ._common import console

__all__ = ["init"]


def init(
    file: Annotated[Path, typer.Argument(dir_okay=False, metavar="FILE.py", help="The module to write.")] = Path(
        "my_adapter.py"
    ),
) -> None:
    """Write an adapter that runs, to be filled with an implementation of your own."""
    if not file.stem.isidentifier() or file.suffix != ".py":
        raise typer.BadParameter(f"The file must be a Python module. Got {file}.", param_hint="FILE.py")
    text = files("bnspec_conformance.command").joinpath("template.py").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        raise typer.BadParameter(f"{file} is there already.", param_hint="FILE.py") from error
    except OSError as error:
        raise typer.BadParameter(f"{file} must be a file that can be written: {error}", param_hint="FILE.py") from error
    console.print(f"{file} is written. Try it as it is:\n\n    bnspec check {file.stem}:MyBatchNorm\n")
