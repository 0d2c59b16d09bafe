"""Mutants of the first and second derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._mutant import registry
from ._sound import Sound

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()


@repeats("keras-team/keras#19102", "keras-team/keras@adacf2c495")
class GradientCutAtMean(Sound):
    """No gradient flows through the mean."""

    def through_mean(self, dy: Array) -> Array:
        return dy


@repeats("keras-team/keras#19102, the variance")
class GradientCutAtVariance(Sound):
    """No gradient flows through the variance."""

    def through_variance(self, dy: Array, unit: Array) -> Array:
        return np.zeros_like(unit)


@repeats("facebookresearch/CrypTen#143", "tinygrad/tinygrad#17201")
class GradientOfGivenStatistics(Sound):
    """The statistics of a training batch count as constants."""

    def projection(self, dy: Array, unit: Array) -> Array:
        return dy


@repeats("tensorflow/tensorflow#10857", "tensorflow/tensorflow#20407", "apache/mxnet#1630")
class EvaluationGradientOfTraining(Sound):
    """The gradient in evaluation runs through statistics that were given."""

    def given(self, dy: Array, unit: Array) -> Array:
        return self.projection(dy, unit)


@repeats("apache/mxnet#1053", "apache/mxnet#1061")
class MeanGradientTwice(Sound):
    """The gradient of the mean has a second term."""

    def through_mean(self, dy: Array) -> Array:
        return dy - self.average(dy) * (1.0 + 1.0 / self.count(dy))


@repeats(
    "microsoft/onnxruntime#8172",
    "FlagOpen/FlagGems#5222",
    "FlagOpen/FlagGems#5223",
    "ROCm/rocm-libraries#2459",
    "ROCm/rocm-libraries#2492",
)
class InverseTakenTwice(Sound):
    """The saved inverse deviation is read as a variance in the gradient."""

    def backward_inverse(self, inverse: Array) -> Array:
        return 1.0 / np.sqrt(inverse + self.epsilon)


@repeats("apache/mxnet#9624, the gradient")
class GammaMissingInGradient(Sound):
    """Gamma does not scale the gradient of the input."""

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        gamma, self.gamma = self.gamma, np.ones_like(self.gamma)
        found = super().gradients(x, cotangent, training)
        self.gamma = gamma
        return found


@repeats("ROCm/MIOpen#2024")
class GammaGradientLosesARow(Sound):
    """The gradient of gamma leaves the last row out where their number is odd."""

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        if len(unit) % 2:
            unit = np.concatenate([unit[:-1], 0.0 * unit[-1:]])
        return super().parameter_gradients(dy, unit)


@repeats("sony/nnabla#1120")
class ParameterGradientsCountedTwice(Sound):
    """The gradients of gamma and beta are reduced twice."""

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        return super().parameter_gradients(2.0 * dy, unit)


@repeats("pytorch/pytorch#175189")
class ParameterGradientsAveraged(Sound):
    """The gradients of gamma and beta are averages, not sums."""

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        return super().parameter_gradients(dy / self.count(dy), unit)


@repeats("keras-team/keras#19102, by autodiff")
class VarianceDetached(Sound):
    """Automatic differentiation stops at the variance."""

    def chained(self, centred: Array, dy: Array, inverse: Array) -> Array:
        return -(dy * inverse).sum(axis=self.reduced, keepdims=True)


@repeats("keras-team/keras#19102, by autodiff, the mean")
class MeanDetached(Sound):
    """Automatic differentiation stops at the mean."""

    def chained(self, centred: Array, dy: Array, inverse: Array) -> Array:
        return super().chained(centred, dy, inverse) + (dy * inverse).sum(axis=self.reduced, keepdims=True)


@repeats("tensorflow 2.21.0, tf.nn.moments", "tinygrad/tinygrad@c0a048c044", "tensorflow/tensorflow#19609")
class SecondOrderCutAtMean(Sound):
    """The mean inside the variance is a constant, which is exact at first order and wrong at second."""

    def turned(self, moved: Array, tangent: Array) -> Array:
        return moved + self.average(tangent)


@repeats("tensorflow/tensorflow#27043, without the error")
class SecondOrderZero(Sound):
    """The second derivative is silently zero."""

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        return np.zeros_like(x)


@repeats("tensorflow/tensorflow#12580")
class EvaluationGradientOnLastAxis(Sound):
    """In evaluation, the gradients of the parameters are summed for the last axis."""

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        if self.training or dy.shape[-1] != max(self.kept):
            return super().parameter_gradients(dy, unit)
        axes = tuple(range(dy.ndim - 1))
        return {"gamma": (dy * unit).sum(axis=axes), "beta": dy.astype(self.dtype).sum(axis=axes)}


@repeats("tensorflow/tensorflow#27043", "tensorflow/tensorflow#9034", "Theano/Theano#5811", "improved_wgan#43")
class SecondOrderRefused(Sound):
    """The second derivative is offered, and fails."""

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        raise ValueError("the gradient has no gradient")
