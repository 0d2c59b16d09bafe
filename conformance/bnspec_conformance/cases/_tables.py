"""The tables of cases, by the group of laws that they serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec import Renorm

from ._case import Case

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = [
    "ADJUSTED",
    "ALIASED",
    "AXES",
    "BIJECTION",
    "BIJECTION_ADJUSTED",
    "COMPILED",
    "CONSTANT",
    "CONVENTIONS",
    "DTYPES",
    "EMPTY",
    "EMPTY_BETWEEN",
    "EXACT_PAIRS",
    "GHOSTS",
    "GRADIENTS",
    "MOMENTS",
    "NORMALIZATION",
    "ONE_ELEMENT",
    "RENORM",
    "RUNNING",
    "WEIGHTED",
]


def _folding(shape: tuple[int, ...], number: int) -> Array:
    """Exact dyadic data on which a mean that is folded into the offset loses 7 to 12 percent."""
    pattern = np.asarray([-3.0, -1.0, 1.0, 3.0]) / 2048.0
    return np.resize(np.roll(pattern, number), shape[::-1]).T + 4096.0


def _constant(shape: tuple[int, ...], number: int) -> Array:
    """Constant channels, one of them of a value that no sum of copies represents."""
    return np.broadcast_to(np.resize([0.1, 3.0, -7.3, 1000.3], shape[-1]) + number, shape)


def _ramp(shape: tuple[int, ...], number: int) -> Array:
    """Ascending data, so that elements that are left out at an end are missed."""
    return np.linspace(1.0 + number, 3.0 + number, shape[0])[:, None]


def _pairs(shape: tuple[int, ...], number: int) -> Array:
    """Two elements around 4099 + a channel's own: sums, mean and variance are exact however they are formed."""
    centre = 4099.0 + np.arange(shape[1]) + 8 * number
    values: Array = centre + np.asarray([[1.0], [-1.0]]) / 2.0 ** (9 + np.arange(shape[1]) % 3)
    return values


def _pairs_first(shape: tuple[int, ...], number: int) -> Array:
    return _pairs((2, shape[1]), number).T[None]


MOMENTS = (
    Case(id="rows", shapes=((7, 3),), axis=(1,)),
    Case(id="two-rows", shapes=((2, 3),), axis=(1,), epsilon=1.0),
    Case(id="images", shapes=((4, 5, 6, 3),), axis=(3,)),
    Case(id="channels-first", shapes=((4, 3, 5, 6),), axis=(1,)),
    Case(id="several-axes", shapes=((4, 3, 5, 6),), axis=(1, 3)),
    Case(id="long", shapes=((5003, 2),), axis=(1,)),
    Case(id="mean-1e4", shapes=((129, 4),), axis=(1,), mean=1e4, deviation=1.0),
    Case(id="mean-1e6", shapes=((129, 4),), axis=(1,), mean=1e6, deviation=1.0),
    Case(id="tiny-variance", shapes=((33, 3),), axis=(1,), mean=0.0, deviation=1e-6, epsilon=1e-12),
    Case(id="large-variance", shapes=((33, 3),), axis=(1,), mean=5.0, deviation=1e6),
    Case(id="float64-mean-1e6", shapes=((129, 4),), axis=(1,), mean=1e6, deviation=1.0, dtype="float64"),
)

NORMALIZATION = (
    Case(id="rows", shapes=((7, 3),), axis=(1,)),
    Case(id="images", shapes=((4, 5, 6, 3),), axis=(3,)),
    Case(id="epsilon-as-variance", shapes=((9, 4),), axis=(1,), deviation=0.05, epsilon=2e-3),
    Case(id="epsilon-1e-9", shapes=((9, 4),), axis=(1,), mean=1e-4, deviation=1e-4, epsilon=1e-9),
    Case(id="no-gamma", shapes=((9, 4),), axis=(1,), scale=False),
    Case(id="no-beta", shapes=((9, 4),), axis=(1,), center=False),
    Case(id="edges", shapes=((9, 4),), axis=(1,), edges=True),
    Case(id="tiny-variance", shapes=((9, 4),), axis=(1,), mean=1e-6, deviation=1e-6, epsilon=1e-12),
    Case(id="huge-variance", shapes=((9, 4),), axis=(1,), mean=1e6, deviation=1e6),
    Case(id="neither", shapes=((9, 4),), axis=(1,), center=False, scale=False),
    Case(id="mean-1e4", shapes=((65, 3),), axis=(1,), mean=1e4, deviation=1.0),
    Case(id="folding", shapes=((8, 2),), axis=(1,), mean=4096.0, deviation=1e-3, epsilon=1e-9, draw=_folding),
)

