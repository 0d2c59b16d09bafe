"""Knots of splines from the outputs of a network, as TensorFlow Probability's example of a spline flow takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import mpmath
import numpy as np

from ._exact import Exact, elementwise
from ._multiple import settled_array, wide

if TYPE_CHECKING:
    from ._exact import ObjectArray
    from ._parts import Numbers

__all__ = ["SplineParameters", "spline_parameters"]


class SplineParameters(NamedTuple):
    """Widths and heights of shape (*S, U, K), slopes of shape (*S, U, K - 1)."""

    widths: Exact
    heights: Exact
    slopes: Exact


def spline_parameters(
    outputs: Numbers, bins: int, interval: float, least_size: float, least_slope: float
) -> SplineParameters:
    """Compute sizes of one sum by a softmax, and slopes by log(1 + exp(x)).

    Parameters
    ----------
    outputs : array, shape (*S, U (3 K - 1)), or Exact
        For each of U units, K numbers for the widths, K for the heights, and K - 1 for the slopes.
    bins : int
        K.
    interval : float
        The sum of the widths, and of the heights.
    least_size, least_slope : float
        What is added to a size and to a slope, so that none is smaller.

    Returns
    -------
    SplineParameters
    """
    data = wide(outputs)
    rows = data.reshape(*data.shape[:-1], -1, 3 * bins - 1)

    def sizes(start: int) -> ObjectArray:
        grown = elementwise(mpmath.exp, rows[..., start : start + bins])
        shares = grown / np.sum(grown, axis=-1, keepdims=True)
        return np.asarray(shares * (mpmath.mpf(interval) - bins * mpmath.mpf(least_size)) + mpmath.mpf(least_size))

    def slopes() -> ObjectArray:
        return elementwise(lambda x: mpmath.log1p(mpmath.exp(x)) + mpmath.mpf(least_slope), rows[..., 2 * bins :])

    return SplineParameters(settled_array(lambda: sizes(0)), settled_array(lambda: sizes(bins)), settled_array(slopes))
