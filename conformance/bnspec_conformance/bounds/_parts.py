"""Bounds of what surrounds normalization: renormalization, adjustments, ghost batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._formats import accumulated, rounded
from ._forward import deviation
from ._statistics import Statistics, weighted_statistics

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format, Grade

    Array = NDArray[np.float64]

__all__ = [
    "Uncertain",
    "averaged",
    "correction",
    "merged",
    "parameter_gradients",
    "root",
    "squared",
    "training_run",
    "transformed",
]


class Uncertain(NamedTuple):
    """A value, and how far a computed one may be from it."""

    value: Any
    error: Any


def root(variance: Uncertain, epsilon: float, form: Format, *, signed: bool = False) -> Uncertain:
    """Bound sqrt(variance + epsilon): epsilon, the sum and the root are rounded.

    Where a computed variance may be negative, which `signed` says, nothing is promised if the sum may be.
    """
    u = form.roundoff
    s = variance.value + epsilon
    moved = variance.error + u * epsilon
    moved = moved + u * (s + moved)
    value = np.sqrt(s)
    error = np.maximum(np.sqrt(s + moved) - value, value - np.sqrt(np.maximum(s - moved, 0.0)))
    if signed:
        error = np.where(moved < s, error, np.inf)
    return Uncertain(value, error + 2.0 * u * (value + error) + form.tiny)


def squared(deviation: Uncertain, epsilon: float, form: Format) -> Array:
    """Bound max(deviation^2 - epsilon, 0): epsilon, the square and the difference are rounded."""
    size = np.abs(deviation.value)
    error = deviation.error * (2.0 * size + deviation.error)
    moved: Array = error + 3.0 * form.roundoff * (size * size + error + epsilon) + form.tiny
    return moved


def correction(
    mean: Uncertain,
    variance: Uncertain,
    split: Array,
    average: Uncertain,
    spread: Uncertain,
    epsilon: float,
    exact: tuple[Array, Array],
    form: Format,
) -> tuple[Uncertain, Uncertain]:
    """Bound r and d of renormalization.

    Parameters
    ----------
    mean, variance : Uncertain, shape (C,)
        Of the batch.
    split : array, shape (C,)
        A bound of |mean - hi| where the mean is carried as hi + lo, else 0.
    average, spread : Uncertain, shape (C,)
        renorm_mean and renorm_stddev, before the batch.
    epsilon : float
        Added to the variance.
    exact : pair of arrays, shape (C,)
        r and d.
    form : Format
        What is computed in.

    Returns
    -------
    r, d : Uncertain, shape (C,)

    Notes
    -----
    Both are quotients by D = max(spread, sqrt(epsilon)). Clipping moves no value further than its argument was moved,
    and rounds its limits.
    """
    u = form.roundoff
    floor = np.sqrt(epsilon)
    size = np.maximum(spread.value, floor)
    size_error = np.maximum(spread.error, 3.0 * u * floor)
    least = np.maximum(size - size_error, 0.0)

    def quotient(part: Uncertain) -> Array:
        value = np.abs(part.value)
        with np.errstate(divide="ignore"):  # infinite where D may be 0
            largest = np.where(least > 0.0, (value + part.error) / np.where(least > 0.0, least, 1.0), np.inf)
        error: Array = (largest - value / size) + 2.0 * u * largest + form.tiny
        return error

    deviating = root(variance, epsilon, form)
    difference = mean.value - average.value
    error = mean.error + average.error
    error = error + 3.0 * u * (np.abs(difference) + error + split)
    r, d = exact
    return Uncertain(r, quotient(deviating)), Uncertain(d, quotient(Uncertain(difference, error)))


def transformed(
    rows: Array,
    given: Statistics,
    epsilon: float,
    steps: tuple[tuple[Uncertain, Uncertain], ...],
    form: Format,
    out: Format,
) -> Array:
    """Bound a normalized value that is scaled and shifted several times.

    Parameters
    ----------
    rows : array, shape (N, C)
        The input.
    given : Statistics
        The statistics it is normalized by, with their errors.
    epsilon : float
        Added to the variance.
    steps : sequence of pairs of Uncertain
        Scale and offset of each step, in order: r and d, a and b, gamma and beta.
    form, out : Format
        What is computed in, and what the output is rounded to.

    Returns
    -------
    array, shape (N, C)

    Notes
    -----
    The errors of value and factor multiply and those of the offsets add. Scales and offsets may be multiplied out in
    any order beforehand, as (d a + b) gamma + beta: each of the terms that this makes is rounded at most twice for each
    factor and sum, which 4 k + 4 roundings of the sum of their sizes, k being the number of steps, count.
    """
    u = form.roundoff
    part = deviation(rows, given, epsilon, form)
    value, error, size = part.centred * part.inverse, part.unit_error, part.unit
    for scale, offset in steps:
        grown = (np.abs(value) + error) * (np.abs(scale.value) + scale.error) - np.abs(value) * np.abs(scale.value)
        error = grown + offset.error
        size = (size + part.unit_error) * (np.abs(scale.value) + scale.error) + np.abs(offset.value) + offset.error
        value = value * scale.value + offset.value
    error = error + accumulated(4 * len(steps) + 4, u) * size + form.tiny
    return error if out is form else rounded(error, value, out)


def averaged(means: Array, errors: Array, weights: Array, exact: Array, grade: Grade, form: Format) -> Array:
    """Bound an average of computed values.

    Parameters
    ----------
    means, errors, weights : array, shape (G, C)
        The exact values, their bounds, and the weight of each; a channel without weight has no average.
    exact : array, shape (C,)
        Their average.
    grade : Grade
        How sums are computed.
    form : Format
        What is computed in.

    Returns
    -------
    array, shape (C,)
        What the values bring along, and what a sum of them adds.
    """
    share = weights / np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny)
    brought = (share * errors).sum(axis=0)
    spread = (share * (means - exact) ** 2).sum(axis=0)
    added = weighted_statistics(means, weights, exact, spread, grade, form).mean_error
    moved: Array = (brought + added) * (1.0 + 8.0 * form.roundoff) + form.tiny
    return moved


def merged(groups: tuple[Statistics, ...], weights: Array, whole: Statistics, grade: Grade, form: Format) -> Statistics:
    """Bound the statistics of a batch that are merged from those of its parts, or taken at once.

    Parameters
    ----------
    groups : tuple of Statistics
        G of them.
    weights : array, shape (G, C)
        The weight of each.
    whole : Statistics
        Those of the batch, with the errors that they have if taken at once.
    grade : Grade
        How sums are computed.
    form : Format
        What is computed in.

    Returns
    -------
    Statistics
        The sum of both kinds of errors.

    Notes
    -----
    The variance is the average of the parts' variances and the variance of their means. Means that err by e at most
    move the latter, of root b, by 2 b e + e^2.
    """
    share = weights / np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny)
    means = np.stack([part.mean for part in groups])
    variances = np.stack([part.variance for part in groups])
    errors = np.stack([part.mean_error for part in groups])
    mean_error = averaged(means, errors, weights, whole.mean, grade, form)
    between = (share * (means - whole.mean) ** 2).sum(axis=0)
    added = weighted_statistics(means, weights, whole.mean, between, grade, form).variance_error
    moved = np.stack([part.variance_error for part in groups])
    within = averaged(variances, moved, weights, whole.variance - between, grade, form)
    widest = errors.max(axis=0)
    moved = within + added + widest * (2.0 * np.sqrt(between) + widest)
    moved = moved + 8.0 * form.roundoff * (whole.variance + moved)
    return Statistics(
        whole.mean,
        whole.variance,
        whole.mean_error + mean_error,
        whole.variance_error + moved,
        np.maximum(whole.split, mean_error),
    )


def parameter_gradients(
    products: tuple[Uncertain, Array],
    plain: tuple[Uncertain, Array],
    correction: tuple[Uncertain, Uncertain] | None,
    biased: Array | float,
    count: int,
    grade: Grade,
    form: Format,
) -> tuple[Array, Array]:
    """Bound the gradients of gamma and beta that are summed over ghost batches, corrections and adjustments.

    Parameters
    ----------
    products, plain : pair of Uncertain, array, shape (C,)
        sum(c x') and sum(c) over the whole batch, with what each ghost batch's sum may be off, and the sums of their
        terms' sizes.
    correction : pair of Uncertain, or None
        r and d.
    biased : array, shape (C,), or float
        sum(|dy b|), b being the bias of an adjustment.
    count : int
        N.
    grade : Grade
        How sums are computed.
    form : Format
        What is computed in.

    Returns
    -------
    gamma, beta : array, shape (C,)

    Notes
    -----
    dgamma = r sum(c x') + d sum(c) + sum(dy b). Sums of the batch may be taken in any order and with the factors
    inside: g(h + 8) of the sizes of all terms.
    """
    one = Uncertain(np.ones_like(products[1]), 0.0)
    r, d = (one, Uncertain(np.zeros_like(products[1]), 0.0)) if correction is None else correction
    h = accumulated(grade.additions(count) + 8, form.roundoff)
    gamma = h * (np.abs(r.value) * products[1] + np.abs(d.value) * plain[1] + biased)
    for factor, (part, _) in ((r, products), (d, plain)):
        size = np.abs(part.value)
        gamma = gamma + (size + part.error) * (np.abs(factor.value) + factor.error) - size * np.abs(factor.value)
    return gamma + form.tiny, h * plain[1] + plain[0].error + form.tiny


def training_run(sensitivity: float, form: Format) -> float:
    """Bound how far a training run may end from the same run in exact arithmetic.

    Parameters
    ----------
    sensitivity : float
        The largest distance at the end, over a few runs in which every parameter and every gradient is perturbed at
        every step, for perturbations of relative size 1.
    form : Format
        What the run computes in.

    Returns
    -------
    float

    Notes
    -----
    The rounding errors of a step are perturbations of its parameters and gradients; 32 roundings are allowed for each.
    Unlike the bounds of a single call, this is measured and no proof. It tells a wrong estimator, or a derivative that
    is cut, from rounding by a factor of thousands in float32.
    """
    return accumulated(32, form.roundoff) * sensitivity
