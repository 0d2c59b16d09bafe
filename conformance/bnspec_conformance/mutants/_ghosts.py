"""Mutants of ghost batches: who belongs together, what enters the averages, and where gradients go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import TF_LAYERS, TORCH

from ._complete import Complete, Entry, Part
from ._mutant import registry

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()

_EACH = replace(TORCH, name="TORCH-each-ghost", ghost_update="each")


@repeats("tf_keras 2.21.0, virtual_batch_size, inverted")
class GhostsContiguous(Complete):
    """Neighbours form a ghost batch where the convention deals the samples out."""

    convention = TF_LAYERS

    def grouped(self, number: int) -> list[slice]:
        size = self.config.virtual_batch_size or number
        return [slice(start, start + size) for start in range(0, number, size)]


@repeats("tf_keras 2.21.0, virtual_batch_size", "tensorflow/tensorflow#17625")
class GhostsStrided(Complete):
    """The samples are dealt out where the convention keeps neighbours together."""

    def grouped(self, number: int) -> list[slice]:
        count = len(super().grouped(number))
        return [slice(group, None, count) for group in range(count)]


@repeats("keras-team/keras#15790, the other way round")
class GhostsIgnored(Complete):
    """The whole batch is normalized at once."""

    def grouped(self, number: int) -> list[slice]:
        return [slice(None)]


@repeats(
    "tensorflow/tensorflow#23050", "keras-team/keras#15790", "keras-team/keras#17065", "keras-team/keras@23f889bd3b"
)
class GhostsRequiredInEvaluation(Complete):
    """Evaluation refuses a number of samples that ghost batches do not divide."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        if len(x) % (self.config.virtual_batch_size or 1):
            raise ValueError("the batch must be divisible by virtual_batch_size")
        return super().averages(x)


@repeats("keras-team/keras#15790, with statistics of its own")
class GhostsInEvaluation(Complete):
    """Evaluation normalizes ghost batches by their own statistics."""

    def __call__(self, x: Array, training: bool) -> Array:
        size = self.config.virtual_batch_size
        if training or size is None or len(x) % size:
            return super().__call__(x, training)
        return type(self).trained(self.compile(), x)


@repeats("tf_keras 2.21.0, virtual_batch_size, the averages")
class GhostVariancesAveraged(Complete):
    """The mean of the ghost batches' variances is averaged, not the variance of all elements."""

    def merged(self, parts: list[Part]) -> Entry:
        return self.averaged(parts)


@repeats("HugeCTR#181", "tracel-ai/burn@868608222")
class BetweenGhostsLost(Complete):
    """The variance of all elements leaves out how far apart the ghost batches are."""

    def between(self, mean: Array, whole: Array) -> Array:
        return np.zeros_like(whole)


@repeats("tf_keras 2.21.0, virtual_batch_size, the averages inverted")
class GhostVariancesMerged(Complete):
    """The variance of all elements is averaged, not the mean of the ghost batches' variances."""

    convention = TF_LAYERS

    def averaged(self, parts: list[Part]) -> Entry:
        return self.merged(parts)


@repeats("tf_keras 2.21.0, virtual_batch_size, one update", "tensorflow/tensorflow#39131")
class OneUpdateForAllGhosts(Complete):
    """The averages move once for all ghost batches, where each should move them."""

    convention = _EACH

    def entries(self, x: Array, parts: list[Part]) -> list[Entry]:
        return [self.merged(parts)]


@repeats("tensorflow/tensorflow#39131, inverted")
class OneUpdateForEachGhost(Complete):
    """Every ghost batch moves the averages, where they should move once."""

    convention = TF_LAYERS

    def entries(self, x: Array, parts: list[Part]) -> list[Entry]:
        return [self.entry(part) for part in parts]


@repeats("pytorch-complex#11, ghost batches")
class FirstGhostMovesTheAverages(Complete):
    """Only the first ghost batch moves the averages."""

    convention = _EACH

    def entries(self, x: Array, parts: list[Part]) -> list[Entry]:
        return super().entries(x, parts)[:1]


@repeats("pytorch/pytorch#36382, the other way round", "pytorch/pytorch#36688")
class GhostGradientsOverAll(Complete):
    """The sums of the backward pass are divided by the number of all elements."""

    def parts(self, x: Array, weights: Array | None) -> list[Part]:
        found = super().parts(x, weights)
        self.number = len(found)
        return found

    def pulled(self, x: Array, dy: Array, weights: Array, part: Part, r: Array | float) -> tuple[Array, Array]:
        return super().pulled(x, dy, weights, part._replace(weight=part.weight * self.number), r)


@repeats("ROCm/MIOpen#2024, ghost batches")
class GammaGradientOfTheLastGhost(Complete):
    """The gradients of gamma and beta are those of the last ghost batch."""

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        last = self.grouped(len(dy))[-1] if self.training and len(dy) else slice(None)
        return super().parameter_gradients(dy[last], unit[last])


@repeats("pytorch/pytorch#36530, ghost batches")
class AbsentGhostAveraged(Complete):
    """A ghost batch without weight in a channel counts in its average, as one of mean and variance 0."""

    convention = TF_LAYERS

    def average_of(self, values: Array, present: Array) -> Array:
        return values.mean(axis=0)


@repeats("keras-team/keras 3.15.1, an all-False mask, in a ghost batch")
class AbsentGhostPullsToZero(Complete):
    """A ghost batch without weight in a channel moves its averages towards 0."""

    convention = _EACH

    def toward(self, old: Array, new: Array, share: float, present: Array) -> Array:
        return self.moved_average(old, new, share)


@repeats("google/flax 0.12.8, pmean of masked means", "NVIDIA/apex#387", "NVIDIA/apex#792", "mapillary/inplace_abn#68")
class GhostsWeighAlike(Complete):
    """Ghost batches are merged as if they all had the same weight."""

    def merged(self, parts: list[Part]) -> Entry:
        return super().merged([part._replace(weight=np.ones_like(part.weight)) for part in parts])


@repeats("pytorch/pytorch#22192, ghost batches", "PaddlePaddle/Paddle#32464")
class BesselCountsOneGhost(Complete):
    """The variance of all elements is corrected for the number of elements of one ghost batch."""

    def merged(self, parts: list[Part]) -> Entry:
        found = super().merged(parts)
        return found._replace(estimate=self.estimate(found.variance, parts[0].weight))


@repeats("google/flax 0.12.8, an all-False mask")
class AbsentGhostIsNaN(Complete):
    """The statistics of a ghost batch without weight in a channel are NaN."""

    @staticmethod
    def total_weight(weights: Array, given: Array, axes: tuple[int, ...]) -> Array:
        return weights.sum(axis=axes, keepdims=True)
