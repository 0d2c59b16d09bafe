"""Mutants of epsilon, of the affine parameters and of floating-point arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._mutant import registry
from ._sound import Sound

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()


@repeats("PaddlePaddle/Paddle#11445", "ConvNeXt#80")
class EpsilonOutside(Sound):
    """Epsilon is added to the deviation, outside the root."""

    def inverse(self, variance: Array) -> Array:
        return 1.0 / (np.sqrt(variance) + self.epsilon)


@repeats("chainer/chainer#4505")
class EpsilonTwiceInEvaluation(Sound):
    """Epsilon is added twice in evaluation."""

    def inverse(self, variance: Array) -> Array:
        return super().inverse(variance if self.training else variance + self.epsilon)


@repeats(
    "pytorch/vision#2169",
    "pytorch/vision#1947",
    "pytorch/vision#2933",
    "pytorch/vision#2599",
    "pytorch/pytorch#43614",
    "facebookresearch/maskrcnn-benchmark#941",
)
class EpsilonMissingInEvaluation(Sound):
    """Epsilon is left out in evaluation."""

    def inverse(self, variance: Array) -> Array:
        return super().inverse(variance) if self.training else 1.0 / np.sqrt(variance)


@repeats("vacancy/Synchronized-BatchNorm-PyTorch#43")
class EpsilonIsALowerLimit(Sound):
    """The variance is raised to epsilon, not by it."""

    def inverse(self, variance: Array) -> Array:
        return 1.0 / np.sqrt(np.maximum(variance, self.epsilon))


@repeats(
    "tensorflow/tensorflow#8090",
    "tensorflow/tensorflow#37768",
    "tensorflow/tensorflow#53065",
    "microsoft/onnxruntime#2680",
    "pytorch/pytorch#1742",
    "pytorch/pytorch#1623",
    "Theano/Theano#5468",
    "apache/mxnet#5824",
    "chainer/chainer#1955",
    "chainer/chainer#5232",
    "FluxML/Flux.jl@714ca23ab",
    "FluxML/NNlib.jl, the cuDNN extension",
)
class EpsilonClamped(Sound):
    """An epsilon below 1e-5 is silently raised to it."""

    def inverse(self, variance: Array) -> Array:
        return 1.0 / np.sqrt(variance + max(self.epsilon, 1e-5))


@repeats("facebookresearch/detectron2#3160")
class EpsilonSubtracted(Sound):
    """Epsilon is taken off the running variance when it is loaded."""

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        super().load(gamma, beta, moving_mean, (moving_variance - self.epsilon).astype(moving_variance.dtype))


@repeats("apple/coremltools#2821")
class EpsilonScaled(Sound):
    """Epsilon is scaled by the largest square of the input."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        scaled = inverse**-2 + self.epsilon * (np.square(x).max(initial=0.0) - 1.0)
        return super().normalize(x, mean, 1.0 / np.sqrt(np.maximum(scaled, 1e-30)))


@repeats("jax-ml/jax#442", "jax-ml/jax@4fa153439")
class MultipliedByDeviation(Sound):
    """The deviation multiplies instead of dividing."""

    def inverse(self, variance: Array) -> Array:
        return np.sqrt(variance + self.epsilon)


@repeats("ROCm/rocm-libraries#11848", "PaddlePaddle/Paddle#68170")
class VarianceIgnored(Sound):
    """The variance is read as 1."""

    def inverse(self, variance: Array) -> Array:
        return np.ones_like(variance)


@repeats("FluxML/Flux.jl@b3356cc6b, the variance", "nflows 0.14, in training", "normflows 1.7.3, BatchNorm")
class NormalizedByBessel(Sound):
    """A training batch is normalized by the variance over N - 1."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        count = self.count(x)
        factor = count / max(count - 1, 1) if self.training else 1.0
        return super().normalize(x, mean, self.inverse((inverse**-2 - self.epsilon) * factor))


@repeats("apache/mxnet#9624", "apache/mxnet#12899", "apache/mxnet#3037", "apache/mxnet#18492")
class GammaIgnored(Sound):
    """Gamma is read as 1."""

    def slope(self, inverse: Array) -> Array:
        return inverse


@repeats("mapillary/inplace_abn, abs(gamma) + epsilon")
class GammaMadePositive(Sound):
    """The sign of gamma is lost."""

    def slope(self, inverse: Array) -> Array:
        return np.abs(self.gamma) * inverse


@repeats("Tencent/ncnn#1339")
class BetaScaledByGamma(Sound):
    """Beta is added before gamma multiplies."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return ((x - mean) * inverse + self.beta) * self.gamma


