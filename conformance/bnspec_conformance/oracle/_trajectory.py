"""A layer with state: batches in sequence, with ghost batches, renormalization and adjustments."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._averages import Averages, Sample, correction, entering, root, takes, update
from ._exact import GUARD_BITS, Exact, ObjectArray, combine_times_root, elementwise
from ._ghosts import Grouping, group
from ._normalizer import Adjusted, Adjustment, Normalizer, adjusted, corrected, estimated, normalizer
from ._parts import (
    Batch,
    Layout,
    Numbers,
    batch_statistics,
    empty,
    fit,
    inverse_square,
    layout_of,
    read,
    read_fractions,
)
from ._rules import Renormalization, Rules, rules_of
from ._weights import extend, read_weighted, read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.conventions import Convention

    Array = npt.NDArray[Any]
    Batches = Sequence[
        tuple[Array, bool] | tuple[Array, bool, Array | None] | tuple[Array, bool, Array | None, Adjustment | None]
    ]

__all__ = ["Entry", "Group", "State", "Step", "trajectory"]


class State(NamedTuple):
    """Running averages, parameter-shaped, and the number of counted training batches.

    The last three are those of renormalization, and None without it.
    """

    moving_mean: Exact
    moving_variance: Exact
    num_batches: int
    moving_stddev: Exact | None = None
    renorm_mean: Exact | None = None
    renorm_stddev: Exact | None = None


class Group(NamedTuple):
    """Statistics of one ghost batch, or of the batch if there are none; each parameter-shaped.

    In a channel whose weights are all 0, everything is 0. `normalizing` is the estimate of the variance that the
    convention's ``normalizing_variance`` names, which normalizes unless the running averages do.
    """

    weight: Exact
    mean: Exact
    variance: Exact
    normalizing: Exact


class Entry(NamedTuple):
    """What entered the running averages at once, as batch number `num_batches`; arrays are parameter-shaped.

    Attributes
    ----------
    present : array, bool
        The channels whose averages move.
    mean, variance : Exact
        Mean and population variance: those of the batch, of one ghost batch, or averaged over ghost batches.
        Renormalization derives r, d and its own averages from them.
    estimate : Exact
        What the running variance moves towards; with renormalization, moving_stddev moves towards
        ``sqrt(estimate + epsilon)``.
    take_mean, take_variance : float
        The share of the new value in moving_mean, and in moving_variance or moving_stddev; rounded to nearest.
    num_batches : int
    """

    present: npt.NDArray[np.bool_]
    mean: Exact
    variance: Exact
    estimate: Exact
    take_mean: float
    take_variance: float
    num_batches: int


class _Outcome(NamedTuple):
    y: Exact
    state: State
    mean: Exact | None
    variance: Exact | None


class Step(_Outcome):
    """What one call gives.

    A tuple of output, state after it, and mean and population variance of the batch, which are None in evaluation,
    for N = 0, if all weights are 0, and with ghost batches.

    Attributes
    ----------
    groups : tuple of Group
        One for each ghost batch, in order; one for the batch if there are none. Empty in evaluation and for N = 0.
    entries : tuple of Entry
        What entered the running averages, in order; empty where nothing was counted and for N = 0.
    correction : tuple of Exact, or None
        r and d of renormalization in training, parameter-shaped, as `y` was computed with. None for N = 0.
    """

    groups: tuple[Group, ...] = ()
    entries: tuple[Entry, ...] = ()
    correction: tuple[Exact, Exact] | None = None


class _Layer(NamedTuple):
    """What all steps have in common."""

    axis: tuple[int, ...]
    rules: Rules
    convention: Convention
    gains: ObjectArray | None
    offsets: ObjectArray | None


def trajectory(
    steps: Batches,
    *,
    axis: tuple[int, ...],
    epsilon: float,
    momentum: float | None,
    convention: Convention,
    gamma: Numbers | None,
    beta: Numbers | None,
    moving_mean: Numbers,
    moving_variance: Numbers,
    num_batches: int = 0,
    virtual_batch_size: int | None = None,
    renorm: Renormalization | None = None,
    moving_stddev: Numbers | None = None,
    renorm_mean: Numbers | None = None,
    renorm_stddev: Numbers | None = None,
) -> list[Step]:
    """Run a sequence of training and evaluation batches through one layer.

    Parameters
    ----------
    steps : sequence of (array, shape (*S); bool[; array or None[; (array, array) or None]])
        Batches, with the sizes of the parameters on the feature axes; whether each is a training batch; its weights
        w, if it has any: finite, not negative, real floating or integer, of the batch's rank with size 1 or the
        batch's size per axis; and its adjustment (a, b), if it has one: finite, real floating, broadcastable to
        (*S). Evaluation reads neither weights nor adjustment.
    axis : tuple of int
        Feature axes; statistics are over all others.
    epsilon : float
        Added to the variance inside the square root, taken exactly.
    momentum : float or None
        What it multiplies is `convention.momentum_weighs`; None gives batch number k the weight 1/k.
    convention : Convention
        Supplies everything that says what is computed, but for `sync`, dtypes, defaults and `freeze`.
    gamma, beta, moving_mean, moving_variance : array or Exact
        Shape (C,) with one feature axis, else x's rank with size 1 on the other axes. `gamma` and `beta`
        may be None: 1 and 0.
    num_batches : int
        Training batches counted so far.
    virtual_batch_size : int, optional
        Number of elements of the first axis that a ghost batch has, in training.
    renorm : object with floats rmin, rmax, dmax and momentum, optional
        Renormalization. Infinite limits are none.
    moving_stddev, renorm_mean, renorm_stddev : array or Exact, optional
        Averages of renormalization, of the shape of `moving_mean`; by default the square root of `moving_variance`,
        0, and that root again. Not read without `renorm`.

    Returns
    -------
    list of Step
        One per batch. A batch with N = 0 gets a `y` without elements. Where an element of weight 0 is NaN or
        infinite, `y` is an `Extended`: NaN, or the infinity that what multiplies ``x - mean`` makes of it, which is
        NaN where that is 0.

    Raises
    ------
    ValueError
        If a number is not finite (but for elements of weight 0 in training), a weight is negative, a shape does
        not fit, ``variance + epsilon`` is not positive, N = 1 in training under ``one_element="raise"`` (also in
        each ghost batch), or parts are combined that exclude each other.

    Notes
    -----
    Weights are frequencies. With ``W = sum(w)`` in each
    channel, the mean is ``sum(w * x) / W`` and the population variance ``sum(w * (x - mean)**2) / W``, over elements
    of positive weight: one of weight 0 is normalized like the others, and is deleted from the statistics whatever it
    is. Without weights, each w is 1 and W is N. A channel with W = 0 keeps its averages, and is normalized with
    mean 0 and variance 0. A batch whose weights are all 0 counts as an empty one, and every other batch counts once,
    whatever its weights. N is the number of elements, also in the rule for N = 1, which no weight takes part in.

    Bessel's estimator is the population variance times ``W / (W - 1)`` where ``W > 1``, "bessel_epsilon" that times
    ``W / (W - (1 + epsilon))`` where this is positive, and each the population variance elsewhere.

    Training normalizes ``z = (x - M) / sqrt(V + epsilon)`` and ``y = ((z r + d) a + b) gamma + beta``. M and V are the
    statistics of the element's ghost batch, or the running averages after the batch has entered them. What entered
    them, ghost batch by ghost batch under ``ghost_update="each"`` (where an empty batch counts as often as it has
    ghost batches), is in `Step.entries`.

    The state passes from step to step as fractions, unrounded but for square roots; each update adds 53 bits or more
    to them, so this is meant for hundreds of updates, not for millions.

    Renormalization takes square roots into the state. Each is rounded once, unless it is a dyadic number, with a
    relative error below ``q = 2**-384``; averages of positive numbers pass that on unchanged. So r and d have a
    relative error below 4 q, and add 4 q times themselves to the error of `y` that `Exact` states: of the term with r
    relative to it, and of the term with d. A moving variance v has an error below ``4 q (v + epsilon)`` in addition
    to that of `Exact`, so that it need not be 0 where ``moving_stddev**2`` ought to be epsilon.

    For `y` in evaluation, the moving mean m is first rounded to nearest, with a relative error below 2**-192
    and to ``b + 192`` bits or more, b being the bits that hold x. Unless m is a multiple of that grid, ``y``
    is off by up to ``|gamma| / sqrt(variance + epsilon) * min(2**-(b + 193), 2**-192 * |m|)`` in addition to
    the guarantee of `Exact`. The relative error of ``y - beta`` stays below 2**-191 unless m and a nonzero
    element of x differ by less than half a grid step ``2**-b`` without being equal.
    """
    rules = rules_of(
        convention, epsilon=epsilon, momentum=momentum, virtual_batch_size=virtual_batch_size, renorm=renorm
    )
    layer = _Layer(axis, rules, convention, read_fractions(gamma), read_fractions(beta))
    averages = Averages(read(moving_mean).fractions(), read(moving_variance).fractions())
    if rules.renorm is not None:
        spread, center = (read_fractions(part) for part in (moving_stddev, renorm_mean))
        by = read_fractions(renorm_stddev)
        averages = averages._replace(
            moving_stddev=elementwise(root, averages.moving_variance) if spread is None else spread,
            renorm_mean=np.full(averages.moving_mean.shape, Fraction(0), dtype=object) if center is None else center,
            renorm_stddev=elementwise(root, averages.moving_variance) if by is None else by,
        )
    results: list[Step] = []
    for given in steps:
        x, training = np.asarray(given[0]), given[1]
        layout = layout_of(x.shape, axis)
        for name, part in averages._asdict().items():
            if part is not None:
                fit(name, part, layout)
        if training:
            weights = None if len(given) == 2 else given[2]
            adjustment = given[3] if len(given) == 4 else None
            step, averages = _train(layer, x, weights, adjustment, averages, num_batches)
        else:
            step = _evaluate(layer, x, layout, averages, num_batches)
        num_batches = step.state.num_batches
        results.append(step)
    return results


def _evaluate(layer: _Layer, x: Array, layout: Layout, averages: Averages, num_batches: int) -> Step:
    """Normalize by the running averages, which stay as they are."""
    data, state = Exact.from_floats(x), _state(averages, num_batches)
    gain, offset = fit("gamma", layer.gains, layout, 1), fit("beta", layer.offsets, layout)
    if layout.elements == 0:
        return Step(empty(data.shape), state, None, None)
    center = Exact.from_fractions(fit("moving_mean", averages.moving_mean, layout), at_least=data.bits + GUARD_BITS)
    centred = np.asarray(data.at(center.bits) - center.numerators, dtype=object)
    square = inverse_square(fit("moving_variance", averages.moving_variance, layout), layer.rules.epsilon)
    y = combine_times_root([(centred, gain * Fraction(1, 1 << center.bits))], square, offset)
    return Step(y, state, None, None)


def _train(
    layer: _Layer,
    x: Array,
    weights: Array | None,
    adjustment: Adjustment | None,
    averages: Averages,
    num_batches: int,
) -> tuple[Step, Averages]:
    """Normalize a training batch, and let it enter the averages."""
    rules, policy = layer.rules, layer.convention.empty_batch
    frequency = None if weights is None else read_weights(weights, x.shape)
    data, special = read_weighted(x, frequency)
    grouping = group(data.shape, layer.axis, rules, adjusted=adjustment is not None)
    whole, pair = grouping.whole, adjusted(adjustment, data.shape)
    gain, offset = fit("gamma", layer.gains, whole, 1), fit("beta", layer.offsets, whole)
    if whole.elements and grouping.layout.elements == 1 and layer.convention.one_element == "raise":
        raise ValueError(f"training requires more than one element per channel. Got shape={grouping.shape}.")
    attended = grouping.attended(weights)
    if rules.update != "each" or grouping.axis is None:
        attended = [any(attended)]
    counted = [there or policy == "count" for there in attended]
    if whole.elements == 0:
        return Step(empty(data.shape), _state(averages, num_batches + sum(counted)), None, None), averages

    split = frequency if frequency is None else frequency.reshape(grouping.shape)
    batch = batch_statistics(data.reshape(grouping.shape), grouping.layout, split)
    samples = entering(data, frequency, batch, grouping, rules)
    before, r_and_d = averages, corrected(None, whole.parameter)
    if rules.renorm is not None:
        r_and_d = correction(averages, samples[0], rules.renorm, rules.epsilon)
    entries: list[Entry] = []
    for sample, counts in zip(samples, counted, strict=True):
        if counts:
            num_batches += 1
            entries.append(_entry(sample, num_batches, rules, data.bits))
            averages = update(averages, sample, num_batches, rules)
    kept = (fit("moving_mean", before.moving_mean, whole), fit("moving_variance", before.moving_variance, whole))
    found = normalizer(batch, rules, kept, num_batches)
    r, d = (grouping.spread(part.reshape(whole.kept)) for part in r_and_d)
    gain, offset = grouping.spread(gain), grouping.spread(offset)
    y = _normalize(found, (gain, offset), (r, d), pair, special.reshape(grouping.shape))

    groups = _groups(batch, grouping, rules, data.bits)
    alone = grouping.axis is None and any(attended)
    mean, variance = (groups[0].mean, groups[0].variance) if alone else (None, None)
    step = Step(y.reshape(data.shape), _state(averages, num_batches), mean, variance)
    step.groups, step.entries = groups, tuple(entries)
    if rules.renorm is not None:
        step.correction = (_unrounded(r_and_d[0]), _unrounded(r_and_d[1]))
    return step, averages


def _normalize(
    by: Normalizer,
    affine: tuple[ObjectArray, ObjectArray],
    correction: tuple[ObjectArray, ObjectArray],
    adjustment: Adjusted | None,
    special: npt.NDArray[np.float64],
) -> Exact:
    """Compute ``((z r + d) a + b) gamma + beta`` for shape (*S), or the shape of groups."""
    (gain, offset), (r, d) = affine, correction
    scale, addend = gain * r, offset + gain * d
    usual: ObjectArray = np.where(special == 0, 1, 0).astype(object)
    signs = elementwise(_sign, scale)
    if adjustment is not None:
        a, b = adjustment
        addend = np.asarray(offset + gain * (d * a.fractions() + b.fractions()), dtype=object)
        scale = np.asarray(scale * Fraction(1, 1 << a.bits), dtype=object)
        usual, signs = usual * a.numerators, signs * elementwise(_sign, a.numerators)
    terms = [(np.asarray(usual * by.batch.centred, dtype=object), scale * by.batch.unit)]
    if np.any(by.shift != 0):
        terms.append((usual, scale * by.shift))
    with np.errstate(invalid="ignore"):  # 0 * inf
        beyond = special * signs.astype(np.float64)
    return extend(combine_times_root(terms, by.square, addend), beyond)


def _sign(value: Fraction | int) -> int:
    return (value > 0) - (value < 0)


def _groups(batch: Batch, grouping: Grouping, rules: Rules, bits: int) -> tuple[Group, ...]:
    """List the statistics of the groups."""
    normalizing = estimated(batch, rules.normalizing, rules.epsilon)[1]
    parts = (grouping.listed(part) for part in (batch.weight, batch.mean, batch.variance, normalizing))
    return tuple(
        Group(
            Exact.from_fractions(weight),
            Exact.from_fractions(mean, at_least=bits + GUARD_BITS),
            Exact.from_fractions(variance),
            Exact.from_fractions(normalizing),
        )
        for weight, mean, variance, normalizing in zip(*parts, strict=True)
    )


def _entry(sample: Sample, num_batches: int, rules: Rules, bits: int) -> Entry:
    of_mean, of_variance = takes(rules, num_batches)
    return Entry(
        sample.present.astype(bool),
        Exact.from_fractions(sample.mean, at_least=bits + GUARD_BITS),
        Exact.from_fractions(sample.variance),
        Exact.from_fractions(sample.estimate),
        float(of_mean),
        float(of_variance),
        num_batches,
    )


def _unrounded(values: ObjectArray) -> Exact:
    """Hold dyadic fractions as they are."""
    bits = max([0, *(value.denominator.bit_length() - 1 for value in values.ravel().tolist())])
    return Exact(elementwise(lambda v: v.numerator << bits + 1 - v.denominator.bit_length(), values), bits)


def _state(averages: Averages, num_batches: int) -> State:
    mean, variance, *more = (None if part is None else Exact.from_fractions(part) for part in averages)
    assert mean is not None  # noqa: S101 - narrows the type
    assert variance is not None  # noqa: S101
    return State(mean, variance, num_batches, *more)
