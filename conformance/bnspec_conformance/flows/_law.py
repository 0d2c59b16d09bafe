"""Laws of flows: as those of batch normalization, about entries of the catalogue in the place of cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._adapter import flow_gaps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks
    from bnspec_conformance.laws import Subject

    from ._adapter import FlowAdapter
    from ._densities import DensityEntry
    from ._entry import Entry

    Tried = Entry | DensityEntry

__all__ = ["FlowLaw", "FlowTrial", "law", "require"]


@dataclass(frozen=True)
class FlowLaw:
    """A law and the entries on which it is tried; the attributes are those of :class:`bnspec_conformance.laws.Law`."""

    group: str
    name: str
    sentence: str
    effect: str
    check: Callable[[FlowAdapter, Any, Grade, Checks], None]
    cases: tuple[Tried, ...]
    requires: frozenset[str]


@dataclass(frozen=True)
class FlowTrial:
    """One law on one entry for one subject."""

    law: FlowLaw
    case: Tried
    subject: Subject
    adapter: Any

    @property
    def id(self) -> str:
        """The name of the trial in every report."""
        return f"{self.subject.name}-{self.law.group}.{self.law.name}-{self.case.id}"

    @property
    def missing(self) -> str:
        """The declared reason why the subject cannot be tried, or an empty string."""
        gaps = flow_gaps_of(self.adapter)
        needed = (*sorted(self.law.requires), *sorted(self.case.requires))
        return next((f"{name}: {gaps[name]}" for name in needed if name in gaps), "")

    def run(self, checks: Checks) -> None:
        """Try the law."""
        self.law.check(self.adapter, self.case, self.subject.grade, checks)


def law(
    group: str, entries: Iterable[Tried], *, requires: Iterable[str] = ()
) -> Callable[[Callable[[Any, Any, Any, Any], None]], FlowLaw]:
    """Make a law of a function.

    Parameters
    ----------
    group, requires
        As of :class:`FlowLaw`.
    entries : iterable of Entry or DensityEntry
        What it is tried on.

    Returns
    -------
    callable
        A decorator.
    """

    def decorate(check: Callable[[Any, Any, Any, Any], None]) -> FlowLaw:
        sentence, _, effect = (check.__doc__ or "").partition("\n")
        text = " ".join(effect.split())
        return FlowLaw(group, check.__name__, sentence, text, check, tuple(entries), frozenset(requires))

    return decorate


def require(checks: Checks, what: str, seen: Any, wanted: Any, dtype: str) -> None:
    """Require an array within its bound, or a tuple of arrays."""
    if not hasattr(wanted, "bound"):
        checks.true(f"{what} must be a tuple of {len(wanted)}", isinstance(seen, tuple) and len(seen) == len(wanted))
        for number, pair in enumerate(zip(seen, wanted, strict=True)):
            require(checks, f"{what}, part {number},", *pair, dtype)
        return
    checks.close(what, seen, wanted.exact, wanted.bound, dtype)
