"""Hard data: batches on which rounding errors go the same way, channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._case import Case

__all__ = ["HARD"]

Array = np.ndarray[Any, Any]
_CHANNELS = 400


def _random(shape: tuple[int, ...], salt: int) -> np.random.Generator:
    return np.random.default_rng([salt, *shape])


def _two_values(shape: tuple[int, ...], _: int) -> Array:
    """Two values in turn: each partial sum is a multiple of one number, and rounds the same way in each block."""
    random = _random(shape, 1)
    low, high = random.uniform(1.0, 2.0, (2, shape[-1]))
    values: Array = np.where(np.arange(shape[0])[:, None] % 2 == 0, low, high) * random.choice([1.0, -1.0], shape[-1])
    return values


def _one_outlier(shape: tuple[int, ...], _: int) -> Array:
    """One element far from all others."""
    random = _random(shape, 2)
    x = np.broadcast_to(random.uniform(1.0, 2.0, shape[-1]), shape).copy()
    x[0] += random.uniform(1.0, 100.0, shape[-1])
    return x


def _sorted(shape: tuple[int, ...], _: int) -> Array:
    """Ascending elements of one sign, so that partial sums only grow."""
    return np.sort(_random(shape, 3).gamma(0.3, 1.0, shape), axis=0)


def _far(shape: tuple[int, ...], _: int) -> Array:
    """Draw a mean of a hundred to a million deviations, just above a power of two."""
    random = _random(shape, 4)
    return 1.0 + 2.0 ** random.uniform(-20.0, -7.0, shape[-1]) * random.standard_normal(shape)


_DRAWS = {"two-values": _two_values, "one-outlier": _one_outlier, "sorted": _sorted, "far": _far}

HARD = {
    dtype: tuple(
        Case(
            id=f"hard-{name}-{length}-{dtype}",
            shapes=((length, _CHANNELS),),
            axis=(1,),
            dtype=dtype,
            epsilon=1e-9,
            take=0.7,
            draw=draw,
        )
        for name, draw in _DRAWS.items()
        for length in (2, 3, 8, 64, 513)
    )
    for dtype in ("float32", "float64")
}
"""Cases by dtype."""
