"""The mutants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._sound import Sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec_conformance.adapter import Config

    Array = Any  # an ndarray; arithmetic on a typed one is Any to mypy in half of the cases

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation.

    Attributes
    ----------
    adapter : type
        The adapter.
    reference : str
        Where the same defect has been in public.
    """

    adapter: type[Sound]
    reference: str

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.adapter.__name__

    @property
    def defect(self) -> str:
        """What is wrong: the first line of the class's docstring."""
        return (self.adapter.__doc__ or "").partition("\n")[0]


_FOUND: list[Mutant] = []


def _repeats(reference: str) -> Callable[[type[Sound]], type[Sound]]:
    def register(adapter: type[Sound]) -> type[Sound]:
        _FOUND.append(Mutant(adapter, reference))
        return adapter

    return register


@_repeats("pytorch/pytorch#15298")
class MomentumReversed(Sound):
    """Momentum multiplies the other side."""

    def share(self) -> float:
        return 1.0 - super().share()


@_repeats("ml-explore/mlx#3817")
class RunningVarianceBiased(Sound):
    """The running variance is divided by N where the convention says N - 1."""

    def estimate(self, variance: Array, count: int) -> Array:
        return variance


@_repeats("PaddlePaddle/Paddle#11445")
class EpsilonOutside(Sound):
    """Epsilon is added to the deviation, outside the root."""

    def inverse(self, variance: Array) -> Array:
        return 1.0 / (np.sqrt(variance) + self.epsilon)


@_repeats("google/flax#1491")
class OnePassVariance(Sound):
    """The variance is mean(x^2) - mean(x)^2, clamped at zero."""

    def variance(self, x: Array, mean: Array) -> Array:
        return np.maximum(self.average(np.square(x)) - np.square(mean), 0.0)


@_repeats("tensorflow 2.21, tf.nn.batch_normalization")
class FoldedAffine(Sound):
    """The mean is folded into the offset: x a + (beta - mean a)."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        return x * self.slope(inverse) + (self.beta - mean * self.slope(inverse))


@_repeats("keras-team/keras#19102")
class GradientCutAtMean(Sound):
    """No gradient flows through the mean."""

    def through_mean(self, dy: Array) -> Array:
        return dy


@_repeats("keras-team/keras#10648")
class WrongAxis(Sound):
    """The features are always on the last axis."""

    def __init__(self, config: Config) -> None:
        super().__init__(replace(config, axis=(len(config.shape) - 1,)))


@_repeats("apache/mxnet#9624")
class GammaIgnored(Sound):
    """Gamma is read as 1."""

    def slope(self, inverse: Array) -> Array:
        return inverse


@_repeats("keras-team/keras-core#339")
class StateNotUpdated(Sound):
    """The running statistics never change."""

    def update(self, mean: Array, variance: Array, count: int) -> None:
        pass


@_repeats("FluxML/Flux.jl#1429")
class StateUpdatedInEvaluation(Sound):
    """Evaluation moves the running statistics too."""

    def __call__(self, x: Array, training: bool) -> Array:
        y = super().__call__(x, training)
        if not training and self.count(x) > 1:
            self.update(self.mean(x.astype(self.dtype)), self.moving_variance, self.count(x))
        return y


MUTANTS: tuple[Mutant, ...] = tuple(_FOUND)
"""Every mutant."""
