"""A layer in the second oracle: a sequence of batches, and the running averages as sums over all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

from ._forward import Layout, height, normalize, number, precision, read, read_weights, statistics
from ._forward_averages import Averages, Averaging, Entry, State
from ._forward_parts import Ghosts, broadcast_pair, correction_towards, estimate, require_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec import Renorm
    from bnspec.conventions import Convention

    from ._forward import Index, Numbers, ObjectArray

__all__ = ["State", "Step", "trajectory"]


class Step(NamedTuple):
    """Output, state after it, batch statistics, and the correction of renormalization.

    Mean and population variance are None in evaluation, for a batch that is empty or whose weights are all 0, and
    with ghost batches; in a channel whose weights are all 0, they are 0. The correction (r, d) is None in evaluation,
    for an empty batch and without renormalization.
    """

    y: ObjectArray
    state: State
    mean: ObjectArray | None
    variance: ObjectArray | None
    correction: tuple[ObjectArray, ObjectArray] | None = None


class _Batch(NamedTuple):
    """One batch as it was read: `weights` with the shape that they were given in, `pair` None or the adjustment."""

    data: ObjectArray
    training: bool
    weights: ObjectArray
    pair: tuple[ObjectArray, ObjectArray] | None


def _read(step: Sequence[Any]) -> _Batch:
    x, training, weights, pair = (*step, None, None)[:4]
    if not training:
        weights = pair = None
    given = read_weights(weights, np.shape(x))
    data = read(x, where=np.broadcast_to(given, np.shape(x)))
    return _Batch(data, training, given, None if pair is None else (read(pair[0]), read(pair[1])))


class _Measured(NamedTuple):
    """The statistics of a training batch: of what enters the averages, and of what normalizes.

    `groups` has for each channel its ghost batches: indices, mean and normalizing variance.
    """

    entries: list[Entry]
    groups: dict[Index, list[tuple[list[Index], Any, Any]]]


def _measure(batch: _Batch, layout: Layout, ghosts: Ghosts, convention: Convention, epsilon: Any) -> _Measured:
    """Compute the statistics of a training batch."""
    weights = np.broadcast_to(batch.weights, layout.shape)
    update = "merged" if ghosts.size is None else convention.ghost_update
    entries = [Entry.absent(layout.kept) for _ in range(ghosts.groups if update == "each" else 1)]
    measured = _Measured(entries, {})

    def found(indices: list[Index]) -> tuple[Any, Any, Any, Any]:
        total, mean, variance = statistics([batch.data[i] for i in indices], [weights[i] for i in indices])
        return total, mean, variance, estimate(convention.running_variance, variance, total, epsilon)

    for place, indices in layout.channels():
        together = found(indices)
        groups = ghosts.split(indices)
        apart = [together] if ghosts.size is None else [found(group) for group in groups]
        measured.groups[place] = [
            (group, mean, estimate(convention.normalizing_variance, variance, total, epsilon))
            for group, (total, mean, variance, _) in zip(groups, apart, strict=True)
        ]
        if update == "each":
            for entry, part in zip(entries, apart, strict=True):
                entry.put(place, *part)
        elif update == "merged":
            entries[0].put(place, *together)
        else:
            present = [part for part in apart if part[0] > 0]
            sums = [sum(column, mpmath.mpf(0)) for column in zip(*present, strict=True)]
            entries[0].put(place, *([value / len(present) for value in sums] or together))
    return measured


def _needs_more(convention: Convention) -> bool:
    """Return whether a convention asks for a part that `precision` counts as one."""
    return (
        convention.normalizing_variance != "population"
        or convention.running_variance == "bessel_epsilon"
        or convention.statistics != "batch"
        or convention.average != "exponential"
    )


def _bits(
    batches: Sequence[_Batch],
    axis: Index,
    start: State,
    averaging: Averaging,
    virtual_batch_size: int | None,
    convention: Convention,
    renorm: Renorm | None,
    *others: Any,
) -> int:
    """Choose the precision for a sequence of batches."""
    size = height(*others, *(part for part in start if isinstance(part, np.ndarray)))
    if renorm is not None:
        limits = (number(limit, finite=False) for limit in (renorm.rmin, renorm.rmax, renorm.dmax))
        size += height(*limits)
    counted = start.num_batches
    for batch in batches:
        layout = Layout(batch.data.shape, axis)
        ghosts = Ghosts.of(layout, virtual_batch_size if batch.training else None, convention)
        cut = max(ghosts.groups, 1)
        size += height(batch.data) + cut * (height(batch.weights, batch.weights) + layout.elements.bit_length())
        size += 0 if batch.pair is None else height(*batch.pair)
        if batch.training:
            updates = cut if convention.ghost_update == "each" else 1
            counted += updates
            size += updates * averaging.height(counted)
            size += 0 if renorm is None else height(number(renorm.momentum)) + 1
    more = virtual_batch_size is not None or renorm is not None or any(batch.pair is not None for batch in batches)
    return precision(16 if more or _needs_more(convention) else 8, size)


def trajectory(
    steps: Sequence[Sequence[Any]],
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
    renorm: Renorm | None = None,
    moving_stddev: Numbers | None = None,
    renorm_mean: Numbers | None = None,
    renorm_stddev: Numbers | None = None,
) -> list[Step]:
    """Run a sequence of training and evaluation batches through one layer.

    Parameters
    ----------
    steps : sequence of (array, shape (*S) with the sizes of the parameters on the feature axes; bool; weights; pair)
        Batches, whether each is a training batch, frequencies, and an adjustment. Both may be left out or None. The
        frequencies are an array of x's rank with size 1 or x's size per axis, of finite numbers (also integers) that
        are not negative. An element of weight 0 counts in no statistic, and may be NaN or infinite. The adjustment
        is a factor and an addend of normalized elements, two arrays that broadcast to x's shape. In evaluation,
        weights and adjustments are not read.
    axis : tuple of int
        Feature axes; statistics are over all others.
    epsilon : float
        Added to the variance inside the square root, taken exactly.
    momentum : float or None
        What it multiplies is `convention.momentum_weighs`; None gives batch number k the weight 1/k.
    convention : Convention
        Supplies all of its fields that say what a layer computes; no default, no dtype.
    gamma, beta, moving_mean, moving_variance : array
        Shape (C,) with one feature axis, else x's rank with size 1 on the other axes. `gamma` and `beta`
        may be None: 1 and 0.
    num_batches : int
        Training batches counted so far.
    virtual_batch_size : int, optional
        Samples in a ghost batch: training batches are cut along axis 0.
    renorm : Renorm, optional
        Correct training batches towards averages of their own.
    moving_stddev, renorm_mean, renorm_stddev : array, optional
        Parameter-shaped, where the averages of renormalization start: by default at the square root of
        `moving_variance`, at 0, and at that root. Not read without `renorm`.

    Returns
    -------
    list of Step
        One per batch.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, a weight is negative, ``variance + epsilon`` is not
        positive, or N = 1 in training under ``one_element="raise"``, whatever the weights: N counts elements, with
        ghost batches those of each; if the size of ghost batches does not divide that of the batch in training, or
        parts have no meaning together.

    Notes
    -----
    All elements are normalized, those of weight 0 too. With W the total weight of a channel, Bessel's variance
    is W / (W - 1) times that of the population where W > 1, and else that of the population. Where W = 0,
    mean and variance count as 0 in y, and the averages of that channel stay. A batch whose weights are all 0
    counts in `num_batches` like an empty one.

    The precision grows with the number of updates, so this is meant for tens of them.
    """
    batches = [_read(step) for step in steps]
    for batch in batches:
        pair = batch.pair is not None
        require_parts(convention, batch.training and virtual_batch_size is not None, renorm is not None, pair)
    eps = number(epsilon)
    averaging = Averaging.of(convention, None if momentum is None else number(momentum))
    gains, offsets = (None if p is None else read(p) for p in (gamma, beta))
    start = State(read(moving_mean), read(moving_variance), num_batches)
    if renorm is not None:
        start = start._replace(
            moving_stddev=None if moving_stddev is None else read(moving_stddev),
            renorm_mean=None if renorm_mean is None else read(renorm_mean),
            renorm_stddev=None if renorm_stddev is None else read(renorm_stddev),
        )
    others = [eps, *(p for p in (gains, offsets) if p is not None)]
    results: list[Step] = []
    with mpmath.workprec(_bits(batches, axis, start, averaging, virtual_batch_size, convention, renorm, *others)):
        averages = Averages(start if renorm is None else _completed(start), averaging, renorm, convention, eps)
        for batch in batches:
            layout = Layout(batch.data.shape, axis)
            ghosts = Ghosts.of(layout, virtual_batch_size if batch.training else None, convention)
            alone = layout.elements > 0 and layout.elements == ghosts.groups
            if batch.training and alone and convention.one_element == "raise":
                raise ValueError(f"training requires more than one element per channel. Got shape={layout.shape}.")
            before = {
                name: layout.fit(name, value)
                for name, value in averages.state()._asdict().items()
                if name != "num_batches"
            }
            mean = variance = correction = None
            groups = {
                place: [(indices, before["moving_mean"][place], before["moving_variance"][place])]
                for place, indices in layout.channels()
            }
            if batch.training:
                measured = _measure(batch, layout, ghosts, convention, eps)
                groups = measured.groups
                if renorm is not None and layout.elements:
                    correction = _correction(measured.entries[0], before, renorm, eps)
                for g, entry in enumerate(measured.entries):
                    group = g if len(measured.entries) > 1 else None
                    if ghosts.filled(group, layout, batch.weights) or convention.empty_batch == "count":
                        averages.enter(entry, layout.parameter)
                if ghosts.size is None and ghosts.filled(None, layout, batch.weights):
                    only = measured.entries[0]
                    mean, variance = (part.reshape(layout.parameter) for part in (only.mean, only.variance))
                if convention.statistics == "running":
                    after = [layout.fit("", value) for value in averages.state()[:2]]
                    groups = {place: [(part[0][0], after[0][place], after[1][place])] for place, part in groups.items()}
            parameters = layout.fit("gamma", gains, 1), layout.fit("beta", offsets)
            y = _normalized(batch, layout, groups, parameters, correction, eps)
            if correction is not None:
                correction = correction[0].reshape(layout.parameter), correction[1].reshape(layout.parameter)
            results.append(Step(y, averages.state(), mean, variance, correction))
    return results


def _completed(start: State) -> State:
    """Start the averages of renormalization that are not given."""
    center, root = start.moving_mean.copy(), start.moving_variance.copy()
    for place in np.ndindex(*root.shape):
        center[place], root[place] = mpmath.mpf(0), mpmath.sqrt(root[place])
    return start._replace(
        moving_stddev=root if start.moving_stddev is None else start.moving_stddev,
        renorm_mean=center if start.renorm_mean is None else start.renorm_mean,
        renorm_stddev=root if start.renorm_stddev is None else start.renorm_stddev,
    )


def _correction(
    entry: Entry, before: dict[str, ObjectArray], renorm: Renorm, epsilon: Any
) -> tuple[ObjectArray, ObjectArray]:
    """Return the correction (r, d) of each channel, of the kept shape."""
    found = np.empty(entry.mean.shape, dtype=object), np.empty(entry.mean.shape, dtype=object)
    for place in np.ndindex(*entry.mean.shape):
        old = before["renorm_mean"][place], before["renorm_stddev"][place]
        pair = correction_towards(entry.mean[place], entry.variance[place], epsilon, renorm, *old)
        found[0][place], found[1][place] = pair
    return found


def _normalized(
    batch: _Batch,
    layout: Layout,
    groups: dict[Index, list[tuple[list[Index], Any, Any]]],
    parameters: tuple[ObjectArray, ObjectArray],
    correction: tuple[ObjectArray, ObjectArray] | None,
    epsilon: Any,
) -> ObjectArray:
    """Return y: each group of a channel normalized by its own mean and variance."""
    y = np.empty(layout.shape, dtype=object)
    pair = broadcast_pair(batch.pair, layout.shape)
    for place, parts in groups.items():
        gamma, beta = (parameter[place] for parameter in parameters)
        corrected = None if correction is None else (correction[0][place], correction[1][place])
        for indices, mean, variance in parts:
            if not indices:
                continue
            adjusted = None if batch.pair is None else [(pair[0][i], pair[1][i]) for i in indices]
            channel = [batch.data[i] for i in indices]
            values = normalize(channel, mean, variance, gamma, beta, epsilon, corrected, adjusted)
            for i, value in zip(indices, values, strict=True):
                y[i] = value
    return y
