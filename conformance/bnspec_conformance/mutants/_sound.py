"""A sound batch normalization as people write it: NumPy, two passes. Every mutant changes one line of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

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
        wide = x.astype(self.dtype)
        count = self.count(wide)
        if not training:
            mean, variance = self.moving_mean, self.moving_variance
        elif count == 0:
            return x.copy()
        elif count == 1 and self.convention.one_element == "raise":
            raise ValueError(f"training needs more than one element per channel. Got shape={x.shape}.")
        else:
            mean, variance = self.mean(wide), self.variance(wide, self.mean(wide))
            self.update(mean, variance, count)
        return self.normalize(wide, mean, self.inverse(variance)).astype(x.dtype)

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Differentiate in closed form."""
        wide, dy = x.astype(self.dtype), cotangent.astype(self.dtype)
        mean = self.mean(wide) if training else self.moving_mean
        inverse = self.inverse(self.variance(wide, mean) if training else self.moving_variance)
        unit = (wide - mean) * inverse
        dx = self.slope(inverse) * (self.projection(dy, unit) if training else dy)
        return {"x": dx.astype(x.dtype), **self.parameter_gradients(dy, unit)}

    # What follows is one line of mathematics each.

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

    def slope(self, inverse: Array) -> Array:
        """Scale by gamma."""
        return self.gamma * inverse

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        """Subtract the mean first."""
        return (x - mean) * self.slope(inverse) + self.beta

    def share(self) -> float:
        """Return the weight of a new batch."""
        if self.config.momentum is None:
            return 1.0 / self.batches
        return self.config.momentum if self.convention.momentum_weighs == "new" else 1.0 - self.config.momentum

    def estimate(self, variance: Array, count: int) -> Array:
        """Correct the running variance as the convention says."""
        return variance * (count / max(count - 1, 1)) if self.convention.running_variance == "bessel" else variance

    def update(self, mean: Array, variance: Array, count: int) -> None:
        """Move the averages."""
        self.batches += 1
        share = self.share()
        self.moving_mean = (1.0 - share) * self.moving_mean + share * mean
        self.moving_variance = (1.0 - share) * self.moving_variance + share * self.estimate(variance, count)

    def projection(self, dy: Array, unit: Array) -> Array:
        """Remove from the cotangent what mean and variance take up."""
        return self.through_mean(dy) - unit * self.average(dy * unit)

    def through_mean(self, dy: Array) -> Array:
        """Let the gradient through the mean."""
        return dy - self.average(dy)

    def parameter_gradients(self, dy: Array, unit: Array) -> dict[str, Array]:
        """Sum over all axes but the feature axes."""
        sums = {"gamma": dy * unit, "beta": dy}
        return {name: terms.sum(axis=self.reduced).reshape(self.shape) for name, terms in sums.items()}
