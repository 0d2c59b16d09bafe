"""What is followed through the oracle: exact arrays with bounds of their errors, and how everything is computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec_conformance import bounds
from bnspec_conformance.bounds import Arithmetic, Uncertain
from bnspec_conformance.oracle import Exact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._parts import Normalized

    Array = np.ndarray[Any, Any]

__all__ = ["Followed", "Way", "added", "exact_of", "given", "nothing", "picked", "total"]


class Followed(NamedTuple):
    """An exact array, and a bound of the error that a computed one brings."""

    exact: Exact
    error: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.exact.shape

    @property
    def uncertain(self) -> Uncertain:
        """The same for the arithmetic of bounds."""
        return Uncertain(self.exact.to_float(), self.error)


@dataclass(frozen=True)
class Way:
    """How everything is computed.

    Attributes
    ----------
    grade : Grade
        How sums are.
    arithmetic : Arithmetic
        In which format.
    context : array or None
        The condition of the conditioners that take it.
    inputs : dict
        What came to the inverse of each batch normalization: filled on the way.
    averages : dict
        The running averages of those in which they are not as loaded: mean and variance, parameter-shaped.
    """

    grade: bounds.Grade
    arithmetic: Arithmetic
    context: Array | None = None
    inputs: dict[Normalized, Followed] = field(default_factory=dict)
    averages: dict[Normalized, tuple[Followed, Followed]] = field(default_factory=dict)

    def state(self, part: Normalized) -> tuple[Followed, Followed]:
        """Return the running averages of a batch normalization."""
        loaded = (given(part.moving_mean, self), given(part.moving_variance, self))
        return self.averages.get(part, loaded)


def given(values: Any, way: Way) -> Any:
    """Take an array, or a tuple of arrays, as it comes in."""
    if isinstance(values, tuple):
        return tuple(given(each, way) for each in values)
    return Followed(Exact.from_floats(values), np.asarray(way.arithmetic.given(np.asarray(values, np.float64)).error))


def exact_of(exact: Exact, pick: Any) -> Exact:
    """Apply a function of arrays that computes nothing, such as a selection, to exact numbers."""
    return Exact(np.asarray(pick(exact.numerators), dtype=object), exact.bits)


def picked(x: Followed, pick: Any) -> Followed:
    """Apply a function of arrays that computes nothing."""
    return Followed(exact_of(x.exact, pick), np.asarray(pick(np.broadcast_to(x.error, x.shape))))


def total(terms: Followed, axes: int, way: Way) -> Followed:
    """Sum over the last axes; the errors of the exact sum are those of `Exact`, added up."""
    if not axes:
        return terms
    kept = terms.shape[: len(terms.shape) - axes]
    exact = exact_of(terms.exact, lambda n: np.sum(n.reshape(*kept, -1), axis=-1, initial=0))
    found = way.arithmetic.total(terms.uncertain, np.abs(terms.exact.to_float()), way.grade, axes, extra=2.0)
    return Followed(exact, found.error)


def added(parts: Sequence[Followed], shape: tuple[int, ...], way: Way) -> Followed:
    """Add arrays in any order: each of K changes by g(K) of its size."""
    bits = max([0, *(part.exact.bits for part in parts)])
    numerators: Any = np.zeros(shape, dtype=object)
    error, size = np.zeros(shape), np.zeros(shape)
    for part in parts:
        numerators = numerators + part.exact.at(bits)
        error = error + part.error
        size = size + np.abs(part.exact.to_float()) + part.error
    growth = bounds.accumulated(len(parts), way.arithmetic.form.roundoff)
    return Followed(Exact(np.asarray(numerators, dtype=object), bits), error + growth * size)


def nothing(shape: tuple[int, ...]) -> Followed:
    """Return zeros."""
    return Followed(Exact(np.zeros(shape, dtype=object), 0), np.zeros(shape))
