"""A sound batch normalization as people write it: NumPy, two passes. Every mutant changes one line of it."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from bnspec.conventions import TORCH, Convention

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Config

    Array = Any  # an ndarray; arithmetic on a typed one is Any to mypy in half of the cases

__all__ = ["Sound"]


class Sound:
    """An adapter, and its own layer.

    Parameters
    ----------
    config : Config
        What is asked for.
    """

    convention: ClassVar[Convention] = TORCH

    def __init__(self, config: Config) -> None:
        self.config = config
        self.convention = config.convention  # type: ignore[misc]  # a check may name another
        self.epsilon = config.epsilon
        self.reduced = tuple(axis for axis in range(len(config.shape)) if axis not in config.axis)
        self.kept = tuple(size if axis in config.axis else 1 for axis, size in enumerate(config.shape))
        self.dtype = np.dtype("float64" if config.dtype == "float64" else "float32")
        self.batches = 0

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        """Copy parameters and state."""
        self.gamma = np.ones(self.kept, self.dtype) if gamma is None else gamma.reshape(self.kept).copy()
        self.beta = np.zeros(self.kept, self.dtype) if beta is None else beta.reshape(self.kept).copy()
        self.shape = moving_mean.shape
        self.moving_mean = moving_mean.reshape(self.kept).copy()
        self.moving_variance = moving_variance.reshape(self.kept).copy()

    def read(self) -> tuple[Array, Array]:
        """Return copies of the running statistics."""
        return self.moving_mean.reshape(self.shape).copy(), self.moving_variance.reshape(self.shape).copy()

    def __call__(self, x: Array, training: bool) -> Array:
        """Normalize, and move the averages in training."""
        self.training = training
        wide = self.widen(x)
        count = self.count(wide)
        if training and count == 0:
            return self.empty(x)
        if training and count == 1 and self.convention.one_element == "raise":
            return self.refuse(x)
        mean, variance = self.statistics(wide) if training else self.averages(wide)
        if training:
            self.update(mean, variance, count)
        return self.narrow(self.normalize(wide, mean, self.inverse(variance)), self.output_dtype(x.dtype))

    def compile(self) -> Self:
        """Return a layer of the same parameters and state; NumPy has nothing to compile."""
        return copy(self)

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Differentiate in closed form."""
        self.training = training
        wide, dy = self.widen(x), self.widen(cotangent)
        if x.size == 0:
            return {"x": x.copy(), **self.parameter_gradients(dy, wide)}
        mean, variance = self.statistics(wide) if training else self.averages(wide)
        inverse = self.backward_inverse(self.inverse(variance))
        unit = self.unit(wide, mean, inverse)
        dx = self.slope(inverse) * (self.projection(dy, unit) if training else self.given(dy, unit))
        return {"x": dx.astype(x.dtype), **self.parameter_gradients(dy, unit)}

    def weighted(self, x: Array, weights: Array) -> Array:
        """Normalize in training, with frequency weights."""
        self.training = True
        wide = self.widen(x)
        mean, variance = self.weighted_moments(wide, self.reduced, self.widen(weights), True)
        self.update(mean, variance, self.effective(np.broadcast_to(self.widen(weights), x.shape)))
        return self.narrow(self.normalize(wide, mean, self.inverse(variance)), self.output_dtype(x.dtype))

    def weighted_gradients(self, x: Array, cotangent: Array, weights: Array) -> dict[str, Array]:
        """Differentiate with frequency weights, by which too."""
        self.training = True
        wide, dy, frequencies = self.widen(x), self.widen(cotangent), np.broadcast_to(self.widen(weights), x.shape)
        mean, variance = self.weighted_moments(wide, self.reduced, self.widen(weights), True)
        inverse = self.inverse(variance)
        unit = self.unit(wide, mean, inverse)
        total = frequencies.sum(axis=self.reduced, keepdims=True)
        even, odd = ((self.portion(terms, total)).sum(axis=self.reduced, keepdims=True) for terms in (dy, dy * unit))
        dx = self.slope(inverse) * (dy - self.taken(frequencies) * (even + unit * odd))
        dw = -self.gamma * (even * unit + odd * self.bent(unit, variance * inverse * inverse))
        spread = tuple(axis for axis, size in enumerate(weights.shape) if size == 1)
        by_weights = dw.sum(axis=spread, keepdims=True).astype(weights.dtype)
        return {"x": dx.astype(x.dtype), "weights": by_weights, **self.parameter_gradients(dy, unit)}

    def log_det(self, x: Array, training: bool) -> Array:
        """Return log |det| of normalization for each sample, and move nothing."""
        self.training = training
        wide = self.widen(x)
        terms = self.log_slope(self.normalized_by(wide, training)[1])
        return self.narrow(self.over_event(np.broadcast_to(terms, x.shape)), self.output_dtype(x.dtype))

    def invert(self, y: Array) -> Array:
        """De-normalize by the running averages."""
        wide = self.widen(y)
        return self.narrow(self.denormalize(wide, *self.averages(wide)), self.output_dtype(y.dtype))

    def autodiff(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Differentiate as a framework does, backwards through variance and mean."""
        self.training = training
        wide, dy = x.astype(self.dtype), cotangent.astype(self.dtype) * self.gamma
        mean, variance = self.statistics(wide) if training else self.averages(wide)
        inverse = self.inverse(variance)
        dx = dy * inverse
        if training:
            dx = dx + self.chained(wide - mean, dy, inverse) / self.count(wide)
        return {"x": dx.astype(x.dtype), **self.parameter_gradients(cotangent, (wide - mean) * inverse)}

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        """Differentiate the gradient in training along a tangent, in closed form."""
        self.training = True
        wide, dy, t = (array.astype(self.dtype) for array in (x, cotangent, tangent))
        mean, variance = self.statistics(wide)
        inverse = self.inverse(variance)
        unit = (wide - mean) * inverse
        moved = self.moved(t, unit) * inverse
        turned = self.turned(moved, t * inverse) * self.average(dy * unit) + unit * self.average(dy * moved)
        shrunk = self.average(t * unit) * inverse * self.projection(dy, unit)
        return (-self.slope(inverse) * (turned + shrunk)).astype(x.dtype)

    @classmethod
    def moments(cls, x: Array, axes: tuple[int, ...], keepdims: bool) -> tuple[Array, Array]:
        """Average, and average the squared deviations."""
        mean = x.mean(axis=axes, keepdims=True)
        variance = np.square(x - mean).mean(axis=axes, keepdims=True)
        return (mean, variance) if keepdims else (mean.squeeze(axes), variance.squeeze(axes))

    @classmethod
    def weighted_moments(
        cls, x: Array, axes: tuple[int, ...], frequency_weights: Array, keepdims: bool
    ) -> tuple[Array, Array]:
        """Do the same with frequency weights."""
        weights = cls.weights(np.broadcast_to(frequency_weights, x.shape))
        x = cls.masked(x, weights)
        total = cls.total_weight(weights, frequency_weights, axes)
        mean = (weights * x).sum(axis=axes, keepdims=True) / total
        variance = cls.weighted_squares(x, mean, weights).sum(axis=axes, keepdims=True) / total
        return (mean, variance) if keepdims else (mean.squeeze(axes), variance.squeeze(axes))

    @classmethod
    def batch_normalization(
        cls, x: Array, mean: Array, variance: Array, offset: Array | None, scale: Array | None, variance_epsilon: float
    ) -> Array:
        """Normalize by given statistics."""
        slope = 1.0 / np.sqrt(variance + variance_epsilon)
        slope = slope if scale is None else slope * scale
        y = (x - mean) * slope
        return y if offset is None else y + offset

    # What follows is one line of mathematics each.

    def widen(self, x: Array) -> Array:
        """Compute in float32 at least."""
        return x.astype(self.dtype)

    def narrow(self, y: Array, dtype: Any) -> Array:
        """Round the output."""
        return y.astype(dtype)

    def output_dtype(self, dtype: Any) -> Any:
        """Return the dtype of the output: the input's, or that of parameters and state, as the convention says."""
        return dtype if self.convention.output_dtype == "input" else self.dtype

    def empty(self, x: Array) -> Array:
        """Return an empty output, leave the averages as they are, and count as the convention says."""
        self.batches += self.convention.empty_batch == "count"
        return x.astype(self.output_dtype(x.dtype))

    def refuse(self, x: Array) -> Array:
        """Refuse one element per channel."""
        raise ValueError(f"training needs more than one element per channel. Got shape={x.shape}.")

    def statistics(self, x: Array) -> tuple[Array, Array]:
        """Take those of the batch in training."""
        mean = self.mean(x)
        return mean, self.variance(x, mean)

    def averages(self, x: Array) -> tuple[Array, Array]:
        """Take the running ones in evaluation."""
        return self.moving_mean, self.moving_variance

    def count(self, x: Array) -> int:
        """Count the elements per channel."""
        return int(np.prod([x.shape[axis] for axis in self.reduced]))

    def average(self, terms: Array) -> Array:
        """Average over all axes but the feature axes."""
        return terms.mean(axis=self.reduced, keepdims=True)

    def mean(self, x: Array) -> Array:
        """Average the elements."""
        return self.average(x)

    def variance(self, x: Array, mean: Array) -> Array:
        """Average the squared deviations."""
        return self.average(np.square(x - mean))

    def inverse(self, variance: Array) -> Array:
        """Add epsilon inside the root."""
        return 1.0 / np.sqrt(variance + self.epsilon)

    def backward_inverse(self, inverse: Array) -> Array:
        """Use in the gradient what the output was computed with."""
        return inverse

    def unit(self, x: Array, mean: Array, inverse: Array) -> Array:
        """Normalize again for the gradient."""
        return (x - mean) * inverse

    def slope(self, inverse: Array) -> Array:
        """Scale by gamma."""
        return self.gamma * inverse

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        """Subtract the mean first."""
        return (x - mean) * self.slope(inverse) + self.beta

    def normalized_by(self, x: Array, training: bool) -> tuple[Array, Array]:
        """Return the mean and the variance that normalize a batch."""
        return self.statistics(x) if training else self.averages(x)

    def log_slope(self, variance: Array) -> Array:
        """Take the logarithm of the slope, of either sign."""
        return self.log_gamma() - self.log_deviation(variance)

    def log_gamma(self) -> Array:
        """Take the logarithm of gamma's size."""
        return np.log(np.abs(self.gamma))

    def log_deviation(self, variance: Array) -> Array:
        """Add epsilon inside the logarithm."""
        return 0.5 * np.log(variance + self.epsilon)

    def over_event(self, terms: Array) -> Array:
        """Sum over all axes but the first."""
        return terms.sum(axis=tuple(range(1, terms.ndim)))

    def denormalize(self, y: Array, mean: Array, variance: Array) -> Array:
        """Subtract beta first."""
        return (y - self.beta) * (np.sqrt(variance + self.epsilon) / self.gamma) + mean

    def share(self) -> float:
        """Return the weight of a new batch."""
        if self.config.momentum is None:
            return 1.0 / self.batches
        return self.config.momentum if self.convention.momentum_weighs == "new" else 1.0 - self.config.momentum

    def estimate(self, variance: Array, count: Array) -> Array:
        """Correct the running variance as the convention says."""
        if self.convention.running_variance != "bessel":
            return variance
        return variance * np.asarray(count / np.where(np.greater(count, 1), count - 1, count), self.dtype)

    def counted(self) -> int:
        """Count the batch."""
        return self.batches + 1

    def moved_average(self, old: Array, new: Array, share: float) -> Array:
        """Move an average towards a new value."""
        return (1.0 - share) * old + share * new

    def update(self, mean: Array, variance: Array, count: Array) -> None:
        """Move both averages."""
        self.batches = self.counted()
        share = self.share()
        self.moving_mean = self.moved_average(self.moving_mean, mean, share)
        self.moving_variance = self.moved_average(self.moving_variance, self.estimate(variance, count), share)

    def given(self, dy: Array, unit: Array) -> Array:
        """Take the statistics as given in evaluation."""
        return dy

    def projection(self, dy: Array, unit: Array) -> Array:
        """Remove from the cotangent what mean and variance take up."""
        return self.through_mean(dy) - self.through_variance(dy, unit)

    def through_mean(self, dy: Array) -> Array:
        """Let the gradient through the mean."""
        return dy - self.average(dy)

    def through_variance(self, dy: Array, unit: Array) -> Array:
        """Let the gradient through the variance."""
        return unit * self.average(dy * unit)

    def chained(self, centred: Array, dy: Array, inverse: Array) -> Array:
        """Add the gradients of the variance and of the mean."""
        dvariance = (dy * centred * (-0.5) * inverse**3).sum(axis=self.reduced, keepdims=True)
        dmean = -(dy * inverse).sum(axis=self.reduced, keepdims=True) - 2.0 * dvariance * self.average(centred)
        return 2.0 * dvariance * centred + dmean

    def moved(self, tangent: Array, unit: Array) -> Array:
        """Follow the normalized values along a tangent of the input, in units of the deviation."""
        return tangent - self.average(tangent) - unit * self.average(tangent * unit)

    def turned(self, moved: Array, tangent: Array) -> Array:
        """Follow the gradient of the variance, which lies along the centred values."""
        return moved

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        """Sum over all axes but the feature axes."""
        sums = {"gamma": dy * unit, "beta": dy.astype(self.dtype)}
        return {name: self.summed(terms).reshape(self.shape) for name, terms in sums.items()}

    def summed(self, terms: Array) -> Array:
        """Add the terms of each channel."""
        return terms.sum(axis=self.reduced)

    def effective(self, frequencies: Array) -> Array:
        """Return the number of elements that the running variance is corrected for: each channel's weight."""
        return frequencies.sum(axis=self.reduced, keepdims=True)

    def portion(self, terms: Array, total: Array) -> Array:
        """Divide by the weight of the channel."""
        return terms / total

    def taken(self, frequencies: Array) -> Array:
        """Let each element take its weight's share of what mean and variance take up."""
        return frequencies

    def bent(self, unit: Array, share: Array) -> Array:
        """Let a weight move the variance too."""
        return (np.square(unit) - share) / 2

    @staticmethod
    def weights(weights: Array) -> Array:
        """Take fractions as fractions."""
        return weights

    @staticmethod
    def masked(x: Array, weights: Array) -> Array:
        """Delete what has no weight, NaN included."""
        return np.where(weights == 0, 0.0, x).astype(x.dtype)

    @staticmethod
    def total_weight(weights: Array, given: Array, axes: tuple[int, ...]) -> Array:
        """Sum the weights of all elements."""
        return weights.sum(axis=axes, keepdims=True)

    @staticmethod
    def weighted_squares(x: Array, mean: Array, weights: Array) -> Array:
        """Weigh the squared deviations."""
        return weights * np.square(x - mean)
