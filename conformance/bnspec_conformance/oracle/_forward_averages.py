"""Running averages in the second oracle, each summed over its whole history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

from ._forward import height, number

if TYPE_CHECKING:
    from bnspec import Renorm
    from bnspec.conventions import Convention

    from ._forward import Index, ObjectArray

__all__ = ["Averages", "Averaging", "Entry", "State", "shares"]

_COUNTED = 64
"""The digits of a power of the momentum are counted in a height up to this one."""


class State(NamedTuple):
    """Running averages, parameter-shaped, and the number of counted training batches."""

    moving_mean: ObjectArray
    moving_variance: ObjectArray
    num_batches: int
    moving_stddev: ObjectArray | None = None
    renorm_mean: ObjectArray | None = None
    renorm_stddev: ObjectArray | None = None


class Entry(NamedTuple):
    """What enters the averages at once, of the kept shape: present channels, mean, variance, running estimate."""

    present: ObjectArray
    mean: ObjectArray
    variance: ObjectArray
    estimate: ObjectArray

    @classmethod
    def absent(cls, kept: Index) -> Entry:
        zeros = (np.full(kept, mpmath.mpf(0), dtype=object) for _ in range(3))
        return cls(np.full(kept, fill_value=False), *zeros)

    def put(self, place: Index, *found: Any) -> None:
        """Store total weight, mean, variance and estimate of a channel, unless the total weight is 0."""
        if found[0] > 0:
            self.present[place] = True
            self.mean[place], self.variance[place], self.estimate[place] = found[1:]


def shares(kind: str, factor: Any, counted: int, updates: int) -> list[Any]:
    """Return what the initial value and each of the updates after it weigh in a running average.

    Parameters
    ----------
    kind : {"exponential", "debiased", "first"}
        Which average.
    factor : mpf
        What a value's weight is multiplied by, when another one enters.
    counted : int
        Batches counted before the first of the updates.
    updates : int
        How many.

    Returns
    -------
    list of mpf
        The share of the initial value, and that of each update.

    Notes
    -----
    "exponential" has the weights ``1, 1 - f, 1 - f, ...``, each times f per later update; their sum is 1. "first"
    has ``0, 1, 1 - f, ...`` where nothing has been counted before. "debiased" has equal weights ``1, 1, 1, ...``
    times f per later update, divided by their sum; here the initial value stands for all batches that have been
    counted before it, so its weight is the sum of ``f**k`` over k below their number. With f = 1 this is the mean of
    all of them.
    """
    one = mpmath.mpf(1)
    if kind == "debiased":
        before = mpmath.mpf(counted) if factor == 1 else (1 - factor**counted) / (1 - factor)
        weights = [before * factor**updates, *(factor ** (updates - 1 - k) for k in range(updates))]
        total = sum(weights, mpmath.mpf(0))
        return [weight / total for weight in weights] if updates else [one]
    entering = [one, *((1 - factor) for _ in range(updates))]
    if kind == "first" and counted == 0 and updates:
        entering[:2] = [one - one, one]
    return [weight * factor ** (updates - k) for k, weight in enumerate(entering)]


class Averaging(NamedTuple):
    """The kinds of the averages of mean and variance, and the factor that old values have, as in `shares`."""

    mean: str
    variance: str
    factor: Any

    @classmethod
    def of(cls, convention: Convention, momentum: Any) -> Averaging:
        """Take what a convention and a momentum, which may be None, ask for."""
        if momentum is None:
            return cls("debiased", "debiased", mpmath.mpf(1))
        factor = momentum if convention.momentum_weighs == "old" else mpmath.fsub(1, momentum, exact=True)
        if convention.average == "debiased_mean":
            return cls("debiased", "exponential", factor)
        return cls(convention.average, convention.average, factor)

    def height(self, counted: int) -> int:
        """Bound the height that one more update adds, after `counted` batches at most."""
        if self.factor == 1 and "debiased" in self:
            return counted.bit_length() + 1
        once = height(self.factor) + 1
        return once * min(counted + 1, _COUNTED) if "debiased" in self else once


class Average:
    """A running average that is summed over its whole history at each update."""

    def __init__(self, initial: ObjectArray, kind: str, factor: Any) -> None:
        self.value = initial
        self._initial, self._kind, self._factor = initial, kind, factor
        self._history: list[ObjectArray] = []

    def enter(self, number: int, present: ObjectArray, value: ObjectArray) -> None:
        """Let batch `number` enter, in the channels where it is present.

        Elsewhere the average stays. It would also stay if it were averaged with itself, and so that is what counts
        there when later batches enter.
        """
        self._history.append(np.where(present, value, self.value))
        weights = shares(self._kind, self._factor, number - len(self._history), len(self._history))
        terms = [share * part for share, part in zip(weights, (self._initial, *self._history), strict=True)]
        self.value = np.where(present, np.asarray(sum(terms), dtype=object), self.value)


class Averages:
    """The running averages of a layer, parameter-shaped, and the number of counted batches."""

    def __init__(
        self, state: State, averaging: Averaging, renorm: Renorm | None, convention: Convention, epsilon: Any
    ) -> None:
        self.number, self._epsilon = state.num_batches, epsilon
        self._initial = state.moving_variance
        self._entered = np.full(state.moving_variance.shape, fill_value=False)
        self._mean = Average(state.moving_mean, averaging.mean, averaging.factor)
        self._renormed: tuple[Average, Average] | None = None
        self._spread = Average(state.moving_variance, averaging.variance, averaging.factor)
        deviations = [part for part in state[3:] if isinstance(part, np.ndarray)]
        if renorm is not None:
            stddev, *own = deviations
            self._spread = Average(stddev, averaging.variance, averaging.factor)
            momentum = number(renorm.momentum)
            factor = momentum if convention.momentum_weighs == "old" else 1 - momentum
            self._renormed = Average(own[0], "exponential", factor), Average(own[1], "exponential", factor)

    def enter(self, entry: Entry, shape: Index) -> None:
        """Count a batch, and let its statistics enter where it is present."""
        present, mean, variance, estimated = (part.reshape(shape) for part in entry)
        self.number += 1
        self._entered = self._entered | present
        self._mean.enter(self.number, present, mean)
        if self._renormed is None:
            self._spread.enter(self.number, present, estimated)
            return
        self._spread.enter(self.number, present, self._deviation(estimated))
        self._renormed[0].enter(self.number, present, mean)
        self._renormed[1].enter(self.number, present, self._deviation(variance))

    def _deviation(self, variance: ObjectArray) -> ObjectArray:
        found = np.empty(variance.shape, dtype=object)
        for place in np.ndindex(*variance.shape):
            found[place] = mpmath.sqrt(variance[place] + self._epsilon)
        return found

    def state(self) -> State:
        if self._renormed is None:
            return State(self._mean.value, self._spread.value, self.number)
        variance = self._initial.copy()
        for place in np.ndindex(*variance.shape):
            if self._entered[place]:
                variance[place] = max(self._spread.value[place] ** 2 - self._epsilon, mpmath.mpf(0))
        return State(
            self._mean.value, variance, self.number, self._spread.value, *(part.value for part in self._renormed)
        )
