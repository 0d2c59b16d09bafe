"""What the second oracle computes with: numbers read exactly, a precision that suffices, and the definition."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, TypeAlias

import mpmath
import numpy as np
import numpy.typing as npt

from ._dual import Dual, real, sqrt

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
    "read_weights",
    "statistics",
    "welford",
]

Numbers: TypeAlias = npt.NDArray[Any]
"""Floating-point numbers, or objects that are mpf; each counts as the number it holds."""

ObjectArray: TypeAlias = npt.NDArray[np.object_]
Index: TypeAlias = tuple[int, ...]

BITS = 320
"""The error of a result is 2**-BITS, in the sense that `multiprecision` states."""

MARGIN = BITS + 64
_DTYPES = ("float16", "bfloat16", "float32", "float64", "object")


def number(value: Any, *, finite: bool = True) -> Any:
    """Take one number without rounding, whatever precision mpmath has at this moment."""
    if finite and not (mpmath.isfinite(value) if isinstance(value, mpmath.mpf) else math.isfinite(value)):
        raise ValueError(f"the oracle requires finite numbers. Got {value}.")
    if isinstance(value, mpmath.mpf):
        return value
    if isinstance(value, np.integer):
        return mpmath.mp.make_mpf(mpmath.libmp.from_int(int(value)))
    # Each of the four formats is a subset of Python's floats, whose 53 bits from_float keeps.
    return mpmath.mp.make_mpf(mpmath.libmp.from_float(float(value)))


def read(values: Numbers, where: npt.NDArray[Any] | None = None) -> ObjectArray:
    """Take an array, of finite numbers unless they are deselected."""
    array = np.asarray(values)
    if array.dtype.name not in _DTYPES:
        raise TypeError(f"dtype must be one of {', '.join(_DTYPES)}. Got dtype={array.dtype.name}.")
    found = np.empty(array.shape, dtype=object)
    for index in np.ndindex(*array.shape):
        found[index] = number(array[index], finite=where is None or bool(where[index]))
    return found


def read_weights(weights: npt.NDArray[Any] | None, shape: Index) -> ObjectArray:
    """Take frequencies for an array of some shape, with size 1 or its size per axis; absent ones are 1."""
    if weights is None:
        return np.full((1,) * len(shape), mpmath.mpf(1), dtype=object)
    array = np.asarray(weights)
    if array.ndim != len(shape) or any(n not in (1, size) for n, size in zip(array.shape, shape, strict=True)):
        raise ValueError(f"weights must broadcast to {shape} with its rank. Got shape={array.shape}.")
    if array.dtype.kind in "iu":
        integers = array
        array = np.empty(integers.shape, dtype=object)
        for index in np.ndindex(*integers.shape):
            array[index] = number(integers[index])
    found = read(array)
    if any(weight < 0 for weight in found.ravel().tolist()):
        raise ValueError("weights must not be negative.")
    return found


def height(*arguments: Any) -> int:
    """Return the least h >= 0 such that all finite elements are below 2**h and multiples of 2**-h; added up."""
    total = 0
    for argument in arguments:
        parts = [element.man_exp for element in np.ravel(argument).tolist() if element and mpmath.isfinite(element)]
        total += max((max(e + m.bit_length(), -e) for m, e in parts), default=0)
    return total


def precision(degree: int, height: int) -> int:
    """Choose the bits to compute with, ``384 + degree * height``.

    Parameters
    ----------
    degree : int
        6 for moments, 8 for y and the running averages, 14 for gradients, 16 for those by weights too, 24 for
        second derivatives; and 8 more with any part that conventions or options add.
    height : int
        H: the heights of all inputs, added up, that of weights twice, and the bit length of N for each batch; these
        two as often as there are ghost batches.

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

    *y.* Without weights, ``s**2 = variance + epsilon`` is at least ``2**-(2 X + E + 2 n)``; y moves by
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

    *Weights.* The total is exact: it has ``2 W + n`` bits at most. It takes the place of N as a divisor, and
    so does ``2 W + n`` the place of n wherever a result is bounded from below, and in 1/s; in the variance's
    error W comes twice, and w over the total is at most 1. Counted in W, of which H has 2: nonzero
    ``variance + epsilon`` is at least ``2**-(2 X + 4 W + E + 2 n)``, inside 2 H. Bessel's factor multiplies
    errors by ``2**(2 W + n)`` at most, as the total less 1 is a multiple of ``2**-W``; so y moves by 10 W,
    and y - beta is at least ``2**-(2 W)``: 12 W of 16. Gradients move by ``5 * 2 W + 2 W`` and are at least
    ``2**-(6 W)``: 18 W of 28. A second derivative moves by ``7 * 2 W + 2 W`` and is at least ``2**-(12 W)``:
    28 W of 48. A derivative by a weight has ``c**2 - variance`` over the total in place of c: it moves by
    10 X + 13 W + 8 n, and is ``gamma / s**3`` times a multiple of ``2**-(G + 3 X + 3 W + E)`` over the total
    to the fourth: 6 X + 7 W + 4 n. Sum: 16 X and 20 W, so 16 H.

    *Parts.* A correction or an adjustment multiplies by a number of its height, and adds one; a ratio of two
    square roots is off by as much as the variance of each, relative to them. Means over ghost batches have the
    product of the totals below the line. An average that is debiased has the sum of the weights there, of which one
    update adds the digits of the momentum as often as batches have been counted: this often they are in H, up to 64
    batches. A derivative through the running averages has their denominators once more. All of that is 8 H at most
    for each term with a square root of its own. Sums of different square roots may cancel beyond, which is why the
    statement is about their terms.
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
    rounding, and every later one starts from a difference of 0. A weight of 0 is left out, unless it is a Dual,
    with respect to which there is a derivative: such come last, as they need a total to be divided by.
    """
    total = mean = second = mpmath.mpf(0)
    pairs = zip(values, weights or [mpmath.mpf(1)] * len(values), strict=True)
    for value, weight in sorted(pairs, key=lambda pair: not real(pair[1])):
        if isinstance(weight, Dual) or weight:
            total = total + weight
            before = value - mean
            mean = mean + before * weight / total
            second = second + weight * before * (value - mean)
    if not total:
        raise ValueError("the total weight must be positive. Got 0.")
    return total, mean, second / total


def statistics(values: Sequence[Any], weights: Sequence[Any]) -> tuple[Any, Any, Any]:
    """Return total weight, mean and population variance of one channel, mpf or Dual; all 0 if all weights are."""
    if any(real(weight) for weight in weights):
        return welford(values, weights)
    return mpmath.mpf(0), mpmath.mpf(0), mpmath.mpf(0)


def normalize(
    values: Sequence[Any],
    mean: Any,
    variance: Any,
    gamma: Any,
    beta: Any,
    epsilon: Any,
    correction: tuple[Any, Any] | None = None,
    adjustments: Sequence[tuple[Any, Any]] | None = None,
) -> list[Any]:
    """Apply the definition to elements of one channel, mpf or Dual.

    The correction (r, d) of renormalization is of the channel; there is one adjustment (a, b) for each element.
    """
    square = variance + epsilon
    # 0, or at least 2**-(2 H), says `precision`; and off by 2**(2 H - p) at most. What lies below the middle
    # of the digits is therefore a 0 with rounding errors.
    if real(square) <= mpmath.ldexp(1, -mpmath.mp.prec // 2):
        raise ValueError(f"variance + epsilon must be positive. Got {float(real(square))}.")
    root = sqrt(square)
    if correction is None and adjustments is None:
        factor = gamma / root
        return [factor * (value - mean) + beta for value in values]
    normalized = [(value - mean) / root for value in values]
    if correction is not None:
        normalized = [z * correction[0] + correction[1] for z in normalized]
    if adjustments is not None:
        normalized = [z * a + b for z, (a, b) in zip(normalized, adjustments, strict=True)]
    return [z * gamma + beta for z in normalized]
