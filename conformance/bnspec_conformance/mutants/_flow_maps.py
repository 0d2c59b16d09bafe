"""Mutants of bijectors: maps of elements, and what is made of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.flows import _parts as parts

from ._flow_mutant import flow_registry
from ._sound_flow import SoundFlow

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = flow_registry()


@repeats("danielward27/flowjax#208")
class LogDetOfOtherDirection(SoundFlow):
    """The log-det of the inverse of an elementwise map is that of the map."""

    def inverse_log_det(self, y: Array, event_ndims: int | None = None) -> Array:
        found = super().inverse_log_det(y, event_ndims)
        return found if isinstance(found, tuple) else -found


@repeats("tensorflow/probability#811", "vislearn/FrEIA#176")
class SummedOverBatch(SoundFlow):
    """The log-det of elements is summed over one axis too many."""

    def event_total(self, part: Any, terms: Array, ndims: int) -> Array:
        found = self.total(terms, ndims)
        return found.sum(axis=-1) if ndims and found.ndim else found


@repeats("pytorch/pytorch#121220", "mj-will/aspire#3")
class EventNotSummed(SoundFlow):
    """The log-det of elements keeps the last axis of the event."""

    def event_total(self, part: Any, terms: Array, ndims: int) -> Array:
        return self.total(np.moveaxis(terms, -1, 0), ndims - 1) if ndims else terms


@repeats("tensorflow_probability 0.25.0, NICE", "maho3/ltu-ili#171", "pymc-devs/pymc#8136")
class ConstantNotSpread(SoundFlow):
    """A log-det that does not depend on the input has the shape of the parameters."""

    def elementwise(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        y, log_det = super().elementwise(part, direction, x, ndims)
        if part.name in ("Shift", "Identity") and log_det.ndim:
            return y, np.zeros((), self.dtype)
        return y, log_det


@repeats(
    "tensorflow/probability#318", "didriknielsen/survae_flows#12", "google-deepmind/distrax#7", "rail-berkeley/rlkit#37"
)
class TanhInTheTail(SoundFlow):
    """The log-det of tanh is log(1 - y^2), which is minus infinity in the tails."""

    def tanh_log_slope(self, x: Array) -> Array:
        return np.log(1 - np.tanh(x.real) ** 2)


@repeats("GPflow/GPflow#302", "rushter/MLAlgorithms#30", "bayesflow-org/bayesflow#270", "sims1253/bayesfam#31")
class SoftplusInTheTail(SoundFlow):
    """Softplus is log(1 + exp(x)), which overflows."""

    def softplus_forward(self, x: Array, hinge_softness: Array = None, low: Array = None) -> Array:
        c = self.dtype.type(1) if hinge_softness is None else hinge_softness
        found = c * np.log(1 + np.exp(x / c))
        return found if low is None else found + low


@repeats("bayesflow-org/bayesflow#764")
class HingeLeftOut(SoundFlow):
    """The inverse of softplus has the hinge outside of the exponential."""

    def softplus_inverse(self, y: Array, hinge_softness: Array = None, low: Array = None) -> Array:
        c = self.dtype.type(1) if hinge_softness is None else hinge_softness
        z = y if low is None else y - low
        return c * np.log(np.expm1(z) / c)


@repeats("no public report, a term of the log-det")
class IntervalLeftOut(SoundFlow):
    """The log-det of a sigmoid has no log(high - low)."""

    def sigmoid_log_slope(self, x: Array, low: Array = None, high: Array = None) -> Array:
        return super().sigmoid_log_slope(x)


@repeats("tensorflow_probability 0.25.0, negative gamma, a scale")
class LogOfNegativeScale(SoundFlow):
    """The log-det of a scale is its logarithm, and not that of its size."""

    def scale_log_slope(self, x: Array, scale: Array = None, log_scale: Array = None) -> Array:
        return log_scale if scale is None else np.log(scale)

    def scalematvecdiag_log_slope(self, x: Array, scale_diag: Array) -> Array:
        return np.log(scale_diag)


@repeats("google-deepmind/distrax#324", "google-deepmind/distrax#345", "tensorflow/probability#765", "nflows#32")
class ChainReversed(SoundFlow):
    """A chain runs its first part first."""

    def order(self, part: Any, direction: str) -> Any:
        ranks = {parts.ranks(one) for one in part.parts}
        if any(before != after for before, after in ranks):
            return super().order(part, direction)
        return part.parts if direction == "forward" else part.parts[::-1]


@repeats("tensorflow/models#7465")
class LastLogDetAlone(SoundFlow):
    """The log-det of a chain is that of the part that ran last."""

    def joined(self, one: Array, other: Array) -> Array:
        return other


@repeats("no public report, the wrong direction")
class PermutedTwice(SoundFlow):
    """The inverse of a permutation permutes once more."""

    def permutation(self, part: Any, direction: str) -> Any:
        return part.permutation


@repeats("no public report, the wrong direction")
class PermutationInverted(SoundFlow):
    """A permutation says where each element goes, and not where it comes from."""

    def permutation(self, part: Any, direction: str) -> Any:
        return super().permutation(part, "inverse" if direction == "forward" else "forward")


@repeats("no public report, the order of another language")
class ReshapedByColumns(SoundFlow):
    """A reshape lays events out by columns."""

    def laid_out(self, x: Array, shape: tuple[int, ...]) -> Array:
        batch = next(
            (place for place, (a, b) in enumerate(zip(x.shape, shape, strict=False)) if a != b), min(x.ndim, len(shape))
        )
        rows = x.reshape(-1, *x.shape[batch:])
        found = [row.reshape(shape[batch:], order="F") for row in rows]
        return np.stack(found).reshape(shape)


@repeats("tensorflow/models#7465, blocks")
class FirstBlockAlone(SoundFlow):
    """The log-det of blocks is that of the first."""

    def of_blocks(self, log_dets: list[Array]) -> Array:
        return log_dets[0]


@repeats("no public report, a shape")
class ShapeNotMoved(SoundFlow):
    """The shape after a reshape is told to be the one before."""

    def shaped(self, part: Any, direction: str, shape: Any) -> Any:
        return shape if isinstance(part, parts.Reshaped) else super().shaped(part, direction, shape)


@repeats("no public report, one of several inverses")
class OnePreimage(SoundFlow):
    """Of two preimages, the negative one has a log-det of its own."""

    def preimages(self, y: Array) -> tuple[Any, Any]:
        (low, high), (_, none) = super().preimages(y)
        return (low, high), (-y, none)


@repeats("tensorflow/models#7465, a structure")
class JointLogDetsApart(SoundFlow):
    """The log-det of a structure is that of its first part."""

    def joint(self, part: Any, direction: str, x: Any, ndims: int) -> tuple[Any, Array]:
        value, _ = super().joint(part, direction, x, ndims)
        first = self.run(part.parts[0], direction, x[0], parts.ranks(part.parts[0])[0])
        return value, first[1]
