"""The variants, each a different sound way to compute the same thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import KERAS
from bnspec_conformance.mutants import Sound

if TYPE_CHECKING:
    Array = Any  # an ndarray; see mutants/_sound.py

__all__ = ["VARIANTS"]


class TwoPass(Sound):
    """Average, then average the squared deviations, with NumPy's sums."""


class TwoPassKeras(Sound):
    """The same under the convention of Keras."""

    convention = KERAS


class ByRows(Sound):
    """Work on rows (N, C); a base for what sums in an order of its own."""

    def average(self, terms: Array) -> Array:
        return (self.summed(terms) / terms.dtype.type(self.count(terms))).reshape(self.kept)

    def summed(self, terms: Array) -> Array:
        features = [axis for axis in range(terms.ndim) if axis not in self.reduced]
        rows = terms.transpose(*self.reduced, *features).reshape(self.count(terms), -1)
        return self.total(rows) if len(rows) else rows.sum(axis=0)

    def total(self, rows: Array) -> Array:
        """Sum over the rows."""
        return rows.sum(axis=0)


class SequentialSums(ByRows):
    """Add one element after the other."""

    def total(self, rows: Array) -> Array:
        return np.cumsum(rows, axis=0, dtype=rows.dtype)[-1]


class BackwardSums(SequentialSums):
    """Add from the last element to the first."""

    def total(self, rows: Array) -> Array:
        return super().total(rows[::-1])


class PairwiseSums(ByRows):
    """Add halves."""

    def total(self, rows: Array) -> Array:
        half = len(rows) // 2
        return rows[0] if half == 0 else self.total(rows[:half]) + self.total(rows[half:])


class BlockedSums(ByRows):
    """Add blocks of 32, then their sums."""

    def total(self, rows: Array) -> Array:
        while len(rows) > 1:
            rows = np.add.reduceat(rows, np.arange(0, len(rows), 32), axis=0)
        return rows[0]


class ChannelsFirst(Sound):
    """Transpose the features to the front and sum contiguous memory."""

    def average(self, terms: Array) -> Array:
        features = [axis for axis in range(terms.ndim) if axis not in self.reduced]
        columns = np.ascontiguousarray(terms.transpose(*features, *self.reduced)).reshape(-1, self.count(terms))
        return columns.mean(axis=1).reshape(self.kept)


class FortranOrder(Sound):
    """Compute in Fortran order throughout."""

    def widen(self, x: Array) -> Array:
        return np.asfortranarray(super().widen(x))


class OutputNotContiguous(Sound):
    """Return a view with a step."""

    def narrow(self, y: Array, dtype: Any) -> Array:
        wide = np.zeros((*y.shape[:-1], 2 * y.shape[-1]), dtype)
        wide[..., ::2] = y
        return wide[..., ::2]


class MeanByReciprocal(Sound):
    """Multiply sums by 1 / N."""

    def average(self, terms: Array) -> Array:
        return terms.sum(axis=self.reduced, keepdims=True) * terms.dtype.type(1.0 / self.count(terms))


class Shifted(Sound):
    """Subtract the first element, then take mean(d^2) - mean(d)^2 of what is left."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        first = x[tuple(slice(1) if axis in self.reduced else slice(None) for axis in range(x.ndim))]
        shifted = x - first
        mean = self.average(shifted)
        return first + mean, np.maximum(self.average(np.square(shifted)) - np.square(mean), 0.0)


class Corrected(Sound):
    """Correct the sum of squares by what the rounding of the mean has left."""

    def variance(self, x: Array, mean: Array) -> Array:
        deviation = x - mean
        return self.average(np.square(deviation)) - np.square(self.average(deviation))


class Merged(Sound):
    """Take moments of chunks and merge them, from the left (Chan, Golub and LeVeque 1983)."""

    order = 1

    def statistics(self, x: Array) -> tuple[Array, Array]:
        features = [axis for axis in range(x.ndim) if axis not in self.reduced]
        rows = x.transpose(*self.reduced, *features).reshape(self.count(x), -1)
        parts = [self.part(rows[start : start + 3]) for start in range(0, len(rows), 3)][:: self.order]
        count, mean, squares = parts[0]
        for other in parts[1:]:
            count, mean, squares = self.merge((count, mean, squares), other)
        return mean.reshape(self.kept), (squares / x.dtype.type(count)).reshape(self.kept)

    @staticmethod
    def part(rows: Array) -> tuple[int, Array, Array]:
        """Count, average, and sum the squared deviations."""
        mean = rows.mean(axis=0)
        return len(rows), mean, np.square(rows - mean).sum(axis=0)

    @staticmethod
    def merge(a: tuple[int, Array, Array], b: tuple[int, Array, Array]) -> tuple[int, Array, Array]:
        """Combine two parts."""
        count, delta = a[0] + b[0], b[1] - a[1]
        kind = delta.dtype.type
        mean = a[1] + delta * kind(b[0] / count)
        return count, mean, a[2] + b[2] + np.square(delta) * kind(a[0] * b[0] / count)


class MergedBackwards(Merged):
    """The same from the right."""

    order = -1


class Welford(Merged):
    """Merge one element at a time (Welford 1962)."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        features = [axis for axis in range(x.ndim) if axis not in self.reduced]
        mean = np.zeros(int(np.prod(self.kept)), x.dtype)
        squares = mean.copy()
        for number, row in enumerate(x.transpose(*self.reduced, *features).reshape(self.count(x), -1), 1):
            delta = row - mean
            mean = mean + delta / x.dtype.type(number)
            squares = squares + delta * (row - mean)
        return mean.reshape(self.kept), (squares / x.dtype.type(self.count(x))).reshape(self.kept)


