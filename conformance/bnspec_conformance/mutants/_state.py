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


@repeats(
    "ml-explore/mlx#3817",
    "pytorch/pytorch#3122, what was expected",
    "pytorch/pytorch#1410, what was expected",
    "pytorch/pytorch#19902, what was expected",
    "pytorch/pytorch#60528, what was expected",
    "pytorch/pytorch#77427, what was expected",
    "pytorch/pytorch#106366, what was expected",
    "pytorch/pytorch#7028, what was expected",
    "tinygrad/tinygrad#807",
    "tenstorrent/tt-metal#55438",
    "tracel-ai/burn, norm/batch.rs of 2026",
    "PaddlePaddle/Paddle#68159",
    "rwth-i6/returnn#1539",
    "ARENA#415",
)
class RunningVarianceBiased(Sound):
    """The running variance is divided by N where the convention says N - 1."""

    def estimate(self, variance: Array, count: int) -> Array:
        return variance


@repeats("keras-team/keras#10443", "keras-team/keras#8982", "keras-team/keras#9028")
class RunningVarianceByEpsilon(Sound):
    """The running variance is divided by N - (1 + epsilon)."""

    def estimate(self, variance: Array, count: int) -> Array:
        return variance * (count / max(count - (1.0 + self.epsilon), 1.0))


@repeats("tinygrad/tinygrad#807, in review")
class BesselCountsRows(Sound):
    """Bessel's correction counts the rows of the batch and not the pixels."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance, max(self.config.shape[0], 2))


@repeats("NervanaSystems/ngraph-tf#357")
class BesselCountsAll(Sound):
    """Bessel's correction counts the elements of all channels."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance, count * int(np.prod(self.kept)))


@repeats("tensorflow/tensorflow#55545", "tf_keras 2.21.0, fused by rank")
class BesselByRank(Sound):
    """The running variance is divided by N - 1 for images, and by N for rows."""

    convention = KERAS

    def estimate(self, variance: Array, count: int) -> Array:
        return variance * (count / max(count - 1, 1)) if len(self.kept) == 4 else variance


@repeats("FluxML/Flux.jl@b3356cc6b, the running deviation")
class RunningDeviation(Sound):
    """The standard deviation is averaged, not the variance."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, np.sqrt(variance), count)


@repeats(
    "pytorch/pytorch#15298",
    "Oneflow-Inc/oneflow#6055",
    "FastEstimator#1201",
    "huggingface/transformers#19454",
    "arl-eegmodels#39",
    "d2l#2213",
    "gmalivenko/pytorch2keras#70",
    "lukemelas/EfficientNet-PyTorch#3",
    "tacotron_pytorch#19",
    "Jermmy#17",
    "FluxML/ONNX.jl#57",
    "FluxML/Flux.jl@b3356cc6b, the momentum",
)
class MomentumReversed(Sound):
    """Momentum multiplies the other side."""

    def share(self) -> float:
        return 1.0 - super().share()


@repeats("soumith/cudnn.torch#91", "pytorch/pytorch#5766", "pytorch/pytorch#6445")
class CumulativeIsATenth(Sound):
    """Without a momentum, a tenth is taken and not the cumulative average."""

    def share(self) -> float:
        return 0.1 if self.config.momentum is None else super().share()


@repeats("Lightning-AI/pytorch-lightning#14866", "Lightning-AI/pytorch-lightning#15113")
class CumulativeIsNothing(Sound):
    """Without a momentum, the averages never move."""

    def share(self) -> float:
        return 0.0 if self.config.momentum is None else super().share()


@repeats("pytorch/pytorch#194504", "pytorch/pytorch#194579", "pytorch/pytorch#110850", "NVIDIA/apex#380")
class BatchesNotCounted(Sound):
    """The count of batches is lost, so that every batch is the first."""

    def counted(self) -> int:
        return 1


@repeats("keras-team/keras#9003", "tensorflow/tensorflow#6270")
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


@repeats("pytorch/pytorch#96136", "pytorch/pytorch#62471", "pfn-extras#117", "YOLO-Master#262", "Samudra#572")
class UpdatedTwice(Sound):
    """A recomputed forward pass moves the averages twice."""

    def share(self) -> float:
        return 1.0 - (1.0 - super().share()) ** 2


@repeats("microsoft/onnxruntime#19370", "microsoft/onnxruntime#6349")
class StateNotUpdated(Sound):
    """The running statistics never change."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        pass


