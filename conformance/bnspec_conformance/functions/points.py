"""The arguments on which the elementwise functions are tried: all sizes, and the places where digits are lost.

All arguments are normal numbers or zeros; results of every size occur. The points are the same in every run.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any
from zlib import crc32

import mpmath
import numpy as np

from bnspec.errors import message, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["POINTS", "points"]

Array = np.ndarray[Any, Any]


class Draw:
    """Random numbers of one format.

    Parameters
    ----------
    name : str
        What they are for; they differ from those of another.
    dtype : str
        "float32" or "float64".
    """

    def __init__(self, name: str, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.random = np.random.default_rng([crc32(name.encode()), self.dtype.itemsize])
        information = np.finfo(self.dtype)
        self.digits = int(information.nmant)
        self.low, self.high = int(information.minexp), int(information.maxexp) - 1
        self.logarithm = float(np.log(float(information.max)))
        self.wide = 1e5 if dtype == "float32" else 1e9

    def sign(self, count: int) -> Array:
        return self.random.choice([-1.0, 1.0], count)

    def sized(self, count: int, low: int, high: int) -> Array:
        """Draw from [2^low, 2^(high+1)), each binade alike, cut off where the format ends."""
        low, high = max(low, self.low), min(high, self.high)
        fraction = np.floor(self.random.uniform(0.0, 1.0, count) * 2.0**self.digits) / 2.0**self.digits
        return np.ldexp(1.0 + fraction, self.random.integers(low, high + 1, count))

    def about(self, count: int, center: float) -> Array:
        """Draw at distances of every size from a number, down to one unit in the last place, itself included."""
        step = np.ldexp(self.random.uniform(1.0, 2.0, count), -self.random.integers(2, self.digits + 2, count))
        return (center * (1.0 + self.sign(count) * step)).astype(self.dtype).astype(np.float64)


def _sized(low: int = -1100, high: int = 1100) -> Callable[[Draw, int], Array]:
    return lambda draw, count: draw.sized(count, low, high)


def _signed(low: int = -1100, high: int = 1100) -> Callable[[Draw, int], Array]:
    return lambda draw, count: draw.sign(count) * draw.sized(count, low, high)


def _between(low: float, high: float) -> Callable[[Draw, int], Array]:
    return lambda draw, count: draw.random.uniform(low, high, count)


def _about(*centers: float) -> Callable[[Draw, int], Array]:
    def part(draw: Draw, count: int) -> Array:
        return np.concatenate([draw.about(ceil(count / len(centers)), center) for center in centers])

    return part


def _within(low: float, high: float, part: Callable[[Draw, int], Array]) -> Callable[[Draw, int], Array]:
    """Drop what lies beyond the domain."""

    def kept(draw: Draw, count: int) -> Array:
        x = part(draw, 2 * count)
        inside: Array = x[(x >= low) & (x <= high)][:count]
        return inside

    return kept


def _exponents(low: float, high: float) -> Callable[[Draw, int], Array]:
    """Draw what exp takes: multiples of the logarithm of the largest number."""
    return lambda draw, count: draw.random.uniform(low, high, count) * draw.logarithm


def _angles(draw: Draw, count: int) -> Array:
    """Draw the numbers next to multiples of pi/2."""
    quarter = mpmath.pi / 2
    turns = np.concatenate([np.arange(1, 33), np.floor(draw.random.uniform(1.0, draw.wide * 0.63, count))])[:count]
    with mpmath.workprec(128):
        angles = np.asarray([float(int(turn) * quarter) for turn in turns]).astype(draw.dtype)
    signed: Array = draw.sign(len(angles)) * angles
    return signed


def _far_angles(draw: Draw, count: int) -> Array:
    return draw.random.uniform(-draw.wide, draw.wide, count)


def _pair(
    first: Callable[[Draw, int], Array], second: Callable[[Draw, int], Array]
) -> Callable[[Draw, int], tuple[Array, ...]]:
    return lambda draw, count: (first(draw, count), second(draw, count))


def _ratio(low: int, high: int, size: tuple[int, int] = (-60, 60)) -> Callable[[Draw, int], tuple[Array, ...]]:
    """Draw two numbers of which the second is 2^low to 2^high times the first."""

    def part(draw: Draw, count: int) -> tuple[Array, ...]:
        first = draw.sized(count, *size)
        second = first * np.ldexp(draw.random.uniform(1.0, 2.0, count), draw.random.integers(low, high + 1, count))
        kept = (second >= 2.0**draw.low) & (second < 2.0 ** (draw.high + 1.0 if draw.high < 1023 else draw.high))
        first, second = first[kept], second[kept]
        return draw.sign(len(first)) * first, draw.sign(len(first)) * second

    return part


def _largest(draw: Draw, count: int) -> tuple[Array, ...]:
    """Draw two numbers next to overflow."""
    size = (draw.high - 3, draw.high)
    return draw.sign(count) * draw.sized(count, *size), draw.sign(count) * draw.sized(count, *size)


def _smallest(draw: Draw, count: int) -> tuple[Array, ...]:
    """Draw two numbers next to underflow."""
    size = (draw.low, draw.low + 24)
    return draw.sign(count) * draw.sized(count, *size), draw.sign(count) * draw.sized(count, *size)


def _equal(part: Callable[[Draw, int], Array], factor: float) -> Callable[[Draw, int], tuple[Array, ...]]:
    """Draw two numbers that are nearly, or wholly, equal up to a factor."""

    def both(draw: Draw, count: int) -> tuple[Array, ...]:
        first = part(draw, count).astype(draw.dtype).astype(np.float64)
        return first, factor * first * draw.about(count, 1.0)

    return both


def _away(part: Callable[[Draw, int], tuple[Array, ...]]) -> Callable[[Draw, int], tuple[Array, ...]]:
    """Keep the divisor so large that a quotient's remainder which is flushed to zero is less than its last digit."""

    def kept(draw: Draw, count: int) -> tuple[Array, ...]:
        first, second = part(draw, count)
        large = np.abs(second) >= 2.0 ** (draw.low + draw.digits + 1)
        return first[large], second[large]

    return kept


