"""Shapes, input checks and exact statistics that the computations of the oracle share."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ._exact import GUARD_BITS, Exact, ObjectArray, elementwise

__all__ = [
    "Batch",
    "Layout",
    "Numbers",
    "batch_statistics",
    "empty",
    "finite",
    "fit",
    "inverse_square",
    "layout_of",
    "normalize_axes",
    "read",
    "read_fractions",
    "sum_over",
]

Numbers: TypeAlias = npt.NDArray[Any] | Exact


class Layout(NamedTuple):
    """Which axes are summed over, and the shapes that follow from it."""

    reduced: tuple[int, ...]
    kept: tuple[int, ...]  # x's rank, size 1 on the reduced axes
    parameter: tuple[int, ...]
    elements: int  # N, per channel


class Batch(NamedTuple):
    """Exact statistics of one batch; everything but `centred` has the kept shape."""

    centred: ObjectArray  # integers, shape of x: x - mean = centred * unit
    unit: ObjectArray  # fractions
    weight: ObjectArray  # fractions: N, or W, the sum of the weights
    total: ObjectArray  # integers: N, or W in units of the weights' grid; 1 where W is 0
    mean: ObjectArray  # fractions; 0 where W is 0
    variance: ObjectArray  # fractions; 0 where W is 0


def finite(name: str, value: float) -> Fraction:
    """Take a Python float at its exact value."""
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite. Got {name}={value}.")
    return Fraction(float(value))


def read(value: Numbers) -> Exact:
    """Take an argument that may be exact already."""
    return value if isinstance(value, Exact) else Exact.from_floats(value)


def read_fractions(value: Numbers | None) -> ObjectArray | None:
    """Take a parameter as fractions, in its own shape."""
    return None if value is None else read(value).fractions()


def normalize_axes(name: str, axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Return the axes counted from 0 and sorted, or refuse them."""
    found = tuple(sorted(axis + rank if axis < 0 else axis for axis in axes))
    if len(set(found)) != len(found) or any(not 0 <= axis < rank for axis in found):
        raise ValueError(f"{name} must name different axes of an array of rank {rank}. Got {name}={axes}.")
    return found


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Tell whether the ranks agree and every size is 1 or the one asked for."""
    return len(shape) == len(to) and all(n in (1, size) for n, size in zip(shape, to, strict=True))


def layout_of(shape: tuple[int, ...], axis: tuple[int, ...]) -> Layout:
    """Derive the layout of a batch from its shape and the feature axes."""
    features = normalize_axes("axis", axis, len(shape))
    reduced = tuple(i for i in range(len(shape)) if i not in features)
    kept = tuple(1 if i in reduced else size for i, size in enumerate(shape))
    parameter = (shape[features[0]],) if len(features) == 1 else kept
    return Layout(reduced, kept, parameter, math.prod(shape[i] for i in reduced))


def fit(name: str, values: ObjectArray | None, layout: Layout, default: int = 0) -> ObjectArray:
    """Check the shape of a parameter's fractions and give them the kept shape; `default` if it is absent."""
    if values is None:
        return np.full(layout.kept, Fraction(default), dtype=object)
    if values.shape != layout.parameter:
        raise ValueError(f"{name} must have shape {layout.parameter}. Got shape={values.shape}.")
    return values.reshape(layout.kept)


def empty(shape: tuple[int, ...]) -> Exact:
    """Return an array without elements, of a shape that says so."""
    return Exact(np.zeros(shape, dtype=object), GUARD_BITS)


def inverse_square(variance: ObjectArray, epsilon: Fraction) -> ObjectArray:
    """Return 1 / (variance + epsilon), the square of the factor that makes the variance 1."""

    def inverse(value: Fraction) -> Fraction:
        if value + epsilon <= 0:
            raise ValueError(f"variance + epsilon must be positive. Got {float(value)} + {float(epsilon)}.")
        return 1 / (value + epsilon)

    return elementwise(inverse, variance)


def sum_over(integers: ObjectArray, axes: tuple[int, ...]) -> ObjectArray:
    """Add up along axes, which keep size 1."""
    return np.asarray(np.sum(integers, axis=axes, keepdims=True), dtype=object)


def batch_statistics(x: Exact, layout: Layout, weights: Exact | None = None) -> Batch:
    """Compute weight, mean, population variance and ``x - mean`` per channel, all exact; N must not be 0."""
    # x = a * 2**-b, so with S = sum(a) and N elements x - mean = (N * a - S) / (N * 2**b), and the variance
    # is (N * sum(a * a) - S * S) / (N * 2**b)**2: nothing is divided until all is summed. With weights n in
    # units of their grid, N is sum(n), and n * a takes the place of a in the sums. Where sum(n) is 0, so are
    # the sums, and dividing by 1 instead makes mean and variance 0.
    a = x.numerators
    if weights is None:
        na, total = a, np.full(layout.kept, layout.elements, dtype=object)
        weight = elementwise(Fraction, total)
    else:
        na, total = np.asarray(weights.numerators * a, dtype=object), sum_over(weights.numerators, layout.reduced)
        weight = Exact(total, weights.bits).fractions()
        total = np.where(total == 0, 1, total)
    first, second = sum_over(na, layout.reduced), sum_over(na * a, layout.reduced)
    unit = elementwise(lambda n: Fraction(1, n << x.bits), total)
    mean = elementwise(lambda s, u: s * u, first, unit)
    variance = elementwise(lambda n, s, q, u: (n * q - s * s) * u * u, total, first, second, unit)
    return Batch(np.asarray(total * a - first, dtype=object), unit, weight, total, mean, variance)
