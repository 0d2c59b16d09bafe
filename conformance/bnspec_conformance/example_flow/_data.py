"""The data: digits as levels with noise, and wine in units of its standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import common_namespace, random_key
from bnspec.flows import dequantized

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

__all__ = ["DATA", "Data"]

LEVELS = 17


@dataclass(frozen=True)
class Data:
    """A data set, divided once and for all.

    Attributes
    ----------
    name : str
        Its name.
    levels : int
        How many levels its numbers have; 0 if they are continuous.
    parts : tuple of int
        How many events are for training, and for the choice of the step; the others are held out.
    batch_size, steps, keep : int
        The size of a batch; how many steps a run has; after how many steps the density is evaluated.
    frameworks : tuple of str
        The backends that it is tried on.
    """

    name: str
    levels: int
    parts: tuple[int, int]
    batch_size: int
    steps: int
    keep: int
    frameworks: tuple[str, ...]

    @property
    def prepare(self) -> Callable[[Any, Any], Any] | None:
        """What is done to a batch of levels, given a key."""
        return partial(_with_noise, self.levels) if self.levels else None

    @property
    def event_size(self) -> int:
        """The number of dimensions."""
        return int(self.divided()[0].shape[1])

    def divided(self) -> tuple[Array, Array, Array]:
        """Return the events of training, of the choice of the step, and those held out: levels without noise."""
        return _divided(self.name, self.parts)

    def density(self, array: Array, seed: int) -> Array:
        """Return what a density is evaluated of: with levels, the same noise on every framework."""
        if not self.levels:
            return array
        found: Array = dequantized(array, self.levels, random_key(seed, xp=common_namespace(x=array)))
        return found


def _with_noise(levels: int, x: Any, key: Any) -> Any:
    return dequantized(x, levels, key)


@cache
def _divided(name: str, parts: tuple[int, int]) -> tuple[Array, Array, Array]:
    from sklearn import datasets  # noqa: PLC0415 - slow, and needed here only

    data = getattr(datasets, f"load_{name}")().data.astype(np.float64)
    data = data[np.random.default_rng(2017).permutation(len(data))]
    first, second = parts[0], sum(parts)
    if name == "wine":
        data = (data - data[:first].mean(axis=0)) / data[:first].std(axis=0)
    return data[:first], data[first:second], data[second:]


DATA = {
    data.name: data
    for data in (
        Data("digits", LEVELS, (1200, 200), 100, 400, 100, ("torch", "jax:x64", "tensorflow")),
        Data("wine", 0, (100, 24), 50, 200, 20, ("torch",)),
    )
}
"""The data sets by name."""
