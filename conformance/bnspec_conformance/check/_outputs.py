"""Outputs: how far two implementations are apart on the same cases, as a multiple of what both are allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, expectation
from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.bounds import FORMATS, GRADES
from bnspec_conformance.identify import compared_cases, missing

from ._attempt import adapter_of, quiet
from ._isolation import Ended, Raised

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec_conformance.cases import Case

    from ._attempt import Request
    from ._isolation import Isolation

    Array = np.ndarray[Any, Any]
    Answer = tuple[tuple[Array, Array, Array], ...] | str

__all__ = ["Distance", "distances"]

_QUANTITIES = ("y", "moving_mean", "moving_variance")


@dataclass(frozen=True)
class Distance:
    """How far two implementations are apart on one case.

    Attributes
    ----------
    case : str
        Its name.
    verdict : {"agree", "differ", "not compared"}
        They agree where every difference is within both bounds added; what one of them cannot do is not compared.
    output, moving_mean, moving_variance : float
        The largest difference in any call, as a multiple of both bounds added; infinite where the shapes differ.
    roundoffs : float
        The largest difference of all, relative to the largest number of its array, in units of the dtype's roundoff.
    reason : str
        Why it is not compared, or what was raised in the place of an answer.
    """

    case: str
    verdict: str
    output: float = 0.0
    moving_mean: float = 0.0
    moving_variance: float = 0.0
    roundoffs: float = 0.0
    reason: str = ""


def _answer(request: Request, number: int) -> Answer:
    """Train on the batches of a case and evaluate: the output and the averages of each call, or a gap."""
    with quiet():
        adapter, case = adapter_of(request.path, request.convention), compared_cases()[number]
        gap = missing(case, gaps_of(adapter))
        if gap:
            return gap
        layer, seen = case.build(adapter), []
        for step, x in enumerate((*case.training, case.evaluation)):
            y = layer(x.copy(), step < len(case.training))
            # float64 holds every dtype, and is known in the process that compares.
            seen.append(tuple(np.array(value).astype(np.float64) for value in (y, *layer.read())))
        return tuple(seen)  # type: ignore[arg-type]


def distances(one: Request, other: Request, isolation: Isolation, *, timeout: float = 60.0) -> list[Distance]:
    """Ask two implementations the same, and measure how far their answers are apart.

    Parameters
    ----------
    one, other : Request
        Who, each with the convention that it follows.
    isolation : Isolation
        Where.
    timeout : float
        Seconds that a case may take.

    Returns
    -------
    list of Distance
    """
    asked = (one, other)
    waiting = [
        (case, [isolation.send(_answer, request, number, timeout=timeout) for request in asked])
        for number, case in enumerate(compared_cases())
    ]
    return [_distance(case, asked, [_answered(each) for each in answers]) for case, answers in waiting]


def _answered(answer: Callable[[], Any]) -> tuple[Answer, bool]:
    """Wait for an answer, and say whether it is a failure."""
    try:
        return answer(), False
    except Ended as ended:
        return str(ended), True
    except Raised as error:
        return str(error), True


def _distance(case: Case, asked: tuple[Request, Request], answers: list[tuple[Answer, bool]]) -> Distance:
    told = [
        f"{request.path}: {answer}"
        for request, (answer, _) in zip(asked, answers, strict=True)
        if isinstance(answer, str)
    ]
    if told:
        # A gap is a gap; where neither answers, there is nothing to compare either.
        gap = len(told) == len(asked) or not any(failed for _, failed in answers)
        return Distance(case.id, "not compared" if gap else "differ", reason="; ".join(told))
    limits = [
        expectation.trajectory(case, request.convention, GRADES[request.grade])
        for request in asked
        if request.convention is not None
    ]
    worst, roundoffs = dict.fromkeys(_QUANTITIES, 0.0), 0.0
    for first, second, limit, again in zip(*(answer for answer, _ in answers), *limits, strict=True):
        for name, a, b in zip(_QUANTITIES, first, second, strict=True):
            bound = bounds.apart(getattr(limit, name).bound, getattr(again, name).bound)
            roundoff = FORMATS[case.dtype if name == "y" else case.parameter_dtype].roundoff
            worst[name] = max(worst[name], _ratio(a, b, bound))
            roundoffs = max(roundoffs, _ratio(a, b, roundoff * np.abs(getattr(limit, name).exact.to_float()).max()))
    verdict = "agree" if max(worst.values()) <= 1.0 else "differ"
    return Distance(case.id, verdict, worst["y"], worst["moving_mean"], worst["moving_variance"], roundoffs)


def _ratio(a: Array, b: Array, unit: Any) -> float:
    """Return the largest difference in its unit; infinite where one is not finite and the other another."""
    if a.shape != b.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        ratio = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b) / unit)
    return float(np.nan_to_num(ratio, nan=np.inf, posinf=np.inf).max(initial=0.0))
