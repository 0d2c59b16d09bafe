"""Bounds of the algorithms of released libraries: one pass over the data, a folded mean, renormalization, averages.

An algorithm is what an implementation does, as read in its source; its bound follows from that alone. One that is
worse on hard data has a wider bound there, and an infinite one where it promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ._formats import NAIVE, Format, Grade, accumulated, rounded
from ._forward import deviation, normalized, product_error
from ._statistics import Statistics, weighted_statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Algorithm", "Composed", "algorithm_gradients", "algorithm_output", "algorithm_statistics"]


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """How an implementation gets at what it returns, as far as a bound depends on it.

    Attributes
    ----------
    name : str
        What the reports call it.
    grade : Grade
        How sums are formed, and the statistics where they are not formed in one pass.
    one_pass : bool
        Whether the variance is mean(x^2) - mean(x)^2.
    clipped : bool
        Whether a negative variance becomes 0, and passes no gradient.
    folded : {"", "output", "everywhere"}
        Whether the output is x a + (beta - mean a), and whether its derivative is that of this form.
    chained : bool
        As of :func:`training_gradients`.
    coarse_share : bool
        Whether the weight of a new batch is rounded to float32, whatever the state is.
    average : {"moved", "debiased", "quotient"}
        Whether an average moves by a share that is formed from the momentum; by one that is formed as
        (1 - m) / (1 - m^n); or is kept biased, and divided by 1 - m^n.
    """

    name: str
    grade: Grade = NAIVE
    one_pass: bool = False
    clipped: bool = False
    folded: Literal["", "output", "everywhere"] = ""
    chained: bool = True
    coarse_share: bool = False
    average: Literal["moved", "debiased", "quotient"] = "moved"


class Composed(NamedTuple):
    """What stands between normalization and gamma: ((z r + d) a + b).

    Attributes
    ----------
    r, d : array, shape (C,)
        The correction of renormalization; 1 and 0 without it. r is positive.
    r_error, d_error : array, shape (C,)
        Their absolute bounds.
    a, b : array, shape (N, C)
        The adjustment, exact; 1 and 0 without it.
    """

    r: Any = 1.0
    d: Any = 0.0
    r_error: Any = 0.0
    d_error: Any = 0.0
    a: Any = 1.0
    b: Any = 0.0


def algorithm_statistics(
    rows: Array, weights: Array, mean: Array, variance: Array, algorithm: Algorithm, form: Format
) -> Statistics:
    """Bound the mean and the population variance of weighted data.

    Parameters
    ----------
    rows, weights, mean, variance, form
        As of :func:`weighted_statistics`.
    algorithm : Algorithm
        How they are formed.

    Returns
    -------
    Statistics

    Notes
    -----
    *One pass.* With g = g(h + 5), which counts the division or the product with 1 / N and the rounding of a square,
    the mean m has the error e <= g a, and the mean of the squares g q, where q = mean(x^2). The square of the
    computed mean is off by 2 |m| e + e^2, and rounded; the difference is rounded. Where the computed variance is
    negative and set to 0, it only comes closer to a variance, which is not. The error is that of q, of the
    size of the squared mean and not of the variance: with |m| > sigma / sqrt(g), nothing is left of the variance.
    """
    if not algorithm.one_pass:
        return weighted_statistics(rows, weights, mean, variance, algorithm.grade, form)
    u = form.roundoff
    additions = algorithm.grade.additions(len(rows))
    if not (weights == 1).all():
        additions = 2 * additions + 1
    g = accumulated(additions + 5, u)
    share = weights / np.maximum(weights.sum(axis=0), form.tiny)
    mean_error = g * (share * np.abs(rows)).sum(axis=0)
    squares = g * (share * rows * rows).sum(axis=0)
    squared = (2.0 * np.abs(mean) + mean_error) * mean_error
    variance_error = (1.0 + u) * (squares + (1.0 + u) * squared + u * mean * mean) + u * variance + form.tiny
    return Statistics(mean, variance, mean_error, variance_error, np.zeros_like(mean))


def algorithm_output(
    rows: Array,
    given: Statistics,
    epsilon: float,
    gamma: Array | float,
    beta: Array | float,
    algorithm: Algorithm,
    form: Format,
    composed: Composed | None = None,
) -> Array:
    """Bound the output ((z r + d) a + b) gamma + beta, with z = (x - mean) / sqrt(variance + epsilon).

    Parameters
    ----------
    rows, given, epsilon, gamma, beta, form
        As of :func:`normalized`; the output is of the format that is computed in.
    algorithm : Algorithm
        Whether the mean is folded.
    composed : Composed, optional
        What comes between.

    Returns
    -------
    array, shape (N, C)

    Notes
    -----
    *Composed.* Each term is a product of at most four computed factors beside the centred value, in whatever
    order; d adds its own error; three sums follow, of numbers that are no larger than the sum of all terms' sizes.

    *Folded.* With f = gamma r a / sqrt(s), computed once with the relative error of the factors, f (x - mean) is exact
    in f; the roundings of x f, of mean f, and of offset - mean f add u f (|x| + 2 |mean|) + u |offset|. Relative
    to the output, these are |mean| / sigma units, however well the mean is known.
    """
    if composed is None and not algorithm.folded:
        return normalized(rows, given, epsilon, gamma, beta, form, form)
    u = form.roundoff
    by = composed or Composed()
    part = deviation(rows, given, epsilon, form)
    with np.errstate(invalid="ignore"):  # 0 times infinity: nothing is promised there
        relative = part.inverse_error + (1.0 + part.inverse_error) * by.r_error / by.r
        scale = np.abs(gamma * by.a) * by.r * part.inverse
        product = scale * product_error(np.abs(part.centred), part.centred_error, relative, 4, u)
        grown = 1.0 + accumulated(4, u)
        offset = np.abs(gamma) * (np.abs(by.a * by.d) + np.abs(by.b)) + np.abs(beta)
        offset_error = accumulated(5, u) * offset + grown * np.abs(gamma * by.a) * by.d_error
        error = product + offset_error
        if algorithm.folded:
            factor = grown * (1.0 + relative) * scale
            size = np.abs(rows) + 2.0 * (np.abs(given.mean) + given.mean_error)
            error = grown * (error + u * (factor * size + offset + offset_error))
        y = gamma * (by.a * (by.r * part.inverse * part.centred + by.d) + by.b) + beta
        if composed is not None:
            error = error + accumulated(2, u) * (scale * np.abs(part.centred) + offset + error)
        return np.where(np.isnan(error), np.inf, rounded(error, y, form))


def algorithm_gradients(
    rows: Array,
    cotangent: Array,
    weights: Array,
    given: Statistics,
    epsilon: float,
    gamma: Array | float,
    algorithm: Algorithm,
    form: Format,
    composed: Composed | None = None,
    *,
    own: Statistics | None = None,
    take: tuple[float, float] = (1.0, 1.0),
) -> tuple[Array, Array]:
    """Bound the gradient of x in training, and each element's part of that of gamma.

    Parameters
    ----------
    rows, cotangent, weights : array, shape (N, C)
        The input, the cotangent of the output, and the frequency weights.
    given : Statistics
        What the batch is normalized by.
    epsilon, gamma, form
        As of :func:`normalized`.
    algorithm : Algorithm
        How everything is computed.
    composed : Composed, optional
        What comes between normalization and gamma; constants to the derivative.
    own : Statistics, optional
        The statistics of the batch itself, where they are not what normalizes.
    take : pair of float
        How much of the batch's own mean and variance is in what normalizes.

    Returns
    -------
    x : array, shape (N, C)
        The bound.
    gamma : array, shape (C,)
        The bound of the sum of c ((z r + d) a + b).

    Notes
    -----
    As :func:`training_gradients`, of which this is the general form, with h = c a in place of the cotangent,
    gamma r in place of gamma, and with averages that the batch has a share in: P is formed with what normalizes,
    while x moves the variance by its distance from the batch's own mean.

    *Folded.* The derivative by the common factor is sum(h x) - mean sum(h), whose two sums err by g(h + 4) of their
    own sizes: |x| + |mean| takes the place of |x - mean| in the rounding errors of the sums.

    *One pass.* x moves the variance by 2 x / N - 2 mean / N, from two adjoints that are rounded apart: g(8) of
    |x| + |mean| takes the place of that of |x - mean|. Where a variance is set to 0, which it can be if its error
    is no less than itself, its derivative is lost.
    """
    u = form.roundoff
    by = composed or Composed()
    part = deviation(rows, given, epsilon, form)
    unit, unit_error = part.unit, part.unit_error
    mine = given if own is None else own
    with np.errstate(invalid="ignore"):
        apart = np.abs(rows - mine.mean)
        apart_error = (1.0 + 4.0 * u) * (mine.mean_error + u * (2.0 * apart + mine.split)) + form.tiny
        unit_own = apart * part.inverse
        unit_own_error = part.inverse * product_error(apart, apart_error, part.inverse_error, 1, u)
        steps = (NAIVE if algorithm.chained else algorithm.grade).additions(len(rows)) + 4
        plain = bool((weights == 1).all())
        if not plain:
            steps = 2 * steps
        if composed is not None:
            steps += 4
        g = accumulated(steps, u)
        total = weights.sum(axis=0) if not plain else max(len(rows), 1)
        share_mean, share_variance = (weights * part_taken for part_taken in take)
        h = cotangent * by.a
        size = np.abs(h)
        far = (1.0 + part.inverse_error) * part.inverse
        spread = far * (np.abs(rows) + np.abs(given.mean) + given.mean_error)
        second = (h * part.centred * part.inverse).sum(axis=0) / total
        second_error = ((size * unit_error).sum(axis=0) + g * (size * (unit + unit_error)).sum(axis=0)) / total
        if algorithm.folded == "everywhere":
            second_error = second_error + g * (size * spread).sum(axis=0) / total
        first = h.sum(axis=0) / total
        first_error = 3.0 * g * (size.sum(axis=0) / total + np.abs(second) + second_error)
        through = share_variance * (rows - mine.mean) * part.inverse * second
        inner = h - share_mean * first - through
        all_terms = size + share_mean * np.abs(first) + np.abs(through)
        inner_error = (
            share_mean * first_error
            + 2.0 * share_variance * unit_own_error * (np.abs(second) + second_error)
            + share_variance * unit_own * (second_error + 3.0 * part.inverse_error * np.abs(second))
            + 10.0 * u * all_terms
        )
        if algorithm.one_pass:
            around = far * (np.abs(rows) + np.abs(mine.mean) + mine.mean_error)
            inner_error = inner_error + share_variance * accumulated(8, u) * around * (np.abs(second) + second_error)
            lost = algorithm.clipped & (mine.variance_error >= mine.variance)
            inner_error = inner_error + np.where(lost, np.abs(through), 0.0)
        relative = part.inverse_error + (1.0 + part.inverse_error) * by.r_error / by.r
        slope = np.abs(gamma) * by.r * part.inverse
        x_error = slope * product_error(np.abs(inner), inner_error, relative, 4, u) + form.tiny
        value = np.abs(by.a) * (by.r * unit + np.abs(by.d)) + np.abs(by.b)
        value_error = (
            np.abs(by.a) * (by.r * unit_error + by.r_error * (unit + unit_error) + by.d_error)
            + accumulated(4 if composed else 0, u) * value
        )
        weight = np.abs(cotangent)
        gamma_error = (weight * value_error).sum(axis=0) + g * (weight * (value + value_error)).sum(axis=0)
        if algorithm.folded == "everywhere":
            gamma_error = gamma_error + g * (size * by.r * spread).sum(axis=0)
    return np.where(np.isnan(x_error), np.inf, x_error), np.where(np.isnan(gamma_error), np.inf, gamma_error)
