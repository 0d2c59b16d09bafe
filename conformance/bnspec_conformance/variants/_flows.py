"""Correct bijectors and densities that compute by other formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.mutants import SoundFlow

if TYPE_CHECKING:
    from bnspec_conformance.flows import DensityEntry, Entry

    Array = Any  # an ndarray; see mutants/_sound_flow.py

__all__ = ["FLOW_VARIANTS"]


class WideInside(SoundFlow):
    """Compute in float64, and round what is returned."""

    def __init__(self, entry: Entry | DensityEntry) -> None:
        super().__init__(entry)
        self.returned = self.dtype
        self.dtype = np.dtype("float64")

    def narrow(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self.narrow(one) for one in value)
        own = self.entry.x[0].dtype if hasattr(self.entry, "x") else self.returned
        return np.asarray(value).astype(own)

    def normals(self, shape: tuple[int, ...], seed: int) -> Array:
        self.dtype = self.returned  # the numbers of a seed are those of a dtype
        found = super().normals(shape, seed)
        self.dtype = np.dtype("float64")
        return found.astype(np.float64)


class QuotientByScale(SoundFlow):
    """Divide by exp(log_scale)."""

    def scale_inverse(self, y: Array, scale: Array = None, log_scale: Array = None) -> Array:
        return y / np.exp(log_scale) if scale is None else y / scale

    def coupled(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        y, log_det = super().coupled(part, direction, x, ndims)
        if direction == "inverse":
            stays, moves = self.masks(part)
            shift, log_scale = self.conditioned(part.conditioner, x[..., stays])
            y[..., moves] = (x[..., moves] - shift) / np.exp(log_scale)
        return y, log_det


class LogOfQuotient(SoundFlow):
    """Take one logarithm, of |gamma| / sqrt(variance + epsilon)."""

    def log_det(self, part: Any, x: Array, gamma: Array, variance: Array, epsilon: Any, pair: Any, ndims: int) -> Array:
        terms = np.log(np.abs(gamma) / np.sqrt(variance + epsilon))
        if pair is not None:
            terms = terms + self.log_adjustment(pair[0])
        return self.spread_total(terms, x.shape, ndims)


class CountTimesSum(SoundFlow):
    """Multiply the sum of different terms by how often they come."""

    def spread_total(self, terms: Array, shape: tuple[int, ...], ndims: int) -> Array:
        inside = range(len(shape) - ndims, len(shape))
        count = int(np.prod([shape[place] for place in inside if terms.shape[place] == 1]))
        kept = tuple(terms.shape[place] if place in inside else size for place, size in enumerate(shape))
        return self.total(np.broadcast_to(terms, kept), ndims) * terms.dtype.type(count)


class SumsBackward(SoundFlow):
    """Sum over events from the last element to the first, one after the other."""

    def total(self, terms: Array, ndims: int) -> Array:
        if not ndims:
            return terms
        flat = terms.reshape(*terms.shape[: terms.ndim - ndims], -1)[..., ::-1]
        return np.cumsum(flat, axis=-1, dtype=flat.dtype)[..., -1]


class OtherLogDets(SoundFlow):
    """Take the log-dets of squashing maps from |x|."""

    def sigmoid_log_slope(self, x: Array, low: Array = None, high: Array = None) -> Array:
        size = np.abs(x.real)
        found = -size - 2 * np.log1p(np.exp(-size))
        return found if low is None else np.log(high - low) + found

    def tanh_log_slope(self, x: Array) -> Array:
        size = np.abs(x.real)
        return 2 * (self.dtype.type(np.log(2.0)) - size - np.log1p(np.exp(-2 * size)))


class StableSplines(SoundFlow):
    """Compute splines by sums of positive terms, and of sizes as they are given."""

    def under(self, t: Array, at: Any) -> Array:
        s = at.height / at.width
        return s * (t * t + (1 - t) ** 2) + (at.before + at.after) * t * (1 - t)

    def share_of(self, risen: Array, at: Any) -> Array:
        s, u = at.height / at.width, risen / at.height
        p = ((1 - u) * at.before - u * at.after) / s
        root = np.sqrt(p * p + 4 * u * (1 - u))
        first = p.real >= 0
        with np.errstate(all="ignore"):
            return np.where(first, 2 * u / (p + 2 * u + root), 1 - 2 * (1 - u) / (2 * (1 - u) - p + root))


class SearchedSplines(SoundFlow):
    """Find the bin by bisection, and add up the sizes from the last to the first."""

    def searched(self, at: Array, along: Array) -> Array:
        rows = np.broadcast_to(along[..., 1:-1], (*at.shape, along.shape[-1] - 2)).reshape(at.size, -1)
        found = [np.searchsorted(row, each, side="right") for row, each in zip(rows, at.ravel(), strict=True)]
        return np.asarray(found).reshape(at.shape)

    def knots(self, sizes: Array, start: Array) -> Array:
        ends = [sizes[..., place::-1].sum(axis=-1) for place in range(sizes.shape[-1])]
        return start + np.stack([np.zeros_like(ends[0]), *ends], axis=-1)


class OneUnitAtATime(SoundFlow):
    """Sample autoregressive flows unit by unit, and never compute one before those that it depends on."""

    def passed(self, part: Any, x: Array) -> tuple[Array, Array]:
        y = np.zeros_like(x)
        log_scales = np.zeros_like(x)
        for unit in np.argsort(self.places(part)):
            shift, log_scale = (np.broadcast_to(each, x.shape) for each in self.made(part, y))
            y[..., unit] = x[..., unit] * np.exp(log_scale[..., unit]) + shift[..., unit]
            log_scales[..., unit] = log_scale[..., unit]
        return y, log_scales


class BeginsWithTheInput(SoundFlow):
    """Begin the passes of an autoregressive flow at x, and divide by the scale to go back."""

    def passed(self, part: Any, x: Array) -> tuple[Array, Array]:
        y = x
        for _ in range(self.passes(part)):
            shift, log_scale = self.made(part, y)
            y = x * np.exp(log_scale) + shift
        return y, log_scale

    def autoregressive(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        if direction == "forward":
            return super().autoregressive(part, direction, x, ndims)
        shift, log_scale = self.made(part, x)
        return (x - shift) / np.exp(log_scale), self.made_log_det(x, -log_scale, ndims)


FLOW_VARIANTS: tuple[type[SoundFlow], ...] = (
    SoundFlow,
    WideInside,
    QuotientByScale,
    LogOfQuotient,
    CountTimesSum,
    SumsBackward,
    OtherLogDets,
    StableSplines,
    SearchedSplines,
    OneUnitAtATime,
    BeginsWithTheInput,
)
"""All of them, and what they are variants of."""