def _multiples(draw: Draw, count: int) -> tuple[Array, ...]:
    """Draw a number and the multiples of it, rounded, whose quotient is next to an integer."""
    second = draw.sized(count, -20, 20).astype(draw.dtype).astype(np.float64)
    first = second * np.floor(draw.random.uniform(1.0, 1000.0, count))
    return draw.sign(count) * first, draw.sign(count) * second


def _cancelling(draw: Draw, count: int) -> tuple[Array, ...]:
    """Draw a and b with exp(a) + exp(b) = 1, where logaddexp is 0, at every distance from there."""
    first = -draw.sized(count, -20, 5)
    second = np.log(-np.expm1(first)) * draw.about(count, 1.0)
    return first, second


def _powers(base: Callable[[Draw, int], Array]) -> Callable[[Draw, int], tuple[Array, ...]]:
    """Draw exponents with which the power reaches every size that the format has."""

    def both(draw: Draw, count: int) -> tuple[Array, ...]:
        x = base(draw, count).astype(draw.dtype).astype(np.float64)
        x = x[x != 1.0]
        y = draw.random.uniform(draw.low * 1.01, draw.high * 1.01, len(x)) / np.log2(x)
        fit = np.abs(y) < 2.0**draw.high
        return x[fit], y[fit]

    return both


def _whole(draw: Draw, count: int) -> tuple[Array, ...]:
    """Draw bases of both signs and small integer exponents."""
    return draw.sign(count) * draw.sized(count, -10, 9), draw.random.integers(-12, 13, count).astype(np.float64)


def _limits(draw: Draw, count: int) -> tuple[Array, ...]:
    low, high = np.sort(draw.random.normal(0.0, 2.0, (2, count)), axis=0)
    return draw.random.normal(0.0, 3.0, count), low, high


_INSIDE = 1.0 - 2.0**-53  # the last number before 1
_ANY = _signed()
_SMALL = _signed(-40, -1)
_TINY = _signed(-1100, -20)
_HALVES: Callable[[Draw, int], Array] = lambda draw, count: draw.random.integers(-2000, 2000, count) / 2.0  # noqa: E731
_ROUNDED = [_ANY, _signed(-3, 30), _HALVES]
_PAIRS = [_pair(_ANY, _ANY), _pair(_signed(-10, 10), _signed(-10, 10))]
_QUOTIENTS = [_pair(_signed(-5, 8), _signed(-5, 8)), _away(_ratio(-1000, -1, (-100, 100))), _ratio(1, 100), _multiples]
_CIRCLE = [_between(-10.0, 10.0), _SMALL, _TINY, _far_angles, _angles]
_ARC = [_between(-1.0, 1.0), _SMALL, _TINY, _within(-1.0, 1.0, _about(-1.0, 1.0)), _about(-0.5, 0.5)]
_LOGARITHM = [_sized(), _about(1.0), _between(0.3, 3.0), _sized(-3, 12)]
_HYPERBOLA = [_exponents(-1.002, 1.002), _between(-3.0, 3.0), _SMALL, _TINY]

