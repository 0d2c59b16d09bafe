"""Bounds of the output and of the running averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._formats import accumulated, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format
    from ._statistics import Statistics

__all__ = ["Deviation", "deviation", "normalized", "product_error", "running"]


class Deviation(NamedTuple):
    """What normalization and its derivatives have in common."""

    centred: NDArray[np.float64]  # d = x - mean, (N, C)
    centred_error: NDArray[np.float64]
    inverse: NDArray[np.float64]  # 1 / sqrt(s), (C,)
    inverse_error: NDArray[np.float64]  # r, relative
    unit: NDArray[np.float64]  # |d| / sqrt(s), (N, C)
    unit_error: NDArray[np.float64]


def deviation(rows: NDArray[np.float64], given: Statistics, epsilon: float, form: Format) -> Deviation:
    """Bound x - mean, 1 / sqrt(variance + epsilon), and their product.

    Each of (x - hi) and (.. - lo) is rounded once, where |x - hi| <= |d| + t. epsilon is rounded, and so is
    s; a relative change p of s changes 1 / sqrt(s) by at most 1 / sqrt(1 - p) - 1; square root and division,
    or a reciprocal square root of 4 units, follow.
    """
    u = form.roundoff
    centred = rows - given.mean
    size = np.abs(centred)
    centred_error = (1.0 + 4.0 * u) * (given.mean_error + u * (2.0 * size + given.split)) + form.tiny
    with np.errstate(divide="ignore", invalid="ignore"):
        s = given.variance + epsilon
        inverse = 1.0 / np.sqrt(s)
        changed = (given.variance_error + u * epsilon) / s + u
        root = np.sqrt(np.maximum(1.0 - changed, 0.0))
        # 1 / root - 1, without the cancellation; infinite where s could be zero.
        inverse_error = np.where(root > 0.0, changed / (root * (1.0 + root)), np.inf) * (1.0 + 4.0 * u) + 4.0 * u
    unit_error = inverse * product_error(size, centred_error, inverse_error, 1, u)
    return Deviation(centred, centred_error, inverse, inverse_error, size * inverse, unit_error)


def product_error(
    size: NDArray[np.float64], error: NDArray[np.float64], relative: NDArray[np.float64], roundings: int, u: float
) -> NDArray[np.float64]:
    """Bound (size + error)(1 + relative)(1 + u)^roundings - size."""
    grown = relative + (1.0 + relative) * accumulated(roundings, u)
    with np.errstate(invalid="ignore"):  # 0 times infinity: nothing is promised there
        return size * grown + error * (1.0 + grown)


def normalized(
    rows: NDArray[np.float64],
    given: Statistics,
    epsilon: float,
    gamma: NDArray[np.float64] | float,
    beta: NDArray[np.float64] | float,
    form: Format,
    out: Format,
) -> NDArray[np.float64]:
    """Bound the output gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Parameters
    ----------
    rows : array, shape (N, C)
        The input.
    given : Statistics
        The statistics it is normalized by, with their errors.
    epsilon : float
        Added to the variance.
    gamma, beta : array, shape (C,), or float
        The affine parameters; 1 and 0 where there are none.
    form, out : Format
        What is computed in, and what the output is rounded to.

    Returns
    -------
    array, shape (N, C)

    Notes
    -----
    Two products and one sum follow the centred value: with A = |gamma| / sqrt(s), d = x - mean and the errors
    e of d and r of the inverse, P = A ((|d| + e)(1 + r)(1 + u)^2 - |d|), then u (|y| + P). A mean that is
    folded into the offset is outside this bound: its error is u A |mean|.
    """
    u = form.roundoff
    part = deviation(rows, given, epsilon, form)
    slope = np.abs(gamma) * part.inverse
    product = slope * product_error(np.abs(part.centred), part.centred_error, part.inverse_error, 2, u)
    y = gamma * part.inverse * part.centred + beta
    error = rounded(product, y, form)
    return error if out is form else rounded(error, y, out)


def running(
    old: NDArray[np.float64],
    old_error: NDArray[np.float64],
    batch: NDArray[np.float64],
    batch_error: NDArray[np.float64],
    share: float,
    form: Format,
    roundings: float = 6,
) -> NDArray[np.float64]:
    """Bound (1 - share) old + share batch.

    Parameters
    ----------
    old, batch : array, shape (C,)
        The exact average before, and the exact statistics of the batch.
    old_error, batch_error : array, shape (C,)
        Their bounds.
    share : float
        The weight of the batch.
    form : Format
        The format of the state.
    roundings : float
        6, or 20 where the share is a quotient of exponentials.

    Returns
    -------
    array, shape (C,)

    Notes
    -----
    The two weights are at most 1 and off by at most 2 u, whether 1 - momentum is formed before or after the
    rounding of momentum; two products and a sum add 3 u. The form old - (old - batch) share has no more.
    (1 - m) / (1 - m^n) has at most 16 roundings, in an exponential function of up to 4 units among them.
    """
    error = (1.0 - share) * old_error + share * batch_error
    return error + roundings * form.roundoff * (np.abs(old) + old_error + np.abs(batch) + batch_error) + form.tiny
