"""Mutants of degenerate batches."""

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
    "pytorch/pytorch 2.13.0, aten::native_batch_norm",
    "FluxML/Flux.jl#1992",
    "FluxML/Flux.jl#2716",
    "tensorflow/tensorflow#34062",
    "tensorflow/tensorflow#48845",
    "tensorflow/tensorflow#40338",
    "facebookresearch/SparseConvNet#105",
    "facebookresearch/SparseConvNet#190",
    "nflows 0.14, one row",
    "tinygrad/tinygrad, numel - C",
    "huggingface/candle, N - 1",
)
class OneElementWritesNaN(Sound):
    """One element per channel is divided by N - 1 = 0 into the running variance."""

    def refuse(self, x: Array) -> Array:
        self.moving_variance = self.moving_variance * np.nan
        return x.copy()


@repeats("pytorch/pytorch#7716", "pytorch/pytorch#1381", "torch/nn#1271")
class OneElementRefused(Sound):
    """One element per channel is refused where the convention normalizes it."""

    convention = KERAS

    def update(self, mean: Array, variance: Array, count: int) -> None:
        if count == 1:
            raise ValueError("one element per channel is not enough")
        super().update(mean, variance, count)


@repeats(
    "google-deepmind/sonnet#125",
    "pytorch/pytorch#12013",
    "keras-team/keras 3.15.1, a batch without rows",
    "tf_keras 2.21.0, a batch without rows",
    "keras-team/tf-keras@085f20bd0",
)
class EmptyWritesNaN(Sound):
    """A batch without elements writes NaN into the running mean."""

    def empty(self, x: Array) -> Array:
        self.moving_mean = self.moving_mean * np.nan
        return x.copy()


@repeats("keras-team/keras 3.15.1, an all-False mask")
class EmptyPullsToZero(Sound):
    """A batch without elements counts as one of mean 0 and variance 0."""

    def empty(self, x: Array) -> Array:
        self.update(np.zeros_like(self.moving_mean), np.zeros_like(self.moving_variance), 2)
        return x.copy()


@repeats("BVLC/caffe#3963", "pytorch/pytorch#5410")
class ConstantSaturates(Sound):
    """A constant channel saturates at the sign of its rounding error."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        y = super().normalize(x, mean, inverse)
        flat = self.training & (self.variance(x, self.mean(x)) < 1e-9 * np.square(self.mean(x)))
        return np.where(flat, np.sign(x - 0.999 * mean) + self.beta, y)


@repeats("keras-team/keras#11123, NaN in one column")
class NaNSpreads(Sound):
    """NaN in one channel reaches the averages of all."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        super().update(mean, variance + 0.0 * variance.sum(), count)


@repeats("pytorch/pytorch#12013, the gradients")
class EmptyGradientIsNaN(Sound):
    """The gradients of the parameters are NaN over an empty batch."""

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        found = super().parameter_gradients(dy, unit)
        return found if dy.size else {name: value * np.nan for name, value in found.items()}


@repeats("pytorch/pytorch#5410, the gradient")
class ConstantGradientIsNaN(Sound):
    """The gradient of a constant channel is divided by its variance."""

    def projection(self, dy: Array, unit: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = self.average(np.square(unit))
            return super().projection(dy, unit) * (spread / spread)