@repeats(
    "keras-team/keras-core#339",
    "paiml/aprender#2166",
    "APPFL, statistics that are discarded",
    "Odyssey#5532",
    "Odyssey#5533",
)
class VarianceNotUpdated(Sound):
    """The running variance never changes."""

    def estimate(self, variance: Array, count: int) -> Array:
        return self.moving_variance


@repeats("gmalivenko/pytorch2keras#120", "apache/mxnet#18751, the title")
class MeanAndVarianceSwapped(Sound):
    """The running statistics are loaded and read in the other order."""

    def read(self) -> tuple[Array, Array]:
        return super().read()[::-1]


@repeats("ml-explore/mlx#1960", "tinygrad/tinygrad@076b37e1ae")
class UpdateDelayed(Sound):
    """The averages move at the next call."""

    pending: tuple[Array, Array, int] | None = None

    def update(self, mean: Array, variance: Array, count: int) -> None:
        if self.pending:
            super().update(*self.pending)
        self.pending = (mean, variance, count)


@repeats("NVIDIA/apex#144", "pytorch/pytorch 2.13.0, buffers in half precision")
class StateInHalf(Sound):
    """The running statistics are kept in float16, where small updates round away."""

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        return super().moved_average(old, new, share).astype(np.float16).astype(self.dtype)


@repeats("tensorflow/tensorflow#30230")
class BesselInHalf(Sound):
    """Bessel's factor is formed in the dtype of the input, where a count above 65504 is infinite."""

    def estimate(self, variance: Array, count: int) -> Array:
        if self.config.dtype != "float16":
            return super().estimate(variance, count)
        with np.errstate(over="ignore", invalid="ignore"):
            half = np.asarray(count).astype(np.float16)
            return variance * np.float32(half / np.maximum(half - np.float16(1), np.float16(1)))


@repeats("onnx/onnx#3402", "apache/mxnet#18751, the running variance")
class RunningVarianceCorrected(Sound):
    """The running variance is divided by N - 1 where the convention says N."""

    convention = KERAS

    def estimate(self, variance: Array, count: int) -> Array:
        return variance * (count / max(count - 1, 1))


@repeats("pytorch/pytorch#96136, the count")
class BatchCountedTwice(Sound):
    """A recomputed forward pass counts the batch twice."""

    def counted(self) -> int:
        return self.batches + 2


@repeats("google-deepmind/dm-haiku#361", "nflows 0.14, the initial variance", "patrick-kidger/equinox#955, the buffers")
class VarianceStartsAtZero(Sound):
    """The running variance starts at 0, whatever is loaded."""

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        super().load(gamma, beta, moving_mean, 0 * moving_variance)


@repeats("google-deepmind/dm-haiku 0.0.17, averages of the batch at init")
class InitializedByEvaluation(Sound):
    """Before any training, evaluation replaces the averages by those of its batch."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        if self.batches == 0 and x.size:
            self.moving_mean, self.moving_variance = self.statistics(x)
        return super().averages(x)


@repeats("pytorch/pytorch#70901")
class CountInHalf(Sound):
    """The sum is divided by a count in the dtype of the input, where one above 65504 is infinite."""

    def average(self, terms: Array) -> Array:
        if self.config.dtype != "float16":
            return super().average(terms)
        with np.errstate(over="ignore"):
            half = np.asarray(self.count(terms)).astype(np.float16)
        return terms.sum(axis=self.reduced, keepdims=True) / half.astype(self.dtype)
