"""The update: what a training batch leaves in the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import accumulation_dtype, blocked_sum, common_namespace
from bnspec.batchnorm._averages import Kind, Shares, shares
from bnspec.batchnorm._moments import Moments

if TYPE_CHECKING:
    from bnspec.batchnorm._definition import BatchNorm
    from bnspec.batchnorm._values import State
    from bnspec.conventions import Convention

__all__ = ["Entering", "correction_of", "counted", "entering", "updated"]


def correction_of(kind: str, epsilon: float) -> float:
    """Return what an estimator of the variance takes off the number of elements."""
    return {"population": 0.0, "bessel": 1.0, "bessel_epsilon": 1.0 + epsilon}[kind]


class Entering(NamedTuple):
    """What enters the running averages.

    Attributes
    ----------
    hi, lo : array, shape K
        The mean as an unevaluated sum.
    estimate, population : array, shape K
        The variance by the running estimator, and the population's.
    present : array, shape K, boolean
        Where there is anything to enter.
    """

    hi: Any
    lo: Any
    estimate: Any
    population: Any
    present: Any


def entering(batch: Moments, convention: Convention, epsilon: float, grouped: bool) -> Entering:
    """Find what a batch brings.

    Parameters
    ----------
    batch : Moments
        Of shape K, or (G, *K) where the batch is cut into ghost batches.
    convention : Convention
        The estimator of the running variance, and how ghost batches enter.
    epsilon : float
        That of one estimator.
    grouped : bool
        Whether the batch is cut.

    Returns
    -------
    Entering
        Of shape K.
    """
    correction = correction_of(convention.running_variance, epsilon)
    if grouped and convention.ghost_update == "merged":
        batch = batch.merged()
    population, estimate = batch.m2 / batch.freedom(), batch.m2 / batch.freedom(correction)
    present = batch.weight > 0
    if not grouped or convention.ghost_update == "merged":
        return Entering(batch.mean_hi, batch.mean_lo, estimate, population, present)
    xp = common_namespace(weight=batch.weight)
    share = xp.astype(present, batch.weight.dtype)
    mean = Moments(share, batch.mean_hi, batch.mean_lo, xp.zeros_like(share)).merged()
    number = mean.freedom()
    estimate, population = (blocked_sum(share * variance, xp) / number for variance in (estimate, population))
    return Entering(mean.mean_hi, mean.mean_lo, estimate, population, mean.weight > 0)


def updated(
    spec: BatchNorm, state: State, batch: Entering, sparse: bool, number: Any, xp: Any
) -> tuple[State, tuple[Shares, Shares]]:
    """Return the state after a training batch; a channel without elements keeps its averages.

    Parameters
    ----------
    spec : BatchNorm
        The configuration.
    state : State
        The state before, of shape K.
    batch : Entering
        What enters, reshaped to the shape of the state.
    sparse : bool
        Whether a channel may be without elements.
    number : array, shape (), integer
        Which batch this is, counted from 1.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    state : State
        With a count of `number`; gradients still pass it.
    shares : pair of Shares
        Those of the mean and of the variance, for whoever differentiates them.
    """
    convention, epsilon = spec.convention, spec.epsilon
    kinds: tuple[Kind, Kind] = ("debiased", "exponential")
    if convention.average != "debiased_mean":
        kinds = (convention.average, convention.average)

    def average(old: Any, new: Any, momentum: float | None, kind: Kind) -> tuple[Any, Shares]:
        dtype = accumulation_dtype(xp, old, new)
        weights = shares(momentum, convention.momentum_weighs, kind, number, dtype, xp)
        wide = xp.astype(old, dtype)
        after = weights.average(wide, xp.astype(new, dtype))
        return xp.astype(xp.where(batch.present, after, wide) if sparse else after, old.dtype), weights

    mean, first = average(state.moving_mean, batch.hi + batch.lo, spec.momentum, kinds[0])
    if spec.renorm is None:
        variance, second = average(state.moving_variance, batch.estimate, spec.momentum, kinds[1])
        return state._replace(moving_mean=mean, moving_variance=variance, num_batches=number), (first, second)
    stddev, second = average(state.moving_stddev, xp.sqrt(batch.estimate + epsilon), spec.momentum, kinds[1])
    variance = stddev * stddev - epsilon
    variance = xp.astype(xp.where(variance < 0, xp.zeros_like(variance), variance), state.moving_variance.dtype)
    if sparse:
        variance = xp.where(batch.present, variance, state.moving_variance)
    renorm_mean, _ = average(state.renorm_mean, batch.hi + batch.lo, spec.renorm.momentum, "exponential")
    spread = xp.sqrt(batch.population + epsilon)
    renorm_stddev, _ = average(state.renorm_stddev, spread, spec.renorm.momentum, "exponential")
    return type(state)(mean, variance, number, stddev, renorm_mean, renorm_stddev), (first, second)


def counted(state: State, convention: Convention, present: Any, sparse: bool, xp: Any) -> Any:
    """Return the count after a batch: one more, but where the batch may be empty and is not to be counted then."""
    number = state.num_batches + 1
    if sparse and convention.empty_batch != "count":
        return xp.where(xp.any(present), number, state.num_batches)
    return number