@repeats("XiaoMi/mace#262")
class BetaDropped(Sound):
    """Beta is left out."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return (x - mean) * self.slope(inverse)


@repeats(
    "google/flax#1491",
    "tenstorrent/tt-metal#45968",
    "tensorflow/tensorflow#118701",
    "google/objax#182",
    "keras-team/tf-keras@cdf256d4a",
    "pyAIUtils#46",
    "tensorflow/tensorflow#3290",
)
class OnePassVariance(Sound):
    """The variance is mean(x^2) - mean(x)^2, clamped at zero."""

    def variance(self, x: Array, mean: Array) -> Array:
        return np.maximum(self.average(np.square(x)) - np.square(mean), 0.0)


@repeats(
    "keras-team/keras#18795", "google-deepmind/dm-haiku 0.0.17", "tensorflow/tensorflow#18334", "MobileNet-Caffe#87"
)
class OnePassVarianceUnclamped(Sound):
    """The variance is mean(x^2) - mean(x)^2, and may be negative."""

    def variance(self, x: Array, mean: Array) -> Array:
        return self.average(np.square(x)) - np.square(mean)


@repeats("tensorflow 2.21.0, tf.nn.batch_normalization", "keras-team/keras 3.15.1, TensorFlow and JAX")
class FoldedAffine(Sound):
    """The mean is folded into the offset: x a + (beta - mean a)."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return x * self.slope(inverse) + (self.beta - mean * self.slope(inverse))


@repeats(
    "google-deepmind/dm-haiku 0.0.17, float16 statistics",
    "microsoft/tensorflow-directml-plugin#321",
    "neuroneural/brainchop-cli#56, group norm",
    "tinygrad/tinygrad@e1f8c82938",
    "pytorch/pytorch#115500",
    "pytorch/pytorch#96798",
)
class SquaresInHalf(Sound):
    """The squares are formed in the dtype of the input, where they overflow."""

    def variance(self, x: Array, mean: Array) -> Array:
        if self.config.dtype != "float16":
            return super().variance(x, mean)
        with np.errstate(over="ignore"):
            return self.average(np.square((x - mean).astype(np.float16)).astype(self.dtype))


@repeats("keras-team/keras 3.15.1, ops.moments")
class StatisticsClipped(Sound):
    """The variance is clipped to what float16 can hold."""

    def variance(self, x: Array, mean: Array) -> Array:
        return np.minimum(super().variance(x, mean), 65504.0)


@repeats("google/flax 0.12.8, nnx.BatchNorm(dtype=bfloat16)")
class InputRoundedFirst(Sound):
    """The input is rounded to 8 bits before its statistics are taken."""

    def widen(self, x: Array) -> Array:
        bits = np.ascontiguousarray(x.astype(np.float32)).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(self.dtype)


@repeats("google/flax@a7f32a42", "google/flax@40f080ed", "google-deepmind/dm-haiku@9fd202f")
class OutputPromoted(Sound):
    """The output of half-precision input is float32."""

    def narrow(self, y: Array, dtype: Any) -> Array:
        return y


@repeats("onnx 1.23.2, ReferenceEvaluator of opset 15")
class StatisticsInInputDtype(Sound):
    """The running statistics are rounded to the dtype of the input."""

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        moved = super().moved_average(old, new, share)
        return moved.astype(np.float16).astype(self.dtype) if self.config.dtype == "float16" else moved


@repeats("google/flax#1491, in a function")
class MomentsInOnePass(Sound):
    """The moments function computes mean(x^2) - mean(x)^2."""

    @classmethod
    def moments(cls, x: Array, axes: tuple[int, ...], keepdims: bool) -> tuple[Array, Array]:
        mean = x.mean(axis=axes, keepdims=keepdims)
        return mean, np.square(x).mean(axis=axes, keepdims=keepdims) - np.square(mean)


