"""What the second oracle computes with: numbers read exactly, a precision that suffices, and the definition."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import mpmath
import numpy as np
import numpy.typing as npt

from ._dual import real, sqrt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "Index",
    "Layout",
    "Numbers",
    "ObjectArray",
    "axes_of",
    "height",
    "normalize",
    "number",
    "precision",
    "read",
    "statistics",
    "welford",
]

Numbers: TypeAlias = npt.NDArray[Any]
"""Floating-point numbers, or objects that are mpf; each counts as the number it holds."""

ObjectArray: TypeAlias = npt.NDArray[np.object_]
Index: TypeAlias = tuple[int, ...]

MARGIN = 384
_DTYPES = ("float16", "bfloat16", "float32", "float64", "object")


def number(value: Any) -> Any:
    """Take one finite number without rounding, whatever precision mpmath has at this moment."""
    if isinstance(value, mpmath.mpf):
        if not mpmath.isfinite(value):
            raise ValueError(f"the oracle requires finite numbers. Got {value}.")
        return value
    if not math.isfinite(value):
        raise ValueError(f"the oracle requires finite numbers. Got {value}.")
    # Each of the four formats is a subset of Python's floats, whose 53 bits from_float keeps.
    return mpmath.mp.make_mpf(mpmath.libmp.from_float(float(value)))


def read(values: Numbers, where: npt.NDArray[Any] | None = None) -> ObjectArray:
    """Take an array; elements that are deselected become 0 without being looked at."""
    array = np.asarray(values)
    if array.dtype.name not in _DTYPES:
        raise TypeError(f"dtype must be one of {', '.join(_DTYPES)}. Got dtype={array.dtype.name}.")
    found = np.full(array.shape, mpmath.mpf(0), dtype=object)
    for index in np.ndindex(*array.shape):
        if where is None or where[index]:
            found[index] = number(array[index])
    return found


def height(*arguments: Any) -> int:
    """Return the least h >= 0 such that all elements are below 2**h and multiples of 2**-h; added up."""
    total = 0
    for argument in arguments:
        parts = [element.man_exp for element in np.ravel(argument).tolist() if element]
        total += max((max(e + m.bit_length(), -e) for m, e in parts), default=0)
    return total


def precision(degree: int, height: int) -> int:
    """Choose the bits to compute with, ``384 + degree * height``.

    Parameters
    ----------
    degree : int
        6 for moments, 8 for y and the running averages, 14 for gradients, 24 for second derivatives.
    height : int
        H: the heights of all inputs, added up, and the bit length of N for each batch.

    Returns
    -------
    int
        Such that the statement at the head of `multiprecision` holds.

    Notes
    -----
    A result can be wrong through rounding errors that grow, and through digits that cancel. Both are bounded
    by powers of ``2**H``; the constant 384 is 320 for the statement, and 64 for the factors (all of them far
    below ``2**20``) that count operations. Let X, W, E, G, U and P be the heights of x, weights, epsilon,
    cotangent, tangent and gamma, n the bit length of N, and p the precision.

    *Moments.* A step of the recurrence moves the mean between its old value and x, so that errors add up:
    ``2**(X + n - p)``. In the variance they are multiplied by ``|x - mean|``, by n more bits of additions,
    and by w over the total, ``2**(2 W)``: ``2**(2 X + 2 W + 2 n - p)``. A variance that is not 0 is a
    multiple of ``2**-(2 X) / (2**W * total)**2``, so at least ``2**-(2 X + 4 W + 2 n)``. Sum: 6 H at most.

    *y.* With no weights, ``s**2 = variance + epsilon`` is at least ``2**-(2 X + E + 2 n)``; y moves by
    ``gamma c / (2 s**3)`` times the variance's error, ``2**(P + X + 3 (X + n + E/2) + 2 X + 2 n)``, so 6 H.
    ``y - beta``, if not 0, is at least ``2**-(P + X + n)`` over s, so 2 H. The moving averages have these
    bounds too if H counts every batch, and the height of momentum (and one bit: 1 - momentum) per update:
    each update multiplies by that much at most, and refines the grid by that much at most.

    *Gradients* contain 1/s**3 and move by 1/s**5 times the variance's error, times g, gamma, c, the
    derivative ``2 c / N`` and N: 9 X, 8 n, 5/2 E and less of the others, so 9 H. One that is not 0 is
    gamma / s times a multiple of ``2**-G / N`` over the integer ``(N * 2**X * s)**2 * 2**E``: 5 X, 3 n,
    5/2 E and less, so 5 H. *Second derivatives* move by 1/s**7, with one more derivative of the variance
    and U: 12 X at most; nonzero ones have the square of that integer below the line and two factors c
    more: 12 X at most.
    """
    return MARGIN + degree * height


def axes_of(axes: Index, rank: int) -> Index:
    """Count axes from 0, or refuse them."""
    found = tuple(axis % rank if -rank <= axis < rank else rank for axis in axes)
    if rank in found or len(set(found)) < len(found):
        raise ValueError(f"the axes must be different axes of an array of rank {rank}. Got {axes}.")
    return found


class Layout:
    """Where the elements of a channel are, for a batch of some shape and its feature axes."""

    def __init__(self, shape: Index, features: Index) -> None:
        features = axes_of(features, len(shape))
        self.shape = shape
        self.kept = tuple(size if i in features else 1 for i, size in enumerate(shape))
        self.parameter = (shape[features[0]],) if len(features) == 1 else self.kept
        self.elements = math.prod(size for i, size in enumerate(shape) if i not in features)
        self.features = features

    def channels(self) -> Iterator[tuple[Index, list[Index]]]:
        """Yield the place of each channel in the kept shape, and the indices of its elements."""
        for place in np.ndindex(*self.kept):
            ranges = ([place[i]] if i in self.features else range(size) for i, size in enumerate(self.shape))
            yield place, list(itertools.product(*ranges))

    def fit(self, name: str, values: ObjectArray | None, default: int = 0) -> ObjectArray:
        """Give a parameter the kept shape; `default` if it is absent."""
        if values is None:
            return np.full(self.kept, mpmath.mpf(default), dtype=object)
        if values.shape != self.parameter:
            raise ValueError(f"{name} must have shape {self.parameter}. Got shape={values.shape}.")
        return values.reshape(self.kept)


def welford(values: Sequence[Any], weights: Sequence[Any] | None = None) -> tuple[Any, Any, Any]:
    """Return total weight, mean and population variance, by Welford's recurrence with West's weights.

    Equal values keep the variance at exactly 0: the first step divides w * x by w, whose quotient x needs no
    rounding, and every later one starts from a difference of 0.
    """
    total = mean = second = mpmath.mpf(0)
    for value, weight in zip(values, weights or [mpmath.mpf(1)] * len(values), strict=True):
        if weight:
            total = total + weight
            before = value - mean
            mean = mean + before * weight / total
            second = second + weight * before * (value - mean)
    if not total:
        raise ValueError("the total weight must be positive. Got 0.")
    return total, mean, second / total


def statistics(data: ObjectArray, layout: Layout) -> tuple[ObjectArray, ObjectArray]:
    """Return mean and population variance of a batch, of the kept shape."""
    mean, variance = np.empty(layout.kept, dtype=object), np.empty(layout.kept, dtype=object)
    for place, indices in layout.channels():
        _, mean[place], variance[place] = welford([data[i] for i in indices])
    return mean, variance


def normalize(values: Sequence[Any], mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: Any) -> list[Any]:
    """Apply the definition to the elements of one channel, mpf or Dual."""
    square = variance + epsilon
    # 0, or at least 2**-(2 H), says `precision`; and off by 2**(2 H - p) at most. What lies below the middle
    # of the digits is therefore a 0 with rounding errors.
    if real(square) <= mpmath.ldexp(1, -mpmath.mp.prec // 2):
        raise ValueError(f"variance + epsilon must be positive. Got {float(real(square))}.")
    factor = gamma / sqrt(square)
    return [factor * (value - mean) + beta for value in values]
