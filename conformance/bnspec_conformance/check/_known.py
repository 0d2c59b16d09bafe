"""Known failures: a strict list, kept by whoever checks an implementation."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bnspec.errors import message, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ._attempt import Outcome

__all__ = ["Known", "read_known", "stale"]


@dataclass(frozen=True)
class Known:
    """A failure that is known.

    Attributes
    ----------
    law : str
        ``group.name``, or a pattern such as ``running.*``.
    reason : str
        Why it is broken.
    link : str
        Where that is said.
    case : str
        The case's id, or a pattern; all by default.
    """

    law: str
    reason: str
    link: str
    case: str = "*"

    def matches(self, outcome: Outcome) -> bool:
        """Tell whether it is about a trial."""
        return fnmatchcase(f"{outcome.group}.{outcome.law}", self.law) and fnmatchcase(outcome.case, self.case)


def read_known(path: Path) -> tuple[Known, ...]:
    """Read a list: TOML, with a table ``[[known]]`` for each entry.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    tuple of Known

    Raises
    ------
    ValueError
        If it is not TOML, or an entry has a field that there is not, or lacks a law, a reason or a link.
    OSError
        If it cannot be read.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(message("known failures must be TOML", file=str(path), error=str(error))) from error
    entries = found.pop("known", [])
    if found or not isinstance(entries, list):
        raise ValueError(message("known failures must be tables [[known]], and nothing else", file=str(path)))
    names = [field.name for field in fields(Known)]
    known = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict):
            text = message("a known failure must be a table [[known]]", entry=number, file=str(path))
            raise ValueError(text)  # noqa: TRY004 - the file is wrong, and no argument
        for name, value in entry.items():
            if name not in names:
                raise ValueError(
                    message("a known failure must have known fields", nearest(name, names), entry=number, field=name)
                )
            if not isinstance(value, str) or not value:
                raise ValueError(message("the fields of a known failure must be text", entry=number, field=name))
        for name in ("law", "reason", "link"):
            if name not in entry:
                raise ValueError(message(f"a known failure must have a {name}", entry=number, file=str(path)))
        if not entry["link"].startswith(("https://", "http://")):
            raise ValueError(message("the link of a known failure must be an address", link=entry["link"]))
        known.append(Known(**entry))
    return tuple(known)


def stale(known: Sequence[Known], outcomes: Sequence[Outcome]) -> list[str]:
    """List the entries that say what is not so.

    Parameters
    ----------
    known : sequence of Known
        The list.
    outcomes : sequence of Outcome
        Of a run.

    Returns
    -------
    list of str
        A sentence for each entry that matches no trial, and for each whose trials do not fail.
    """
    lines = []
    for entry in known:
        about = [outcome for outcome in outcomes if entry.matches(outcome)]
        name = f"the known failure {entry.law} on {entry.case}"
        if not about:
            lines.append(f"{name} matches nothing that was tried")
        elif all(outcome.outcome == "skipped" for outcome in about):
            lines.append(f"{name} was skipped")
        elif not any(outcome.outcome == "failed" for outcome in about):
            lines.append(f"{name} does not fail any more: take it off the list")
    return lines
