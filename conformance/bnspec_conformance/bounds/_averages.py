"""Bounds of running averages and of renormalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._formats import FORMATS, accumulated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._algorithms import Algorithm
    from ._formats import Format

    Array = NDArray[np.float64]

__all__ = ["Value", "averaged", "corrections", "power_quotient", "square_less", "standard_deviation"]

# 1.0 u where it is not exact: XLA's power of a float32 in (0, 1) with a whole exponent up to 64, on 100,000 draws.
_POWER = 4.0


class Value(NamedTuple):
    """An exact value, rounded to float64, and the bound of a computed one."""

    value: Array
    error: Array


def averaged(old: Value, batch: Value, take: float, algorithm: Algorithm, form: Format) -> Array:
    """Bound (1 - take) old + take batch.

    Parameters
    ----------
    old, batch : Value
        The average before, and what enters.
    take : float
        The exact share of what enters.
    algorithm : Algorithm
        How the share is formed.
    form : Format
        The format of the state.

    Returns
    -------
    array, shape (C,)

    Notes
    -----
    As :func:`running`, where both weights are off by at most 2 u. A share (1 - m) / (1 - m^n) that is formed with
    expm1 and log1p is off by the roundings of the logarithm and of its product with n, which the exponential does
    not enlarge, its own 2 u, and a division: 8 u. A share that is rounded to float32 is off by its roundoff, and so is
    its product with the difference of the two.
    """
    keep = 1.0 - take
    weights = 8.0 if algorithm.average == "debiased" else 2.0
    size = np.abs(old.value) + old.error + np.abs(batch.value) + batch.error
    error = keep * old.error + take * batch.error + (4.0 + weights) * form.roundoff * size + form.tiny
    if algorithm.coarse_share:
        error = error + 2.0 * FORMATS["float32"].roundoff * take * size
    return np.asarray(error)


def power_quotient(history: Sequence[Value], momentum: float, form: Format) -> Array:
    """Bound an average that is kept biased, h = m h + (1 - m) b from 0, and divided by 1 - m^n.

    Parameters
    ----------
    history : sequence of Value
        What entered, in order.
    momentum : float
        m, below 1.
    form : Format
        The format of the state.

    Returns
    -------
    array, shape (C,)

    Notes
    -----
    With a rounded m each normalized weight changes by 2 n u of itself at most. Each step multiplies what is there twice
    and adds once, (1 - m) being rounded too: 3 n + 1 roundings. m^n is off by 4 u of itself, so that the divisor
    is off by 4 u m^n / (1 - m^n), and rounded; the quotient is rounded.
    """
    u, count = form.roundoff, len(history)
    rest = momentum**count
    weights = [(1.0 - momentum) * momentum ** (count - 1 - k) / (1.0 - rest) for k in range(count)]
    size: Any = sum(w * (np.abs(entered.value) + entered.error) for w, entered in zip(weights, history, strict=True))
    error: Any = sum(w * entered.error for w, entered in zip(weights, history, strict=True))
    roundings = (3.0 + 2.0) * count + 4.0 + (_POWER + 2.0 * count) * rest / (1.0 - rest)
    return np.asarray(error + accumulated(roundings, u) * size + form.tiny)


def standard_deviation(variance: Value, epsilon: float, form: Format) -> Value:
    """Bound sqrt(variance + epsilon); infinite where the argument could be negative.

    The root of a number that is off by e is off by e / (sqrt(s) + sqrt(s - e)); epsilon, the sum and the root are
    rounded, the root within one unit in the last place.
    """
    u = form.roundoff
    s = variance.value + epsilon
    off = variance.error + u * epsilon + u * (s + variance.error)
    root = np.sqrt(s)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(off < s, off / (root + np.sqrt(np.maximum(s - off, 0.0))), np.inf)
    return Value(root, error + 2.0 * u * (root + error) + form.tiny)


def square_less(deviation: Value, epsilon: float, form: Format) -> Array:
    """Bound max(deviation^2 - epsilon, 0), whose two sizes may be much larger than the difference."""
    u = form.roundoff
    moved = (2.0 * deviation.value + deviation.error) * deviation.error
    error = moved + u * (deviation.value**2 + moved + epsilon)
    return np.asarray(error + u * (np.abs(deviation.value**2 - epsilon) + error) + form.tiny)


def corrections(
    mean: Value,
    deviation: Value,
    renorm_mean: Value,
    renorm_stddev: Value,
    epsilon: float,
    limits: tuple[float, float, float],
    form: Format,
) -> tuple[Array, Array]:
    """Bound r = deviation / D and d = (mean - renorm_mean) / D within their limits.

    Parameters
    ----------
    mean, deviation : Value
        Of the batch.
    renorm_mean, renorm_stddev : Value
        The averages before it.
    epsilon : float
        D is at least its root.
    limits : tuple of float
        rmin, rmax and dmax.
    form : Format
        What is computed in.

    Returns
    -------
    r, d : array, shape (C,)
        The bounds.

    Notes
    -----
    The maximum of two numbers moves by no more than the one that moves more, and clipping moves nothing apart. A
    clipped value is off by no more than the distance of the limits, which are rounded.
    """
    u = form.roundoff
    rmin, rmax, dmax = limits
    floor = np.sqrt(epsilon)
    by = np.maximum(renorm_stddev.value, floor)
    by_error = np.maximum(renorm_stddev.error, 3.0 * u * floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        least = np.where(by_error < by, by - by_error, 0.0)
        apart = np.abs(mean.value - renorm_mean.value)
        off = mean.error + renorm_mean.error
        off = off + u * (apart + off)
        r, d = deviation.value / by, apart / by
        r_error = (deviation.error + r * by_error) / least
        d_error = (off + d * by_error) / least
        r_error, d_error = r_error + u * (r + r_error) + form.tiny, d_error + u * (d + d_error) + form.tiny
    r_error = np.minimum(r_error, rmax - rmin) + u * np.clip(r, rmin, rmax)
    d_error = np.minimum(d_error, 2.0 * dmax) + u * np.minimum(d, dmax)
    return np.where(np.isnan(r_error), np.inf, r_error), np.where(np.isnan(d_error), np.inf, d_error)
