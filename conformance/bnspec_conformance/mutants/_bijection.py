"""Mutants of batch normalization in a flow: the log-det, and the way back."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import TFP

from ._complete import Complete
from ._mutant import registry

if TYPE_CHECKING:
    Array = Any  # an ndarray; see _sound.py

FOUND, repeats = registry()


class _Flow(Complete):
    convention = TFP

    def positions(self, shape: tuple[int, ...]) -> int:
        """Count the elements that a channel has in one sample."""
        return int(np.prod([size for axis, size in enumerate(shape) if axis and axis not in self.config.axis]))


@repeats("tensorflow/probability#238")
class LogDetOfOnePosition(_Flow):
    """The log-det of an image is that of one of its positions."""

    def over_event(self, terms: Array) -> Array:
        return super().over_event(terms) / self.dtype.type(self.positions(terms.shape))


@repeats("tensorflow_probability 0.25.0, bijector of several axes")
class LogDetTimesLeadingAxes(_Flow):
    """The log-det is multiplied by the sizes of the leading axes of the event, wherever the features are."""

    def over_event(self, terms: Array) -> Array:
        leading = int(np.prod(terms.shape[1 : terms.ndim - len(self.config.axis)]))
        return super().over_event(terms) * self.dtype.type(leading / self.positions(terms.shape))


@repeats("tensorflow_probability 0.25.0, bijector of one axis")
class LogVarianceOfEachChannelForAll(_Flow):
    """Where the feature axis is not the last, every channel has the logarithms of all variances."""

    def log_deviation(self, variance: Array) -> Array:
        last = self.config.axis[-1] == len(self.kept) - 1
        return super().log_deviation(variance) * self.dtype.type(1 if last else self.config.num_features)


@repeats("tensorflow_probability 0.25.0, bijector without gamma", "awslabs/gluonts#540, batch normalization")
class LogDetNeedsGamma(_Flow):
    """A layer without gamma has no log-det."""

    def log_gamma(self) -> Array:
        if not self.config.scale:
            raise ValueError("None values not supported.")
        return super().log_gamma()


@repeats(
    "tensorflow_probability 0.25.0, bijector of a negative gamma",
    "aesara-devs/aeppl#111, gamma",
    "kazewong/jim#126, gamma",
)
class LogDetOfSignedGamma(_Flow):
    """The log-det has the logarithm of gamma, whatever its sign."""

    def log_gamma(self) -> Array:
        with np.errstate(invalid="ignore"):
            return np.log(self.gamma)


@repeats("ikostrikov/pytorch-flows#8, gamma read as its logarithm")
class GammaReadAsItsLogarithm(_Flow):
    """Gamma itself is in the log-det, as if it were stored as its logarithm."""

    def log_gamma(self) -> Array:
        return self.gamma


@repeats("apache/mxnet#9624, the log-determinant")
class GammaMissingInLogDet(_Flow):
    """The log-det leaves gamma out."""

    def log_gamma(self) -> Array:
        return np.zeros_like(self.gamma)


@repeats("chainer/chainer#2214, the log-determinant")
class EpsilonMissingInLogDet(_Flow):
    """The log-det leaves epsilon out."""

    def log_deviation(self, variance: Array) -> Array:
        return 0.5 * np.log(variance)


@repeats("FluxML/Flux.jl@b3356cc6b, the log-determinant")
class VarianceNotHalvedInLogDet(_Flow):
    """The log-det has the logarithm of the variance in the place of the deviation's."""

    def log_deviation(self, variance: Array) -> Array:
        return np.log(variance + self.epsilon)


@repeats(
    "VincentStimper/normalizing-flows#27, batch normalization",
    "bayesflow-org/bayesflow#471, batch normalization",
    "Information-Fusion-Lab-Umass/NuX#10, batch normalization",
)
class LogDetOfTheWayBack(_Flow):
    """The log-det has the sign of de-normalization."""

    def log_slope(self, variance: Array) -> Array:
        return -super().log_slope(variance)


@repeats("TuringLang/Bijectors.jl#43")
class LogDetOfOldAverages(_Flow):
    """In training, the log-det is that of the running variance before the batch."""

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        return self.averages(x)


@repeats("tensorflow/probability@23c395440")
class LogDetOfNewAverages(_Flow):
    """In training, the log-det is that of the running variance that the batch has just moved."""

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        after = copy(self)
        if training:
            after.advance(self.entries(x, self.parts(x, None)))
        return after.averages(x)


@repeats("nflows 0.14, the log-determinant")
class LogDetOfBesselsVariance(_Flow):
    """In training, the output is normalized by the variance over N, and the log-det is that over N - 1."""

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        mean, variance = super().normalized_by(x, training)
        count = self.count(x)
        return mean, variance * self.dtype.type(count / (count - 1)) if training else variance


