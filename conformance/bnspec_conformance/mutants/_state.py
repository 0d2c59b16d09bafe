"""Mutants of the running statistics: estimators, momentum, when the state changes, and what reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import KERAS

from ._mutant import registry
from ._sound import Sound

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()


@repeats("ml-explore/mlx#3817")
class RunningVarianceBiased(Sound):
    """The running variance is divided by N where the convention says N - 1."""

    def estimate(self, variance: Array, count: int) -> Array:
        return variance


@repeats("keras-team/keras#10443")
class RunningVarianceByEpsilon(Sound):
    """The running variance is divided by N - (1 + epsilon)."""

    def estimate(self, variance: Array, count: int) -> Array:
        return variance * (count / max(count - (1.0 + self.epsilon), 1.0))


@repeats("tinygrad/tinygrad#807")
class BesselCountsRows(Sound):
    """Bessel's correction counts the rows of the batch and not the pixels."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance, max(self.config.shape[0], 2))


@repeats("NervanaSystems/ngraph-tf#357")
class BesselCountsAll(Sound):
    """Bessel's correction counts the elements of all channels."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance, count * int(np.prod(self.kept)))


@repeats("tensorflow/tensorflow#55545")
class BesselByRank(Sound):
    """The running variance is divided by N - 1 for images, and by N for rows."""

    convention = KERAS

    def estimate(self, variance: Array, count: int) -> Array:
        return variance * (count / max(count - 1, 1)) if len(self.kept) == 4 else variance


@repeats("FluxML/Flux.jl@b3356cc6b")
class RunningDeviation(Sound):
    """The standard deviation is averaged, not the variance."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, np.sqrt(variance), count)


@repeats("pytorch/pytorch#15298")
class MomentumReversed(Sound):
    """Momentum multiplies the other side."""

    def share(self) -> float:
        return 1.0 - super().share()


@repeats("soumith/cudnn.torch#91")
class CumulativeIsATenth(Sound):
    """Without a momentum, a tenth is taken and not the cumulative average."""

    def share(self) -> float:
        return 0.1 if self.config.momentum is None else super().share()


@repeats("Lightning-AI/pytorch-lightning#14866")
class CumulativeIsNothing(Sound):
    """Without a momentum, the averages never move."""

    def share(self) -> float:
        return 0.0 if self.config.momentum is None else super().share()


@repeats("pytorch/pytorch#194504")
class BatchesNotCounted(Sound):
    """The count of batches is lost, so that every batch is the first."""

    def counted(self) -> int:
        return 1


@repeats("keras-team/keras#9003")
class ZeroDebiased(Sound):
    """The averages are divided by 1 - (1 - share)^t when they are read."""

    def read(self) -> tuple[Array, Array]:
        known = 1.0 - (1.0 - (self.share() if self.batches else 1.0)) ** self.batches if self.batches else 1.0
        return tuple((value / max(known, 1e-30)).astype(value.dtype) for value in super().read())


@repeats("google/flax#1360")
class FirstBatchReplaces(Sound):
    """The first batch replaces the initial averages."""

    def share(self) -> float:
        return 1.0 if self.batches == 1 else super().share()


@repeats("pytorch/pytorch#96136")
class UpdatedTwice(Sound):
    """A recomputed forward pass moves the averages twice."""

    def share(self) -> float:
        return 1.0 - (1.0 - super().share()) ** 2


@repeats("microsoft/onnxruntime#19370")
class StateNotUpdated(Sound):
    """The running statistics never change."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        pass


@repeats("keras-team/keras-core#339")
class VarianceNotUpdated(Sound):
    """The running variance never changes."""

    def estimate(self, variance: Array, count: int) -> Array:
        return self.moving_variance


@repeats("gmalivenko/pytorch2keras#120")
class MeanAndVarianceSwapped(Sound):
    """The running statistics are loaded and read in the other order."""

    def read(self) -> tuple[Array, Array]:
        return super().read()[::-1]


@repeats("ml-explore/mlx#1960")
class UpdateDelayed(Sound):
    """The averages move at the next call."""

    pending: tuple[Array, Array, int] | None = None

    def update(self, mean: Array, variance: Array, count: int) -> None:
        if self.pending:
            super().update(*self.pending)
        self.pending = (mean, variance, count)


@repeats("NVIDIA/apex#144")
class StateInHalf(Sound):
    """The running statistics are kept in float16, where small updates round away."""

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        return super().moved_average(old, new, share).astype(np.float16).astype(self.dtype)


@repeats("microsoft/onnxruntime#29790")
class TrainsOnRunningStatistics(Sound):
    """A training batch is normalized by the averages."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return super().normalize(x, self.moving_mean, self.inverse(self.moving_variance))


