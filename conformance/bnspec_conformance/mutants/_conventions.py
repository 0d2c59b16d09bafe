"""Mutants of what conventions differ in: estimators, kinds of averages, their start, and what normalizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import EQUINOX, EQUINOX_BATCH, HAIKU, KERAS, KERAS_2, NFLOWS, TF_SLIM

from ._complete import Complete, Entry, Part
from ._mutant import registry

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()

_ZERO_DEBIAS = replace(TF_SLIM, name="TF_SLIM-zero-debias", average="debiased_mean")
# The first batch replaces the averages of EQUINOX, which then have the statistics and the gradients of the batch.
_RUNNING = replace(EQUINOX, name="EQUINOX-exponential", average="exponential")


@repeats("keras-team/keras#9003, the other way round")
class DebiasMissing(Complete):
    """The averages keep the share of their initial values."""

    convention = HAIKU

    def share_of(self, kind: str) -> float:
        return super().share_of("exponential")


@repeats("keras-team/keras#9003, twice")
class DebiasedTwice(Complete):
    """Averages that are debiased are divided by what their weights sum to once more."""

    convention = HAIKU

    def read(self) -> tuple[Array, Array]:
        share = self.share() if self.batches else 1.0
        known = self.known(1.0 - share) if share else 1.0
        return tuple((value / (known or 1.0)).astype(value.dtype) for value in super().read())


@repeats("BVLC/caffe#4885", "apache/mxnet#6176", "chainer/chainer#3261", "caffe_weight_converter#7", "cnn-models#10")
class DebiasLeftToTheReader(Complete):
    """The sums of an average are returned, without the division by what their weights sum to."""

    convention = HAIKU

    def read(self) -> tuple[Array, Array]:
        known = self.known(1.0 - self.share()) if self.batches else 1.0
        return tuple((value * known).astype(value.dtype) for value in super().read())


@repeats("patrick-kidger/equinox#1010")
class DebiasCountsFromZero(Complete):
    """The average is divided by 1 - m^(n - 1), from the second batch on."""

    convention = HAIKU

    def known(self, old: float) -> float:
        return 1.0 - old ** max(self.batches - 1, 1)


@repeats("tf_slim 1.1.0, zero_debias_moving_mean")
class VarianceNotDebiased(Complete):
    """The mean is debiased, and the variance is not."""

    convention = HAIKU

    def shares(self) -> tuple[float, float]:
        return self.share_of("debiased"), self.share_of("exponential")


@repeats("dm-sonnet 2.0.2, the averages of both")
class VarianceDebiasedToo(Complete):
    """The variance is debiased where the mean alone should be."""

    convention = _ZERO_DEBIAS

    def shares(self) -> tuple[float, float]:
        return self.share_of("debiased"), self.share_of("debiased")


@repeats('equinox 0.13.8, mode="batch"')
class DebiasedFromOne(Complete):
    """A variance that starts at 1 is divided as if it started at 0."""

    convention = EQUINOX_BATCH

    def move(self, entry: Entry) -> None:
        super().move(entry)
        if self.batches == 1:
            share = self.share()
            self.moving_variance = self.moving_variance + self.dtype.type((1.0 - share) / (share or 1.0))


@repeats("patrick-kidger/equinox#955")
class FirstBatchNotCopied(Complete):
    """The first batch is averaged with an initial variance of 0."""

    convention = EQUINOX

    def share_of(self, kind: str) -> float:
        return super().share_of("exponential")


@repeats("microsoft/onnxruntime#29790, before the update")
class NormalizedByTheAveragesBefore(Complete):
    """A training batch is normalized by the averages that it has not entered."""

    convention = _RUNNING

    def advance(self, entries: list[Entry]) -> None:
        self.before = self.moving_mean, self.moving_variance
        super().advance(entries)

    def normalizers(self, part: Part) -> tuple[Array, Array]:
        return self.before


@repeats("patrick-kidger/equinox#659, inverted")
class NormalizedByTheBatch(Complete):
    """A training batch is normalized by its own statistics, where the averages should."""

    convention = _RUNNING

    def normalizers(self, part: Part) -> tuple[Array, Array]:
        return part.mean, part.variance


@repeats("tinygrad/tinygrad#17201, averages that normalize")
class AveragesAreConstants(Complete):
    """No gradient flows through the averages to the batch that has moved them."""

    convention = _RUNNING

    def takes(self) -> tuple[float, float]:
        return 0.0, 0.0


@repeats("tensorflow/tensorflow#10857, averages that normalize")
class AveragesHaveTheGradientOfTheBatch(Complete):
    """The gradient takes the averages for the statistics of the batch."""

    convention = _RUNNING

    def takes(self) -> tuple[float, float]:
        return 1.0, 1.0


@repeats("huggingface/candle@ad73e93da, inverted")
class OldAveragesHaveNoGradient(Complete):
    """The averages before a batch get no gradient, though they normalize it in part."""

    convention = _RUNNING

    def kept_gradients(self, dy: Array, unit: Array, part: Part) -> dict[str, Array]:
        return {name: 0 * value for name, value in super().kept_gradients(dy, unit, part).items()}


@repeats("tensorflow/tensorflow#10857, deviations from the averages")
class OwnDeviationIsTheUnit(Complete):
    """The gradient of the variance takes deviations from the average for those from the batch's mean."""

    convention = _RUNNING

    def own(self, x: Array, part: Part) -> Array:
        return x - self.moving_mean