RUNNING = (
    Case(id="rows", shapes=((5, 3), (5, 3), (5, 3)), axis=(1,)),
    Case(id="three-elements", shapes=((3, 4), (3, 4)), axis=(1,), take=0.1),
    Case(id="uneven", shapes=((8, 3), (3, 3), (5, 3)), axis=(1,), take=0.2),
    Case(id="images", shapes=((2, 3, 4, 3), (3, 5, 2, 3)), axis=(3,), take=0.25),
    Case(id="long", shapes=((70_001, 1),), axis=(1,), take=0.6, draw=_ramp),
    Case(id="long-half", shapes=((70_001, 1),), axis=(1,), take=0.6, dtype="float16", draw=_ramp),
    Case(id="cumulative", shapes=((5, 3), (4, 3), (7, 3)), axis=(1,), take=None),
    Case(id="take-nothing", shapes=((5, 3), (5, 3)), axis=(1,), take=0.0),
    Case(id="take-all", shapes=((5, 3), (5, 3)), axis=(1,), take=1.0),
    Case(id="one-in-a-thousand", shapes=((5, 3),) * 8, axis=(1,), take=0.001),
    Case(id="mean-1e3", shapes=((6, 3), (6, 3)), axis=(1,), mean=1e3, deviation=1.0, take=0.4),
)

GRADIENTS = (
    Case(id="rows", shapes=((7, 3),), axis=(1,)),
    Case(id="two-rows", shapes=((2, 3),), axis=(1,), epsilon=0.5),
    Case(id="edges", shapes=((7, 4),), axis=(1,), edges=True),
    Case(id="images", shapes=((3, 4, 5, 3),), axis=(3,)),
    Case(id="epsilon-as-variance", shapes=((6, 3),), axis=(1,), deviation=0.05, epsilon=2e-3),
    Case(id="no-gamma", shapes=((7, 3),), axis=(1,), scale=False),
    Case(id="no-beta", shapes=((7, 3),), axis=(1,), center=False),
    Case(id="mean-1e3", shapes=((33, 3),), axis=(1,), mean=1e3, deviation=1.0),
    Case(id="long", shapes=((2051, 2),), axis=(1,)),
)

AXES = (
    Case(id="rank-2-axis-0", shapes=((3, 7), (3, 7)), axis=(0,)),
    Case(id="rank-3-axis-0", shapes=((3, 5, 4), (3, 5, 4)), axis=(0,)),
    Case(id="rank-4-axis-0", shapes=((3, 2, 5, 4), (3, 2, 5, 4)), axis=(0,)),
    Case(id="rank-3-axis-1", shapes=((5, 3, 4), (5, 3, 4)), axis=(1,)),
    Case(id="rank-3-axis-last", shapes=((5, 4, 3), (5, 4, 3)), axis=(2,)),
    Case(id="rank-4-axis-1", shapes=((2, 3, 4, 5), (2, 3, 4, 5)), axis=(1,)),
    Case(id="rank-4-axis-2", shapes=((2, 4, 3, 5), (2, 4, 3, 5)), axis=(2,)),
    Case(id="rank-4-axis-last", shapes=((2, 4, 5, 3), (2, 4, 5, 3)), axis=(3,)),
    Case(id="rank-5-axis-1", shapes=((2, 3, 4, 5, 6), (2, 3, 4, 5, 6)), axis=(1,)),
    Case(id="rank-5-axis-last", shapes=((2, 4, 5, 6, 3), (2, 4, 5, 6, 3)), axis=(4,)),
    Case(id="channels-equal-width", shapes=((2, 4, 4, 4), (2, 4, 4, 4)), axis=(1,)),
    Case(id="channels-equal-batch", shapes=((4, 4), (4, 4)), axis=(1,)),
    Case(id="one-channel", shapes=((4, 5, 6, 1), (4, 5, 6, 1)), axis=(3,)),
    Case(id="several-axes-1-3", shapes=((3, 4, 2, 5), (3, 4, 2, 5)), axis=(1, 3)),
    Case(id="several-axes-0-1", shapes=((3, 4, 6), (3, 4, 6)), axis=(0, 1)),
)

