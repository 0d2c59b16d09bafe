"""The run: every law on every case, isolated, and the result as plain data."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

from bnspec.errors import message, nearest
from bnspec_conformance.laws import GROUPS, LAWS
from bnspec_conformance.report.results import summarize

from ._attempt import DRAWN, Outcome, attempt, describe
from ._explain import explain, resemble
from ._isolation import Ended, Isolation, Raised
from ._known import stale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._attempt import Description, Request
    from ._explain import Explanation
    from ._known import Known

__all__ = ["Unloadable", "answered", "check", "loaded", "selected", "sent"]

_LOADING = 300.0  # seconds; some frameworks take a minute to import
_EXPLAINING = 4.0  # times as long as a case may take, and what the search takes
_SEARCH = 120.0
# Laws that hold on any case that can be drawn, and not on chosen ones alone.
_DRAWN = ("running.several_steps_then_evaluation", "gradients.vector_jacobian_product")


class Unloadable(Exception):
    """An adapter that cannot be loaded."""


def selected(patterns: Sequence[str]) -> list[tuple[str, str]]:
    """List the trials that are asked for.

    Parameters
    ----------
    patterns : sequence of str
        Groups, laws as ``group.name``, or patterns of these; none for all.

    Returns
    -------
    list of (law, case)

    Raises
    ------
    ValueError
        If a pattern matches no law.
    """
    names = [f"{law.group}.{law.name}" for law in LAWS]
    for pattern in patterns:
        if pattern not in GROUPS and not any(fnmatchcase(name, pattern) for name in names):
            near = nearest(pattern, [*GROUPS, *names])
            raise ValueError(message("select must name groups or laws", near, select=pattern))
    chosen = [
        law
        for law, name in zip(LAWS, names, strict=True)
        if not patterns or any(law.group == each or fnmatchcase(name, each) for each in patterns)
    ]
    return [(f"{law.group}.{law.name}", case.id) for law in chosen for case in law.cases]


def loaded(request: Request, isolation: Isolation) -> tuple[Description, float]:
    """Load the adapter, in a process of its own.

    Parameters
    ----------
    request : Request
        Who.
    isolation : Isolation
        Where.

    Returns
    -------
    description : Description
    seconds : float
        How long that took.

    Raises
    ------
    Unloadable
        If it cannot be loaded: the reason in a sentence.
    """
    begin = time.perf_counter()
    try:
        found: Description = isolation.send(describe, request, timeout=_LOADING)()
    except Ended as ended:
        raise Unloadable(f"{request.path} must be importable. It {ended}.") from None
    except Raised as error:
        raise Unloadable(f"{request.path} cannot be checked: {error}") from None
    return found, time.perf_counter() - begin


def check(
    request: Request,
    isolation: Isolation,
    *,
    select: Sequence[str] = (),
    known: Sequence[Known] = (),
    timeout: float = 60.0,
    explained: int = 5,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Hold an adapter to the laws.

    Parameters
    ----------
    request : Request
        Who, and how.
    isolation : Isolation
        Where.
    select : sequence of str
        As of :func:`selected`.
    known : sequence of Known
        The failures that are known.
    timeout : float
        Seconds that a case may take.
    explained : int
        How many broken laws to explain at most.
    progress : callable
        Called with the number of trials that are done, and of all.

    Returns
    -------
    dict
        Plain data: ``verdict`` ("conforms", "broken" or "unproven"), ``summary``, ``trials``, ``explanations``,
        ``alike``, ``stale``, and what was asked for.

    Raises
    ------
    Unloadable
        If the adapter cannot be loaded.
    ValueError
        If `select` names nothing.
    """
    wanted = selected(select)
    description, loading = loaded(request, isolation)
    if request.max_examples:
        laws = dict.fromkeys(law for law, _ in wanted)
        wanted += [(law, DRAWN) for law in laws if law in _DRAWN]
    # A process that took another's place must load the adapter first.
    patience = timeout + 3.0 * loading
    waiting = [(law, case, sent(request, isolation, law, case, patience)) for law, case in wanted]
    outcomes = []
    for law, case, answer in waiting:
        outcomes.append(answered(law, case, answer))
        progress(len(outcomes), len(wanted))
    failed = [outcome for outcome in outcomes if outcome.outcome == "failed"]
    excused = {outcome.id: entry for outcome in failed for entry in known if entry.matches(outcome)}
    new = [outcome for outcome in failed if outcome.id not in excused]
    old = stale(known, outcomes)
    trials = [_trial(request, description, outcome, excused) for outcome in outcomes]
    passed = any(outcome.outcome == "passed" for outcome in outcomes)
    explanations, alike = _explained(request, isolation, new, explained, _EXPLAINING * patience + _SEARCH)
    return {
        **summarize(trials, {}),
        "verdict": "broken" if new or old else "conforms" if passed else "unproven",
        "implementation": request.path,
        "convention": asdict(description.convention),
        "grade": request.grade,
        "seed": request.seed,
        "max_examples": request.max_examples,
        "stale": old,
        "explanations": explanations,
        "alike": alike,
    }


