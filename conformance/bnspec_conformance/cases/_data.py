"""Real data: the digits of scikit-learn, through fixed layers, as the activations that batch norm sees."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ._case import Case

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = ["DATA"]

_BATCH = 256
_IMAGES = 1797  # the last mini-batch has 5
_SIZES = (*(_BATCH,) * (_IMAGES // _BATCH), _IMAGES % _BATCH)


@cache
def _images() -> Array:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow, and needed for these cases only

    images: Array = load_digits().images / 16.0
    return images


@cache
def _dense() -> Array:
    """Return activations of shape (1797, 32): one dense layer with weights of a fixed seed."""
    weights = np.random.default_rng(101).normal(0.0, 0.3, (64, 32))
    return _images().reshape(_IMAGES, 64) @ weights + 0.5


@cache
def _convolution() -> Array:
    """Return activations of shape (1797, 6, 6, 8): one 3 x 3 convolution with weights of a fixed seed."""
    weights = np.random.default_rng(102).normal(0.0, 0.4, (3, 3, 8))
    windows = np.lib.stride_tricks.sliding_window_view(_images(), (3, 3), axis=(1, 2))
    found: Array = np.einsum("nhwij,ijc->nhwc", windows, weights) - 0.25
    return found


def _cut(activations: Array, number: int) -> Array:
    """Return a mini-batch by number; the first images again, after the last, for evaluation."""
    start = number % len(_SIZES) * _BATCH
    return activations[start : start + _BATCH]


DATA = (
    Case(
        id="digits-dense",
        shapes=tuple((size, 32) for size in _SIZES),
        evaluation_shape=(_BATCH, 32),
        axis=(1,),
        take=0.1,
        draw=lambda _, number: _cut(_dense(), number),
    ),
    Case(
        id="digits-convolution",
        shapes=tuple((size, 6, 6, 8) for size in _SIZES),
        evaluation_shape=(_BATCH, 6, 6, 8),
        axis=(3,),
        take=0.1,
        draw=lambda _, number: _cut(_convolution(), number),
    ),
)
