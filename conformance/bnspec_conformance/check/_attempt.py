"""Attempt: what runs beside the adapter, in a process of its own, and comes back as plain data."""

from __future__ import annotations

import contextlib
import time
import traceback
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bnspec_conformance.adapter import gaps_of, load
from bnspec_conformance.bounds import GRADES
from bnspec_conformance.cases.strategies import cases
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.identify import Following
from bnspec_conformance.laws import LAWS, Subject, Trial

from ._isolation import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bnspec.conventions import Convention
    from bnspec_conformance.cases import Case
    from bnspec_conformance.laws import Law

__all__ = [
    "DRAWN",
    "Description",
    "Outcome",
    "Request",
    "adapter_of",
    "attempt",
    "case_of",
    "describe",
    "quiet",
    "raised",
]

DRAWN = "drawn"
"""The case of a trial whose cases Hypothesis draws."""


@dataclass(frozen=True)
class Request:
    """Who is tried, and how.

    Attributes
    ----------
    path : str
        ``module:attribute`` of the adapter.
    convention : Convention or None
        In the place of the adapter's own.
    grade : str
        The name of the bounds.
    seed, max_examples : int
        Of the cases that are drawn: how many for each law that takes them.
    """

    path: str
    convention: Convention | None
    grade: str
    seed: int = 0
    max_examples: int = 0


@dataclass(frozen=True)
class Description:
    """What an adapter says about itself.

    Attributes
    ----------
    convention : Convention
        That it is tried under.
    gaps : mapping
        Capability to the reason why it is missing.
    """

    convention: Convention
    gaps: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """How one trial went.

    Attributes
    ----------
    group, law, case : str
        Which trial it was.
    outcome : {"passed", "failed", "skipped"}
        Its end.
    message : str
        Why it failed, or the reason of the skip.
    raised : bool
        Whether the adapter raised, or ended its process, where an answer was expected.
    ended : bool
        Whether there was no answer at all: it hung, died, or could not be asked.
    worst : float or None
        The largest error as a fraction of its bound.
    unbounded : int
        How many elements the grade promises nothing about.
    seconds : float
        How long it took.
    drawn : Case or None
        The smallest case that was drawn and failed.
    """

    group: str
    law: str
    case: str
    outcome: str
    message: str = ""
    raised: bool = False
    worst: float | None = None
    unbounded: int = 0
    seconds: float = 0.0
    drawn: Case | None = None
    ended: bool = False

    @property
    def id(self) -> str:
        """The name of the trial."""
        return f"{self.group}.{self.law}-{self.case}"


@cache
def _laws() -> dict[str, Law]:
    return {f"{law.group}.{law.name}": law for law in LAWS}


def case_of(law: str, case: str | Case) -> tuple[Law, Case]:
    """Find a law, and its case of some id; a case that was drawn is what it is.

    Parameters
    ----------
    law : str
        ``group.name``.
    case : str or Case
        A case, or the id of one.

    Returns
    -------
    law : Law
    case : Case
    """
    found = _laws()[law]
    return found, next(each for each in found.cases if each.id == case) if isinstance(case, str) else case


@cache
def adapter_of(path: str, convention: Convention | None) -> Any:
    """Load an adapter, once in a process.

    Parameters
    ----------
    path : str
        ``module:attribute``.
    convention : Convention or None
        In the place of its own.

    Returns
    -------
    Adapter
    """
    adapter = load(path, bare=convention is not None)
    return adapter if convention is None else Following(adapter, convention)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let warnings be: an implementation of somebody else is judged by its numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def describe(request: Request) -> Description:
    """Load the adapter.

    Parameters
    ----------
    request : Request
        Who.

    Returns
    -------
    Description

    Raises
    ------
    Exception
        Whatever the import raises; ValueError, ImportError, TypeError where there is no adapter.
    """
    with quiet():
        adapter = adapter_of(request.path, request.convention)
        return Description(adapter.convention, dict(gaps_of(adapter)))


def attempt(request: Request, law: str, case: str) -> Outcome:
    """Try one law on one case, or on cases that are drawn.

    Parameters
    ----------
    request : Request
        Who is tried.
    law : str
        ``group.name``.
    case : str
        The case's id, or `DRAWN`.

    Returns
    -------
    Outcome
    """
    with quiet():
        adapter = adapter_of(request.path, request.convention)
        if case == DRAWN:
            return _drawn(request, adapter, _laws()[law])
        return _tried(request, adapter, *case_of(law, case))


def _tried(request: Request, adapter: Any, law: Law, case: Case, name: str = "") -> Outcome:
    grade = GRADES[request.grade]
    trial = Trial(law, case, Subject(request.path, (adapter,), grade), adapter)
    where = (law.group, law.name, name or case.id)
    missing = trial.missing
    if missing:
        return Outcome(*where, "skipped", missing)
    checks, begin = Checks(), time.perf_counter()
    outcome, message, ended = "passed", "", False
    try:
        trial.run(checks)
    except LawBroken as broken:
        outcome, message = "failed", str(broken)
    except BaseException as error:  # noqa: BLE001 - an adapter may also try to end the process
        outcome, message, ended = "failed", raised(law, error), True
    if outcome == "passed" and checks.unbounded and checks.worst is None:
        outcome, message = "skipped", f"the {grade.name} grade promises nothing on this case"
    seconds = round(time.perf_counter() - begin, 4)
    return Outcome(*where, outcome, message, ended, checks.worst, checks.unbounded, seconds)


def raised(law: Law, error: BaseException) -> str:
    """Say what was raised, and in which line of the adapter.

    Parameters
    ----------
    law : Law
        That wanted an answer.
    error : BaseException
        What came instead.

    Returns
    -------
    str
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "bnspec_conformance" not in frame.filename] or frames[-1:]
    at = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    text = said(error).partition("\n")[0]
    return (
        f"{law.group}.{law.name} must get an answer. Got {text}{at}. "
        "Mend it, or declare in `gaps` what the adapter cannot do."
    )


def _drawn(request: Request, adapter: Any, law: Law) -> Outcome:
    """Draw cases until one fails, and then smaller ones."""
    import hypothesis  # noqa: PLC0415 - slow to import, and seldom asked for

    begin = time.perf_counter()
    passed: list[Outcome] = []
    skipped: list[Outcome] = []
    failed: list[tuple[Case, Outcome]] = []

    @hypothesis.settings(
        max_examples=request.max_examples, deadline=None, database=None, print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.seed(request.seed)
    @hypothesis.given(case=cases())
    def run(case: Case) -> None:
        outcome = _tried(request, adapter, law, case, DRAWN)
        if outcome.outcome == "failed":
            failed.append((case, outcome))
            raise LawBroken(outcome.message)
        (passed if outcome.outcome == "passed" else skipped).append(outcome)
        hypothesis.assume(outcome.outcome != "skipped")

    with contextlib.suppress(LawBroken, hypothesis.errors.HypothesisException):  # flaky ones have failed, too
        run()
    seconds = round(time.perf_counter() - begin, 4)
    where = (law.group, law.name, DRAWN)
    if not failed and not passed:
        why = skipped[-1].message if skipped else "no case was drawn that it takes"
        return Outcome(*where, "skipped", why, seconds=seconds)
    if not failed:
        worst = max((each.worst or 0.0 for each in passed), default=None)
        return Outcome(*where, "passed", worst=worst, seconds=seconds)
    case, last = failed[-1]  # Hypothesis ends with the smallest
    return Outcome(
        law.group, law.name, DRAWN, "failed", last.message, last.raised, last.worst, last.unbounded, seconds, case
    )
