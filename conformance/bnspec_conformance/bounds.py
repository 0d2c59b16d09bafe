"""The tolerance of every comparison, derived from dtype, length and condition. There is no other tolerance.

Notation: u is the unit roundoff of the dtype that is computed in (float32 for half-precision input), and
g(k) = k u / (1 - k u), the accumulated error of k roundings [1]_. Per channel: N elements x of mean m,
population variance v and mean absolute value a; s = v + epsilon. All functions take and return NumPy float64
arrays; per-element arrays are rows of shape (N, C), per-channel arrays have shape (C,).

.. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, lemma 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "DEFINITION",
    "FORMATS",
    "GRADES",
    "NAIVE",
    "TWO_PASS",
    "Format",
    "Grade",
    "Statistics",
    "accuracy_goal",
    "batch_statistics",
    "evaluation_gradients",
    "exact_statistics",
    "normalized",
    "rounded",
    "running",
    "second_derivative",
    "training_gradients",
    "weighted_statistics",
]


class Format(NamedTuple):
    """A floating-point format.

    Attributes
    ----------
    roundoff : float
        The unit roundoff u, half the distance from 1 to the next number.
    tiny : float
        The smallest normal number; what is below it may be flushed to zero.
    largest : float
        The largest finite number; nothing is promised about what may lie beyond it.
    """

    roundoff: float
    tiny: float
    largest: float


FORMATS = {
    "float16": Format(2.0**-11, 2.0**-14, 65504.0),
    "bfloat16": Format(2.0**-8, 2.0**-126, 2.0**127 * (2.0 - 2.0**-7)),
    "float32": Format(2.0**-24, 2.0**-126, 2.0**127 * (2.0 - 2.0**-23)),
    "float64": Format(2.0**-53, 2.0**-1022, 2.0**1023 * (2.0 - 2.0**-52)),
}


@dataclass(frozen=True)
class Grade:
    """How well the statistics of a batch are computed.

    Attributes
    ----------
    name : str
        What the reports call it.
    additions : callable
        Maps N to h, such that a sum of N terms has the relative error g(h) in each term.
    mean : {"split", "rounded", "perturbed"}
        Whether the mean is carried as hi + lo; or rounded once, with the variance taken around it; or is only
        known to be that of perturbed data, like the variance.
    """

    name: str
    additions: Callable[[int], int]
    mean: Literal["split", "rounded", "perturbed"]


def _blocked(block: int) -> Callable[[int], int]:
    """Count block - 1 additions a level, what is left over joining the next level."""

    def additions(count: int) -> int:
        levels = 1
        while count > block:
            count = count // block + count % block
            levels += 1
        return (block - 1) * levels

    return additions


DEFINITION = Grade("definition", _blocked(8), "split")
"""What bnspec itself reaches: sums in blocks of 8, the mean as hi + lo, the correction of the variance."""

TWO_PASS = Grade("two-pass", _blocked(32), "rounded")
"""What a good library reaches: sums pairwise or in blocks of up to 32, and a second pass for the variance. NumPy's own
sum over the leading axis of C-ordered memory is sequential, and naive."""

NAIVE = Grade("naive", lambda count: count + 2 * count.bit_length() + 2, "perturbed")
"""The least that a sound implementation reaches, sequential sums included, and all that a stranger is held to. The
two-pass algorithm, Welford's recurrence (whose mean takes N + 2 + 2 H(N) roundings, H being the harmonic numbers)
and one pass over data that is shifted by one of its elements are of this class; mean(x^2) - mean(x)^2 is not."""

GRADES = {grade.name: grade for grade in (DEFINITION, TWO_PASS, NAIVE)}
"""The grades by name, the strictest first."""


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


def accumulated(roundings: float, roundoff: float) -> float:
    """Return g(k) = k u / (1 - k u), infinite where k u is not below 1."""
    product = roundings * roundoff
    return product / (1.0 - product) if product < 1.0 else float("inf")


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
    """
    u = form.roundoff
    h = grade.additions(len(rows))
    if len(rows) and not (weights == 1).all():
        h = 2 * h + 1
    share = weights / np.maximum(weights.sum(axis=0), np.finfo(np.float64).tiny)
    rows = np.where(weights > 0, rows, 0.0)
    sigma = np.sqrt(variance)
    magnitude = (share * np.abs(rows)).sum(axis=0)
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


