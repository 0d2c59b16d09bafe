"""What the pages of the comparison have in common, and what a page is made by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec_conformance.report.document import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["BACKENDS", "Page", "known_failures", "largest", "off"]

BACKENDS = ("numpy", "array-api-strict", "torch", "jax", "tensorflow")
"""Where bnspec is tried, in the order of the tables; the first runs every draw."""


class Page(NamedTuple):
    """A page of docs/, whose result has the same name in docs/results/.

    Attributes
    ----------
    name : str
        Of both files.
    section : str
        What the markers of the generated section are called.
    made : callable
        Renders the section from the result.
    lines : callable
        Says of a result what is printed: counts, and every failure that is not listed.
    out_of_place : callable
        Lists what makes a result red.
    """

    name: str
    section: str
    made: Callable[[Mapping[str, Any]], str]
    lines: Callable[[Mapping[str, Any]], Iterable[str]]
    out_of_place: Callable[[Mapping[str, Any]], list[str]]


def largest(worst: Mapping[str, float]) -> str:
    """Name the quantity that comes closest to its bound."""
    if not worst:
        return "-"
    name = max(worst, key=lambda each: worst[each])
    return f"{worst[name]:.2f} ({name})"


def off(name: str, error: float, ratio: float) -> str:
    """Say by how much a quantity is off."""
    return f"{name} off by {error:.1e}, {ratio:.0e} bounds"


def known_failures(originals: str, seen: str, rows: Iterable[Sequence[Any]]) -> str:
    """Render the table of known failures.

    Parameters
    ----------
    originals, seen : str
        The titles of the second and of the fifth column.
    rows : iterable of sequence
        Name, originals, what happens, in how many draws, what is seen in the probe, and the reference.

    Returns
    -------
    str
    """
    head = ("name", originals, "what happens", "draws", seen, "reference")
    # A bar would end the cell.
    cells = ([f"`{row[0]}`", row[1], row[2].replace("|", "\\|"), *row[3:]] for row in rows)
    return table(head, cells, names=6)
