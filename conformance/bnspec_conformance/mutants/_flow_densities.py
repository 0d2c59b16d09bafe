"""Mutants of densities and of draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._flow_mutant import flow_registry
from ._sound_flow import SoundFlow

if TYPE_CHECKING:
    Array = Any

FOUND, repeats = flow_registry()


@repeats("no public report, a term of the density")
class DensityWithoutLogDet(SoundFlow):
    """The log-density is that of the base at the inverse."""

    def log_density(self, value: Array) -> Array:
        return self.base_log_prob(self.through("inverse", value)[0])


@repeats("VincentStimper/normalizing-flows#27, the density")
class DensityWithForwardLogDet(SoundFlow):
    """The log-det of the inverse is subtracted from the log-density, and not added."""

    def log_density(self, value: Array) -> Array:
        x, log_det = self.through("inverse", value)
        return self.base_log_prob(x) - log_det


@repeats("tensorflow/probability#1388", "tensorflow/tensorflow#50982")
class EventsNotReduced(SoundFlow):
    """The log-density of a vector has an entry for each of its elements."""

    def base_log_prob(self, x: Array) -> Array:
        kept, self.total = self.total, lambda terms, ndims: terms  # type: ignore[method-assign]
        found = super().base_log_prob(x)
        self.total = kept  # type: ignore[method-assign]
        return found


@repeats("stan-dev/stan#2241", "danijar/dreamer#6")
class SeedIgnored(SoundFlow):
    """Draws do not depend on the seed."""

    def normals(self, shape: tuple[int, ...], seed: int) -> Array:
        return super().normals(shape, 5)


@repeats("no public report, a seed that is cut")
class HalfOfTheSeed(SoundFlow):
    """Draws depend on the lower word of the seed alone."""

    def normals(self, shape: tuple[int, ...], seed: int) -> Array:
        return super().normals(shape, seed % 2**32)


@repeats("gradientinstitute/aboleth#56")
class DrawsAllEqual(SoundFlow):
    """All draws of a call are the same."""

    def normals(self, shape: tuple[int, ...], seed: int) -> Array:
        return np.broadcast_to(super().normals((1,) * len(shape), seed), super().normals(shape, seed).shape)


@repeats("greta-dev/greta#559")
class DrawsInTurn(SoundFlow):
    """The same seed gives other numbers at the second call."""

    def normals(self, shape: tuple[int, ...], seed: int) -> Array:
        self.calls = getattr(self, "calls", -1) + 1
        return super().normals(shape, seed + self.calls)


@repeats("no public report, a scale")
class VarianceForScale(SoundFlow):
    """Draws have the variance for their scale."""

    def base_draws(self, shape: tuple[int, ...], seed: int) -> Array:
        return self.entry.loc + self.entry.scale**2 * self.normals(shape, seed)


@repeats("gradientinstitute/aboleth#56, two by two")
class DrawsInPairs(SoundFlow):
    """Every second draw is its neighbour again."""

    def normals(self, shape: tuple[int, ...], seed: int) -> Array:
        found = np.array(super().normals(shape, seed))
        if len(shape) and len(found) > 1:
            found[1::2] = found[: len(found) // 2 * 2 : 2]
        return found


@repeats("no public report, a term of the density")
class DensityOfBaseDraws(SoundFlow):
    """The density that comes with draws is that of the base."""

    def sample_and_log_prob(self, shape: tuple[int, ...], seed: int) -> tuple[Array, Array]:
        x = self.base_draws(shape, seed)
        return self.narrow(self.through("forward", x)[0]), self.narrow(self.base_log_prob(x))


@repeats("no public report, a constant")
class HalfOfTheConstant(SoundFlow):
    """The log-density has log(2 pi), and not half of it."""

    def base_log_prob(self, x: Array) -> Array:
        found = super().base_log_prob(x)
        count = int(np.prod(self.entry.event_shape))
        return found - self.dtype.type(0.5 * count * np.log(2 * np.pi))
