"""Mutants of what a call is: its mode, what it writes, what is recomputed or compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._mutant import registry
from ._sound import Sound

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()


@repeats(
    "microsoft/onnxruntime#29790",
    "patrick-kidger/equinox#659",
    "patrick-kidger/equinox#675",
    "patrick-kidger/equinox#948",
)
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


@repeats("pytorch/xla#806", "apache/tvm#17752")
class EvaluationUsesTheBatch(Sound):
    """Evaluation normalizes by the statistics of the batch."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        return self.statistics(x) if self.count(x) > 1 else super().averages(x)


@repeats("FluxML/NNlib.jl#576", "FluxML/Flux.jl@7284b074c", "LaurentMazare/tch-rs#628")
class EvaluationUsesInitialState(Sound):
    """Evaluation normalizes by mean 0 and variance 1."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        return np.zeros_like(self.moving_mean), np.ones_like(self.moving_variance)


@repeats("FlagOpen/FlagGems#6435", "Torch-FL#295")
class InputAsScratch(Sound):
    """The input is overwritten with its centred values."""

    def __call__(self, x: Array, training: bool) -> Array:
        y = super().__call__(x, training)
        x -= x.mean(dtype=x.dtype) if x.size else 0
        return y


@repeats("tenstorrent/tt-metal#45578", "tenstorrent/tt-metal#41127")
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


@repeats("FluxML/Flux.jl#1429, the count")
class EvaluationCounts(Sound):
    """Evaluation counts as a batch of the cumulative average."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        self.batches += 1
        return super().averages(x)


@repeats("FluxML/Flux.jl#1429, under a gradient", "huggingface/candle@ad73e93da")
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


@repeats("FlagOpen/FlagGems#6435, the output")
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


@repeats("onnx 1.23.2, ReferenceEvaluator of opset 9")
class EvaluationBlendsTheBatch(Sound):
    """Evaluation normalizes by averages that are moved towards its own batch."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        pairs = zip(super().averages(x), self.statistics(x), strict=True)
        mean, variance = (self.moved_average(old, new, 0.1) for old, new in pairs)
        return mean, variance


@repeats("pytorch/xla#806, one sample")
class OneSampleUsesItself(Sound):
    """In evaluation, a sample that comes alone is normalized by its own statistics."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        return self.statistics(x) if len(x) == 1 else super().averages(x)


@repeats(
    "pytorch/pytorch#49229",
    "pytorch/pytorch#52867",
    "pytorch/pytorch#75252",
    "pytorch/pytorch#45333",
    "microsoft/onnxscript#1338",
    "microsoft/onnxscript#1791",
    "microsoft/onnxruntime#26584",
)
class ModeOfTheFirstCall(Sound):
    """The mode of the first call is that of all later ones."""

    mode: bool | None = None

    def __call__(self, x: Array, training: bool) -> Array:
        self.mode = training if self.mode is None else self.mode
        return super().__call__(x, self.mode)


@repeats("pytorch/pytorch#96136, a gradient")
class RecomputationCounts(Sound):
    """The gradient runs the training pass twice, and the averages move both times."""

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        for _ in range(2 if training and x.size else 0):
            self.update(*self.statistics(self.widen(x)), self.count(x))
        return super().gradients(x, cotangent, training)


@repeats("facebookresearch/fairscale#1035")
class UpdatedByTheGradient(Sound):
    """The averages move when a gradient is taken, and not in the forward pass."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        pass

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        if training and x.size:
            super().update(*self.statistics(self.widen(x)), self.count(x))
        return super().gradients(x, cotangent, training)


@repeats("pytorch/pytorch#181696", "pytorch/pytorch#183120")
class CompiledFreezesTheAverages(Sound):
    """A compiled layer evaluates with the averages that it was compiled with."""

    def compile(self) -> CompiledFreezesTheAverages:
        other, frozen = super().compile(), (self.moving_mean.copy(), self.moving_variance.copy())
        other.averages = lambda x: frozen  # type: ignore[method-assign]
        return other


@repeats("apache/mxnet#18751")
class CompiledIsBiased(Sound):
    """The running variance is divided by N on one path of execution, and by N - 1 on the other."""

    def compile(self) -> CompiledIsBiased:
        other = super().compile()
        other.estimate = lambda variance, count: variance  # type: ignore[method-assign]
        return other
