"""Bounds of normal densities, and of densities of transformed variables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ._arithmetic import Arithmetic
from ._functions import function_goal
from ._parts import Uncertain
from ._tails import tail_roundings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format, Grade

    Array = NDArray[np.float64]

__all__ = [
    "Tail",
    "normal",
    "normal_diag_log_prob",
    "normal_entropy",
    "normal_quantile",
    "normal_score",
    "transformed_density",
]

Tail: TypeAlias = Literal["log_prob", "prob", "cdf", "log_cdf", "survival", "log_survival"]

_HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)

# The least goal of a function, for those of the tails too, which no namespace has.
_TAIL = 2.0 * function_goal("erfc")


def _log_below(z: Array) -> Array:
    """Return log of the probability below z, to some 10 digits."""

    def one(z: float) -> float:
        if z > 0.0:
            return math.log1p(-0.5 * math.erfc(z / math.sqrt(2.0)))
        if z > -30.0:
            return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
        # The next term of the series is below 2e-5 relative to 1, beside a result of more than 450.
        return -0.5 * z * z - math.log(-z) - _HALF_LOG_TWO_PI - 1.0 / (z * z)

    return np.asarray(np.frompyfunc(one, 1, 1)(z), dtype=np.float64)


def _standardized(r: Arithmetic, value: Any, loc: Any, scale: Any) -> Uncertain:
    return r.divide(r.subtract(r.given(value), r.given(loc)), r.given(scale))


def _half_square(r: Arithmetic, z: Uncertain) -> Uncertain:
    return r.doubled(r.multiply(z, z), 0.5)


def normal(method: Tail, value: Any, loc: Any, scale: Any, form: Format, *, through_erf: bool = False) -> Uncertain:
    """Bound a function of a normal distribution.

    Parameters
    ----------
    method : {"log_prob", "prob", "cdf", "log_cdf", "survival", "log_survival"}
        Which one.
    value : array, shape (*S), or Uncertain
        The argument.
    loc, scale : array, broadcastable with it
        Mean and standard deviation.
    form : Format
        What is computed in.
    through_erf : bool
        Whether cdf and survival are (1 + erf) / 2, and their logarithms taken of that, which have no tail.

    Returns
    -------
    Uncertain

    Notes
    -----
    *log_prob* is -z^2 / 2 - (log(2 pi) / 2 + log(scale)) with z = (value - loc) / scale, and *prob* its exponential.

    *Tails.* With the ratio R(t) of the probability above t >= 0 and the density at t, the probability is
    exp(-z^2 / 2) R / sqrt(2 pi), and its logarithm -z^2 / 2 + log R - log(2 pi) / 2. R falls, and
    |t R'(t) / R(t)| = t / R - t^2 is below 1; so R has the relative error of z, and that of its kernel: of rational
    approximations, see `tail_roundings`, or 4 units in the last place, as of every function of a namespace, whichever
    is more. The logarithm of R has the error of its own kernel, and the square is rounded. On the other side, the
    probability is 1 less that, and its logarithm log1p of it, which is as good relatively.

    *Through erf*, whose error is at most 6 u (see `error_function`), so that half of it and of the rounded sum is
    below 5 u; z / sqrt(2) takes two roundings, and the density is the slope. The logarithm takes all that relative to
    the probability: infinite in the far tail.
    """
    r, u = Arithmetic(form), form.roundoff
    z = _standardized(r, value, loc, scale)
    if method in {"log_prob", "prob"}:
        normalizer = r.add(r.constant(_HALF_LOG_TWO_PI), r.log(r.given(scale)))
        # The sum may be taken in any order, in two roundings of its parts.
        square = _half_square(r, z)
        found = r.subtract(r.negative(square), normalizer)
        found = Uncertain(found.value, found.error + u * (square.value + np.abs(normalizer.value)))
        return found if method == "log_prob" else r.exp(found)
    if method in {"survival", "log_survival"}:
        z = r.negative(z)
    logarithm = _log_below(z.value)
    if through_erf:
        slope = np.exp(-0.5 * np.maximum(np.abs(z.value) - z.error, 0.0) ** 2) / math.sqrt(2.0 * math.pi)
        # z / sqrt(2) is a constant and a product.
        error = slope * (z.error + 3.0 * u * np.abs(z.value)) + 5.0 * u + form.tiny
        below = Uncertain(np.exp(logarithm), error)
        return below if method in {"cdf", "survival"} else Uncertain(logarithm, r.log(below).error)
    square = _half_square(r, z)
    with np.errstate(all="ignore"):
        size = np.abs(z.value)
        relative = np.where(size > 0.0, z.error / np.maximum(size, form.tiny), 0.0)
        relative = np.where(z.error < size, relative, z.error)
        tail = _log_below(-size)
        ratio = tail + square.value + _HALF_LOG_TWO_PI
        kernel = np.maximum(tail_roundings(size), _TAIL)
        in_log = (
            square.error
            + relative
            + (kernel + _TAIL * np.abs(ratio)) * u
            + 2.0 * u * (1.0 + square.value + np.abs(tail))
        )
        share = np.exp(tail)
        of_share = Uncertain(share, share * np.expm1(in_log) + (_TAIL + 4.0) * u * share + 2.0 * form.tiny)
        upper = z.value > 0.0
        if method in {"cdf", "survival"}:
            rest = r.subtract(r.exact(1.0), of_share)
            return Uncertain(np.where(upper, rest.value, share), np.where(upper, rest.error, of_share.error))
        rest = r.log1p(r.negative(of_share))
        lower = np.where(square.value + square.error < form.largest, in_log + form.tiny, np.inf)
        return Uncertain(logarithm, np.where(upper, rest.error, lower))


def normal_quantile(point: Any, loc: Any, scale: Any, form: Format, *, through_erf: bool = False) -> Uncertain:
    """Bound the quantile of a normal distribution, given its standardized value.

    Parameters
    ----------
    point : array, shape (*S)
        The exact quantile of the standard normal distribution, z.
    loc, scale : array, broadcastable with it
        Mean and standard deviation.
    form : Format
        What is computed in.
    through_erf : bool
        Whether z is sqrt(2) erfinv(2 p - 1).

    Returns
    -------
    Uncertain

    Notes
    -----
    A kernel for z is allowed 4 units in the last place of z, and of p = 1/2 near z = 0, where dz/dp = 1 / density
    makes 1.26 of that, less than which is left as |z| grows and 1 - p is taken exactly. Through erfinv, of error 6 u
    (see `inverse_error_function`), the rounding of 2 p - 1, by u / 2 in p, moves z by u / (2 density), which grows
    without bound in the lower tail; for p >= 1/4 it is exact.
    """
    r, u = Arithmetic(form), form.roundoff
    z = np.asarray(point, dtype=np.float64)
    error = _TAIL * u * (np.abs(z) + 1.26 * np.exp(-0.5 * z * z)) + form.tiny
    if through_erf:
        with np.errstate(over="ignore"):
            moved = 0.5 * u * math.sqrt(2.0 * math.pi) * np.exp(0.5 * z * z)
        error = error + 9.0 * u * np.abs(z) + np.where(z < 0.0, moved, 0.0)
        # Where 2 p - 1 may round to -1, its quantile is infinite.
        error = np.where(moved < 1.0 / np.maximum(np.abs(z), 1.0), error * (1.0 + 2.0 * moved), np.inf)
    return r.add(r.given(loc), r.multiply(r.given(scale), Uncertain(z, error)))


def normal_score(z: Any, form: Format) -> Array:
    """Bound the error of the derivative of log cdf of the standard normal distribution, differentiated as computed.

    Parameters
    ----------
    z : array, shape (*S)
        Where.
    form : Format
        What is computed in.

    Returns
    -------
    array, shape (*S)

    Notes
    -----
    Below, the logarithm is -z^2 / 2 + log of a quotient of polynomials of degree 8, whose coefficients are positive: at
    most 16 roundings each, in them and in their derivatives, which are at most 8 / y of them, y = |z| / sqrt(2). With
    the quotients and products, 64 roundings of |z| + 16 sqrt(2) / |z|. Above, all that is multiplied by the tail, whose
    exponential has the relative error of z^2. Between, the terms are those of erf, of the size of 1.
    """
    z = np.asarray(z, dtype=np.float64)
    size = np.abs(z) + 16.0 * math.sqrt(2.0) / np.maximum(np.abs(z), 0.66)
    part = np.where(z > 0.66, np.exp(_log_below(-np.abs(z))), 1.0)
    roundings = 64.0 + np.where(z > 0.66, 2.0 * z * z, 0.0)
    bound: Array = roundings * form.roundoff * size * part + form.tiny
    return bound


def normal_entropy(scale: Any, form: Format, *, axes: int = 0, grade: Grade | None = None) -> Uncertain:
    """Bound (1 + log(2 pi)) / 2 + log |scale|, summed over the last axes in a grade where there are any."""
    r = Arithmetic(form)
    constant = r.constant(0.5 + _HALF_LOG_TWO_PI)
    part = r.log(r.given(np.abs(np.asarray(scale, dtype=np.float64))))
    found = r.add(constant, part)
    size = constant.value + np.abs(part.value)
    # Half of a rounded 1 + log(2 pi), and sums in another order.
    found = Uncertain(found.value, found.error + 2.0 * form.roundoff * size)
    return found if grade is None else r.total(found, size, grade, axes, extra=2.0)


def normal_diag_log_prob(value: Any, loc: Any, scale_diag: Any, grade: Grade, form: Format) -> Uncertain:
    """Bound the log-density of independent normal variables along the last axis.

    Parameters
    ----------
    value : array, shape (*S, D), or Uncertain
        The argument.
    loc, scale_diag : array, broadcastable with it
        Means, and factors other than 0.
    grade : Grade
        How sums are computed.
    form : Format
        What is computed in.

    Returns
    -------
    Uncertain
        Of shape (*S).

    Notes
    -----
    Squares, logarithms and constants may be summed apart, so that the sizes of all of them count.
    """
    r = Arithmetic(form)
    factor = r.given(np.abs(np.asarray(scale_diag, dtype=np.float64)))
    square = _half_square(r, _standardized(r, value, loc, factor))
    logarithm, constant = r.log(factor), r.constant(_HALF_LOG_TWO_PI)
    term = -square.value - logarithm.value - constant.value
    error = square.error + logarithm.error + constant.error
    size = square.value + np.abs(logarithm.value) + constant.value
    return r.total(Uncertain(term, error), size, grade, 1, extra=4.0)


def transformed_density(
    log_prob: Uncertain, log_det: Uncertain, form: Format, *, axes: tuple[int, int] = (0, 0), grade: Grade | None = None
) -> Uncertain:
    """Bound the sum of a base's log-density at the inverse and of the inverse's log-det.

    Parameters
    ----------
    log_prob : Uncertain
        The base's, at an argument that has the error of the inverse.
    log_det : Uncertain
        The inverse's.
    form : Format
        What is computed in.
    axes : tuple of int
        How many of the last axes of each are summed over, the sums added.
    grade : Grade, optional
        How sums are computed; needed where there are any.

    Returns
    -------
    Uncertain
    """
    r = Arithmetic(form)
    parts = []
    for part, count in zip((log_prob, log_det), axes, strict=True):
        if count and grade is not None:
            parts.append(r.total(part, np.abs(part.value), grade, count, extra=2.0))
        else:
            parts.append(part)
    found = r.add(*parts)
    size = sum(np.abs(part.value) for part in parts)
    return Uncertain(found.value, found.error + form.roundoff * size)
