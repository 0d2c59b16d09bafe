"""Mutants of frequency weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._mutant import registry
from ._sound import Sound

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()


@repeats("keras-team/keras#3228", "keras-team/keras#1962", "tensorflow/tensorflow#30161")
class WeightsIgnored(Sound):
    """Weights are accepted and not used."""

    @staticmethod
    def weights(weights: Array) -> Array:
        return np.ones_like(weights)


@repeats("keras-team/keras 3.15.1, mask")
class WeightsAsBooleans(Sound):
    """Every weight that is not zero counts as 1."""

    @staticmethod
    def weights(weights: Array) -> Array:
        return (weights != 0).astype(weights.dtype)


@repeats("keras-team/keras@7fc825fcbd")
class WeightsOverAll(Sound):
    """The weighted sum is divided by the number of elements."""

    @staticmethod
    def total_weight(weights: Array, given: Array, axes: tuple[int, ...]) -> Array:
        return np.ones_like(weights).sum(axis=axes, keepdims=True)


@repeats("keras-team/keras#19848", "keras-team/keras#19818")
class WeightsCountedOncePerRow(Sound):
    """The sum of the weights is taken before they are broadcast."""

    @staticmethod
    def total_weight(weights: Array, given: Array, axes: tuple[int, ...]) -> Array:
        return given.sum(axis=axes, keepdims=True)


@repeats("keras-team/keras#20815", "keras-team/keras@871ad7a869")
class WeightInsideTheSquare(Sound):
    """The variance is the weighted mean of (w x - mean)^2."""

    @staticmethod
    def weighted_squares(x: Array, mean: Array, weights: Array) -> Array:
        return weights * np.square(weights * x - mean)


@repeats("google/flax, a multiplicative mask")
class MaskLeaksNaN(Sound):
    """An element without weight is multiplied by zero, which keeps its NaN."""

    @staticmethod
    def masked(x: Array, weights: Array) -> Array:
        return x


@repeats("keras-team/keras@7fc825fcbd, the correction")
class BesselCountsElements(Sound):
    """The running variance is corrected for the number of elements, not for their weight."""

    def effective(self, frequencies: Array) -> Array:
        return self.count(frequencies)


@repeats("keras-team/keras@7fc825fcbd, the gradient")
class GradientOverAll(Sound):
    """The sums of the backward pass are divided by the number of elements."""

    def portion(self, terms: Array, total: Array) -> Array:
        return terms / self.count(terms)


@repeats("keras-team/keras#3228, the gradient")
class GradientWithoutWeights(Sound):
    """Every element takes the same share of what mean and variance take up."""

    def taken(self, frequencies: Array) -> Array:
        return np.ones_like(frequencies)


@repeats("keras-team/keras#19102, by a weight")
class WeightMovesTheMeanAlone(Sound):
    """The derivative by a weight leaves the variance out."""

    def bent(self, unit: Array, share: Array) -> Array:
        return np.zeros_like(unit)


@repeats("keras-team/keras@871ad7a869, the gradient")
class WeightWithoutItsShare(Sound):
    """The derivative by a weight forgets that the weight is in the denominator of the variance too."""

    def bent(self, unit: Array, share: Array) -> Array:
        return np.square(unit) / 2


@repeats("tf_keras 2.21.0, a mask of images")
class WeightsOfImagesIgnored(Sound):
    """Weights are not used at rank 4."""

    @staticmethod
    def weights(weights: Array) -> Array:
        return np.ones_like(weights) if weights.ndim == 4 else weights


@repeats("keras-team/keras 3.15.1, the sum of a mask plus 1e-7")
class TotalWeightPadded(Sound):
    """The weighted sum is divided by the total weight plus 1e-7, which float64 shows."""

    @staticmethod
    def total_weight(weights: Array, given: Array, axes: tuple[int, ...]) -> Array:
        return weights.sum(axis=axes, keepdims=True) + weights.dtype.type(1e-7)