def sent(request: Request, isolation: Isolation, law: str, case: str, timeout: float) -> Callable[[], Any]:
    """Send a trial.

    Parameters
    ----------
    request : Request
        Who is tried.
    isolation : Isolation
        Where.
    law, case : str
        ``group.name``, and the case's id.
    timeout : float
        Seconds that a case may take.

    Returns
    -------
    callable
        As of :meth:`Isolation.send`.
    """
    several = max(1, request.max_examples) if case == DRAWN else 1
    return isolation.send(attempt, request, law, case, timeout=timeout * min(several, 10))


def answered(law: str, case: str, answer: Callable[[], Any]) -> Outcome:
    """Wait for the answer; that there is none is a failure of its case.

    Parameters
    ----------
    law, case : str
        What was sent.
    answer : callable
        As of :func:`sent`.

    Returns
    -------
    Outcome
    """
    try:
        found: Outcome = answer()
    except Ended as ended:
        group, _, name = law.partition(".")
        cure = "Run it in a debugger, or declare in `gaps` what the adapter cannot do."
        text = f"{law} must get an answer. The adapter {ended}. {cure}"
        return Outcome(group, name, case, "failed", text, raised=True, ended=True)
    except Raised as error:  # outside of the law: as the adapter was loaded anew, or told its gaps
        group, _, name = law.partition(".")
        return Outcome(group, name, case, "failed", f"{law} must get an answer. Got {error}.", raised=True, ended=True)
    return found


def _trial(request: Request, description: Description, outcome: Outcome, excused: dict[str, Known]) -> dict[str, Any]:
    entry = excused.get(outcome.id)
    return {
        "id": outcome.id,
        "subject": request.path,
        "group": outcome.group,
        "law": outcome.law,
        "case": outcome.case,
        "convention": description.convention.name,
        "outcome": "known" if entry is not None else outcome.outcome,
        "reason": f"{entry.reason} ({entry.link})"
        if entry
        else outcome.message
        if outcome.outcome == "skipped"
        else "",
        "worst": outcome.worst,
        "unbounded": outcome.unbounded,
        "message": outcome.message if outcome.outcome == "failed" else "",
        "seconds": outcome.seconds,
    }


def _explained(
    request: Request, isolation: Isolation, failed: Sequence[Outcome], most: int, timeout: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Explain the first failure of each law, and look for known defects that behave the same."""
    first: dict[str, Outcome] = {}
    counts = Counter(f"{outcome.group}.{outcome.law}" for outcome in failed)
    for outcome in failed:
        first.setdefault(f"{outcome.group}.{outcome.law}", outcome)
    chosen = list(first.items())[:most]
    answers = [
        # What hung or died would do so again.
        (law, outcome, None if outcome.ended else isolation.send(explain, request, law, _of(outcome), timeout=timeout))
        for law, outcome in chosen
    ]
    explanations = []
    for law, outcome, answer in answers:
        try:
            found = _plain(law, outcome) if answer is None else _told(answer(), outcome)
        except (Ended, Raised):
            found = _plain(law, outcome)
        explanations.append({**found, "failures": counts[law]})
    broken = [
        (law, _of(outcome))
        for (law, outcome), each in zip(chosen, explanations, strict=True)
        if each["reproduced"] and not outcome.raised
    ]
    if not broken:
        return explanations, []
    try:
        alike = isolation.send(partial(resemble, request), broken, timeout=timeout)()
    except (Ended, Raised):
        alike = []
    return explanations, [each._asdict() for each in alike]


def _of(outcome: Outcome) -> Any:
    """Return the case that failed, or its id."""
    return outcome.case if outcome.drawn is None else outcome.drawn


def _told(found: Explanation, outcome: Outcome) -> dict[str, Any]:
    """Return an explanation as plain data; what does not repeat has the message of the trial."""
    again = (
        f"{outcome.message} That does not repeat: tried {found.tried} times more, alone, it fails {found.failed} times."
    )
    return {**asdict(found), "message": found.message or again, "reproduced": found.reproduced}


def _plain(law: str, outcome: Outcome) -> dict[str, Any]:
    """Say what is known without the adapter."""
    found = next(each for each in LAWS if f"{each.group}.{each.name}" == law)
    return {
        "law": law,
        "sentence": found.sentence,
        "effect": found.effect,
        "case": outcome.case,
        "message": outcome.message,
        "reproduced": True,
    }
