"""How well a candidate fits what was seen: the largest error as a multiple of its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import NAIVE, Algorithm
from bnspec_conformance.expectation import Expected

from ._result import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]

UNFIT = "no value fits"
"""The reason of an observation that agrees with no value."""

__all__ = ["LOOSEST", "UNFIT", "evaluated", "fit", "judged", "misfit", "shown"]

LOOSEST = Algorithm(
    "any algorithm", NAIVE.additions, "one-pass", quotient=True, folded="everywhere", clipped=False, coarse=True
)
"""The widest bound that any released algorithm has. On the data of the probes it is still thousands of times narrower
than the distance between two candidates; how good an algorithm is, findings say."""


def misfit(seen: Any, expected: Expected) -> float:
    """Return the largest error as a multiple of its bound; infinite where anything is not finite or misshapen."""
    found = np.asarray(seen)
    if found.shape != expected.exact.shape and found.size == expected.exact.to_float().size:
        found = found.reshape(expected.exact.shape)
    if found.shape != expected.exact.shape:
        return float("inf")
    if found.size == 0:
        return 0.0
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        return float("inf")
    error = np.asarray(expected.exact.error(found))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((error == 0) | ~np.isfinite(expected.bound), 0.0, error / expected.bound)
    return float(ratio.max())


def fit(*pairs: tuple[Any, Expected]) -> float:
    """Return the worst misfit of several quantities."""
    return max(misfit(seen, expected) for seen, expected in pairs)


def evaluated(rows: Array, mean: Array, variance: Array, epsilon: float, gamma: Array, beta: Array, dtype: str) -> Any:
    """Expect the output of given statistics, for rows (N, C): once for centred, and once for folded means."""
    exact = oracle.batch_normalization(rows, mean, variance, beta, gamma, epsilon)
    wide = [part.astype(np.float64) for part in (rows, mean, variance, gamma, beta)]
    form = bounds.FORMATS["float64" if dtype == "float64" else "float32"]
    given = bounds.exact_statistics(wide[1], wide[2])
    centred = bounds.normalized(wide[0], given, epsilon, wide[3], wide[4], form, bounds.FORMATS[dtype])
    steps = ((bounds.Uncertain(wide[3], 0.0), bounds.Uncertain(wide[4], 0.0)),)
    added = bounds.folded(wide[0], given, epsilon, steps, form)
    return Expected(exact, centred), Expected(exact, centred + added)


def shown(values: Any) -> str:
    """Write numbers shortly."""
    flat = np.asarray(values, np.float64).reshape(-1)
    head = ", ".join(f"{value:.5g}" for value in flat[:4])
    return f"[{head}{', ...' if flat.size > 4 else ''}]"


def judged(
    name: str,
    ratios: Mapping[Any, float],
    what: str,
    saw: str,
    value_of: Callable[[Any], Any] = lambda candidate: candidate,
) -> Observation:
    """Say which values of a field fit, how well the best does, and how badly the best of another value.

    Parameters
    ----------
    name : str
        The field.
    ratios : mapping
        Candidate to misfit.
    what : str
        What was compared.
    saw : str
        The numbers that were seen.
    value_of : callable
        The field's value of a candidate.

    Returns
    -------
    Observation
    """
    by_value: dict[Any, float] = {}
    for candidate, ratio in ratios.items():
        value = value_of(candidate)
        by_value[value] = min(ratio, by_value.get(value, float("inf")))
    order = sorted(by_value, key=lambda value: by_value[value])
    fits = tuple(value for value in order if by_value[value] <= 1.0)
    best, others = order[0], [value for value in order if value not in fits]
    if not fits:
        tried = ", ".join(map(repr, order))
        return Observation(name, (), f"{what}: {saw}; none of {tried} fits: {_off(best, by_value)}", UNFIT)
    evidence = f"{what}: {saw}; {best!r} fits, at {by_value[best]:.2g} of its bound"
    if others:
        evidence += f"; {_off(others[0], by_value)}"
    reason = f"{' and '.join(map(repr, fits))} give the same here" if len(fits) > 1 else ""
    return Observation(name, fits, evidence, reason)


def _off(value: Any, by_value: Mapping[Any, float]) -> str:
    """Say how far the nearest value that does not fit is from it; infinitely where something is not finite."""
    if not np.isfinite(by_value[value]):
        return f"{value!r} would need finite numbers"
    return f"the next, {value!r}, is {by_value[value]:.3g} bounds off"
