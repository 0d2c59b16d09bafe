"""Mutants of autoregressive flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._flow_mutant import flow_registry
from ._sound_flow import SoundFlow

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = flow_registry()


@repeats("no public report, an output that sees its own input")
class OutputSeesItself(SoundFlow):
    """The last mask lets an output see units of its own degree."""

    def output_mask(self, before: Array, after: Array) -> Array:
        return before <= after


@repeats("no public report, a mask that is too narrow")
class HiddenUnitsSeeLess(SoundFlow):
    """A hidden unit sees units below its degree alone."""

    def hidden_mask(self, before: Array, after: Array) -> Array:
        return before < after


@repeats("no public report, the wrong direction")
class OrderReversed(SoundFlow):
    """The last unit in the order comes first."""

    def places(self, part: Any) -> Array:
        return part.size + 1 - super().places(part)


@repeats("tensorflow_probability 0.25.0, until an optimizer's step")
class MasksAtTheStartAlone(SoundFlow):
    """The masks are in the initializer, and weights that are loaded keep all their entries."""

    def weights(self, kernel: Array, mask: Array) -> Array:
        return kernel


@repeats("no public report, the sign of a log-det")
class AutoregressiveLogScaleSign(SoundFlow):
    """The log-det of an autoregressive flow has the other sign."""

    def made_log_det(self, x: Array, log_scale: Array, ndims: int) -> Array:
        return -super().made_log_det(x, log_scale, ndims)


@repeats("no public report, an end that is left out")
class OnePassTooFew(SoundFlow):
    """Sampling leaves out the last pass, so that the last unit in the order is not settled."""

    def passes(self, part: Any) -> int:
        return max(super().passes(part) - 1, 1)


@repeats("no public report, a layout")
class ParametersInterleaved(SoundFlow):
    """All shifts are taken to lie before all logarithms of scales, as in a coupling."""

    def columns(self, part: Any, out: Array) -> tuple[Array, Array]:
        return out[..., : part.size], out[..., part.size :]


@repeats("no public report, a condition that is forgotten")
class ConditionOfTheFirstLayer(SoundFlow):
    """The condition enters the first layer, and no other."""

    def with_condition(self, number: int, out: Array, conditional: Array) -> Array:
        return out if number else super().with_condition(number, out, conditional)


@repeats("no public report, what the last pass has settled is left out")
class LogDetOfTheFirstPass(SoundFlow):
    """The log-det of sampling is that of the first pass."""

    def passed(self, part: Any, x: Array) -> tuple[Array, Array]:
        y, _ = super().passed(part, x)
        return y, self.made(part, np.zeros_like(x))[1]
