"""What a training batch is normalized by, and how that depends on the batch."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from ._averages import takes
from ._exact import Exact, ObjectArray, elementwise
from ._parts import Batch, Numbers, inverse_square, read
from ._rules import second_moment_divisor

if TYPE_CHECKING:
    from ._rules import Rules

__all__ = ["Adjusted", "Adjustment", "Normalizer", "adjusted", "corrected", "estimated", "normalizer"]

Adjustment: TypeAlias = tuple[Numbers, Numbers]


class Normalizer(NamedTuple):
    """The mean M and the variance V that normalize, and what the derivatives need; fractions of the kept shape.

    Notes
    -----
    With weights w (1 if absent), their sum W, the mean m of the batch, ``c = x - m`` and ``Q = sum(w c**2)``, M and V
    move with the batch as ``M = T m + constant`` and ``V = T' Q / E + constant``, E being the divisor of an estimator
    of the variance: W less a constant. ``W m = sum(w x)`` and ``sum(w c) = 0`` give

    - ``dM/dx = w T / W`` and ``dM/dw = c T / W``,
    - ``dV/dx = 2 w c T' / E`` and ``dV/dw = (c**2 - Q / E) T' / E``.

    Where the batch itself normalizes, T and T' are 1; where the running averages do, they are the shares that the
    batch takes in them. Without weight, W = 0, M and V are constants.
    """

    batch: Batch
    shift: ObjectArray  # m - M
    square: ObjectArray  # 1 / (V + epsilon)
    estimate: ObjectArray  # Q / E
    by_mean: ObjectArray  # T / W, and 0 where W is 0
    by_square: ObjectArray  # T' / E, and 0 where W is 0
    unmoved: Fraction  # 1 - T
    kept: tuple[ObjectArray, ObjectArray]  # the derivatives of M and V by the averages before


def estimated(batch: Batch, kind: str, epsilon: Fraction) -> tuple[ObjectArray, ObjectArray]:
    """Return the divisor E and ``Q / E`` of an estimator of the variance; without weight, both are 0."""
    divisor = elementwise(lambda w: second_moment_divisor(kind, w, epsilon), batch.weight)
    estimate = elementwise(lambda v, w, e: v * w / e if w else Fraction(0), batch.variance, batch.weight, divisor)
    return divisor, estimate


def normalizer(
    batch: Batch,
    rules: Rules,
    before: tuple[ObjectArray, ObjectArray] | None = None,
    count: int = 1,
) -> Normalizer:
    """Derive what normalizes from the statistics of a batch.

    Parameters
    ----------
    batch : Batch
        Statistics, also of many groups.
    rules : Rules
        Supplies the estimator, and whether the running averages normalize.
    before : tuple of array, kept shape, object
        The moving mean and variance before the batch, if the running averages normalize; else not read.
    count : int
        Number of the batch, the first being 1.

    Returns
    -------
    Normalizer

    Raises
    ------
    ValueError
        If ``V + epsilon`` is not positive.
    """
    running = rules.statistics == "running"
    eps = rules.epsilon
    divisor, estimate = estimated(batch, rules.running if running else rules.normalizing, eps)
    one, none = Fraction(1), np.full(batch.weight.shape, Fraction(0), dtype=object)
    shares = takes(rules, count) if running else (one, one)
    by_mean, by_square = (
        elementwise(lambda w, t=t: t / w if w else Fraction(0), by)
        for t, by in zip(shares, (batch.weight, divisor), strict=True)
    )
    if not running:
        square = inverse_square(estimate, eps)
        return Normalizer(batch, none, square, estimate, by_mean, by_square, Fraction(0), (none, none))
    if before is None:
        raise ValueError('statistics="running" requires moving_mean and moving_variance. Got None.')
    kept = tuple(elementwise(lambda w, t=t: 1 - t if w else one, batch.weight) for t in shares)
    center = elementwise(lambda k, o, m: k * o + (1 - k) * m, kept[0], before[0], batch.mean)
    variance = elementwise(lambda k, o, v: k * o + (1 - k) * v, kept[1], before[1], estimate)
    shift = np.asarray(batch.mean - center, dtype=object)
    square = inverse_square(variance, eps)
    return Normalizer(batch, shift, square, estimate, by_mean, by_square, 1 - shares[0], (kept[0], kept[1]))


class Adjusted(NamedTuple):
    """An adjustment (a, b), each of shape (*S)."""

    factor: Exact
    addend: Exact


def adjusted(pair: Adjustment | None, shape: tuple[int, ...]) -> Adjusted | None:
    """Read an adjustment.

    Parameters
    ----------
    pair : tuple of array, optional
        a and b, real floating and finite, broadcastable to `shape`.
    shape : tuple of int
        Shape (*S) of the batch.

    Returns
    -------
    Adjusted or None

    Raises
    ------
    ValueError
        If a number is not finite, or a shape does not fit.
    """
    if pair is None:
        return None

    def spread(name: str, value: Numbers) -> Exact:
        exact = read(value)
        try:
            return Exact(np.broadcast_to(exact.numerators, shape), exact.bits)
        except ValueError:
            raise ValueError(f"adjustment {name} must broadcast to {shape}. Got shape={exact.shape}.") from None

    return Adjusted(spread("a", pair[0]), spread("b", pair[1]))


def corrected(pair: tuple[Numbers, Numbers] | None, shape: tuple[int, ...]) -> tuple[ObjectArray, ObjectArray]:
    """Read r and d, parameter-shaped, as fractions of that shape; 1 and 0 if there are none."""
    if pair is None:
        return np.full(shape, Fraction(1), dtype=object), np.full(shape, Fraction(0), dtype=object)
    r, d = (read(part).fractions() for part in pair)
    if r.shape != shape or d.shape != shape:
        raise ValueError(f"correction must hold two arrays of shape {shape}. Got {r.shape} and {d.shape}.")
    return r, d
