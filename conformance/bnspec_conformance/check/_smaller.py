"""Smaller: the smallest input on which a law is broken, found by Hypothesis."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec_conformance.cases import Case

    Array = np.ndarray[Any, Any]

__all__ = ["Numbers", "smallest"]

_EXAMPLES = 200
_SECONDS = 10.0
_SIZES = (1, 2, 3, 4, 6)


@dataclass(frozen=True)
class Numbers:
    """Data that are written out, in the place of a case's random numbers.

    Attributes
    ----------
    batches : tuple of array
        Those of training, and that of evaluation behind them.
    """

    batches: tuple[tuple[float, ...], ...]

    def __call__(self, shape: tuple[int, ...], number: int) -> Array:
        """Return a batch."""
        return np.reshape(np.asarray(self.batches[number], np.float64), shape)


@st.composite
def _smaller(draw: Any, case: Case) -> Case:
    """Draw a case like another with fewer and smaller batches, whole numbers, a round epsilon and a round share."""
    count = draw(st.integers(1, len(case.shapes)))
    caps = [
        draw(st.sampled_from([*(s for s in _SIZES if s < most), most]))
        for most in map(max, zip(*case.shapes, strict=True))
    ]
    shapes = tuple(tuple(map(min, shape, caps)) for shape in case.shapes[:count])
    whole = st.integers(-6, 6)
    made: Any = case.draw
    last = shapes[-1]
    if draw(st.sampled_from(["whole", "drawn"])) == "whole":
        sizes = [int(np.prod(shape)) for shape in (*shapes, last)]
        made = Numbers(tuple(tuple(draw(st.lists(whole, min_size=size, max_size=size))) for size in sizes))
    return replace(
        case,
        shapes=shapes,
        evaluation_shape=None if made is not case.draw else case.evaluation_shape and last,
        draw=made,
        epsilon=draw(st.sampled_from([1.0, case.epsilon])),
        take=case.take and draw(st.sampled_from([0.25, case.take])),
    )


def smallest(case: Case, broken: Callable[[Case], bool], seed: int) -> Case:
    """Look for the smallest case on which something is broken.

    Parameters
    ----------
    case : Case
        One on which it is.
    broken : callable
        Tells whether it is, on another.
    seed : int
        Of the search.

    Returns
    -------
    Case
        The same, where nothing smaller is found in the time that there is.
    """
    end = time.monotonic() + _SECONDS
    settings = hypothesis.settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    best = [case]

    def predicate(other: Case) -> bool:
        if time.monotonic() > end or not broken(other):
            return False
        best[0] = min(best[0], other, key=_size)
        return True

    with contextlib.suppress(hypothesis.errors.HypothesisException):  # none is smaller, or the time is up
        return hypothesis.find(
            _smaller(case),
            predicate,
            settings=settings,
            random=random.Random(seed),  # noqa: S311 - nothing is kept secret
        )
    return best[0]


def _size(case: Case) -> int:
    return sum(batch.size for batch in case.training)