DTYPES = tuple(
    Case(id=f"{dtype}-{name}", shapes=shapes, axis=(1,), dtype=dtype, mean=mean, deviation=deviation)
    for dtype in ("float16", "bfloat16", "float32", "float64")
    for name, shapes, mean, deviation in (
        ("rows", ((9, 3), (9, 3)), 1.5, 2.0),
        # Squares of these overflow float16, and 256 + 1 is 256 in bfloat16.
        ("large", ((300, 2), (300, 2)), 1000.0, 500.0),
    )
)

COMPILED = (
    Case(id="rows", shapes=((7, 3), (7, 3)), axis=(1,)),
    Case(id="channels-first-mean-1e4", shapes=((6, 3, 5, 7),), axis=(1,), mean=1e4, deviation=1.0),
    Case(id="several-axes", shapes=((3, 4, 2, 5),), axis=(1, 3), take=None),
    Case(id="long-mean-1e4", shapes=((5003, 2),), axis=(1,), mean=1e4, deviation=1.0),
    # So many channels that a compiler works on vectors of them, and N no power of two.
    Case(id="wide-mean-1e2", shapes=((37, 400),), axis=(1,), mean=1e2, deviation=1.0),
    Case(id="wide-mean-1e4", shapes=((37, 400),), axis=(1,), mean=1e4, deviation=1.0),
)

EXACT_PAIRS = (
    Case(id="pairs", shapes=((2, 3), (2, 3)), axis=(1,), epsilon=1e-12, draw=_pairs),
    Case(id="pairs-channels-first", shapes=((1, 3, 2), (1, 3, 2)), axis=(1,), epsilon=1e-12, draw=_pairs_first),
)

CONSTANT = (
    Case(id="constant", shapes=((6, 4), (6, 4)), axis=(1,), draw=_constant),
    Case(id="constant-images", shapes=((2, 3, 5, 4), (2, 3, 5, 4)), axis=(3,), draw=_constant),
)

ONE_ELEMENT = (
    Case(id="one-row", shapes=((1, 3), (1, 3)), axis=(1,)),
    Case(id="one-pixel", shapes=((1, 1, 1, 3), (1, 1, 1, 3)), axis=(3,)),
    Case(id="rank-1", shapes=((3,), (3,)), axis=(0,)),
)

EMPTY_BETWEEN = (Case(id="empty-between", shapes=((5, 3), (0, 3), (4, 3)), axis=(1,), take=None),)

ALIASED = (Case(id="aliased", shapes=((6, 3), (5, 3)), axis=(1,), aliased=True),)

EMPTY = (
    Case(id="no-rows", shapes=((0, 3),), axis=(1,)),
    Case(id="no-pixels", shapes=((2, 0, 4, 3),), axis=(3,)),
)

WEIGHTED = (
    Case(id="rows", shapes=((7, 3), (5, 3)), axis=(1,), weighted="rows"),
    Case(id="elements", shapes=((7, 3), (5, 3)), axis=(1,), weighted="elements"),
    Case(id="images", shapes=((4, 5, 6, 3),), axis=(3,), weighted="rows"),
    Case(id="channels-first", shapes=((4, 3, 5, 6),), axis=(1,), weighted="elements"),
    Case(id="mean-1e4", shapes=((65, 3),), axis=(1,), mean=1e4, deviation=1.0, weighted="elements"),
    Case(id="cumulative", shapes=((6, 3), (4, 3)), axis=(1,), take=None, weighted="rows"),
    Case(id="no-gamma", shapes=((6, 3),), axis=(1,), scale=False, weighted="rows"),
    Case(id="float64", shapes=((9, 4),), axis=(1,), mean=30.0, dtype="float64", weighted="elements"),
    Case(id="bfloat16", shapes=((9, 4),), axis=(1,), dtype="bfloat16", weighted="rows"),
)