@repeats("tensorflow 2.21.0, fused_batch_norm")
class MomentsUnbiased(Sound):
    """The moments function divides by N - 1."""

    @classmethod
    def moments(cls, x: Array, axes: tuple[int, ...], keepdims: bool) -> tuple[Array, Array]:
        return x.mean(axis=axes, keepdims=keepdims), x.var(axis=axes, keepdims=keepdims, ddof=1)


@repeats("tensorflow 2.21.0, tf.nn.batch_normalization, in the function")
class FunctionFolded(Sound):
    """The batch_normalization function folds the mean into the offset."""

    @classmethod
    def batch_normalization(
        cls, x: Array, mean: Array, variance: Array, offset: Array | None, scale: Array | None, variance_epsilon: float
    ) -> Array:
        slope = super().batch_normalization(np.ones_like(x), 0.0, variance, None, scale, variance_epsilon)
        return x * slope + ((0.0 if offset is None else offset) - mean * slope)


@repeats("tensorflow 2.21.0, tf.nn.batch_normalization, in training")
class FoldedInTraining(Sound):
    """The mean of a training batch is folded into the offset."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        if not self.training:
            return super().normalize(x, mean, inverse)
        return x * self.slope(inverse) + (self.beta - mean * self.slope(inverse))


@repeats("facebookresearch/maskrcnn-benchmark#941, a guard")
class ZeroVarianceIsOne(Sound):
    """A running variance of 0 is read as 1."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        mean, variance = super().averages(x)
        return mean, np.where(variance == 0, variance.dtype.type(1), variance)


@repeats("pytorch/pytorch#77434", "pytorch/pytorch#85744")
class NormalizedFromTheOutput(Sound):
    """The gradient divides the output by gamma, which may be 0, to normalize again."""

    def unit(self, x: Array, mean: Array, inverse: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.normalize(x, mean, inverse) - self.beta) / self.gamma


@repeats("tensorflow/tensorflow#37768, a variance below a limit")
class TinyVarianceIsZero(Sound):
    """A variance below 1e-9 is read as 0."""

    def inverse(self, variance: Array) -> Array:
        return super().inverse(np.where(variance < 1e-9, variance.dtype.type(0), variance))


@repeats("apple/coreai-torch#54, a wider limit")
class HugeVarianceClipped(Sound):
    """A variance above 1e9 is clipped."""

    def inverse(self, variance: Array) -> Array:
        return super().inverse(np.minimum(variance, variance.dtype.type(1e9)))


@repeats("keras-team/keras 3.15.1, nan_to_num in a wrapper")
class InfinityReplaced(Sound):
    """An infinity in the input is replaced by the largest number."""

    def widen(self, x: Array) -> Array:
        return np.nan_to_num(super().widen(x), nan=np.nan)


@repeats("apple/coreai-torch#54")
class EvaluationVarianceInHalf(Sound):
    """Evaluation has the running variance in the dtype of the input, where one above 65504 is infinite."""

    def averages(self, x: Array) -> tuple[Array, Array]:
        mean, variance = super().averages(x)
        with np.errstate(over="ignore"):
            half = variance.astype(np.float16).astype(self.dtype)
        return mean, half if self.config.dtype == "float16" else variance


@repeats("keras-team/keras@85e3681877")
class OutputDemoted(Sound):
    """The output of float64 input is float32."""

    def narrow(self, y: Array, dtype: Any) -> Array:
        return y.astype(np.float32) if y.dtype == np.float64 else y.astype(dtype)


@repeats("jax-ml/jax#443")
class MissingGammaFails(Sound):
    """A layer without gamma cannot be used."""

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        if gamma is None:
            raise TypeError("gamma must be an array")
        super().load(gamma, beta, moving_mean, moving_variance)


@repeats("ultralytics/yolov3#807", "tenstorrent/tt-metal#5317")
class MeanNotScaled(Sound):
    """The mean that is folded into the offset is not scaled by gamma and the deviation."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return x * self.slope(inverse) + (self.beta - mean)


@repeats("tensorflow_probability 0.25.0, the constraint of gamma")
class GammaClamped(Sound):
    """Gamma is raised to a small positive number."""

    def slope(self, inverse: Array) -> Array:
        return np.maximum(self.gamma, self.gamma.dtype.type(1e-6)) * inverse
