"""Mutants of the adjustment between normalization and gamma."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from bnspec.conventions import TF_LAYERS

from ._complete import Complete
from ._mutant import registry

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = registry()


class _Adjusted(Complete):
    convention = TF_LAYERS


@repeats("tensorpack/tensorpack#360, the adjustment")
class AdjustedAfterGamma(_Adjusted):
    """The adjustment comes after gamma and beta."""

    def composed(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return ((unit * correction[0] + correction[1]) * self.gamma + self.beta) * pair[0] + pair[1]


@repeats("ajbrock/Neural-Photo-Editor#14, the adjustment")
class AdjustedBeforeTheCorrection(_Adjusted):
    """The adjustment comes before r and d."""

    def before_gamma(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return (unit * pair[0] + pair[1]) * correction[0] + correction[1]


@repeats("Tencent/ncnn#1339, the adjustment")
class AdjustedBiasUnscaled(_Adjusted):
    """The bias of the adjustment is not scaled by gamma."""

    def composed(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return (unit * correction[0] + correction[1]) * pair[0] * self.gamma + pair[1] + self.beta


@repeats("XiaoMi/mace#262, the adjustment")
class AdjustedBiasDropped(_Adjusted):
    """The bias of the adjustment is left out."""

    def spread(self, adjustment: tuple[Array, Array] | None, x: Array) -> tuple[Array, Array]:
        scale, bias = super().spread(adjustment, x)
        return scale, bias * 0


@repeats("apache/mxnet#9624, the adjustment")
class AdjustedScaleIgnored(_Adjusted):
    """The scale of the adjustment is left out."""

    def spread(self, adjustment: tuple[Array, Array] | None, x: Array) -> tuple[Array, Array]:
        scale, bias = super().spread(adjustment, x)
        return scale * 0 + 1, bias


@repeats("keras-team/keras#10648, the adjustment")
class AdjustedPerChannelOnly(_Adjusted):
    """An adjustment for each element is averaged over the batch."""

    def spread(self, adjustment: tuple[Array, Array] | None, x: Array) -> tuple[Array, Array]:
        scale, bias = super().spread(adjustment, x)
        return scale * 0 + self.average(scale), bias * 0 + self.average(bias)


@repeats("FluxML/Flux.jl#1429, the adjustment")
class AdjustedInEvaluation(_Adjusted):
    """The adjustment of the last batch is kept for evaluation."""

    def adjusted(self, x: Array, scale: Array, bias: Array) -> Array:
        self.last = tuple(self.average(part) for part in self.spread((scale, bias), x))
        return super().adjusted(x, scale, bias)

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        unit = self.unit(x, mean, inverse)
        return self.composed(unit, (1, 0), getattr(self, "last", (1, 0)))


@repeats("tensorpack/tensorpack#360, the averages")
class AdjustedAverages(_Adjusted):
    """The averages are those of the adjusted input."""

    def adjusted(self, x: Array, scale: Array, bias: Array) -> Array:
        other = copy(self)
        other.trained((x * scale + bias).astype(x.dtype))
        y = super().adjusted(x, scale, bias)
        self.moving_mean, self.moving_variance = other.moving_mean, other.moving_variance
        return y


@repeats("facebookresearch/CrypTen#143, the adjustment")
class AdjustmentMissingInGammaGradient(_Adjusted):
    """The gradient of gamma is that without the adjustment."""

    def multiplied(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return unit * correction[0] + correction[1]


@repeats("XiaoMi/mace#262, the gradient of the adjustment")
class AdjustedBiasMissingInGammaGradient(_Adjusted):
    """The gradient of gamma leaves out the bias of the adjustment."""

    def multiplied(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        return super().multiplied(unit, correction, (pair[0], 0))


@repeats("apache/mxnet#9624, the gradient of the adjustment")
class AdjustmentMissingInGradient(_Adjusted):
    """The gradient of the input is not scaled by the adjustment."""

    def before_adjustment(self, dy: Array, scale: Array) -> Array:
        return dy
