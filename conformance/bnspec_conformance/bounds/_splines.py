"""Bounds of rational quadratic splines: between which values a computed one lies, for each bin that it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._formats import FORMATS, accumulated
from ._functions import function_goal
from ._parts import Uncertain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._arithmetic import Arithmetic
    from ._flows import Method
    from ._formats import Grade

    Array = NDArray[np.float64]

__all__ = ["spline", "spline_parameters"]

_QUOTIENT = 16.0
"""Roundings of a rise or of a share, once what they are computed of is given, by formulas in which none cancels.

The divisor s + (d' + d - 2 s) t (1 - t) is no less than a third of the sum of the sizes of its terms, and is one of
these. The formula of the roots of a quadratic equation is not: where slopes are far from s, it may leave this bound.
"""


class _Bins(NamedTuple):
    """Every bin: knots of both axes with their errors, ratios of slopes, and how far these may be off."""

    left: Uncertain  # along what comes in
    right: Uncertain
    low: Uncertain  # along what comes out
    high: Uncertain
    first: Array  # d / s
    last: Array  # d' / s
    steepness: Array  # s
    loose: Array  # the relative error of s, d and d' together


def _moved(value: Uncertain, pick: Any) -> Uncertain:
    return Uncertain(pick(value.value), pick(np.broadcast_to(value.error, value.value.shape)))


def _knots(sizes: Uncertain, start: Uncertain, r: Arithmetic) -> tuple[Uncertain, Uncertain]:
    """Bound the knots at both ends of each bin: start plus the first k sizes, in any order, each changed by g(k)."""
    sums, errors = np.cumsum(sizes.value, axis=-1), np.cumsum(sizes.error, axis=-1)
    growth = np.asarray([accumulated(k + 1, r.form.roundoff) for k in range(sums.shape[-1])])
    error = start.error + errors + growth * (np.abs(start.value) + start.error + sums + errors)
    value, first = start.value + sums, (*sums.shape[:-1], 1)
    before = Uncertain(
        np.concatenate([np.broadcast_to(start.value, first), value[..., :-1]], axis=-1),
        np.concatenate([np.broadcast_to(start.error, first), error[..., :-1]], axis=-1),
    )
    return before, Uncertain(value, error)


def _bins(widths: Uncertain, heights: Uncertain, slopes: Uncertain, start: Uncertain, r: Arithmetic) -> _Bins:
    """Describe the bins for the forward direction.

    A size is taken as it is, or as a difference of knots.
    """
    (left, right), (low, high) = _knots(widths, start, r), _knots(heights, start, r)

    def relative(sizes: Uncertain, one: Uncertain, other: Uncertain) -> Array:
        error = np.maximum(sizes.error, one.error + other.error + r.form.roundoff * sizes.value)
        return error / (sizes.value - error)

    steepness = heights.value / widths.value
    loose = relative(widths, left, right) + relative(heights, low, high)
    shape = (*slopes.value.shape[:-1], widths.value.shape[-1] - 1)
    inner, error = (np.broadcast_to(part, shape) for part in slopes)
    one, none = np.ones((*shape[:-1], 1)), np.zeros((*shape[:-1], 1))
    before, after = np.concatenate([one, inner], axis=-1), np.concatenate([inner, one], axis=-1)
    worst = np.maximum(np.concatenate([none, error], axis=-1) / before, np.concatenate([error, none], axis=-1) / after)
    # A product of the relative errors is below their sum where this is below 1, and else nothing is promised.
    total = 2.0 * (loose + worst) + 8.0 * r.form.roundoff
    total = np.where((total < 1.0) & (np.minimum(widths.value, heights.value) > 0.0), total, np.inf)
    return _Bins(left, right, low, high, before / steepness, after / steepness, steepness, total)


def _turned(bins: _Bins) -> _Bins:
    """Exchange the axes."""
    return bins._replace(left=bins.low, right=bins.high, low=bins.left, high=bins.right)


def _rise(t: Array, first: Array, last: Array) -> Array:
    """Compute the share of the height: it grows with t and with d / s, and falls with d' / s."""
    risen, left = t * (t + (1.0 - t) * first), (1.0 - t) * (1.0 - t + t * last)
    found: Array = risen / (risen + left)
    return found


def _back(u: Array, first: Array, last: Array) -> Array:
    """Compute the share of the width: it grows with u and with d' / s, and falls with d / s."""
    v = 1.0 - u
    tilt = v * first - u * last
    near = 2.0 * np.where(tilt >= 0.0, u, v)
    smaller = near / (near + np.abs(tilt) + np.sqrt(tilt * tilt + 4.0 * u * v))
    return np.where(tilt >= 0.0, smaller, 1.0 - smaller)


def _between(bins: _Bins, share: Array, apart: Array, direction: str, r: Arithmetic) -> tuple[Array, Array, Array]:
    """Return the share of the other axis, the least that it may be, and the most.

    The function is monotone in all that it is computed of, so that the ends are taken at the ends of these.
    """
    less, more = np.maximum(share - apart, 0.0), np.minimum(share + apart, 1.0)
    shrunk, grown = np.maximum(1.0 - bins.loose, 0.0), 1.0 + bins.loose
    compute = _rise if direction == "forward" else _back
    pair = (grown, shrunk) if direction == "forward" else (shrunk, grown)
    value = compute(share, bins.first, bins.last)
    most = compute(more, bins.first * pair[0], bins.last * pair[1])
    least = compute(less, bins.first * pair[1], bins.last * pair[0])
    rounding = _roundings(_QUOTIENT, r) * most
    return value, least - rounding, most + rounding


def _roundings(count: float, r: Arithmetic) -> float:
    """Count roundings of the format, and as many of what is evaluated here."""
    return accumulated(count, r.form.roundoff) + accumulated(count, FORMATS["float64"].roundoff)


def _log_slope(bins: _Bins, t: Array, apart: Array, r: Arithmetic) -> tuple[Array, Array]:
    """Bound log(s n) - 2 log(m), n = d' t^2 / s + 2 t r + d r^2 / s, m = a + b, or the same with s in both logarithms.

    n and m are quadratic in t, so that t + e changes log n by n' e / n to first order, and by (n'' / 2 n) e^2 and
    z^2 / 2 (1 - z), z = |n' e| / n + |n'' e^2| / 2 n, beyond; m likewise. Relative errors of s, d and d' change n and
    m by no more. All terms are positive, and rounded a few times.
    """
    rest = 1.0 - t
    over = bins.last * t * t + 2.0 * t * rest + bins.first * rest * rest
    under = t * t + rest * rest + (bins.first + bins.last) * t * rest
    over_1, over_2 = 2.0 * (bins.last * t + rest - t - bins.first * rest), 2.0 * (bins.last + bins.first - 2.0)
    under_1, under_2 = (
        (2.0 * t - 2.0 * rest) + (bins.first + bins.last) * (rest - t),
        4.0 - 2.0 * (bins.first + bins.last),
    )

    def second(value: Array, slope: Array, bend: Array) -> Array:
        curved = 0.5 * np.abs(bend) * apart**2 / value
        z = np.abs(slope) * apart / value + curved
        return curved + np.where(z < 1.0, 0.5 * z * z / (1.0 - z), np.inf)

    moved = np.abs(over_1 / over - 2.0 * under_1 / under) * apart
    moved = moved + second(over, over_1, over_2) + 2.0 * second(under, under_1, under_2)
    shaken = np.where(bins.loose < 1.0, -3.0 * np.log1p(-bins.loose), np.inf)
    steep, logs = np.log(bins.steepness), (np.log(over), np.log(under))
    sizes = np.abs(logs[0]) + 2.0 * np.abs(logs[1]) + 5.0 * np.abs(steep)
    kernel = 2.0 * function_goal("log") * r.form.roundoff * (sizes + moved + shaken)
    value = steep + logs[0] - 2.0 * logs[1]
    error = moved + shaken + kernel + _roundings(3.0 * _QUOTIENT, r) + 2.0 * r.form.roundoff * sizes
    return value, error


def spline(
    method: Method, x: Any, widths: Any, heights: Any, slopes: Any, range_min: Any, arithmetic: Arithmetic
) -> Uncertain:
    """Bound a rational quadratic spline, before it is rounded to half precision.

    Parameters
    ----------
    method : {"forward", "inverse", "forward_log_det", "inverse_log_det"}
        Which of its functions.
    x : array, shape (*S), or Uncertain
        Its argument.
    widths, heights : array, shape (*B, K), or Uncertain
        Numbers of the format, or what a network gave.
    slopes : array, shape (*B, K - 1), (*B, 1) or (), or Uncertain
        Those at the knots between two bins.
    range_min : array, shape ()
        The first knot.
    arithmetic : Arithmetic
        Of the format that is computed in.

    Returns
    -------
    Uncertain
        Of (*S) broadcast with (*B).

    Notes
    -----
    With knots l and r that are off by e_l and e_r, a number x that is off by e has the share t = (x - l) / (r - l) of
    the bin before it, off by (e + (1 - t) e_l + t e_r) / (r - l - e_l - e_r), and roundings. What comes out is
    l' + (r' - l') f, off by (1 - f) e_l' + f e_r' where f is right.

    A number near a knot may be taken for one of the next bin, or for one outside. Then the error is the distance of
    what is computed there: both sides have one value and one slope at the knot, so that it is of second order, but for
    knots that are off.
    """
    r, u = arithmetic, arithmetic.form.roundoff
    direction = method.partition("_")[0]
    with np.errstate(all="ignore"):
        given, wide, tall, inner = (r.given(value) for value in (x, widths, heights, slopes))
        bins = _bins(wide, tall, inner, r.given(range_min), r)
        bins = bins if direction == "forward" else _turned(bins)
        shape = np.broadcast_shapes(given.value.shape, bins.left.value.shape[:-1], bins.first.shape[:-1])
        found = _moved(given, lambda a: np.broadcast_to(a, shape)[..., None])
        sizes = bins.right.value - bins.left.value
        share = np.clip((found.value - bins.left.value) / sizes, 0.0, 1.0)
        brought = found.error + (1.0 - share) * bins.left.error + share * bins.right.error
        loss = bins.left.error + bins.right.error
        apart = np.where(loss < sizes, brought / (sizes - loss), np.inf) + 8.0 * u * share
        value, least, most = _between(bins, share, apart, direction, r)
        if method.endswith("log_det"):
            if direction == "inverse":
                share, apart = value, np.maximum(most - value, value - least)
            values, errors = _log_slope(bins, share, apart, r)
            values = values if direction == "forward" else -values
            outside = Uncertain(np.zeros(shape), np.zeros(shape))
        else:
            span = bins.high.value - bins.low.value
            values = bins.low.value + span * value
            carried = np.maximum(bins.low.error, bins.high.error)
            off = span * np.maximum(most - value, value - least) + carried
            errors = off + 4.0 * u * (np.abs(values) + span + off) + r.form.tiny
            outside = _moved(found, lambda a: a[..., 0])
        return _worst(Uncertain(values, errors), outside, found, bins)


def _worst(inside: Uncertain, outside: Uncertain, x: Uncertain, bins: _Bins) -> Uncertain:
    """Take the worst of what may be computed; what is right is the formula of the exact knots, as float64 sees them."""
    left, right, shape = bins.left, bins.right, inside.value.shape
    bottom, top = (
        _moved(knot, lambda a, end=end: a[..., end : end + 1 or None]) for knot, end in ((left, 0), (right, -1))
    )
    below, above = x.value - x.error, x.value + x.error
    may = (above >= left.value - left.error) & (below <= right.value + right.error)
    leaves = (below <= bottom.value + bottom.error) | (above >= top.value - top.error)
    values = np.concatenate([inside.value, np.broadcast_to(outside.value[..., None], (*shape[:-1], 1))], axis=-1)
    errors = np.concatenate([inside.error, np.broadcast_to(outside.error[..., None], (*shape[:-1], 1))], axis=-1)
    possible = np.concatenate([np.broadcast_to(may, shape), np.broadcast_to(leaves, (*shape[:-1], 1))], axis=-1)
    number = np.sum(x.value >= right.value[..., :-1], axis=-1, keepdims=True)
    number = np.where((x.value > bottom.value) & (x.value < top.value), number, shape[-1])
    value = np.take_along_axis(values, np.broadcast_to(number, (*shape[:-1], 1)), axis=-1)
    return Uncertain(value[..., 0], np.where(possible, np.abs(values - value) + errors, 0.0).max(axis=-1))


def spline_parameters(
    outputs: Uncertain,
    bins: int,
    interval: float,
    least_size: float,
    least_slope: float,
    grade: Grade,
    arithmetic: Arithmetic,
) -> tuple[Uncertain, Uncertain, Uncertain]:
    """Bound widths, heights and slopes that a network gives.

    Parameters
    ----------
    outputs : Uncertain, shape (*S, U (3 K - 1))
        K numbers for the widths, K for the heights, and K - 1 for the slopes of each unit.
    bins : int
        K.
    interval, least_size, least_slope : float
        Of the format, as of the oracle's function of that name.
    grade : Grade
        How sums are computed.
    arithmetic : Arithmetic
        Of the format.

    Returns
    -------
    widths, heights, slopes : Uncertain

    Notes
    -----
    A softmax is exp(x - m) over its sum, with any m: an error of m is none of the quotient. What is added is rounded.
    """
    r = arithmetic
    rows = _moved(outputs, lambda a: a.reshape(*a.shape[:-1], -1, 3 * bins - 1))

    def sizes(start: int) -> Uncertain:
        own = _moved(rows, lambda a: a[..., start : start + bins])
        most = own.value.max(axis=-1, keepdims=True)
        grown = r.exp(r.subtract(own, Uncertain(most, np.zeros_like(most))))
        whole = r.total(grown, grown.value, grade, 1)
        shares = r.divide(grown, _moved(whole, lambda a: a[..., None]))
        return r.add(r.multiply(shares, r.constant(interval - bins * least_size)), r.constant(least_size))

    slopes = r.add(r.softplus(_moved(rows, lambda a: a[..., 2 * bins :])), r.constant(least_slope))
    return sizes(0), sizes(bins), slopes