POINTS: dict[str, list[Callable[[Draw, int], Any]]] = {
    "abs": [_ANY],
    "acos": _ARC,
    "acosh": [_within(1.0, 2.0, _about(1.0)), _between(1.0, 4.0), _sized(0)],
    "add": [*_PAIRS, _equal(_ANY, -1.0)],
    "asin": _ARC,
    "asinh": [_ANY, _SMALL, _between(-4.0, 4.0)],
    "atan": [_ANY, _SMALL, _between(-4.0, 4.0), _about(-1.0, 1.0)],
    "atan2": [*_PAIRS, _ratio(-60, 60), _equal(_signed(-30, 30), 1.0), _largest, _smallest],
    "atanh": [*_ARC[:3], _within(-_INSIDE, _INSIDE, _about(-1.0, 1.0)), _about(-0.5, 0.5), _between(0.3, 0.45)],
    "ceil": _ROUNDED,
    "clip": [_limits],
    "copysign": _PAIRS,
    "cos": _CIRCLE,
    "cosh": _HYPERBOLA,
    "divide": [*_PAIRS, _ratio(-100, 100)],
    "exp": _HYPERBOLA,
    "expm1": [*_HYPERBOLA, _about(-0.5, 0.5)],
    "floor": _ROUNDED,
    "floor_divide": _QUOTIENTS,
    "hypot": [
        _pair(_ANY, _ANY),
        _ratio(-30, 30),
        _largest,
        _smallest,
    ],
    "log": _LOGARITHM,
    "log10": _LOGARITHM,
    "log1p": [
        *(_within(-_INSIDE, 1.0, _SMALL), _TINY, _sized(), _within(-_INSIDE, 0.0, _about(-1.0, -0.5))),
        _between(-0.45, -0.3),  # XLA passes from a polynomial to a logarithm there
    ],
    "log2": _LOGARITHM,
    "logaddexp": [
        _pair(_between(-20.0, 20.0), _between(-20.0, 20.0)),
        _equal(_signed(-10, 30), 1.0),
        _equal(_signed(-10, 30), -1.0),
        _cancelling,
        _pair(_ANY, _ANY),
    ],
    "maximum": _PAIRS,
    "minimum": _PAIRS,
    "multiply": _PAIRS,
    "negative": [_ANY],
    "nextafter": _PAIRS,
    "positive": [_ANY],
    "pow": [_powers(_sized()), _powers(_about(1.0)), _powers(_between(0.1, 10.0)), _whole],
    "reciprocal": [_ANY],
    "remainder": _QUOTIENTS,
    "round": _ROUNDED,
    "sign": [_ANY],
    "sin": _CIRCLE,
    "sinh": _HYPERBOLA,
    "sqrt": [_sized(), _between(0.0, 4.0)],
    "square": [_ANY, _signed(-50, 50)],
    "subtract": [*_PAIRS, _equal(_ANY, 1.0)],
    "tan": _CIRCLE,
    "tanh": [_between(-25.0, 25.0), _between(-1.0, 1.0), _SMALL, _TINY, _ANY],
    "trunc": _ROUNDED,
}
"""How the arguments of each function are drawn, in equal parts."""


def points(name: str, dtype: str, count: int) -> tuple[NDArray[Any], ...]:
    """Make the arguments of a function.

    Parameters
    ----------
    name : str
        One of `POINTS`.
    dtype : str
        "float32" or "float64".
    count : int
        How many; a few more or less are returned.

    Returns
    -------
    tuple of numpy.ndarray, shape (N,)
        One array for each argument, of normal numbers and zeros.

    Raises
    ------
    ValueError
        If the function has none.
    """
    if name not in POINTS:
        raise ValueError(message("There must be points for the function", nearest(name, POINTS), name=name))
    draw = Draw(name, dtype)
    parts = [part(draw, ceil(count / len(POINTS[name]))) for part in POINTS[name]]
    columns = zip(*(part if isinstance(part, tuple) else (part,) for part in parts), strict=True)
    with np.errstate(over="ignore", under="ignore"):
        arguments = [np.concatenate(column).astype(draw.dtype) for column in columns]
    normal = np.ones(arguments[0].shape, dtype=bool)
    for argument in arguments:
        normal &= np.isfinite(argument) & ((argument == 0.0) | (np.abs(argument) >= np.finfo(draw.dtype).tiny))
    return tuple(argument[normal] for argument in arguments)
