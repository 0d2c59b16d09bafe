"""The running averages of a layer: what enters them, with which share, and what renormalization takes from them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._exact import GUARD_BITS, Exact, ObjectArray, elementwise
from ._parts import Batch, batch_statistics
from ._rules import second_moment_divisor

if TYPE_CHECKING:
    from ._ghosts import Grouping
    from ._rules import Limits, Rules

__all__ = ["ROOT_BITS", "Averages", "Sample", "average", "correction", "dyadic", "entering", "root", "takes", "update"]

ROOT_BITS = 2 * GUARD_BITS
"""Square roots that enter the state of renormalization have a relative error below 2**-ROOT_BITS."""


class Averages(NamedTuple):
    """Running averages as fractions; the last three with renormalization only."""

    moving_mean: ObjectArray
    moving_variance: ObjectArray
    moving_stddev: ObjectArray | None = None
    renorm_mean: ObjectArray | None = None
    renorm_stddev: ObjectArray | None = None


class Sample(NamedTuple):
    """What enters the averages at once, parameter-shaped; 0 where it has no weight."""

    present: ObjectArray  # bool: whether the channel's averages move
    mean: ObjectArray
    variance: ObjectArray  # the population's
    estimate: ObjectArray  # the estimate of the variance for the running average


def dyadic(value: Fraction) -> Fraction:
    """Round to a number with a power of 2 as its denominator, which such a number already is.

    The relative error is below 2**-ROOT_BITS.
    """
    if value.denominator & (value.denominator - 1) == 0:
        return value
    magnitude = value.numerator.bit_length() - 1 - value.denominator.bit_length()
    bits = max(0, ROOT_BITS - magnitude)
    return Fraction((value.numerator << bits) // value.denominator, 1 << bits)


def root(value: Fraction) -> Fraction:
    """Return the square root where it is rational, else round it down to a dyadic number.

    The relative error is below 2**-ROOT_BITS.
    """
    if value < 0:
        raise ValueError(f"a square root must be taken of no negative number. Got {float(value)}.")
    exact = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    if exact * exact == value:
        return dyadic(exact)
    # sqrt(value) >= 2**half, and the integer part of sqrt(value) * 2**bits loses less than 1.
    half = (value.numerator.bit_length() - 1 - value.denominator.bit_length()) // 2
    bits = max(0, ROOT_BITS - half)
    return Fraction(math.isqrt((value.numerator << (2 * bits)) // value.denominator), 1 << bits)


def takes(rules: Rules, count: int) -> tuple[Fraction, Fraction]:
    """Return the shares of a new mean and of a new variance in the averages, at batch number `count`.

    Parameters
    ----------
    rules : Rules
        Supplies the kind of average, and the share m that an exponential one keeps.
    count : int
        Number of the batch, the first being 1; 0, where nothing moves, counts as 1.

    Returns
    -------
    tuple of Fraction
        For the mean and for the variance.

    Notes
    -----
    An accumulator that starts at 0 and moves by ``m a + (1 - m) b`` holds ``1 - m**n`` times a weighted average of
    n batches. The debiased average is that quotient, ``A(n) = a(n) / (1 - m**n)``; from
    ``a(n) = m (1 - m**(n - 1)) A(n - 1) + (1 - m) b`` it moves by the share ``(1 - m) / (1 - m**n)`` towards b,
    which for ``m -> 1`` is ``1 / n``.
    """
    count = max(count, 1)
    if rules.old is None:
        return (Fraction(1, count),) * 2
    plain = 1 - rules.old
    first = Fraction(1) if count == 1 else plain
    debiased = plain / (1 - rules.old**count) if plain else Fraction(1, count)
    kinds = {
        "exponential": (plain, plain),
        "debiased": (debiased, debiased),
        "debiased_mean": (debiased, plain),
        "first": (first, first),
    }
    return kinds[rules.average]


def average(old: ObjectArray, new: ObjectArray, share: Fraction, present: ObjectArray) -> ObjectArray:
    """Move an average by a share towards the new value, in channels that are present."""
    return elementwise(lambda o, n, p: (1 - share) * o + share * n if p else o, old, new, present)


def entering(data: Exact, weights: Exact | None, batch: Batch, grouping: Grouping, rules: Rules) -> list[Sample]:
    """Gather what enters the averages, in order.

    Parameters
    ----------
    data, weights : Exact
        The batch, shape (*S), not grouped.
    batch : Batch
        The statistics of its groups.
    grouping : Grouping
        Its groups.
    rules : Rules
        Supplies the estimator of the variance, and how ghost batches enter.

    Returns
    -------
    list of Sample
        One; with ``update = "each"``, one for each ghost batch.
    """
    whole = grouping.axis is None or rules.update == "merged"
    if grouping.axis is not None and whole:
        batch = batch_statistics(data, grouping.whole, weights)
    count = 1 if whole else grouping.groups

    def listed(values: ObjectArray) -> ObjectArray:
        return values.reshape(count, *grouping.whole.parameter)

    def estimate(variance: Fraction, weight: Fraction) -> Fraction:
        return variance * weight / (second_moment_divisor(rules.running, weight, rules.epsilon) or 1)

    weight, mean, variance = (listed(part) for part in (batch.weight, batch.mean, batch.variance))
    estimates = elementwise(estimate, variance, weight)
    present = elementwise(lambda w: w > 0, weight)
    if whole or rules.update == "each":
        return [Sample(*parts) for parts in zip(present, mean, variance, estimates, strict=True)]
    # Where a group is absent, its mean and variance are 0, and do not take part in the sums either.
    share = elementwise(lambda n: Fraction(1, n or 1), np.sum(present, axis=0))
    means = (np.asarray(np.sum(part, axis=0) * share, dtype=object) for part in (mean, variance, estimates))
    return [Sample(np.any(present, axis=0), *means)]


def update(averages: Averages, sample: Sample, count: int, rules: Rules) -> Averages:
    """Move the averages, parameter-shaped, towards what enters them as batch number `count`."""
    of_mean, of_variance = takes(rules, count)
    mean = average(averages.moving_mean, sample.mean, of_mean, sample.present)
    if rules.renorm is None:
        return Averages(mean, average(averages.moving_variance, sample.estimate, of_variance, sample.present))
    eps, share = rules.epsilon, 1 - rules.renorm.old
    to_be, now = (elementwise(lambda v: root(v + eps), v) for v in (sample.estimate, sample.variance))
    stddev = average(_with(averages.moving_stddev), to_be, of_variance, sample.present)
    variance = elementwise(
        lambda old, s, p: max(s * s - eps, Fraction(0)) if p else old, averages.moving_variance, stddev, sample.present
    )
    renorm_mean = average(_with(averages.renorm_mean), sample.mean, share, sample.present)
    renorm_stddev = average(_with(averages.renorm_stddev), now, share, sample.present)
    return Averages(mean, variance, stddev, renorm_mean, renorm_stddev)


def correction(
    averages: Averages, sample: Sample, limits: Limits, epsilon: Fraction
) -> tuple[ObjectArray, ObjectArray]:
    """Compute r and d from the averages before a batch and from what enters them.

    Parameters
    ----------
    averages : Averages
        Parameter-shaped.
    sample : Sample
        Mean m and population variance v.
    limits : Limits
        Of r and d.
    epsilon : Fraction
        Added to variances.

    Returns
    -------
    r, d : array, object
        ``sqrt(v + epsilon) / D`` within ``[rmin, rmax]``, and ``(m - renorm_mean) / D`` within ``[-dmax, dmax]``, with
        ``D = max(renorm_stddev, sqrt(epsilon))``; dyadic fractions.

    Raises
    ------
    ValueError
        If D is 0.
    """
    floor = root(epsilon)

    def divisor(stddev: Fraction) -> Fraction:
        if max(stddev, floor) <= 0:
            raise ValueError("renorm_stddev or epsilon must be positive. Got 0 for both.")
        return max(stddev, floor)

    def scale(variance: Fraction, by: Fraction) -> Fraction:
        value = max(root(variance + epsilon) / by, limits.rmin)
        return dyadic(value if limits.rmax is None else min(value, limits.rmax))

    def shift(mean: Fraction, center: Fraction, by: Fraction) -> Fraction:
        value = (mean - center) / by
        return dyadic(value if limits.dmax is None else min(max(value, -limits.dmax), limits.dmax))

    by = elementwise(divisor, _with(averages.renorm_stddev))
    return elementwise(scale, sample.variance, by), elementwise(shift, sample.mean, _with(averages.renorm_mean), by)


def _with(values: ObjectArray | None) -> ObjectArray:
    """Narrow the type of an average that renormalization has."""
    assert values is not None  # noqa: S101
    return values
