"""Bounds of the first and second derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._formats import NAIVE, accumulated, rounded
from ._forward import Deviation, deviation, product_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format, Grade
    from ._statistics import Statistics

__all__ = ["GradientErrors", "evaluation_gradients", "second_derivative", "summed", "training_gradients"]


class GradientErrors(NamedTuple):
    """Bounds of the gradients: x has shape (N, C), the others (C,).

    `weights` are, for each element, the bound of the derivative by its weight, and the sum of the sizes of its terms.
    """

    x: NDArray[np.float64]
    gamma: NDArray[np.float64]
    beta: NDArray[np.float64]
    moving_mean: NDArray[np.float64]
    moving_variance: NDArray[np.float64]
    weights: tuple[NDArray[np.float64], NDArray[np.float64]]


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
    weights: NDArray[np.float64] | None = None,
    own: Statistics | None = None,
    takes: tuple[float, float] = (1.0, 1.0),
    freedom: NDArray[np.float64] | None = None,
    gain_error: NDArray[np.float64] | float = 0.0,
    adjusted: bool = False,
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
    weights : array, shape (N, C), optional
        Frequency weights. The two means are then sums over W, each element takes w of them, and g(h + 4) counts the
        sum of the weights and the products with them too.
    own : Statistics, optional
        The batch's mean, and the variance that enters, where other statistics normalize: those that it has moved.
    takes : pair of float
        How far the batch moves the mean and the variance that normalize; 1 where they are its own.
    freedom : array, shape (C,), optional
        What the second moment is divided by in the variance that enters; by default the number of elements.
    gain_error : array, shape (C,), or float
        The relative error of `gamma`, where that holds the factor of a correction.
    adjusted : bool
        Whether the cotangent is that of an output before an adjustment, and so a rounded product.

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
    part = deviation(rows, given, epsilon, form)
    steps = (NAIVE if chained else grade).additions(len(rows)) + 4 + adjusted
    share: Any = 1.0
    count: Any = max(len(rows), 1)
    if weights is not None and not (weights == 1).all():
        share, steps, total = weights, 2 * steps, weights.sum(axis=0)
        count = np.where(total == 0, 1.0, total)  # there the statistics are constants, and no share is taken
    h = accumulated(steps, u)
    unit, unit_error = part.unit, part.unit_error
    turned, own_unit, own_error, entering = _entering(rows, given, own, part, form)
    weight = np.abs(cotangent)
    mean_weight = weight.sum(axis=0) / count
    divisor: Any = count if freedom is None else freedom
    second = (cotangent * part.centred * part.inverse).sum(axis=0) / divisor
    second_error = ((weight * unit_error).sum(axis=0) + h * (weight * (unit + unit_error)).sum(axis=0)) / divisor
    gamma_error = second_error * divisor + form.tiny
    first = takes[0] * cotangent.sum(axis=0) / count
    second, second_error = takes[1] * second, takes[1] * second_error
    first_error = 3.0 * h * (takes[0] * mean_weight + np.abs(second) + second_error)
    inner = cotangent - share * first - share * turned * second
    size = weight + share * np.abs(first) + share * own_unit * np.abs(second)
    # A share of the batch in an average is a quotient of exponentials at worst; see `running`.
    with np.errstate(invalid="ignore"):  # as in product_error
        inner_error = (
            share * first_error
            + 2.0 * share * own_error * (np.abs(second) + second_error)
            + share * own_unit * (second_error + 3.0 * part.inverse_error * np.abs(second))
            + ((8.0 if own is None else 28.0) + 2.0 * adjusted) * u * size
        )
    slope = np.abs(gamma) * part.inverse
    # 0 times infinity is 0 here: what has no error adds none.
    exact = np.asarray(gain_error) == 0.0
    relative = part.inverse_error + np.where(exact, 0.0, gain_error * (1.0 + np.where(exact, 0.0, part.inverse_error)))
    x_error = slope * product_error(np.abs(inner), inner_error, relative, 2, u) + form.tiny
    if out is not form:
        if chained or grade.mean == "perturbed":
            x_error = x_error + out.roundoff * slope * size
        x_error = rounded(x_error, slope * inner, out)
    beta_error = h * mean_weight * count + form.tiny
    none = np.zeros_like(beta_error)
    # dw = -gamma (g1 u + g2 (u^2 - v / s) / 2); v / s is off by no more than twice the relative error of s.
    spread = own_unit * own_unit + entering
    terms = np.abs(gamma) * (np.abs(first) * own_unit + np.abs(second) * spread)
    with np.errstate(invalid="ignore"):
        terms_error = (
            np.abs(gamma)
            * (
                first_error * (own_unit + own_error)
                + np.abs(first) * own_error
                + second_error * (spread + own_error * (2.0 * own_unit + own_error))
                + np.abs(second) * (own_error * (2.0 * own_unit + own_error) + 2.0 * part.inverse_error * entering)
            )
            + (accumulated(8 if own is None else 28, u) + gain_error) * terms
        )
    by_weights = (terms_error + form.tiny, terms)
    return GradientErrors(x_error, gamma_error, beta_error, none, none, by_weights)


def _entering(
    rows: NDArray[np.float64], given: Statistics, own: Statistics | None, part: Deviation, form: Format
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], Any]:
    """Return u = (x - own mean) / sqrt(s), its size and its error, and no less than what v / s may be.

    v / s is at most 1 where the batch's own variance normalizes. Elsewhere its own error is counted in.
    """
    if own is None:
        return part.centred * part.inverse, part.unit, part.unit_error, 1.0
    centred = rows - own.mean
    size = np.abs(centred)
    u = form.roundoff
    centred_error = (1.0 + 4.0 * u) * (own.mean_error + u * (2.0 * size + own.split)) + form.tiny
    error = part.inverse * product_error(size, centred_error, part.inverse_error, 1, u)
    grown = (own.variance + own.variance_error) * part.inverse * part.inverse + own.variance_error / np.maximum(
        own.variance, form.tiny
    )
    return centred * part.inverse, size * part.inverse, error, grown


def summed(
    error: NDArray[np.float64], size: NDArray[np.float64], axes: tuple[int, ...], form: Format
) -> NDArray[np.float64]:
    """Bound a sum of computed terms over axes that are kept with size 1.

    Parameters
    ----------
    error, size : array, shape S
        The bounds of the terms, and no less than their sizes.
    axes : tuple of int
        What is summed, in any order.
    form : Format
        What is computed in.

    Returns
    -------
    array
        Of S with 1 on `axes`.
    """
    count = int(np.prod([error.shape[axis] for axis in axes]))
    rounding = accumulated(max(count - 1, 0), form.roundoff) * size.sum(axis=axes, keepdims=True)
    total: NDArray[np.float64] = error.sum(axis=axes, keepdims=True) + rounding
    return total


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
    part = deviation(rows, given, epsilon, form)
    h = accumulated((NAIVE if chained else grade).additions(len(rows)) + 4, u)
    unit, unit_error = part.unit, part.unit_error
    weight = np.abs(cotangent)
    slope = np.abs(gamma) * part.inverse
    none = np.zeros_like(part.inverse)
    x_error = slope * product_error(weight, none, part.inverse_error, 3, u) + form.tiny
    if out is not form:
        x_error = rounded(x_error, slope * weight, out)
    beta_error = h * weight.sum(axis=0)
    gamma_error = (weight * unit_error).sum(axis=0) + h * (weight * (unit + unit_error)).sum(axis=0)
    beta = np.abs(cotangent.sum(axis=0))
    gamma_gradient = np.abs((cotangent * part.centred * part.inverse).sum(axis=0))
    twice = part.inverse_error * (2.0 + part.inverse_error)
    mean_error = slope * product_error(beta, beta_error, part.inverse_error, 3, u)
    variance_error = slope * part.inverse * 0.5 * product_error(gamma_gradient, gamma_error, twice, 6, u)
    none = np.zeros_like(x_error)
    tiny = form.tiny
    return GradientErrors(
        x_error, gamma_error + tiny, beta_error + tiny, mean_error + tiny, variance_error + tiny, (none, none)
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
    part = deviation(rows, given, epsilon, form)
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