@repeats("keras-team/keras#9028, inverted")
class BesselWithoutEpsilon(Complete):
    """The running variance is divided by N - 1 where the convention says N - (1 + epsilon)."""

    convention = KERAS_2

    def lost(self, kind: str) -> float:
        return 1.0 if kind == "bessel_epsilon" else super().lost(kind)


@repeats("keras-team/keras#8982, the sign of epsilon")
class BesselEpsilonOutside(Complete):
    """The running variance is divided by N - 1 + epsilon."""

    convention = KERAS_2

    def lost(self, kind: str) -> float:
        return 1.0 - self.epsilon if kind == "bessel_epsilon" else super().lost(kind)


@repeats("chainer/chainer#332")
class BesselOfTheMean(Complete):
    """The running mean has the factor of the running variance."""

    convention = NFLOWS

    def entry(self, part: Part) -> Entry:
        found = super().entry(part)
        return found._replace(mean=self.estimate(part.mean, part.weight))


@repeats("FluxML/Flux.jl@b3356cc6b, inverted")
class NormalizedByThePopulation(Complete):
    """The population's variance normalizes where Bessel's should."""

    convention = NFLOWS

    def normalizing(self, variance: Array, count: Array) -> Array:
        return variance


@repeats("FluxML/Flux.jl@b3356cc6b, the running variance")
class RunningVarianceNormalizes(Complete):
    """The variance that enters the average normalizes too."""

    convention = KERAS_2

    def normalizing(self, variance: Array, count: Array) -> Array:
        return self.estimate(variance, count)


@repeats("pytorch/pytorch#36382, N - 1")
class GradientCountsElements(Complete):
    """The gradient of a variance that was divided by N - 1 is divided by N."""

    convention = NFLOWS

    def freedom(self, part: Part) -> Array:
        return self.freed("population", part.weight)


@repeats("FluxML/Flux.jl@b3356cc6b, the gradient")
class GradientCountsOneLess(Complete):
    """The gradient of a variance that was divided by N is divided by N - 1."""

    convention = KERAS

    def freedom(self, part: Part) -> Array:
        return self.freed("bessel", part.weight)


@repeats("patrick-kidger/equinox@8d6046e")
class DebiasedBeforeTraining(Complete):
    """Before any training, the averages are divided by 1 - m^0, which is 0."""

    convention = HAIKU

    def averages(self, x: Array) -> tuple[Array, Array]:
        known = self.dtype.type(self.known(0.5) if self.batches == 0 else 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.moving_mean / known, self.moving_variance / known