class Float64Inside(Sound):
    """Take the statistics in float64 and round them."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        mean, variance = super().statistics(x.astype(np.float64))
        return mean.astype(self.dtype), variance.astype(self.dtype)


class AllInFloat64(Sound):
    """Compute everything in float64 and round the results."""

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        self.stored, self.dtype = self.dtype, np.dtype("float64")
        super().load(gamma, beta, moving_mean.astype(np.float64), moving_variance.astype(np.float64))

    def read(self) -> tuple[Array, Array]:
        mean, variance = super().read()
        return mean.astype(self.stored), variance.astype(self.stored)

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        return {name: value.astype(self.stored) for name, value in super().parameter_gradients(dy, unit).items()}


class GammaInFloat64(Sound):
    """Fold gamma into the inverse deviation in float64."""

    def slope(self, inverse: Array) -> Array:
        return (self.gamma.astype(np.float64) * inverse.astype(np.float64)).astype(self.dtype)


class DividedByDeviation(Sound):
    """Divide by the deviation, then multiply by gamma."""

    def inverse(self, variance: Array) -> Array:
        self.deviation = np.sqrt(variance + self.epsilon)
        return 1.0 / self.deviation

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return (x - mean) / self.deviation * self.gamma + self.beta


class GammaFirst(Sound):
    """Multiply the centred values by gamma, then by the inverse deviation."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return self.gamma * (x - mean) * inverse + self.beta


class PowerOfMinusHalf(Sound):
    """Raise the variance to the power -1/2."""

    def inverse(self, variance: Array) -> Array:
        return (variance + self.epsilon) ** self.dtype.type(-0.5)


class DecrementedAverage(Sound):
    """Take a share of the difference off the old average."""

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        return old - (old - new) * share


class MomentumRoundedFirst(Sound):
    """Round the share to the dtype of the state before 1 is reduced by it."""

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        rounded = self.dtype.type(share)
        return (self.dtype.type(1.0) - rounded) * old + rounded * new


class EpsilonRounded(Sound):
    """Round epsilon to the dtype of the state."""

    def inverse(self, variance: Array) -> Array:
        return 1.0 / np.sqrt(variance + self.dtype.type(self.epsilon))


class BesselFromTheSum(Sound):
    """Divide the sum of squares by N - 1 at once."""

    def estimate(self, variance: Array, count: Array) -> Array:
        count = np.asarray(count, self.dtype)
        return variance * count / np.where(count > 1, count - 1, count)


class GammaGradientScaledLast(Sound):
    """Sum the centred values times the cotangent, then divide by the deviation, for the gradient of gamma."""

    factors: tuple[Array, Array] | None = None

    def unit(self, x: Array, mean: Array, inverse: Array) -> Array:
        self.factors = x - mean, inverse
        return super().unit(x, mean, inverse)

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        found = super().parameter_gradients(dy, unit)
        if self.factors is None:
            return found
        (centred, inverse), self.factors = self.factors, None
        return {**found, "gamma": (self.summed(dy * centred).reshape(self.kept) * inverse).reshape(self.shape)}


VARIANTS: tuple[type[Sound], ...] = (
    TwoPass,
    TwoPassKeras,
    SequentialSums,
    BackwardSums,
    PairwiseSums,
    BlockedSums,
    ChannelsFirst,
    FortranOrder,
    OutputNotContiguous,
    MeanByReciprocal,
    Shifted,
    Corrected,
    Merged,
    MergedBackwards,
    Welford,
    Float64Inside,
    AllInFloat64,
    GammaInFloat64,
    DividedByDeviation,
    GammaFirst,
    PowerOfMinusHalf,
    DecrementedAverage,
    MomentumRoundedFirst,
    EpsilonRounded,
    BesselFromTheSum,
    GammaGradientScaledLast,
)
"""Every variant."""
