"""Mutants of batch normalization inside of a bijector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._flow_mutant import flow_registry
from ._sound_flow import SoundFlow

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = flow_registry()


@repeats("VincentStimper/normalizing-flows#27", "VincentStimper/normalizing-flows#28")
class LogDetSignOfNormalization(SoundFlow):
    """The log-det of normalization has the sign of the other direction."""

    def log_det(self, part: Any, x: Array, gamma: Array, variance: Array, epsilon: Any, pair: Any, ndims: int) -> Array:
        return -super().log_det(part, x, gamma, variance, epsilon, pair, ndims)


@repeats("no public report, a term of the log-det")
class EpsilonLeftOutOfLogDet(SoundFlow):
    """The log-det has the variance without epsilon."""

    def log_variance(self, variance: Array, epsilon: Any) -> Array:
        return np.log(variance) / 2


@repeats("tensorflow/probability#238", "tensorflow/probability#587")
class PixelsLeftOut(SoundFlow):
    """The log-det of an image is that of one pixel."""

    def spread_total(self, terms: Array, shape: tuple[int, ...], ndims: int) -> Array:
        inside = range(len(shape) - ndims, len(shape))
        batch = tuple(1 if place in inside else size for place, size in enumerate(shape))
        return self.total(np.broadcast_to(terms, np.broadcast_shapes(terms.shape, batch)), ndims)


@repeats("tensorflow_probability 0.25.0, bijector of one axis that is not last")
class ChannelsCountedTwice(SoundFlow):
    """The logarithms of the variances are summed over the channels, and then once more for each of them."""

    def log_det(self, part: Any, x: Array, gamma: Array, variance: Array, epsilon: Any, pair: Any, ndims: int) -> Array:
        if len(part.axis) == 1 and part.axis[0] != -1:
            terms = self.log_gamma(part, gamma) - variance.size * self.log_variance(variance, epsilon)
            return self.spread_total(terms, x.shape, ndims)
        return super().log_det(part, x, gamma, variance, epsilon, pair, ndims)


@repeats("tensorflow_probability 0.25.0, several axes")
class SeveralAxesCountedWrong(SoundFlow):
    """With several feature axes, the leading ones are taken for those that are averaged over."""

    def spread_total(self, terms: Array, shape: tuple[int, ...], ndims: int) -> Array:
        found = super().spread_total(terms, shape, ndims)
        features = sum(size > 1 for size in terms.shape)
        return found * shape[-2] if features > 1 else found


@repeats("TuringLang/Bijectors.jl#43")
class StaleVariance(SoundFlow):
    """In training, the log-det has the running variance, and not that of the batch."""

    def log_det_statistics(self, part: Any, variance: Array) -> Array:
        return self.state[part][1].reshape(self.kept)


@repeats("tensorflow_probability 0.25.0, density in training, after the update")
class VarianceAfterUpdate(SoundFlow):
    """The density of a training batch has the running variance that the batch has just moved."""

    def log_density(self, value: Array) -> Array:
        x, log_det = self.through("inverse", value)
        self.settle()
        for part in self.normalizations:
            if part.by_batch and self.entry.part is part:
                epsilon = self.dtype.type(part.epsilon)
                gamma = np.ones(1) if part.gamma is None else part.gamma
                log_det = np.broadcast_to(
                    self.total(self.log_gamma(part, gamma) - self.log_variance(self.state[part][1], epsilon), 1),
                    log_det.shape,
                )
        return self.base_log_prob(x) + log_det


@repeats("tensorflow_probability 0.25.0, a frozen layer")
class FrozenByBatch(SoundFlow):
    """A frozen layer normalizes by its averages, with the log-det of the batch."""

    def log_det_statistics(self, part: Any, variance: Array) -> Array:
        if not part.training or part.trainable or part.by_batch:
            return variance
        return self.statistics(self.seen)[1]

    def normalized(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        self.seen = x
        return super().normalized(part, direction, x, ndims)


@repeats("tensorflow_probability 0.25.0, an adjustment")
class AdjustmentLeftOut(SoundFlow):
    """The scale of an adjustment is in the value, and not in the log-det."""

    def log_adjustment(self, scale: Array) -> Array:
        return np.zeros_like(scale)


@repeats("no public report, a term of the log-det")
class GammaLeftOut(SoundFlow):
    """The log-det has no gamma."""

    def log_gamma(self, part: Any, gamma: Array) -> Array:
        return np.zeros_like(gamma)


@repeats("tensorflow_probability 0.25.0, negative gamma")
class LogOfNegativeGamma(SoundFlow):
    """The log-det has the logarithm of gamma, and not of its size."""

    def log_gamma(self, part: Any, gamma: Array) -> Array:
        return np.log(gamma)


@repeats("tensorflow_probability 0.25.0, bijector without gamma")
class LogOfNoGamma(SoundFlow):
    """A layer without gamma has no log-det."""

    def log_gamma(self, part: Any, gamma: Array) -> Array:
        if part.gamma is None:
            raise ValueError("None values not supported.")
        return super().log_gamma(part, gamma)


@repeats("tensorflow/probability#629, with a state")
class MovedTwice(SoundFlow):
    """Value and log-det together move the averages twice."""

    def inverse_and_log_det(self, y: Array, event_ndims: int | None = None) -> tuple[Array, Array]:
        return self.inverse(y), super().inverse_and_log_det(y, event_ndims)[1]


@repeats("tensorflow/probability#54, with a state")
class MovedTwiceByDensity(SoundFlow):
    """The log-density runs the inverse once for the value and once for the log-det."""

    def log_prob(self, value: Array) -> Array:
        found = super().log_prob(value)
        super().log_prob(value)
        return found


@repeats("no public report, a state that is looked at")
class MovedByLogDet(SoundFlow):
    """A log-det alone moves the averages."""

    def inverse_log_det(self, y: Array, event_ndims: int | None = None) -> Array:
        found = super().inverse_log_det(y, event_ndims)
        self.settle()
        return found


@repeats("no public report, a state that is looked at")
class MovedBySampling(SoundFlow):
    """Draws in training move the averages, as their own inverse would."""

    def sample(self, shape: tuple[int, ...], seed: int) -> Array:
        found = super().sample(shape, seed)
        if self.entry.part is not None:
            self.through("inverse", found.astype(self.dtype))
            self.settle()
        return found


@repeats("no public report, a state that stays")
class NotMoved(SoundFlow):
    """The averages never move."""

    def move(self, part: Any, x: Array, mean: Array, variance: Array) -> None:
        """Leave them."""


@repeats("tensorflow_probability 0.25.0, cached inverse in training", "tensorflow/probability#1510")
class RememberedByObject(SoundFlow):
    """What was once the output of inverse is mapped back to what it came from, whatever the averages are."""

    def inverse(self, y: Array) -> Array:
        found = super().inverse(y)
        self.remembered = (found, y)
        return found

    def forward(self, x: Array) -> Array:
        found, y = getattr(self, "remembered", (None, None))
        return y if x is found else super().forward(x)


@repeats("tensorflow/probability#121, the statistics of forward")
class ForwardByBatch(SoundFlow):
    """In training, forward undoes the inverse of the last batch."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        self.last = super().statistics(x)
        return self.last

    def normalized(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        last = getattr(self, "last", None)
        if direction == "inverse" or not part.by_batch or last is None:
            return super().normalized(part, direction, x, ndims)
        kept, self.state[part] = self.state[part], tuple(one.reshape(part.moving_mean.shape) for one in last)
        found = super().normalized(part, direction, x, ndims)
        self.state[part] = kept
        return found


@repeats("no public report, statistics of the batch in evaluation")
class EvaluatedByBatch(SoundFlow):
    """A batch is normalized by itself in evaluation too, where it is large enough."""

    def normalized(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        if direction == "forward" or part.by_batch or len(x) < 2:
            return super().normalized(part, direction, x, ndims)
        axis = tuple(place % x.ndim for place in part.axis)
        self.others = tuple(place for place in range(x.ndim) if place not in axis)
        kept, (mean, variance) = self.state[part], self.statistics(x)
        self.state[part] = (mean.reshape(part.moving_mean.shape), variance.reshape(part.moving_mean.shape))
        found = super().normalized(part, direction, x, ndims)
        self.state[part] = kept
        return found