# What a convention says shows where N is small and the averages have not settled.
CONVENTIONS = (
    Case(id="three-elements", shapes=((3, 4), (5, 4), (4, 4)), axis=(1,), take=0.2, epsilon=0.3),
    Case(id="little-taken", shapes=((4, 3), (4, 3)), axis=(1,), take=0.01),
    Case(id="images", shapes=((2, 3, 2, 3), (3, 2, 2, 3)), axis=(3,), take=0.4),
    Case(id="mean-1e3", shapes=((6, 3), (5, 3)), axis=(1,), mean=1e3, deviation=1.0),
    Case(id="cumulative", shapes=((3, 3), (4, 3)), axis=(1,), take=None),
    Case(id="weighted", shapes=((6, 3), (5, 3)), axis=(1,), weighted="elements"),
)

GHOSTS = (
    Case(id="rows", shapes=((12, 3), (8, 3)), axis=(1,), ghosts=4, evaluation_shape=(7, 3)),
    Case(id="pairs", shapes=((6, 3), (6, 3)), axis=(1,), ghosts=2, epsilon=0.5, evaluation_shape=(5, 3)),
    Case(id="one-group", shapes=((5, 3),), axis=(1,), ghosts=5, evaluation_shape=(3, 3)),
    Case(id="images", shapes=((6, 2, 3, 4),), axis=(3,), ghosts=3, evaluation_shape=(4, 2, 3, 4)),
    Case(id="channels-first", shapes=((6, 3, 2, 2), (4, 3, 2, 2)), axis=(1,), ghosts=2),
    Case(id="several-axes", shapes=((6, 3, 2, 4),), axis=(1, 3), ghosts=2),
    Case(id="mean-1e3", shapes=((9, 3), (6, 3)), axis=(1,), ghosts=3, mean=1e3, deviation=1.0),
    Case(id="cumulative", shapes=((6, 3), (4, 3)), axis=(1,), ghosts=2, take=None),
    Case(id="neither", shapes=((6, 3),), axis=(1,), ghosts=3, center=False, scale=False),
    Case(id="weighted", shapes=((8, 3), (6, 3)), axis=(1,), ghosts=2, weighted="elements"),
    Case(id="float64", shapes=((8, 3),), axis=(1,), ghosts=4, mean=1e4, deviation=1.0, dtype="float64"),
    Case(id="bfloat16", shapes=((8, 3),), axis=(1,), ghosts=2, dtype="bfloat16"),
)

_CLIPPED = Renorm(rmin=0.9, rmax=1.1, dmax=0.4, momentum=0.2)

