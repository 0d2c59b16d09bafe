"""Bounds of mean and variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._formats import accumulated, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format, Grade

__all__ = ["Statistics", "batch_statistics", "exact_statistics", "weighted_statistics"]


class Statistics(NamedTuple):
    """Statistics, and how far computed ones may be from them.

    Attributes
    ----------
    mean, variance : array, shape (C,)
        The exact values, rounded to float64.
    mean_error, variance_error : array, shape (C,)
        The bounds.
    split : array, shape (C,)
        A bound of |m - hi| where the mean is carried as hi + lo, else 0.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    mean_error: NDArray[np.float64]
    variance_error: NDArray[np.float64]
    split: NDArray[np.float64]


def exact_statistics(mean: NDArray[np.float64], variance: NDArray[np.float64]) -> Statistics:
    """Take statistics that are given, not computed."""
    none = np.zeros_like(mean)
    return Statistics(mean, variance, none, none, none)


def batch_statistics(
    rows: NDArray[np.float64], mean: NDArray[np.float64], variance: NDArray[np.float64], grade: Grade, form: Format
) -> Statistics:
    """Bound the mean and the population variance of a batch.

    Parameters
    ----------
    rows : array, shape (N, C)
        The data.
    mean, variance : array, shape (C,)
        The exact statistics.
    grade : Grade
        The algorithm class.
    form : Format
        The format that is computed in.

    Returns
    -------
    Statistics

    Notes
    -----
    *Naive.* x is changed to x (1 + t), |t| <= g = g(h + 4), h additions for a sequential sum. The mean moves by at
    most g a. The deviation of x_i moves by e_i with sum(e_i^2) / N <= g^2 mean(x^2), so the variance moves by at
    most 2 sigma g rms + g^2 rms^2; forming it from the deviations adds g v. If one element x_j is subtracted from
    all others first, |x - x_j| takes the place of |x| in the mean, and mean((x - x_j)^2) - mean(x - x_j)^2 adds
    g (v + (x_j - m)^2); D, the largest deviation, bounds both: |x - x_j| has a mean of at most sigma + D.

    *Two-pass.* The mean moves by at most g(h + 2) a + u |m|, the shift. Each centred value has a rounding error
    of u |d| beside it, and the shift is orthogonal to the deviations: the variance moves by
    q = 4 u v + (shift + 2 u sigma)^2, and the sum of squares adds g(h + 5) (v + q).

    *Definition.* |hi - m| <= g(h + 2) a =: t. The residuals r = x - hi have mean |r| <= sigma + t, so that
    |lo - mean(r)| <= g(h + 3) (sigma + t), which bounds the mean. Each centred value (x - hi) - lo has
    rounding errors of at most u (2 |d| + t) beside the common shift; the common shift is orthogonal to the
    deviations. Hence the variance moves by q = 2 u (2 v + t sigma) + (shift + u (2 sigma + t))^2, and the
    sum of squares, its correction and the division add g(h + 5) (v + q).
    """
    return weighted_statistics(rows, np.ones_like(rows), mean, variance, grade, form)


def estimated(error: Any, factor: Any, estimate: Any, form: Format, *, inexact: bool) -> Any:
    """Bound the estimate f v of a variance, where f is N / (N - c).

    Parameters
    ----------
    error : array, shape (C,)
        The bound of the population variance v.
    factor, estimate : array, shape (C,)
        f, and f v.
    form : Format
        What is computed in.
    inexact : bool
        Whether c is 1 + epsilon, and not 0 or 1.

    Returns
    -------
    array, shape (C,)

    Notes
    -----
    The quotient is rounded. Epsilon and 1 + epsilon are too, by 2 u c, and N - c takes that over: relative to itself,
    2 u c / (N - c) = 2 u (f - 1).
    """
    moved = rounded(factor * error, estimate, form)
    return moved + 2.0 * form.roundoff * (factor - 1.0) * (np.abs(estimate) + moved) if inexact else moved


def weighted_statistics(
    rows: NDArray[np.float64],
    weights: NDArray[np.float64],
    mean: NDArray[np.float64],
    variance: NDArray[np.float64],
    grade: Grade,
    form: Format,
) -> Statistics:
    """Bound the mean and the population variance of weighted data.

    Parameters
    ----------
    rows, weights : array, shape (N, C)
        The data, and their frequency weights; each channel's weights have a positive sum.
    mean, variance, grade, form
        As of :func:`batch_statistics`.

    Returns
    -------
    Statistics

    Notes
    -----
    As :func:`batch_statistics`, with averages by weight. A product with a weight and the sum of the weights
    add h + 2 roundings; they are counted for plain sums too, where a library may multiply by 1 / N.

    *One pass*, mean(x^2) - mean(x)^2. With g = g(h + 5), the mean has the error e <= g a and the mean of the squares
    g q, q = mean(x^2). The square of the computed mean is off by 2 |m| e + e^2, and rounded; the difference is rounded.
    A negative one that is set to 0 only comes closer to the variance. This error is of the size of the squared mean:
    with |m| > sigma / sqrt(g), nothing is left of the variance.
    """
    u = form.roundoff
    h = grade.additions(len(rows))
    if len(rows) and not (weights == 1).all():
        h = 2 * h + 1
    share = weights / np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny)
    rows = np.where(weights > 0, rows, 0.0)
    sigma = np.sqrt(variance)
    magnitude = (share * np.abs(rows)).sum(axis=0)
    if grade.mean == "one-pass":
        g = accumulated(h + 5, u)
        mean_error = g * magnitude
        squared = (2.0 * np.abs(mean) + mean_error) * mean_error
        parts = g * (share * rows * rows).sum(axis=0) + (1.0 + u) * squared + u * mean * mean
        none = np.zeros_like(mean)
        return Statistics(mean, variance, mean_error, (1.0 + u) * parts + u * variance + form.tiny, none)
    if grade.mean == "perturbed":
        g = accumulated(h + 4, u)
        rms = np.sqrt((share * rows * rows).sum(axis=0))
        moved = g * rms
        widest = np.where(weights > 0, np.abs(rows - mean), 0.0).max(axis=0, initial=0.0)
        variance_error = moved * (2.0 * sigma + moved) + g * (2.0 * variance + moved * moved + widest**2)
        mean_error = g * np.maximum(magnitude, sigma + widest)
        return Statistics(mean, variance, mean_error, variance_error + form.tiny, np.zeros_like(mean))
    rough = accumulated(h + 2, u) * magnitude
    if grade.mean == "split":
        split, shift = rough, accumulated(h + 3, u) * (sigma + rough)
    else:
        split, shift = np.zeros_like(mean), rough + u * np.abs(mean)
    scattered = u * (2.0 * sigma + split)
    moved = 2.0 * u * (2.0 * variance + split * sigma) + (shift + scattered) ** 2
    variance_error = moved + accumulated(h + 5, u) * (variance + moved)
    return Statistics(mean, variance, shift, variance_error + form.tiny, split)
