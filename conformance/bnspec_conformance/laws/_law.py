"""Law: a sentence about batch normalization, as a function that raises when it is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnspec_conformance.adapter import gaps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

    from bnspec_conformance.adapter import Adapter, Layer
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.cases import Case
    from bnspec_conformance.checks import Checks

__all__ = ["REFUSALS", "Law", "Subject", "Trial", "law", "pure_call", "training_call", "weighted_call"]

REFUSALS = (ValueError, TypeError, RuntimeError)
"""To refuse is an answer; an index or an attribute error is none."""


@dataclass(frozen=True)
class Law:
    """A law and the cases on which it is tried.

    Attributes
    ----------
    group : str
        The column of the report.
    name : str
        The name of the function.
    sentence : str
        The first line of its docstring: what must be so.
    effect : str
        The rest of it: what follows in practice where it is not.
    check : callable
        ``check(adapter, case, grade, checks)`` raises LawBroken.
    cases : tuple of Case
        The cases.
    requires : frozenset of str
        The capabilities that the law itself needs.
    conventions : int or None
        Under how many of the conventions that a subject offers the law is tried: 1 where it does not depend on them,
        2 where it depends on them a little, and None for all.
    """

    group: str
    name: str
    sentence: str
    effect: str
    check: Callable[[Adapter, Case, Grade, Checks], None]
    cases: tuple[Case, ...]
    requires: frozenset[str]
    conventions: int | None


@dataclass(frozen=True)
class Subject:
    """What is held to the laws: a row of the report.

    Attributes
    ----------
    name : str
        The row.
    adapters : tuple of Adapter
        One for each convention that it offers.
    grade : Grade
        The bounds that it is held to.
    """

    name: str
    adapters: tuple[Adapter, ...]
    grade: Grade


@dataclass(frozen=True)
class Trial:
    """One law on one case of one subject under one convention."""

    law: Law
    case: Case
    subject: Subject
    adapter: Adapter

    @property
    def id(self) -> str:
        """The name of the trial in every report."""
        parts = (self.subject.name, f"{self.law.group}.{self.law.name}", self.case.id, self.adapter.convention.name)
        return "-".join(parts)

    @property
    def missing(self) -> str:
        """The declared reason why the subject cannot be tried, or an empty string; the law's own needs first."""
        gaps: dict[str, str] = dict(gaps_of(self.adapter))
        if self.case.ghosts is not None and self.adapter.convention.ghost_update == "each":
            gaps.setdefault("renorm", "ghost batches that enter the averages one by one go without it")
        needed = (*sorted(self.law.requires), *sorted(self.case.requires))
        return next((f"{name}: {gaps[name]}" for name in needed if name in gaps), "")

    def run(self, checks: Checks) -> None:
        """Try the law."""
        self.law.check(self.adapter, self.case, self.subject.grade, checks)


def law(
    group: str, cases: Iterable[Case], *, requires: Iterable[str] = (), conventions: int | None = 1
) -> Callable[[Callable[[Adapter, Case, Grade, Checks], None]], Law]:
    """Make a law of a function.

    Parameters
    ----------
    group, cases, requires, conventions
        As of :class:`Law`.

    Returns
    -------
    callable
        A decorator.
    """

    def decorate(check: Callable[[Adapter, Case, Grade, Checks], None]) -> Law:
        sentence, _, effect = (check.__doc__ or "").partition("\n")
        name = check.__name__
        return Law(
            group, name, sentence, " ".join(effect.split()), check, tuple(cases), frozenset(requires), conventions
        )

    return decorate


def pure_call(layer: Layer, x: np.ndarray[Any, Any], training: bool, checks: Checks) -> np.ndarray[Any, Any]:
    """Call a layer, and fail if it changed its input."""
    given = x.copy()
    y = layer(given, training)
    checks.same("the input", given, x)
    return y


def weighted_call(
    layer: Layer, x: np.ndarray[Any, Any], weights: np.ndarray[Any, Any], checks: Checks
) -> np.ndarray[Any, Any]:
    """Call a layer in training with frequency weights, and fail if it changed its input or the weights."""
    given, shares = x.copy(), weights.copy()
    y: np.ndarray[Any, Any] = layer.weighted(given, shares)  # type: ignore[attr-defined]
    checks.same("the input", given, x)
    checks.same("the weights", shares, weights)
    return y


def training_call(layer: Layer, case: Case, number: int, checks: Checks) -> np.ndarray[Any, Any]:
    """Train on a batch of a case, with its weights or its adjustment, and fail if the call changed its arguments."""
    x, weights, adjustment = case.training[number], case.weights[number], case.adjustments[number]
    if weights is not None:
        return weighted_call(layer, x, weights, checks)
    if adjustment is None:
        return pure_call(layer, x, True, checks)
    given, pair = x.copy(), [part.copy() for part in adjustment]
    y: np.ndarray[Any, Any] = layer.adjusted(given, *pair)  # type: ignore[attr-defined]
    checks.same("the input", given, x)
    for name, seen, wanted in zip(("the scale", "the bias"), pair, adjustment, strict=True):
        checks.same(name, seen, wanted)
    return y