@repeats("kamenbliznashki/normalizing_flows#12, the log-determinant")
class LogDetOfEachPosition(_Flow):
    """In training, the log-det is that of variances over the samples alone, one for each position of an image."""

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        return (x.mean(axis=0), x.var(axis=0)) if training else self.averages(x)


@repeats("pytorch/xla#806, the log-determinant")
class EvaluationLogDetOfTheBatch(_Flow):
    """In evaluation, the log-det is that of the batch."""

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        return super().normalized_by(x, True)


@repeats("FluxML/NNlib.jl#576, the log-determinant")
class EvaluationLogDetOfInitialState(_Flow):
    """In evaluation, the log-det is that of a running variance of 1."""

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        mean, variance = super().normalized_by(x, training)
        return mean, variance if training else np.ones_like(variance)


@repeats("wohlert/semi-supervised-pytorch#21, batch normalization")
class LogDetOfTheBatch(_Flow):
    """Each sample has the log-det of the whole batch."""

    def over_event(self, terms: Array) -> Array:
        alone = super().over_event(terms)
        return np.full_like(alone, alone.sum())


@repeats("pytorch/pytorch#96136, the log-determinant")
class LogDetMovesTwice(_Flow):
    """In training, the log-det runs the forward pass twice, and the averages move both times."""

    def log_det(self, x: Array, training: bool) -> Array:
        found = super().log_det(x, training)
        if training:
            self(x, True)
            self(x, True)
        return found


@repeats("FluxML/Flux.jl#1429, the log-determinant")
class EvaluationLogDetMoves(_Flow):
    """In evaluation, the log-det moves the averages."""

    def log_det(self, x: Array, training: bool) -> Array:
        found = super().log_det(x, training)
        if not training:
            self(x, True)
        return found


@repeats("FlagOpen/FlagGems#6435, the log-determinant")
class LogDetAsScratch(_Flow):
    """The log-det overwrites the input with its centred values."""

    def log_det(self, x: Array, training: bool) -> Array:
        found = super().log_det(x, training)
        x -= self.average(x)
        return found


@repeats("tensorflow_probability 0.25.0, bijector with an adjustment")
class LogDetWithoutAdjustment(_Flow):
    """The log-det leaves the scale of an adjustment out."""

    def log_scale(self, scale: Array) -> Array:
        return np.zeros_like(scale)


@repeats("keras-team/keras#10648, the log-determinant with an adjustment")
class LogDetOfAverageAdjustment(_Flow):
    """The log-det takes the scale of an adjustment for that of its channel."""

    def log_scale(self, scale: Array) -> Array:
        return super().log_scale(scale * 0 + self.average(scale))


@repeats("tensorflow_probability 0.25.0, cached inverse in training")
class InvertRemembersTheInput(_Flow):
    """What training has just returned is mapped back to the input that is remembered."""

    pair: tuple[Array, Array] | None = None

    def trained(self, x: Array, weights: Array | None = None, adjustment: tuple[Array, Array] | None = None) -> Array:
        y = super().trained(x, weights, adjustment)
        self.pair = y.copy(), x.copy()
        return y

    def invert(self, y: Array) -> Array:
        if self.pair is not None and np.array_equal(self.pair[0], y):
            return self.pair[1]
        return super().invert(y)


@repeats("ikostrikov/pytorch-flows#8, after a batch")
class InvertByTheLastBatch(_Flow):
    """In training, the way back is by the statistics of the last batch."""

    def trained(self, x: Array, weights: Array | None = None, adjustment: tuple[Array, Array] | None = None) -> Array:
        self.last = self.statistics(self.widen(x))
        return super().trained(x, weights, adjustment)

    def denormalize(self, y: Array, mean: Array, variance: Array) -> Array:
        return super().denormalize(y, *(self.last if self.training else (mean, variance)))


@repeats("chainer/chainer#2214, the way back")
class InvertWithoutEpsilon(_Flow):
    """The way back leaves epsilon out."""

    def denormalize(self, y: Array, mean: Array, variance: Array) -> Array:
        return (y - self.beta) * (np.sqrt(variance) / self.gamma) + mean


@repeats("jax-ml/jax#442, gamma on the way back")
class InvertMultipliesByGamma(_Flow):
    """On the way back, gamma multiplies again."""

    def denormalize(self, y: Array, mean: Array, variance: Array) -> Array:
        return (y - self.beta) * np.sqrt(variance + self.epsilon) * self.gamma + mean


@repeats("XiaoMi/mace#262, the way back")
class InvertDropsBeta(_Flow):
    """The way back leaves beta out."""

    def denormalize(self, y: Array, mean: Array, variance: Array) -> Array:
        return super().denormalize(y + self.beta, mean, variance)


@repeats("FluxML/Flux.jl#1429, the way back")
class InvertMoves(_Flow):
    """The way back moves the averages."""

    def invert(self, y: Array) -> Array:
        x = super().invert(y)
        self(x, True)
        return x