@repeats("FluxML/Flux.jl#1429")
class StateUpdatedInEvaluation(Sound):
    """Evaluation moves the running statistics too."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        before = super().averages(x)
        if self.count(x) > 1:
            self.update(*self.statistics(x), self.count(x))
        return before


@repeats("pytorch/xla#806")
class EvaluationUsesTheBatch(Sound):
    """Evaluation normalizes by the statistics of the batch."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        return self.statistics(x) if self.count(x) > 1 else super().averages(x)


@repeats("FluxML/NNlib.jl#576")
class EvaluationUsesInitialState(Sound):
    """Evaluation normalizes by mean 0 and variance 1."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        return np.zeros_like(self.moving_mean), np.ones_like(self.moving_variance)


@repeats("FlagOpen/FlagGems#6435")
class InputAsScratch(Sound):
    """The input is overwritten with its centred values."""

    def __call__(self, x: Array, training: bool) -> Array:
        y = super().__call__(x, training)
        x -= x.mean(dtype=x.dtype) if x.size else 0
        return y


@repeats("tenstorrent/tt-metal#45578")
class LoadedArraysAreWritten(Sound):
    """The averages are moved in the arrays that were loaded."""

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        super().load(gamma, beta, moving_mean, moving_variance)
        self.loaded = moving_mean

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance, count)
        self.loaded[...] = self.moving_mean.reshape(self.shape)


@repeats("pytorch/pytorch#147287")
class CompiledLosesTheState(Sound):
    """A compiled layer does not hand its new averages back."""

    def compile(self) -> CompiledLosesTheState:
        other = super().compile()
        other.update = lambda mean, variance, count: None  # type: ignore[method-assign]
        return other


@repeats("pytorch/pytorch#194579")
class EvaluationCounts(Sound):
    """Evaluation counts as a batch of the cumulative average."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        self.batches += 1
        return super().averages(x)


@repeats("FluxML/Flux.jl#1429, under a gradient")
class EvaluationGradientUpdatesState(Sound):
    """A gradient in evaluation moves the averages."""

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        found = super().gradients(x, cotangent, training)
        if not training and x.size:
            self.update(*self.statistics(self.widen(x)), self.count(x))
        return found


@repeats("FlagOpen/FlagGems#6435, in the gradient")
class GradientAsScratch(Sound):
    """The gradient overwrites the cotangent."""

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        found = super().gradients(x, cotangent, training)
        cotangent[...] = 0
        return found


@repeats("pytorch/pytorch#62471, a buffer used again")
class OutputBufferReused(Sound):
    """Every output of a shape is written into the same buffer."""

    buffer: Array = None

    def narrow(self, y: Array, dtype: Any) -> Array:
        if self.buffer is None or self.buffer.shape != y.shape or self.buffer.dtype != dtype:
            self.buffer = np.empty(y.shape, dtype)
        self.buffer[...] = y
        return self.buffer


@repeats("HugeCTR#181, the other way round")
class StateOfTheClass(Sound):
    """All layers of one shape share their averages."""

    shared: dict[Any, Array] = {}  # noqa: RUF012 - that is the defect

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        super().load(gamma, beta, moving_mean, moving_variance)
        type(self).shared[self.kept] = self.moving_mean

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance, count)
        type(self).shared[self.kept][...] = self.moving_mean


@repeats("tenstorrent/tt-metal#45578, aliased")
class UpdatedBeforeTheAffine(Sound):
    """The averages are moved in place before gamma and beta are read, which may be the same arrays."""

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        super().load(gamma, beta, moving_mean, moving_variance)
        self.aliased = beta is moving_mean and beta is not None

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance, count)
        if self.aliased:
            self.beta = self.moving_mean


@repeats("tensorflow/tensorflow#30230")
class BesselInHalf(Sound):
    """Bessel's factor is formed in the dtype of the input, where a count above 65504 is infinite."""

    def estimate(self, variance: Array, count: int) -> Array:
        if self.config.dtype != "float16":
            return super().estimate(variance, count)
        with np.errstate(over="ignore", invalid="ignore"):
            half = np.asarray(count).astype(np.float16)
            return variance * np.float32(half / np.maximum(half - np.float16(1), np.float16(1)))
