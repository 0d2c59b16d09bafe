"""Sections of the documentation that are made from results which are kept beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["keep", "kept", "put", "rewrite", "section", "table"]


def kept(path: Path) -> Any:
    """Read a result.

    Parameters
    ----------
    path : pathlib.Path
        A JSON file.

    Returns
    -------
    object
        Its content; None where there is no such file.
    """
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def keep(path: Path, result: Any) -> None:
    """Write a result.

    Parameters
    ----------
    path : pathlib.Path
        A JSON file; its folder is made.
    result : object
        Plain data.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, names: int = 1) -> str:
    """Render a table of Markdown.

    Parameters
    ----------
    head : sequence of str
        The titles.
    rows : iterable of sequence
        The cells.
    names : int
        How many columns are names, aligned to the left; the others are numbers.

    Returns
    -------
    str
        Lines, without a line feed at the end.
    """
    lines = [[*head], ["---"] * names + ["---:"] * (len(head) - names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(name: str, command: str, parts: Iterable[str]) -> str:
    """Render a section.

    Parameters
    ----------
    name : str
        What its markers are called.
    command : str
        What makes it.
    parts : iterable of str
        Its paragraphs.

    Returns
    -------
    str
        Markdown, from the first marker to the last.
    """
    begin, end = _markers(name)
    return "\n\n".join([begin, f"<!-- Made by `{command}`; change nothing here by hand. -->", *parts, end])


def put(text: str, name: str, made: str) -> str:
    """Put a section in the place of the old one.

    Parameters
    ----------
    text : str
        A document with both markers.
    name : str
        What they are called.
    made : str
        As of :func:`section`.

    Returns
    -------
    str
        The document.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    begin, end = _markers(name)
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(message("The document must have both markers, each on its line", markers=f"{begin} {end}"))
    return f"{before}{made}{after}"


def rewrite(path: Path, name: str, made: str) -> None:
    """Put a section in the place of the old one, in a file.

    Parameters
    ----------
    path : pathlib.Path
        The document.
    name, made : str
        As of :func:`put`.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    path.write_text(put(path.read_text(encoding="utf-8"), name, made), encoding="utf-8")


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
