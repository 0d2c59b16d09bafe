"""The lists of expected failures: each has a reason, and each is a test that is there.

A list is a file for the ``--xfails-file`` of array-api-tests: a name of a test on each line. Above the names stand
comments with their reason, and an empty line ends what they hold for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["FOLDER", "parse", "unmatched"]

FOLDER = Path(__file__).with_name("expected")
"""Where the lists are; a run without one there expects no failure."""


def parse(text: str) -> dict[str, str]:
    """Read a list.

    Parameters
    ----------
    text : str
        The content of the file.

    Returns
    -------
    dict of str
        Names of tests to reasons, in the order of the file.

    Raises
    ------
    ValueError
        If a name has no reason, or stands there twice.
    """
    found: dict[str, str] = {}
    reason: list[str] = []
    above = ""
    for line in text.splitlines():
        if line.startswith("#"):
            # A comment below a name begins another reason.
            reason = [*(reason if above.startswith("#") else ()), line.removeprefix("#").strip()]
        elif not line.strip():
            reason = []
        elif not reason:
            raise ValueError(message("An expected failure must have its reason in a comment above it", test=line))
        elif line in found:
            raise ValueError(message("An expected failure must be listed once", "Remove the second.", test=line))
        else:
            found[line] = " ".join(reason)
        above = line
    return found


def unmatched(expected: Collection[str], selected: Collection[str]) -> list[str]:
    """Find the expected failures that are no tests.

    Parameters
    ----------
    expected : collection of str
        Names of tests in a list. Only whole names count, though array-api-tests takes parts of names as well.
    selected : collection of str
        The tests that are going to be run.

    Returns
    -------
    list of str
        Those of `expected` that are not in `selected`.
    """
    there = frozenset(selected)
    return [nodeid for nodeid in expected if nodeid not in there]
