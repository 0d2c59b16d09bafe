"""A sound batch normalization with every part: ghost batches, renormalization, adjustments, all conventions."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._sound import Sound

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Config

    Array = Any  # an ndarray; see _sound.py

__all__ = ["Complete", "Entry", "Part"]


class Part(NamedTuple):
    """A ghost batch, or the batch: which samples it has, its population statistics, and its weight in each channel."""

    rows: slice
    mean: Any
    variance: Any
    weight: Any


class Entry(NamedTuple):
    """What enters the averages at once: the population variance, its estimate, and in which channels it is there."""

    mean: Any
    variance: Any
    estimate: Any
    present: Any


class Complete(Sound):
    """An adapter, and its own layer, under any convention that its subclasses name."""

    offers = ("ghosts", "renorm")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.limits: Any = config.renorm  # None without renormalization, where nobody reads them

    def load_renorm(self, moving_stddev: Array, renorm_mean: Array, renorm_stddev: Array) -> None:
        """Copy what renormalization keeps."""
        self.moving_stddev = moving_stddev.reshape(self.kept).copy()
        self.renorm_mean = renorm_mean.reshape(self.kept).copy()
        self.renorm_stddev = renorm_stddev.reshape(self.kept).copy()

    def read_renorm(self) -> tuple[Array, Array, Array]:
        """Return copies of what renormalization keeps."""
        kept = (self.moving_stddev, self.renorm_mean, self.renorm_stddev)
        return tuple(value.reshape(self.shape).copy() for value in kept)

    def __call__(self, x: Array, training: bool) -> Array:
        """Normalize; in training, each ghost batch by itself."""
        refused = self.count(x) == 1 and self.convention.one_element == "raise"
        if not training or self.count(x) == 0 or refused:
            return super().__call__(x, training)
        return self.trained(x)

    def weighted(self, x: Array, weights: Array) -> Array:
        """Normalize in training, with frequency weights."""
        return self.trained(x, weights)

    def adjusted(self, x: Array, scale: Array, bias: Array) -> Array:
        """Normalize in training, with a scale and a bias before gamma."""
        return self.trained(x, None, (scale, bias))

    def trained(self, x: Array, weights: Array | None = None, adjustment: tuple[Array, Array] | None = None) -> Array:
        """Normalize a training batch, and move the averages."""
        self.training = True
        wide = self.widen(x)
        parts = self.parts(wide, weights)
        entries = self.entries(wide, parts)
        correction = self.correction(entries[0])
        self.advance(entries)
        scale, bias = self.spread(adjustment, x)
        y = np.empty(x.shape, self.dtype)
        for part in parts:
            mean, variance = self.normalizers(part)
            unit = self.unit(wide[part.rows], mean, self.inverse(variance))
            y[part.rows] = self.composed(unit, correction, (scale[part.rows], bias[part.rows]))
        return self.narrow(y, self.output_dtype(x.dtype))

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Differentiate in closed form."""
        if not training or x.size == 0:
            return super().gradients(x, cotangent, training)
        return self.differentiated(x, cotangent)

    def weighted_gradients(self, x: Array, cotangent: Array, weights: Array) -> dict[str, Array]:
        """Differentiate with frequency weights, by which too."""
        return self.differentiated(x, cotangent, weights)

    def adjusted_gradients(self, x: Array, cotangent: Array, scale: Array, bias: Array) -> dict[str, Array]:
        """Differentiate with an adjustment."""
        return self.differentiated(x, cotangent, None, (scale, bias))

    def adjusted_log_det(self, x: Array, scale: Array, bias: Array) -> Array:
        """Return log |det| of a training call with an adjustment, and move nothing."""
        self.training = True
        wide = self.widen(x)
        terms = self.log_slope(self.normalized_by(wide, True)[1]) + self.log_scale(self.spread((scale, bias), x)[0])
        return self.narrow(self.over_event(terms), self.output_dtype(x.dtype))

    def autodiff(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Differentiate as a framework does, backwards through variance and mean."""
        if not training:
            return super().autodiff(x, cotangent, training)
        return self.differentiated(x, cotangent, chain=True)

    def differentiated(
        self,
        x: Array,
        cotangent: Array,
        weights: Array | None = None,
        adjustment: tuple[Array, Array] | None = None,
        *,
        chain: bool = False,
    ) -> dict[str, Array]:
        """Differentiate a training batch."""
        self.training = True
        wide, dy = self.widen(x), self.widen(cotangent)
        parts = self.parts(wide, weights)
        entries = self.entries(wide, parts)
        r, d = self.correction(entries[0])
        after = copy(self)
        after.advance(entries)
        scale, bias = self.spread(adjustment, x)
        frequencies = self.frequencies(weights, x)
        given = self.before_adjustment(dy, scale)
        dx, dw, unit = (np.empty(x.shape, self.dtype) for _ in range(3))
        for part in parts:
            rows = part.rows
            pulled = after.chained_back if chain else after.pulled
            unit[rows] = self.unit(wide[rows], *after.units(part))
            dx[rows], dw[rows] = pulled(wide[rows], given[rows], frequencies[rows], part, self.gain(r))
        found = {"x": dx.astype(x.dtype), **self.parameter_gradients(dy, self.multiplied(unit, (r, d), (scale, bias)))}
        if self.convention.statistics == "running":
            found.update(after.kept_gradients(given, unit, parts[0]))
        if weights is not None:
            spread = tuple(axis for axis, size in enumerate(weights.shape) if size == 1)
            found["weights"] = dw.sum(axis=spread, keepdims=True).astype(weights.dtype)
        return found

    def pulled(self, x: Array, dy: Array, weights: Array, part: Part, r: Array | float) -> tuple[Array, Array]:
        """Differentiate one ghost batch by its elements and by their weights, in closed form."""
        mean, inverse = self.units(part)
        unit, own = (x - mean) * inverse, self.own(x, part) * inverse
        takes, free = self.takes(), self.freedom(part)
        total = np.where(part.weight > 0, part.weight, 1).astype(self.dtype)
        even = takes[0] * self.added(dy) / total
        odd = takes[1] * self.added(dy * unit) / free
        slope = self.slope(inverse) * r
        share = part.variance * total / free * inverse * inverse
        dw = -self.gamma * r * (even * own + odd * (np.square(own) - share) / 2)
        return slope * (dy - weights * (even + own * odd)), np.where(part.weight > 0, dw, 0.0)

    def chained_back(self, x: Array, dy: Array, weights: Array, part: Part, r: Array | float) -> tuple[Array, Array]:
        """Do the same for the elements by the chain rule."""
        mean, inverse = self.units(part)
        slope = dy * (self.gamma * r)
        takes, free = self.takes(), self.freedom(part)
        dvariance = self.added(slope * (x - mean)) * (-0.5) * inverse**3 * takes[1]
        dmean = -self.added(slope * inverse) * takes[0]
        total = np.where(part.weight > 0, part.weight, 1).astype(self.dtype)
        dx = slope * inverse + weights * (2.0 * dvariance * self.own(x, part) / free + dmean / total)
        return dx, np.zeros_like(dx)

    def kept_gradients(self, dy: Array, unit: Array, part: Part) -> dict[str, Array]:
        """Differentiate by the averages before, which the averages that normalize keep in part."""
        _, inverse = self.units(part)
        slope, takes = self.slope(inverse), self.takes()
        keeps = [np.where(part.weight > 0, 1.0 - take, 1.0).astype(self.dtype) for take in takes]
        by_mean = keeps[0] * -slope * self.added(dy)
        by_variance = keeps[1] * slope * inverse * self.added(dy * unit) * (-0.5)
        return {"moving_mean": by_mean.reshape(self.shape), "moving_variance": by_variance.reshape(self.shape)}

    # What follows is one line of mathematics each, or close to it.

    @staticmethod
    def total_weight(weights: Array, given: Array, axes: tuple[int, ...]) -> Array:
        """Divide what has no weight by 1."""
        total = weights.sum(axis=axes, keepdims=True)
        return np.where(total == 0, total.dtype.type(1), total)

    def grouped(self, number: int) -> list[slice]:
        """Cut a batch into ghost batches."""
        size = self.config.virtual_batch_size
        if size is None:
            return [slice(None)]
        count = number // size
        if self.convention.ghost_grouping == "strided":
            return [slice(group, None, count) for group in range(count)]
        return [slice(group * size, (group + 1) * size) for group in range(count)]

    def frequencies(self, weights: Array | None, x: Array) -> Array:
        """Spread the weights, or ones, over the batch."""
        return np.broadcast_to(self.widen(np.ones(1) if weights is None else weights), x.shape)

    def spread(self, adjustment: tuple[Array, Array] | None, x: Array) -> tuple[Array, Array]:
        """Spread scale and bias, or 1 and 0, over the batch."""
        scale, bias = adjustment or (np.ones(1), np.zeros(1))
        return np.broadcast_to(self.widen(scale), x.shape), np.broadcast_to(self.widen(bias), x.shape)

    def parts(self, x: Array, weights: Array | None) -> list[Part]:
        """Take the statistics of each ghost batch."""
        return [self.measured(x, weights, rows) for rows in self.grouped(len(x))]

    def measured(self, x: Array, weights: Array | None, rows: slice) -> Part:
        """Take the statistics of one ghost batch."""
        if weights is None:
            mean, variance = self.statistics(x[rows])
            return Part(rows, mean, variance, np.full(self.kept, self.count(x[rows]), self.dtype))
        frequencies = self.frequencies(weights, x)[rows]
        mean, variance = self.weighted_moments(x[rows], self.reduced, frequencies, True)
        return Part(rows, mean, variance, self.effective(frequencies))

    def entries(self, x: Array, parts: list[Part]) -> list[Entry]:
        """Let ghost batches enter the averages as the convention says."""
        if len(parts) == 1 or self.convention.ghost_update == "each":
            return [self.entry(part) for part in parts]
        return [self.merged(parts) if self.convention.ghost_update == "merged" else self.averaged(parts)]

    def entry(self, part: Part) -> Entry:
        """Let one enter."""
        return Entry(part.mean, part.variance, self.estimate(part.variance, part.weight), part.weight > 0)

    def averaged(self, parts: list[Part]) -> Entry:
        """Average what ghost batches have, as far as they are there."""
        alone = [self.entry(part) for part in parts]
        present = np.stack([entry.present for entry in alone])
        mean, variance, estimate = (
            self.average_of(np.stack([entry[field] for entry in alone]), present) for field in range(3)
        )
        return Entry(mean, variance, estimate, present.any(axis=0))

    def average_of(self, values: Array, present: Array) -> Array:
        """Average over the groups that are there."""
        return np.where(present, values, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1).astype(self.dtype)

    def merged(self, parts: list[Part]) -> Entry:
        """Merge ghost batches into the statistics of the batch."""
        weight = sum(part.weight for part in parts)
        total = np.where(weight > 0, weight, 1).astype(self.dtype)
        mean = sum(part.weight * part.mean for part in parts) / total
        squares = sum(part.weight * (part.variance + self.between(part.mean, mean)) for part in parts)
        return self.entry(Part(slice(None), mean, squares / total, weight))

    def between(self, mean: Array, whole: Array) -> Array:
        """Count how far a ghost batch is from the others."""
        return np.square(mean - whole)

    def lost(self, kind: str) -> float:
        """Return by what an estimator reduces the weight that it divides by."""
        return {"population": 0.0, "bessel": 1.0, "bessel_epsilon": 1.0 + self.epsilon}[kind]

    def freed(self, kind: str, weight: Array) -> Array:
        """Return what an estimator divides by."""
        free = weight.astype(np.float64) - self.lost(kind)
        return np.where(free > 0, free, np.where(weight > 0, weight, 1)).astype(self.dtype)

    def estimate(self, variance: Array, count: Array) -> Array:
        """Correct the running variance as the convention says."""
        return variance * (count / self.freed(self.convention.running_variance, count)).astype(self.dtype)

    def normalizing(self, variance: Array, count: Array) -> Array:
        """Correct the variance that normalizes as the convention says."""
        return variance * (count / self.freed(self.convention.normalizing_variance, count)).astype(self.dtype)

    def normalizers(self, part: Part) -> tuple[Array, Array]:
        """Normalize by the ghost batch's own statistics, or by the averages after it."""
        if self.convention.statistics == "running":
            return self.moving_mean, self.moving_variance
        return part.mean, self.normalizing(part.variance, part.weight)

    def units(self, part: Part) -> tuple[Array, Array]:
        """Return the mean and the inverse deviation that normalize."""
        mean, variance = self.normalizers(part)
        return mean, self.inverse(variance)

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        """Return what normalizes a batch without ghosts; where it is an average, that after the batch."""
        if not training:
            return super().normalized_by(x, training)
        parts = self.parts(x, None)
        after = copy(self)
        after.advance(self.entries(x, parts))
        return after.normalizers(parts[0])

    def log_scale(self, scale: Array) -> Array:
        """Take the logarithm of the adjustment's scale."""
        return np.log(np.abs(scale))

    def composed(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        """Correct, adjust, scale by gamma and shift by beta, in this order."""
        return self.before_gamma(unit, correction, pair) * self.gamma + self.beta

    def before_gamma(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        """Correct and adjust what gamma multiplies."""
        return (unit * correction[0] + correction[1]) * pair[0] + pair[1]

    def multiplied(self, unit: Array, correction: tuple[Any, Any], pair: tuple[Array, Array]) -> Array:
        """Take for the gradient of gamma what the output was computed with."""
        return self.before_gamma(unit, correction, pair)

    def before_adjustment(self, dy: Array, scale: Array) -> Array:
        """Take the gradient back through the adjustment."""
        return dy * scale

    def correction(self, entry: Entry) -> tuple[Array, Array]:
        """Return r and d, from the averages before."""
        if self.config.renorm is None:
            return self.dtype.type(1), self.dtype.type(0)
        return self.ratio(self.deviation(entry.variance)), self.shift(entry)

    def ratio(self, deviation: Array) -> Array:
        """Return r."""
        return np.clip(deviation / self.spread_before(), self.limits.rmin, self.limits.rmax)

    def shift(self, entry: Entry) -> Array:
        """Return d."""
        dmax = self.limits.dmax
        return np.clip((entry.mean - self.renorm_mean) / self.spread_before(), -dmax, dmax)

    def spread_before(self) -> Array:
        """Return the deviation that a batch is corrected by, which is not below that of a constant channel."""
        return np.maximum(self.renorm_stddev, self.deviation(self.dtype.type(0)))

    def deviation(self, variance: Array) -> Array:
        """Add epsilon inside the root."""
        return np.sqrt(variance + self.dtype.type(self.epsilon))

    def variance_of(self, deviation: Array) -> Array:
        """Take epsilon off again."""
        return np.maximum(np.square(deviation) - self.dtype.type(self.epsilon), self.dtype.type(0))

    def gain(self, r: Array | float) -> Array | float:
        """Scale the gradient by r, a constant."""
        return r

    def renorm_share(self) -> float:
        """Return the weight of a new batch in the averages of renormalization."""
        momentum: float = self.limits.momentum
        return momentum if self.convention.momentum_weighs == "new" else 1.0 - momentum

    def share_of(self, kind: str) -> float:
        """Return the weight of a new batch in an average of some kind."""
        share = self.share()
        if self.config.momentum is None or kind == "exponential":
            return share
        if kind == "first":
            return 1.0 if self.batches == 1 else share
        return share / self.known(1.0 - share) if share else 1.0 / self.batches

    def known(self, old: float) -> float:
        """Return what the weights of the batches sum to."""
        return 1.0 - old**self.batches

    def shares(self) -> tuple[float, float]:
        """Return the weight of a new batch in the mean and in the variance."""
        kind = self.convention.average
        split = ("debiased", "exponential") if kind == "debiased_mean" else (kind, kind)
        return self.share_of(split[0]), self.share_of(split[1])

    def takes(self) -> tuple[float, float]:
        """Return how far a batch moves the mean and the variance that normalize it."""
        if self.convention.statistics == "batch":
            return 1.0, 1.0
        return self.shares() if self.batches else (0.0, 0.0)

    def own(self, x: Array, part: Part) -> Array:
        """Return how far an element is from the mean that it enters."""
        return x - part.mean

    def freedom(self, part: Part) -> Array:
        """Return what the squares are divided by in the variance that normalizes, or in what it is moved by."""
        kind = self.convention.running_variance
        if self.convention.statistics == "batch":
            kind = self.convention.normalizing_variance
        return self.freed(kind, part.weight)

    def added(self, terms: Array) -> Array:
        """Sum over all axes but the feature axes."""
        return terms.sum(axis=self.reduced, keepdims=True)

    def advance(self, entries: list[Entry]) -> None:
        """Count, and move the averages; what is nowhere counts only where an empty batch does."""
        for entry in entries:
            if entry.present.any() or self.convention.empty_batch == "count":
                self.batches = self.counted()
            if entry.present.any():
                self.move(entry)

    def move(self, entry: Entry) -> None:
        """Move all averages."""
        mean, variance = self.shares()
        self.moving_mean = self.toward(self.moving_mean, entry.mean, mean, entry.present)
        if self.config.renorm is None:
            self.moving_variance = self.toward(self.moving_variance, entry.estimate, variance, entry.present)
            return
        share = self.renorm_share()
        self.renorm_mean = self.toward(self.renorm_mean, entry.mean, share, entry.present)
        self.renorm_stddev = self.toward(self.renorm_stddev, self.deviation(entry.variance), share, entry.present)
        spread = self.deviation(entry.estimate)
        self.moving_stddev = self.toward(self.moving_stddev, spread, variance, entry.present)
        moved = self.variance_of(self.moving_stddev)
        self.moving_variance = np.where(entry.present, moved, self.moving_variance)

    def toward(self, old: Array, new: Array, share: float, present: Array) -> Array:
        """Move an average in the channels that are there."""
        return np.where(present, self.moved_average(old, new, share), old)
