"""What the algorithms of released libraries add to a bound: one pass over the data, a folded mean, a coarse share.

An algorithm is what an implementation does, as read in its source; its bound follows from that alone. One that is
worse on hard data has a wider bound there, and an infinite one where it promises nothing. No case changes for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._formats import FORMATS, NAIVE, Format, Grade, accumulated, rounded
from ._forward import deviation, running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._parts import Uncertain
    from ._statistics import Statistics

    Array = NDArray[np.float64]

__all__ = [
    "Algorithm",
    "coarse_share",
    "folded",
    "may_be_negative",
    "share_roundings",
    "through_sums",
    "wide_average",
]

# 1.0 u: XLA's power of a float32 or float64 in (0, 1) with a whole exponent up to 64, on 100,000 draws.
_POWER = 4.0


@dataclass(frozen=True)
class Algorithm(Grade):
    """A grade, and in what an implementation departs from the formulas that the grades are derived for.

    Attributes
    ----------
    folded : {"", "output", "everywhere"}
        Whether the output is x f + (offset - mean f), and whether its derivative is that of this form.
    clipped : bool
        Whether a negative variance becomes 0, and passes no gradient.
    coarse : bool
        Whether the share of a new batch in the averages is rounded to float32, whatever the state is.
    """

    folded: Literal["", "output", "everywhere"] = ""
    clipped: bool = False
    coarse: bool = False


def may_be_negative(grade: Grade) -> bool:
    """Tell whether a computed variance may be negative."""
    return grade.mean == "one-pass" and not getattr(grade, "clipped", False)


def folded(
    rows: Array, given: Statistics, epsilon: float, steps: tuple[tuple[Uncertain, Uncertain], ...], form: Format
) -> Array:
    """Bound what folding the mean into the offset adds to the error of the output.

    Parameters
    ----------
    rows, given, epsilon, steps, form
        As of :func:`transformed`.

    Returns
    -------
    array, shape (N, C)

    Notes
    -----
    With f, the product of 1 / sqrt(s) and all scales, which is computed once, f (x - mean) is exact in f. The roundings
    of x f, of mean f, and of offset - mean f add u f (|x| + 2 |mean|) + u |offset|. Relative to an output of the
    size of 1 these are |mean| / sigma roundings, however well the mean is known.
    """
    u = form.roundoff
    part = deviation(rows, given, epsilon, form)
    factor: Any = (1.0 + part.inverse_error) * part.inverse
    offset: Any = 0.0
    for scale, shift in steps:
        most = np.abs(scale.value) + scale.error
        factor, offset = factor * most, offset * most + np.abs(shift.value) + shift.error
    size = np.abs(rows) + 2.0 * (np.abs(given.mean) + given.mean_error)
    added: Array = u * (1.0 + accumulated(4 * len(steps) + 4, u)) * (factor * size + offset)
    return added


def through_sums(
    rows: Array,
    cotangent: Array,
    weights: Array,
    given: Statistics,
    epsilon: float,
    slope: Array | float,
    algorithm: Algorithm,
    form: Format,
) -> tuple[Array, Array]:
    """Bound what folding and one pass add to the errors of the gradients of x and gamma in training.

    Parameters
    ----------
    rows, cotangent, weights, given, epsilon, form
        As of :func:`training_gradients`.
    slope : array, shape (C,), or float
        No less than gamma, with the factor of a correction.
    algorithm : Algorithm
        How everything is computed.

    Returns
    -------
    x : array, shape (N, C)
    gamma : array, shape (C,)
        Without the factor of a correction.

    Notes
    -----
    *Folded.* The derivative by the common factor is sum(c x) - mean sum(c), whose two sums err by g(h + 4) of their
    own sizes: |x| + |mean| takes the place of |x - mean| in the errors of sum(c x'). From there the error spreads as
    in :func:`training_gradients`: to dx with the factor |x'|, and to the sum of all adjoints that reach the mean.

    *One pass.* x moves the variance by 2 x / N - 2 mean / N, from two adjoints that are rounded apart: g(8) of
    |x| + |mean| takes the place of that of |x - mean|. Where the variance is set to 0, which it can be if its error is
    no less than itself, its derivative is lost.
    """
    u = form.roundoff
    part = deviation(rows, given, epsilon, form)
    plain = bool((weights == 1).all())
    steps = NAIVE.additions(len(rows)) + 4
    g = accumulated(steps if plain else 2 * steps, u)
    total: Any = max(len(rows), 1) if plain else weights.sum(axis=0)
    with np.errstate(invalid="ignore"):  # 0 times infinity: nothing is promised there
        far = (1.0 + part.inverse_error) * part.inverse * (np.abs(rows) + np.abs(given.mean) + given.mean_error)
        size = np.abs(cotangent)
        second = np.abs((cotangent * part.centred * part.inverse).sum(axis=0)) / total
        second_error = ((size * part.unit_error).sum(axis=0) + g * (size * far).sum(axis=0)) / total
        gamma_error = np.zeros_like(part.inverse)
        inner = np.zeros_like(rows)
        if algorithm.folded == "everywhere":
            moved = g * (size * far).sum(axis=0)
            gamma_error = moved
            inner = inner + weights * (part.unit + 2.0 * part.unit_error + 3.0 * g) * moved / total
        if algorithm.mean == "one-pass":
            inner = inner + weights * accumulated(8, u) * far * (second + second_error)
            lost = algorithm.clipped & (given.variance_error >= given.variance)
            inner = inner + np.where(lost, weights * part.unit * second, 0.0)
        most = np.abs(slope) * part.inverse * (1.0 + part.inverse_error) * (1.0 + accumulated(4, u))
        x_error = most * inner
    return np.where(np.isnan(x_error), np.inf, x_error), np.where(np.isnan(gamma_error), np.inf, gamma_error)


def share_roundings(grade: Grade, momentum: float | None, number: int, usual: int) -> float:
    """Count the roundings of a step of a debiased average.

    Parameters
    ----------
    grade : Grade
        Whether the average is a quotient.
    momentum : float or None
        m, the weight of the old value. Of 1, at which the divisor is 0, no more is allowed than usual.
    number : int
        n, which batch this is.
    usual : int
        What :func:`running` takes if it is not.

    Returns
    -------
    float

    Notes
    -----
    h = m h + (1 - m) b starts from 0 and is divided by 1 - m^n. A rounded m moves the share (1 - m) / (1 - m^n) by
    2 n u of itself at most; two products, a sum and the rounding of 1 - m are 4; m^n is off by 4 u of itself, which
    with its own rounded m makes (4 + n) m^n / (1 - m^n) of the divisor; the divisor and the quotient are rounded.
    """
    if momentum is None or momentum == 1.0 or not grade.quotient:
        return usual
    rest = momentum**number
    return usual + 2.0 * number + 6.0 + (_POWER + number) * rest / (1.0 - rest)


def coarse_share(grade: Grade, share: float, old: Uncertain, new: Uncertain) -> Array | float:
    """Bound what a share that is rounded to float32 adds to the error of a running average: once for each product."""
    if not getattr(grade, "coarse", False):
        return 0.0
    size = np.abs(old.value) + old.error + np.abs(new.value) + new.error
    moved: Array = 2.0 * FORMATS["float32"].roundoff * share * size
    return moved


def wide_average(average: Array, form: Format) -> Array:
    """Bound an average after its first batch, from 0, if the batch's mean is off by its own rounding alone.

    That is so if the sum is formed in a wider format, or is compensated. What the average does to the mean is that of
    :func:`running` with a share that is a quotient.
    """
    none = np.zeros_like(average)
    return running(none, none, average, rounded(none, average, form), 1.0, form, 20.0)
