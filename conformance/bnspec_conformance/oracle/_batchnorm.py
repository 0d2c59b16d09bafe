"""Batch normalization from its definition: moments, and one normalization."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._exact import GUARD_BITS, Exact, combine_times_root, elementwise
from ._parts import (
    Numbers,
    broadcasts,
    finite,
    inverse_square,
    normalize_axes,
    read,
    sum_over,
)
from ._weights import read_weights

__all__ = ["Moments", "batch_normalization", "moments"]


class Moments(NamedTuple):
    """Total weight, mean and population variance, all of one shape."""

    weight: Exact
    mean: Exact
    variance: Exact


def moments(
    x: npt.NDArray[Any],
    axes: tuple[int, ...],
    weights: npt.NDArray[Any] | None = None,
    keepdims: bool = False,
) -> Moments:
    """Compute total weight, mean and population variance over some axes.

    Parameters
    ----------
    x : array, shape (*S), real floating
        Finite wherever the weight is not 0.
    axes : tuple of int
        Axes to sum over, negative ones counted from the end.
    weights : array, x's rank with size 1 or x's size per axis, real floating or integer, optional
        Frequencies: weight 2 is the element twice, weight 0 is the element deleted even if it is NaN.
    keepdims : bool
        Keep the summed axes with size 1.

    Returns
    -------
    Moments
        Each `Exact`; with ``w`` the weights (1 if absent): ``sum(w)``, ``sum(w * x) / sum(w)`` and
        ``sum(w * (x - mean)**2) / sum(w)``. The mean also has 192 bits below the grid of `x`, so that
        ``x - mean`` keeps its leading digits.

    Raises
    ------
    ValueError
        If a total weight is 0 (also for N = 0), a weight is negative, a number is not finite, or `axes` or
        the shape of `weights` does not fit.
    """
    x = np.asarray(x)
    reduced = normalize_axes("axes", axes, x.ndim)
    if weights is None:
        w, frequency = Exact(np.full(x.shape, 1, dtype=object), 0), None
    else:
        w = read_weights(weights, x.shape)
        frequency = w.numerators
    exact = Exact.from_floats(x, where=None if frequency is None else np.asarray(frequency != 0, dtype=bool))
    a = exact.numerators
    wa = a if frequency is None else frequency * a
    total, first = sum_over(w.numerators, reduced), sum_over(wa, reduced)
    second = sum_over(wa * a, reduced)
    if np.any(total == 0):
        raise ValueError(f"the total weight must be positive. Got 0 for shape={x.shape}, axes={axes}.")
    unit = Fraction(1, 1 << exact.bits)
    mean = elementwise(lambda w, s: Fraction(s, w) * unit, total, first)
    variance = elementwise(lambda w, s, q: Fraction(w * q - s * s, w * w) * unit * unit, total, first, second)
    found = (
        Exact.from_fractions(Exact(total, w.bits).fractions()),
        Exact.from_fractions(mean, at_least=exact.bits + GUARD_BITS),
        Exact.from_fractions(variance),
    )
    shape = tuple(size for i, size in enumerate(x.shape) if i not in reduced)
    if keepdims:
        shape = total.shape
    return Moments(*(part.reshape(shape) for part in found))


def batch_normalization(
    x: npt.NDArray[Any],
    mean: Numbers,
    variance: Numbers,
    offset: Numbers | None,
    scale: Numbers | None,
    variance_epsilon: float,
) -> Exact:
    """Compute ``scale * (x - mean) / sqrt(variance + variance_epsilon) + offset``.

    Parameters
    ----------
    x : array, shape (*S, C), real floating
        Finite numbers.
    mean, variance, offset, scale : array or Exact
        Of x's rank, with size 1 or x's size per axis, or of shape (C,). `offset` and `scale` may be None.
    variance_epsilon : float
        Taken exactly.

    Returns
    -------
    Exact
        Shape (*S, C). An `Exact` argument counts as the number it holds, whatever it approximates.

    Raises
    ------
    ValueError
        If ``variance + variance_epsilon`` is not positive, a number is not finite or a shape does not fit.
    """
    data, eps = Exact.from_floats(x), finite("variance_epsilon", variance_epsilon)

    def fitting(name: str, value: Numbers) -> Exact:
        exact, shape, last = read(value), data.shape, data.shape[-1:]
        if exact.shape != last and not broadcasts(exact.shape, shape):
            raise ValueError(
                f"{name} must have the rank of x, and size 1 or that of x per axis, or shape {last}. "
                f"Got shape={exact.shape} for x of shape {shape}."
            )
        return exact

    center = fitting("mean", mean)
    bits = max(data.bits, center.bits)
    centred = np.asarray(data.at(bits) - center.at(bits), dtype=object)
    square = inverse_square(fitting("variance", variance).fractions(), eps)
    gain = np.asarray(Fraction(1), dtype=object) if scale is None else fitting("scale", scale).fractions()
    addend = None if offset is None else fitting("offset", offset).fractions()
    return combine_times_root([(centred, gain * Fraction(1, 1 << bits))], square, addend)