def rounded(error: NDArray[np.float64], value: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Add one rounding of a value to a format, underflow included; infinite where it may overflow."""
    size = np.abs(value) + error
    return np.where(size < form.largest, error + form.roundoff * size + form.tiny, np.inf)


class _Deviation(NamedTuple):
    """What normalization and its derivatives have in common."""

    centred: NDArray[np.float64]  # d = x - mean, (N, C)
    centred_error: NDArray[np.float64]
    inverse: NDArray[np.float64]  # 1 / sqrt(s), (C,)
    inverse_error: NDArray[np.float64]  # r, relative
    unit: NDArray[np.float64]  # |d| / sqrt(s), (N, C)
    unit_error: NDArray[np.float64]


def _deviation(rows: NDArray[np.float64], given: Statistics, epsilon: float, form: Format) -> _Deviation:
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
    unit_error = inverse * _product_error(size, centred_error, inverse_error, 1, u)
    return _Deviation(centred, centred_error, inverse, inverse_error, size * inverse, unit_error)


def _product_error(
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
    part = _deviation(rows, given, epsilon, form)
    slope = np.abs(gamma) * part.inverse
    product = slope * _product_error(np.abs(part.centred), part.centred_error, part.inverse_error, 2, u)
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

    Returns
    -------
    array, shape (C,)

    Notes
    -----
    The two weights are at most 1 and off by at most 2 u, whether 1 - momentum is formed before or after the
    rounding of momentum; two products and a sum add 3 u. The form old - (old - batch) share has no more.
    """
    error = (1.0 - share) * old_error + share * batch_error
    return error + 6.0 * form.roundoff * (np.abs(old) + old_error + np.abs(batch) + batch_error) + form.tiny


class GradientErrors(NamedTuple):
    """Bounds of the gradients: x has shape (N, C), the others (C,)."""

    x: NDArray[np.float64]
    gamma: NDArray[np.float64]
    beta: NDArray[np.float64]
    moving_mean: NDArray[np.float64]
    moving_variance: NDArray[np.float64]


def training_gradients(
    rows: NDArray[np.float64],
    cotangent: NDArray[np.float64],
    given: Statistics,
    epsilon: float,
    gamma: NDArray[np.float64] | float,
    grade: Grade,
    form: Format,
    out: Format,
    *,
    chained: bool = False,
) -> GradientErrors:
    """Bound the gradients in training.

    Parameters
    ----------
    rows, cotangent : array, shape (N, C)
        The input, and the cotangent of the output.
    given, epsilon, gamma, form, out
        As of :func:`normalized`.
    grade : Grade
        How sums are computed.

    Returns
    -------
    GradientErrors

    chained : bool
        Whether a framework differentiates by the chain rule: it adds the adjoints of what was broadcast in an
        order of its own, which may be sequential, whatever the forward pass does.

    Notes
    -----
    dx = A (dy - g1 - x' g2), with x' = d / sqrt(s), g1 = mean(dy), g2 = mean(dy x'). The sums err by
    mean(|dy| e') + g(h + 4) mean(|dy| (|x'| + e')), e' being the error of x'. Derivatives that are chained
    through the mean and the variance add the same terms again: the gradients of hi and of lo are sums over
    A (|dy| + |x'| |g2|), that of the variance has the relative error 3 r, and the centred values sum to at most
    N e'. The factors 3, 2 and 3 below count them. Whoever widens half-precision input more than once, for the
    statistics and for the centred values, also rounds two adjoints to half precision before they are added.
    """
    u = form.roundoff
    part = _deviation(rows, given, epsilon, form)
    count = max(len(rows), 1)
    h = accumulated((NAIVE if chained else grade).additions(len(rows)) + 4, u)
    unit, unit_error = part.unit, part.unit_error
    weight = np.abs(cotangent)
    mean_weight = weight.sum(axis=0) / count
    second = (cotangent * part.centred * part.inverse).sum(axis=0) / count
    second_error = (weight * unit_error).sum(axis=0) / count + h * (weight * (unit + unit_error)).sum(axis=0) / count
    first = cotangent.sum(axis=0) / count
    first_error = 3.0 * h * (mean_weight + np.abs(second) + second_error)
    inner = cotangent - first - part.centred * part.inverse * second
    size = weight + np.abs(first) + unit * np.abs(second)
    with np.errstate(invalid="ignore"):  # as in _product_error
        inner_error = (
            first_error
            + 2.0 * unit_error * (np.abs(second) + second_error)
            + unit * (second_error + 3.0 * part.inverse_error * np.abs(second))
            + 8.0 * u * size
        )
    slope = np.abs(gamma) * part.inverse
    x_error = slope * _product_error(np.abs(inner), inner_error, part.inverse_error, 2, u) + form.tiny
    if out is not form:
        if chained or grade.mean == "perturbed":
            x_error = x_error + out.roundoff * slope * size
        x_error = rounded(x_error, slope * inner, out)
    beta_error = h * mean_weight * count + form.tiny
    none = np.zeros_like(beta_error)
    return GradientErrors(x_error, second_error * count + form.tiny, beta_error, none, none)


def evaluation_gradients(
    rows: NDArray[np.float64],
    cotangent: NDArray[np.float64],
    given: Statistics,
    epsilon: float,
    gamma: NDArray[np.float64] | float,
    grade: Grade,
    form: Format,
    out: Format,
    *,
    chained: bool = False,
) -> GradientErrors:
    """Bound the gradients in evaluation, where the statistics are given.

    Parameters
    ----------
    rows, cotangent, given, epsilon, gamma, grade, form, out, chained
        As of :func:`training_gradients`.

    Returns
    -------
    GradientErrors

    Notes
    -----
    dx = A dy, dmean = -A sum(dy), dvariance = -A sum(dy x') / (2 sqrt(s)): the sums as in training, times
    factors with the relative errors r + 3 u and 2 r + 6 u.
    """
    u = form.roundoff
    part = _deviation(rows, given, epsilon, form)
    h = accumulated((NAIVE if chained else grade).additions(len(rows)) + 4, u)
    unit, unit_error = part.unit, part.unit_error
    weight = np.abs(cotangent)
    slope = np.abs(gamma) * part.inverse
    none = np.zeros_like(part.inverse)
    x_error = slope * _product_error(weight, none, part.inverse_error, 3, u) + form.tiny
    if out is not form:
        x_error = rounded(x_error, slope * weight, out)
    beta_error = h * weight.sum(axis=0)
    gamma_error = (weight * unit_error).sum(axis=0) + h * (weight * (unit + unit_error)).sum(axis=0)
    beta = np.abs(cotangent.sum(axis=0))
    gamma_gradient = np.abs((cotangent * part.centred * part.inverse).sum(axis=0))
    twice = part.inverse_error * (2.0 + part.inverse_error)
    mean_error = slope * _product_error(beta, beta_error, part.inverse_error, 3, u)
    variance_error = slope * part.inverse * 0.5 * _product_error(gamma_gradient, gamma_error, twice, 6, u)
    return GradientErrors(
        x_error, gamma_error + form.tiny, beta_error + form.tiny, mean_error + form.tiny, variance_error + form.tiny
    )


def second_derivative(
    rows: NDArray[np.float64],
    cotangent: NDArray[np.float64],
    tangent: NDArray[np.float64],
    given: Statistics,
    epsilon: float,
    gamma: NDArray[np.float64] | float,
    grade: Grade,
    form: Format,
    out: Format,
) -> NDArray[np.float64]:
    """Bound the derivative, along a tangent, of the gradient of x in training.

    Parameters
    ----------
    rows, cotangent, tangent : array, shape (N, C)
        The input, the cotangent c of the output, and the tangent t of the input.
    given, epsilon, gamma, grade, form, out
        As of :func:`training_gradients`.

    Returns
    -------
    array, shape (N, C)

    Notes
    -----
    With P(z) = z - mean(z) - x' mean(z x'), the product is
    -A / sqrt(s) [P(t) mean(c x') + x' mean(c P(t)) + P(c) mean(t x')]. Let M be the same expression with every
    term made positive. Each term has at most two averages, computed with the relative error g(h + 4) by sums in
    any order, and eight more roundings, times a factor with the relative error (1 + r)^3 - 1, from values x' that
    err by e'. So its error is at most M(|x'| + e') (1 + G) - M(|x'|), where 1 + G = (1 + r)^3 (1 + g(2 h + 16)).
    Differentiating twice by chain adds terms that cancel exactly, of the size of those in M: hence the factor 2.
    """
    part = _deviation(rows, given, epsilon, form)
    count = max(len(rows), 1)

    def majorant(unit: NDArray[np.float64]) -> NDArray[np.float64]:
        def mean(terms: NDArray[np.float64]) -> NDArray[np.float64]:
            averaged: NDArray[np.float64] = terms.sum(axis=0) / count
            return averaged

        def projected(z: NDArray[np.float64]) -> NDArray[np.float64]:
            return z + mean(z) + unit * mean(z * unit)

        c, t = np.abs(cotangent), np.abs(tangent)
        return projected(t) * mean(c * unit) + unit * mean(c * projected(t)) + projected(c) * mean(t * unit)

    exact, perturbed = majorant(part.unit), majorant(part.unit + part.unit_error)
    r = part.inverse_error
    grown = r * (3.0 + r * (3.0 + r))
    grown = grown + (1.0 + grown) * accumulated(2 * NAIVE.additions(len(rows)) + 16, form.roundoff)
    scale = 2.0 * np.abs(gamma) * part.inverse**2
    error = scale * ((perturbed - exact) + perturbed * grown) + form.tiny
    return error if out is form else rounded(error, 0.5 * scale * exact, out)


def accuracy_goal(ratio: float) -> float:
    """Return the goal that the definition sets itself in float32, in units of 2^-23 max(1, |y|).

    Parameters
    ----------
    ratio : float
        Mean over standard deviation, up to 1e6.

    Returns
    -------
    float
        4 up to 1e4, 8 above. It is measured on random data, and far below what is proven for all data.
    """
    return 4.0 if ratio <= 1e4 else 8.0
