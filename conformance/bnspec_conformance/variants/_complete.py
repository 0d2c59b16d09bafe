"""Variants of what has every part: ghost batches, renormalization, adjustments, and each convention."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import EQUINOX, EQUINOX_BATCH, HAIKU, KERAS, KERAS_2, NFLOWS, TF_LAYERS, TF_SLIM, TFP, TORCH
from bnspec_conformance.mutants import Complete

from ._variants import AllInFloat64, PairwiseSums, SequentialSums, Welford

if TYPE_CHECKING:
    from bnspec_conformance.mutants._complete import Entry, Part

    Array = Any  # an ndarray; see mutants/_sound.py

__all__ = ["COMPLETE"]

_EACH = replace(TORCH, name="TORCH-each-ghost", ghost_update="each")


class CompleteKeras(Complete):
    """Every part, one ghost batch after the other, under the convention of Keras."""

    convention = KERAS


class CompleteTorch(Complete):
    """The same under that of PyTorch: Bessel's correction, of merged ghost batches."""


class CompleteTfLayers(Complete):
    """The same under that of tf.layers: samples dealt out, ghost batches averaged."""

    convention = TF_LAYERS


class CompleteKeras2(Complete):
    """The same under that of Keras 2: N - (1 + epsilon)."""

    convention = KERAS_2


class CompleteHaiku(Complete):
    """The same under that of Haiku: debiased averages."""

    convention = HAIKU


class CompleteEquinox(Complete):
    """The same under that of Equinox: averages normalize, and the first batch replaces them."""

    convention = EQUINOX


class CompleteEquinoxBatch(Complete):
    """The same under the other of Equinox: debiased averages that start at 1."""

    convention = EQUINOX_BATCH


class CompleteNflows(Complete):
    """The same under that of nflows: Bessel's variance normalizes."""

    convention = NFLOWS


class CompleteEach(Complete):
    """The same, with averages that each ghost batch moves."""

    convention = _EACH


class CompleteZeroDebias(Complete):
    """The same, with a mean that is debiased and a variance that is not."""

    convention = replace(TF_SLIM, name="TF_SLIM-zero-debias", average="debiased_mean")


class CompleteRunning(Complete):
    """The same, with Bessel's correction in averages that normalize and keep what they were."""

    convention = replace(NFLOWS, name="NFLOWS-running", statistics="running")


