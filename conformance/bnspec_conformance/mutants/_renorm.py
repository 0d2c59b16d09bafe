"""Mutants of batch renormalization."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import KERAS

from ._complete import Complete, Entry
from ._mutant import registry

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()


class _Renormalized(Complete):
    convention = KERAS


@repeats("keras-team/keras-contrib#127")
class RenormIgnored(_Renormalized):
    """The limits of r and d stay at 1 and 0, so that nothing is corrected."""

    def correction(self, entry: Entry) -> tuple[Array, Array]:
        return self.dtype.type(1), self.dtype.type(0)


@repeats("tensorpack/tensorpack#360", "tensorpack/tensorpack#1065")
class CorrectedAfterGamma(_Renormalized):
    """The correction comes after gamma and beta."""

    def composed(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return (unit * pair[0] + pair[1]) * self.gamma * correction[0] + self.beta * correction[0] + correction[1]


@repeats("ajbrock/Neural-Photo-Editor#14")
class ShiftedAfterGamma(_Renormalized):
    """D is added after gamma."""

    def composed(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return super().composed(unit, (correction[0], self.dtype.type(0)), pair) + correction[1]


@repeats("patrick-kidger/equinox#659, the correction")
class CorrectedByTheAveragesAfter(_Renormalized):
    """R and d are taken from the averages that the batch has entered."""

    def correction(self, entry: Entry) -> tuple[Array, Array]:
        after = copy(self)
        after.advance([entry])
        return Complete.correction(after, entry)


@repeats("tensorflow/tensorflow#8544, without stop_gradient", "keras-team/keras-contrib#337")
class GradientThroughTheCorrection(_Renormalized):
    """R and d are differentiated through, which undoes the gradient of the statistics."""

    def takes(self) -> tuple[float, float]:
        return super().takes() if self.config.renorm is None else (0.0, 0.0)


@repeats("keras-team/keras-contrib#142, the least r", "titu1994#7")
class LeastRIgnored(_Renormalized):
    """R is clipped from above alone."""

    def ratio(self, deviation: Array) -> Array:
        return np.minimum(deviation / self.spread_before(), self.limits.rmax)


@repeats("keras-team/keras-contrib#142, the greatest r")
class GreatestRIgnored(_Renormalized):
    """R is clipped from below alone."""

    def ratio(self, deviation: Array) -> Array:
        return np.maximum(deviation / self.spread_before(), self.limits.rmin)


@repeats("keras-team/keras-contrib#142, the limits of d")
class DClippedFromAbove(_Renormalized):
    """D is clipped from above alone."""

    def shift(self, entry: Entry) -> Array:
        return np.minimum((entry.mean - self.renorm_mean) / self.spread_before(), self.limits.dmax)


@repeats("keras-team/keras-contrib#142, before the division")
class DClippedBeforeDivision(_Renormalized):
    """The difference of the means is clipped, then divided."""

    def shift(self, entry: Entry) -> Array:
        dmax = self.limits.dmax
        return np.clip(entry.mean - self.renorm_mean, -dmax, dmax) / self.spread_before()


@repeats("keras-team/keras-contrib#28")
class EpsilonAddedToTheDeviation(_Renormalized):
    """The batch is corrected by the averaged deviation plus epsilon."""

    def spread_before(self) -> Array:
        return self.renorm_stddev + self.dtype.type(self.epsilon)


@repeats("keras-team/keras-contrib#28, a deviation of 0")
class DeviationWithoutFloor(_Renormalized):
    """The averaged deviation that corrects a batch may be below the root of epsilon."""

    def spread_before(self) -> Array:
        return self.renorm_stddev


@repeats("microsoft/onnxruntime#8172, the correction")
class RInverted(_Renormalized):
    """R is the averaged deviation over that of the batch."""

    def ratio(self, deviation: Array) -> Array:
        return np.clip(self.spread_before() / deviation, self.limits.rmin, self.limits.rmax)


@repeats("keras-team/keras-contrib#28, no denominator of d")
class DNotDivided(_Renormalized):
    """D is the difference of the means, in the units of the input."""

    def shift(self, entry: Entry) -> Array:
        return np.clip(entry.mean - self.renorm_mean, -self.limits.dmax, self.limits.dmax)


@repeats("keras-team/keras-contrib#28, another denominator of d", "keras-team/keras-contrib#17")
class DDividedByTheBatch(_Renormalized):
    """D is divided by the deviation of the batch."""

    def shift(self, entry: Entry) -> Array:
        dmax = self.limits.dmax
        return np.clip((entry.mean - self.renorm_mean) / self.deviation(entry.variance), -dmax, dmax)


@repeats("keras-team/keras-contrib#28, one momentum")
class RenormMovesWithMomentum(_Renormalized):
    """The averages of renormalization move with the momentum of the others."""

    def renorm_share(self) -> float:
        return self.share()


@repeats("chainer/chainer#7104", "keras-team/keras 3.15.1, renorm, inverted")
class VarianceAveragedDirectly(_Renormalized):
    """The running variance is an average of variances, not the square of one of deviations."""

    def move(self, entry: Entry) -> None:
        old = self.moving_variance
        super().move(entry)
        self.moving_variance = self.toward(old, entry.estimate, self.shares()[1], entry.present)


@repeats("keras-team/keras-contrib#287")
class EpsilonStaysInTheVariance(_Renormalized):
    """Epsilon is not taken off the running variance again."""

    def variance_of(self, deviation: Array) -> Array:
        return np.square(deviation)


@repeats("keras-team/keras-contrib#287, in the correction")
class EpsilonMissingInR(_Renormalized):
    """R has the deviation of the batch without epsilon."""

    def correction(self, entry: Entry) -> tuple[Array, Array]:
        if self.config.renorm is None:
            return super().correction(entry)
        return self.ratio(np.sqrt(entry.variance)), self.shift(entry)


@repeats("pytorch/xla#806, renormalization")
class EvaluationUsesTheRenormAverages(_Renormalized):
    """Evaluation normalizes by the averages that correct a batch."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        if self.config.renorm is None:
            return super().averages(x)
        return self.renorm_mean, self.variance_of(self.renorm_stddev)


@repeats("facebookresearch/CrypTen#143, the correction")
class GammaGradientUncorrected(_Renormalized):
    """The gradient of gamma is that of normalized values without r and d."""

    def multiplied(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return unit * pair[0] + pair[1]


@repeats("facebookresearch/CrypTen#143, r")
class GradientWithoutR(_Renormalized):
    """The gradient of the input is not scaled by r."""

    def gain(self, r: Array | float) -> Array | float:
        return self.dtype.type(1)


@repeats("nflows 0.14, the correction")
class RFromTheEstimate(Complete):
    """R has the variance that enters the running one, not the population's."""

    def correction(self, entry: Entry) -> tuple[Array, Array]:
        return super().correction(entry._replace(variance=entry.estimate))


@repeats("keras-team/keras-core#339, renormalization")
class RenormAveragesNotUpdated(_Renormalized):
    """The averages that correct a batch never change."""

    def renorm_share(self) -> float:
        return 0.0