RENORM = (
    Case(id="rows", shapes=((7, 3), (5, 3), (6, 3)), axis=(1,), renorm=Renorm(momentum=0.2)),
    Case(id="clipped", shapes=((7, 4), (5, 4), (6, 4)), axis=(1,), renorm=_CLIPPED),
    Case(id="epsilon-as-variance", shapes=((6, 3), (6, 3)), axis=(1,), deviation=0.3, epsilon=0.1, renorm=_CLIPPED),
    Case(id="images", shapes=((2, 3, 4, 3), (2, 3, 4, 3)), axis=(3,), renorm=Renorm(rmax=1.3, momentum=0.4)),
    Case(id="channels-first", shapes=((3, 3, 2, 2), (3, 3, 2, 2)), axis=(1,), renorm=_CLIPPED),
    Case(id="mean-1e3", shapes=((9, 3), (6, 3)), axis=(1,), mean=1e3, deviation=1.0, renorm=Renorm(momentum=0.3)),
    Case(id="no-gamma", shapes=((7, 3), (5, 3)), axis=(1,), scale=False, renorm=_CLIPPED),
    Case(id="no-beta", shapes=((7, 3), (5, 3)), axis=(1,), center=False, renorm=_CLIPPED),
    Case(id="cumulative", shapes=((7, 3), (5, 3)), axis=(1,), take=None, renorm=_CLIPPED),
    Case(id="weighted", shapes=((7, 3), (5, 3)), axis=(1,), weighted="rows", renorm=_CLIPPED),
    Case(id="ghosts", shapes=((8, 3), (6, 3)), axis=(1,), ghosts=2, renorm=Renorm(momentum=0.2)),
    Case(id="float64", shapes=((7, 3), (5, 3)), axis=(1,), dtype="float64", renorm=_CLIPPED),
    Case(id="bfloat16", shapes=((9, 3), (7, 3)), axis=(1,), dtype="bfloat16", renorm=Renorm(momentum=0.2)),
)

ADJUSTED = (
    Case(id="features", shapes=((7, 3), (5, 3)), axis=(1,), adjusted="features"),
    Case(id="elements", shapes=((7, 3), (5, 3)), axis=(1,), adjusted="elements"),
    Case(id="images", shapes=((2, 3, 4, 3),), axis=(3,), adjusted="features"),
    Case(id="channels-first", shapes=((2, 3, 4, 3),), axis=(1,), adjusted="elements"),
    Case(id="no-gamma", shapes=((7, 3),), axis=(1,), scale=False, adjusted="features"),
    Case(id="no-beta", shapes=((7, 3),), axis=(1,), center=False, adjusted="features"),
    Case(id="mean-1e3", shapes=((9, 3),), axis=(1,), mean=1e3, deviation=1.0, adjusted="elements"),
    Case(id="renorm", shapes=((7, 3), (5, 3)), axis=(1,), adjusted="features", renorm=_CLIPPED),
    Case(id="float64", shapes=((7, 3),), axis=(1,), dtype="float64", adjusted="elements"),
)

# Shapes in which no product of two axes is another, and none is the number of channels.
BIJECTION = (
    Case(id="rows", shapes=((7, 3), (5, 3)), axis=(1,), positive=True),
    Case(id="signed-gamma", shapes=((6, 5), (7, 5)), axis=(1,)),
    Case(id="images", shapes=((3, 4, 5, 3), (2, 4, 5, 3)), axis=(3,), positive=True),
    Case(id="channels-first", shapes=((4, 3, 2, 5), (3, 3, 2, 5)), axis=(1,), positive=True),
    Case(id="inner-axis", shapes=((4, 5, 3, 2), (3, 5, 3, 2)), axis=(2,), positive=True),
    Case(id="several-axes", shapes=((3, 4, 2, 5), (3, 4, 2, 5)), axis=(1, 3), positive=True),
    Case(id="no-gamma", shapes=((6, 3), (7, 3)), axis=(1,), scale=False),
    Case(id="no-beta", shapes=((6, 3), (5, 3)), axis=(1,), positive=True, center=False),
    Case(id="epsilon-as-variance", shapes=((6, 3), (9, 3)), axis=(1,), positive=True, deviation=0.05, epsilon=2e-3),
    Case(id="mean-1e3", shapes=((9, 3), (6, 3)), axis=(1,), positive=True, mean=1e3, deviation=1.0),
    Case(id="cumulative", shapes=((6, 3), (4, 3)), axis=(1,), positive=True, take=None),
    Case(id="float64", shapes=((7, 3), (5, 3)), axis=(1,), positive=True, dtype="float64"),
    Case(id="float16", shapes=((7, 3), (5, 3)), axis=(1,), positive=True, dtype="float16"),
    Case(id="bfloat16", shapes=((5, 4, 3), (3, 4, 3)), axis=(2,), positive=True, dtype="bfloat16"),
)

BIJECTION_ADJUSTED = tuple(case for case in ADJUSTED if case.renorm is None)