class FoldedCorrection(Complete):
    """Multiply r, d and the adjustment out with gamma and beta beforehand, as tf_keras does."""

    convention = KERAS

    def composed(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        scale = correction[0] * pair[0] * self.gamma
        return unit * scale + ((correction[1] * pair[0] + pair[1]) * self.gamma + self.beta)


class FoldedAdjustment(Complete):
    """Fold the adjustment into gamma and beta, and leave the correction before them."""

    convention = TF_LAYERS

    def composed(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return (unit * correction[0] + correction[1]) * (pair[0] * self.gamma) + (pair[1] * self.gamma + self.beta)


class GammaGradientOfSums(Complete):
    """Sum first, then multiply by r and d, for the gradient of gamma."""

    factors: Any = None

    def multiplied(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        self.factors = unit, correction, pair
        return super().multiplied(unit, correction, pair)

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        found = super().parameter_gradients(dy, unit)
        if self.factors is None:
            return found
        (unit, (r, d), (scale, bias)), self.factors = self.factors, None
        gamma = r * self.added(dy * scale * unit) + d * self.added(dy * scale) + self.added(dy * bias)
        return {**found, "gamma": gamma.reshape(self.shape)}


class GhostAxis(Complete):
    """Give ghost batches an axis, and take the statistics of all of them at once."""

    convention = TF_LAYERS

    def parts(self, x: Array, weights: Array | None) -> list[Part]:
        size = self.config.virtual_batch_size
        if size is None or weights is not None:
            return super().parts(x, weights)
        groups = np.moveaxis(x.reshape(size, len(x) // size, *x.shape[1:]), 1, 0)
        axes = tuple(axis + 1 for axis in self.reduced)
        mean = groups.mean(axis=axes, keepdims=True)
        variance = np.square(groups - mean).mean(axis=axes, keepdims=True)
        alone = super().parts(x, weights)
        return [part._replace(mean=m, variance=v) for part, m, v in zip(alone, mean, variance, strict=True)]


class SecondPassOverAll(Complete):
    """Take the statistics that enter the averages from the whole batch, not from its ghost batches."""

    def parts(self, x: Array, weights: Array | None) -> list[Part]:
        self.whole = self.measured(x, weights, slice(None))
        return super().parts(x, weights)

    def merged(self, parts: list[Part]) -> Entry:
        return self.entry(self.whole)


class HiddenAccumulator(Complete):
    """Keep m hidden + (1 - m) batch, and divide it by 1 - m^n, as Haiku does."""

    convention = HAIKU
    hidden: tuple[Array, ...] | None = None

    def move(self, entry: Entry) -> None:
        old = 1.0 - self.share()
        if self.config.momentum is None or old == 1.0 or self.config.renorm is not None:
            super().move(entry)
            return
        new = (entry.mean, entry.estimate)
        hidden = self.hidden or (self.dtype.type(0), self.dtype.type(0))
        self.hidden = tuple(old * part + (1.0 - old) * value for part, value in zip(hidden, new, strict=True))
        known = 1.0 - old**self.batches
        self.moving_mean, self.moving_variance = (part / known for part in self.hidden)


class HiddenInItsPrecision(HiddenAccumulator):
    """The same with a momentum that is rounded, and a 1 - m^n that loses its digits, as Haiku's are."""

    def share(self) -> float:
        share = super().share()
        return share if self.config.momentum is None else 1.0 - self.dtype.type(1.0 - share)  # type: ignore[return-value]


class ScaledSums(Complete):
    """Keep sums m sum + batch and the factor that they are divided by, as Caffe does."""

    convention = HAIKU
    sums: tuple[Array, ...] | None = None

    def move(self, entry: Entry) -> None:
        if self.config.momentum is None or self.config.renorm is not None:
            super().move(entry)
            return
        old = 1.0 - self.share()
        new = (entry.mean, entry.estimate, self.dtype.type(1))
        sums = self.sums or (self.dtype.type(0),) * 3
        self.sums = tuple(old * part + value for part, value in zip(sums, new, strict=True))
        self.moving_mean, self.moving_variance = (part / self.sums[2] for part in self.sums[:2])


class DecrementedDebias(Complete):
    """Take a share of the difference off averages that are debiased."""

    convention = EQUINOX_BATCH

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        return old - (old - new) * share


class DecrementedRunning(Complete):
    """Take a share of the difference off averages that normalize."""

    convention = replace(EQUINOX, name="EQUINOX-exponential", average="exponential")

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        return old - (old - new) * share


class SequentialParts(SequentialSums, Complete):
    """Add one element after the other, in each ghost batch."""

    def added(self, terms: Array) -> Array:
        return self.summed(terms).reshape(self.kept)


class PairwiseParts(PairwiseSums, Complete):
    """Add halves of each ghost batch."""

    convention = KERAS_2

    def added(self, terms: Array) -> Array:
        return self.summed(terms).reshape(self.kept)


class WelfordParts(Welford, Complete):
    """Take the statistics of each ghost batch by Welford's recurrence."""

    convention = _EACH


class PartsInFloat64(AllInFloat64, Complete):
    """Compute every part in float64 and round the results."""

    convention = KERAS

    def load_renorm(self, moving_stddev: Array, renorm_mean: Array, renorm_stddev: Array) -> None:
        super().load_renorm(*(value.astype(self.dtype) for value in (moving_stddev, renorm_mean, renorm_stddev)))

    def read_renorm(self) -> tuple[Array, Array, Array]:
        return tuple(value.astype(self.stored) for value in super().read_renorm())

    def output_dtype(self, dtype: Any) -> Any:
        return super().output_dtype(dtype) if self.convention.output_dtype == "input" else self.stored


class CorrectedByReciprocal(Complete):
    """Multiply by 1 / D for r and for d."""

    def spread_before(self) -> Array:
        return self.dtype.type(1) / super().spread_before()

    def ratio(self, deviation: Array) -> Array:
        return np.clip(deviation * self.spread_before(), self.limits.rmin, self.limits.rmax)

    def shift(self, entry: Entry) -> Array:
        dmax = self.limits.dmax
        return np.clip((entry.mean - self.renorm_mean) * self.spread_before(), -dmax, dmax)


class LogDetOfSlopes(Complete):
    """Take the logarithm of gamma over the deviation, in one."""

    convention = TFP

    def log_slope(self, variance: Array) -> Array:
        return np.log(np.abs(self.slope(self.inverse(variance))))


class LogDetOfSquares(Complete):
    """Take half the logarithm of gamma^2 over the variance."""

    def log_slope(self, variance: Array) -> Array:
        return 0.5 * np.log(np.square(self.gamma) / (variance + self.epsilon))


class LogDetByLog1p(Complete):
    """Take the logarithm of the larger of variance and epsilon, and add log1p of their ratio."""

    def log_deviation(self, variance: Array) -> Array:
        epsilon = self.dtype.type(self.epsilon)
        larger, smaller = np.maximum(variance, epsilon), np.minimum(variance, epsilon)
        return 0.5 * (np.log(larger) + np.log1p(smaller / larger))


class LogDetTimesPositions(Complete):
    """Sum the channels' logarithms, and multiply by the number of positions."""

    convention = NFLOWS

    def log_det(self, x: Array, training: bool) -> Array:
        self.training = training
        total = self.over_channels(self.normalized_by(self.widen(x), training)[1])
        positions = np.prod([size for axis, size in enumerate(x.shape) if axis in self.reduced and axis])
        return np.full(len(x), total * self.dtype.type(positions), self.output_dtype(x.dtype))

    def over_channels(self, variance: Array) -> Array:
        """Sum the logarithms of the channels."""
        return self.log_slope(variance).sum()


class LogDetOfTheProduct(LogDetTimesPositions):
    """Multiply the channels' slopes, and take the logarithm of the product."""

    convention = TFP

    def over_channels(self, variance: Array) -> Array:
        return np.log(np.prod(np.abs(self.gamma) * self.inverse(variance)))


class LogDetInFloat64(Complete):
    """Take the logarithms and their sums in float64, and round the results."""

    def log_slope(self, variance: Array) -> Array:
        wide = variance.astype(np.float64) + self.epsilon
        return np.log(np.abs(self.gamma.astype(np.float64))) - 0.5 * np.log(wide)


class LogDetOfACall(Complete):
    """Return the log-det of a call, which moves the averages as every call in training does."""

    convention = NFLOWS

    def log_det(self, x: Array, training: bool) -> Array:
        found = super().log_det(x, training)
        if training:
            self(x, True)
        return found

    def adjusted_log_det(self, x: Array, scale: Array, bias: Array) -> Array:
        found = super().adjusted_log_det(x, scale, bias)
        self.adjusted(x, scale, bias)
        return found


class InvertBySlope(Complete):
    """Divide by the slope of normalization."""

    convention = TFP

    def denormalize(self, y: Array, mean: Array, variance: Array) -> Array:
        return (y - self.beta) / self.slope(self.inverse(variance)) + mean


class InvertStepByStep(Complete):
    """Divide by gamma, then multiply by the deviation."""

    convention = EQUINOX

    def denormalize(self, y: Array, mean: Array, variance: Array) -> Array:
        return (y - self.beta) / self.gamma * np.sqrt(variance + self.epsilon) + mean


COMPLETE: tuple[type[Complete], ...] = (
    CompleteKeras,
    CompleteTorch,
    CompleteTfLayers,
    CompleteKeras2,
    CompleteHaiku,
    CompleteEquinox,
    CompleteEquinoxBatch,
    CompleteNflows,
    CompleteEach,
    CompleteZeroDebias,
    CompleteRunning,
    FoldedCorrection,
    FoldedAdjustment,
    GammaGradientOfSums,
    GhostAxis,
    SecondPassOverAll,
    HiddenAccumulator,
    HiddenInItsPrecision,
    ScaledSums,
    DecrementedDebias,
    DecrementedRunning,
    SequentialParts,
    PairwiseParts,
    WelfordParts,
    PartsInFloat64,
    CorrectedByReciprocal,
    LogDetOfSlopes,
    LogDetOfSquares,
    LogDetByLog1p,
    LogDetTimesPositions,
    LogDetOfTheProduct,
    LogDetInFloat64,
    LogDetOfACall,
    InvertBySlope,
    InvertStepByStep,
)
"""Every variant that has every part."""
