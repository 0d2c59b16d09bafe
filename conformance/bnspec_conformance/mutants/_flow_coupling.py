"""Mutants of coupling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._flow_mutant import flow_registry
from ._sound_flow import SoundFlow

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = flow_registry()


@repeats("tensorflow_probability 0.25.0, a negative fraction that rounds to 0, any negative mask")
class MaskReversed(SoundFlow):
    """A negative mask is read as a positive one."""

    def masked(self, part: Any) -> int:
        return abs(super().masked(part))


@repeats("tensorflow_probability 0.25.0, half to even, in binary", "tensorflow/probability#662")
class FractionInBinary(SoundFlow):
    """A fraction of the units is the integer part of a float product."""

    def masked(self, part: Any) -> int:
        if part.fraction_masked is None:
            return super().masked(part)
        return int(part.fraction_masked * part.size)


@repeats("chrischute/real-nvp#15")
class ShiftAfterScale(SoundFlow):
    """The inverse of a coupling subtracts the shift after it has divided by the scale."""

    def coupled(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        y, log_det = super().coupled(part, direction, x, ndims)
        if direction == "inverse":
            stays, moves = self.masks(part)
            shift, log_scale = self.conditioned(part.conditioner, x[..., stays])
            y[..., moves] = x[..., moves] * np.exp(-log_scale) - shift
        return y, log_det


@repeats("ikostrikov/pytorch-flows#16")
class LogScaleSign(SoundFlow):
    """The log-det of a coupling has the same sign in both directions."""

    def coupled(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        y, log_det = super().coupled(part, direction, x, ndims)
        return y, log_det if direction == "forward" else -log_det


@repeats("no public report, the wrong direction")
class ScaleInverted(SoundFlow):
    """Both directions scale by exp(-log_scale)."""

    def conditioned(self, conditioner: Any, x0: Array) -> tuple[Array, Array]:
        shift, log_scale = super().conditioned(conditioner, x0)
        return shift, -log_scale

    def coupling_log_det(self, log_scale: Array, ndims: int) -> Array:
        return -super().coupling_log_det(log_scale, ndims)


@repeats("no public report, a mask that is not")
class MaskedUnitsScaled(SoundFlow):
    """The units that condition are scaled too, by what scales their neighbours."""

    def coupled(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        y, log_det = super().coupled(part, direction, x, ndims)
        stays, _ = self.masks(part)
        kept = x[..., stays]
        if kept.shape[-1]:
            _, log_scale = self.conditioned(part.conditioner, kept)
            factor = np.exp(np.broadcast_to(log_scale, (*kept.shape[:-1], 1))[..., :1] if np.ndim(log_scale) == 0
                            else log_scale[..., :1])  # fmt: skip
            y[..., stays] = kept * (factor if direction == "forward" else 1 / factor)
        return y, log_det


@repeats("no public report, a mean for a sum")
class ConstantScaleCountedOnce(SoundFlow):
    """The log-det of a coupling averages over the units that it is to sum over."""

    def coupling_log_det(self, log_scale: Array, ndims: int) -> Array:
        return self.total(log_scale.real.mean(axis=-1), ndims - 1)


@repeats("tensorflow/probability#317", "tensorflow/probability#1006", "tensorflow/probability#1159",
         "tensorflow/probability#1410", "tensorflow/probability#849")  # fmt: skip
class ConditionReachesOnePart(SoundFlow):
    """The condition reaches the first part of a chain that runs, and no other."""

    def chained(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        self.told = False
        return super().chained(part, direction, x, ndims)

    def with_context(self, found: tuple[Array, Array]) -> tuple[Array, Array]:
        told, self.told = getattr(self, "told", False), True
        return found if told else super().with_context(found)
