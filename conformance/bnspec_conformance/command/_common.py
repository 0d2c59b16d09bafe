"""What the subcommands share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from bnspec import conventions

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance.identify import Identification

__all__ = [
    "BROKEN",
    "UNLOADABLE",
    "UNPROVEN",
    "VERDICTS",
    "Implementation",
    "Timeout",
    "clear",
    "console",
    "convention_of",
    "fail",
    "look_here",
    "seen_of",
    "stderr",
]

BROKEN, UNLOADABLE, UNPROVEN = 1, 3, 4
VERDICTS = {"conforms": 0, "broken": BROKEN, "unproven": UNPROVEN}

Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds that a case may take.")]
Implementation = Annotated[str, typer.Argument(metavar="MODULE:ATTR", help="The adapter of the implementation.")]

console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def look_here() -> None:
    """Let modules of the current folder be imported, as Python itself does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def fail(text: str, code: int) -> NoReturn:
    """Say what is wrong on stderr, and exit."""
    stderr.print(text)
    raise typer.Exit(code)


def clear(*targets: Path | None) -> None:
    """Remove what an earlier run has left, so that it is not taken for this one's; an unwritable place is refused."""
    for target in targets:
        if target is not None:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
                target.unlink()
            except OSError as error:
                raise typer.BadParameter(f"{target} must be a file that can be written: {error}") from error


def seen_of(path: str, found: Identification) -> Convention:
    """Return the convention that was identified; where nothing was observable, nothing can be proven under it."""
    if found.convention is None:
        why = next((field.reason for field in found.fields if field.name == "average"), "")
        fail(f"Something of {path} must be observable to identify its convention. Got nothing: {why}.", UNPROVEN)
    return found.convention


def convention_of(name: str | None) -> Convention | None:
    """Find a convention by its name; a wrong one is a wrong option."""
    if name is None:
        return None
    try:
        return conventions.named(name)
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
