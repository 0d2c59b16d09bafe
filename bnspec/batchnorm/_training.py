"""Training: the statistics that normalize a batch, and the state that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import detached, is_known, shape_of
from bnspec.batchnorm._moments import Moments
from bnspec.batchnorm._normalize import inverse_deviation
from bnspec.batchnorm._pullback import Chain, Point
from bnspec.batchnorm._renorm import Correction, correction
from bnspec.batchnorm._update import Entering, correction_of, counted, entering, updated
from bnspec.batchnorm._weighting import Weighting
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._averages import Shares
    from bnspec.batchnorm._definition import BatchNorm
    from bnspec.batchnorm._ghosts import Ghosts
    from bnspec.batchnorm._values import State

__all__ = ["require_elements", "selected", "training_point"]


class _Found(NamedTuple):
    """What normalizes a training batch.

    Attributes
    ----------
    hi, lo, variance : array, of the statistic shape
        The mean as an unevaluated sum, and the variance.
    batch : Moments
        Those of the batch, laid out in the statistic shape.
    freedom : array, of the statistic shape
        What the second moment of the batch is divided by to give the variance that enters.
    weighting : Weighting or None
        The frequency weights.
    correction : Correction or None
        That of renormalization, of the broadcast shape.
    shares : pair of Shares, or None
        Where the running averages normalize: how the batch entered them.
    """

    hi: Any
    lo: Any
    variance: Any
    batch: Moments
    freedom: Any
    weighting: Weighting | None
    correction: Correction | None
    shares: tuple[Shares, Shares] | None


def require_elements(spec: BatchNorm, x: Any, ghosts: Ghosts) -> None:
    """Refuse one element per channel where the convention does.

    Parameters
    ----------
    spec : BatchNorm
        The configuration.
    x : array, shape S
        The input, for the message.
    ghosts : Ghosts
        How the batch is cut.

    Raises
    ------
    ValueError
        If it is known to have one.
    """
    count = ghosts.cut.count
    if spec.convention.one_element == "raise" and is_known(count) and count == 1:
        raise ValueError(
            message(
                f"{spec.convention.name} needs more than one element per channel in training",
                "Take a larger batch, training=False, or a convention with one_element='update'.",
                shape=shape_of(x),
                axis=spec.axis,
            )
        )


def training_point(
    spec: BatchNorm, state: State, x: Any, given: tuple[Any, Any], weights: Any, chosen: Any, ghosts: Ghosts, xp: Any
) -> tuple[Point, State]:
    """Find where the output and its derivative are taken in training, and the state after.

    Parameters
    ----------
    spec : BatchNorm
        The configuration.
    state : State
        The state before.
    x : array, of the cut shape
        The batch, in the dtype of the computation.
    given : pair of arrays, of the broadcast shape
        The running mean and variance before.
    weights : array, or None
        Frequency weights, as the caller gave them.
    chosen : array, shape (), boolean, or None
        Where it is false, everything is as in evaluation.
    ghosts : Ghosts
        How the batch is cut.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    point : Point
        Without gamma and adjustment.
    state : State
        No gradient passes it.
    """
    data = x if chosen is None else xp.where(chosen, x, xp.zeros_like(x))
    found, after = _statistics(spec, state, data, weights, ghosts, xp)
    none = xp.zeros_like(given[0])
    wanted = zip((found.hi, found.lo, found.variance), (given[0], none, given[1]), strict=True)
    hi, lo, variance = (selected(chosen, a, b, xp) for a, b in wanted)
    # No framework's own derivative may pass what is deleted and not finite.
    present = x if found.weighting is None else xp.where(found.weighting.lost, hi, x)
    centred = (present - hi) - lo
    fix = found.correction
    if fix is not None:
        neutral = (xp.ones_like(fix.r), xp.zeros_like(fix.d))
        fix = Correction(*(selected(chosen, a, b, xp) for a, b in zip(fix, neutral, strict=True)))
    batch = found.batch
    chain = Chain(
        centred if found.shares is None else (present - batch.mean_hi) - batch.mean_lo,
        batch.freedom(),
        found.freedom,
        batch.m2 / found.freedom,
        batch.weight > 0,
        found.shares,
    )
    inverse = inverse_deviation(variance, spec.epsilon, xp)
    state = type(state)(*(selected(chosen, new, old, xp) for new, old in zip(after, state, strict=True)))
    return Point(ghosts.cut, centred, inverse, None, fix, None, found.weighting, chain), state


def selected(chosen: Any, new: Any, old: Any, xp: Any) -> Any:
    """Select by a boolean array of shape (); without one, the new value."""
    return new if chosen is None or new is old else xp.where(chosen, new, old)


def _statistics(spec: BatchNorm, state: State, x: Any, weights: Any, ghosts: Ghosts, xp: Any) -> tuple[_Found, State]:
    """Find what normalizes a training batch, and the state after it, which no gradient passes."""
    convention, cut = spec.convention, ghosts.cut
    weighting = None if weights is None else Weighting.of(weights, x, ghosts, xp)
    batch = Moments.of(x, cut.reduced, None if weighting is None else weighting.frequencies)
    laid = Moments(*(cut.lay(part, xp) for part in batch))
    if weighting is not None and cut.groups is not None:
        # A weight without meaning keeps the averages of its channel, whichever ghost batch it is in.
        spoilt = xp.any(batch.weight != batch.weight, axis=0, keepdims=True)
        batch = batch._replace(weight=xp.where(spoilt, xp.full_like(batch.weight, float("nan")), batch.weight))
    sparse = weights is not None or not is_known(ghosts.whole.count)
    known_empty = is_known(ghosts.whole.count) and ghosts.whole.count == 0
    found = _entering(spec, batch, ghosts, xp)
    fix = None
    if spec.renorm is not None:
        shaped = correction(spec.renorm, found, state, spec.epsilon, x.dtype, xp)
        fix = Correction(*(cut.spread(part, xp) for part in shaped))
    # A batch that is known to be empty leaves the averages the same arrays.
    shares = None
    number = state.num_batches + 1
    each = cut.groups is not None and convention.ghost_update == "each"
    if known_empty:
        more = cut.shape[cut.groups or 0] if each else 1
        after = state._replace(num_batches=state.num_batches + more) if convention.empty_batch == "count" else state
    elif each:
        after = _each(spec, state, batch, ghosts, sparse, xp)
    else:
        after, shares = updated(spec, state, found, sparse, number, xp)
        after = after._replace(num_batches=counted(state, convention, found.present, sparse, xp))
    if convention.statistics == "running":
        freedom = laid.freedom(correction_of(convention.running_variance, spec.epsilon))
        hi, variance = (cut.spread(xp.astype(part, x.dtype), xp) for part in (after.moving_mean, after.moving_variance))
        lo = xp.zeros_like(hi)
    else:
        shares = None
        freedom = laid.freedom(correction_of(convention.normalizing_variance, spec.epsilon))
        hi, lo, variance = laid.mean_hi, laid.mean_lo, laid.m2 / freedom
    if after is not state:
        after = type(state)(*(new if new is old else detached(new) for new, old in zip(after, state, strict=True)))
    return _Found(hi, lo, variance, laid, freedom, weighting, fix, shares), after


def _entering(spec: BatchNorm, batch: Moments, ghosts: Ghosts, xp: Any) -> Entering:
    """Find what a batch brings, of the shape of the state."""
    found = entering(batch, spec.convention, spec.epsilon, ghosts.cut.groups is not None)
    return Entering(*(xp.reshape(part, ghosts.cut.parameter_shape) for part in found))


def _each(spec: BatchNorm, state: State, batch: Moments, ghosts: Ghosts, sparse: bool, xp: Any) -> State:
    """Let the ghost batches enter one after the other, each counted as a batch of its own."""
    number = shape_of(batch.weight)[0]
    if number is None:
        raise ValueError(
            message(
                "the number of samples must be known where each ghost batch updates the averages",
                "Trace with a known batch size, or take a convention with ghost_update='mean'.",
                ghost_update=spec.convention.ghost_update,
            )
        )
    for group in range(number):
        part = Moments(*(value[group, ...] for value in batch))
        found = entering(part, spec.convention, spec.epsilon, grouped=False)
        found = Entering(*(xp.reshape(value, ghosts.cut.parameter_shape) for value in found))
        after, _ = updated(spec, state, found, sparse, state.num_batches + 1, xp)
        state = after._replace(num_batches=counted(state, spec.convention, found.present, sparse, xp))
    return state
