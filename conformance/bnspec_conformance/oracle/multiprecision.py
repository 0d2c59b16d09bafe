"""A second oracle: batch normalization in floating point of many bits, to check the first one against.

It shares with the first oracle the signatures, and neither code nor formulas: statistics come from Welford's
recurrence, the running averages from sums over the whole history, and the derivatives from dual numbers that
pass through the forward computation. It is slow, as every derivative is one more forward pass: O(N**2) per
channel. Only those who name this module import mpmath.

Every function returns object arrays of `mpmath.mpf`, in which a result r of true value t is such that
``|r - t| <= 2**-320 * min(1, 2**-h, m)``: h is the `height` of x (and of beta, where it is added), and m the
least magnitude of the nonzero true values in the array (for y: of ``y - beta``; for the derivative by a weight
that channels share: of what each of them adds). `precision` argues why.
Arithmetic on an mpf rounds to the precision that mpmath has at that moment, not to that of the operands.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np
import numpy.typing as npt

from ._forward import (
    Layout,
    Numbers,
    ObjectArray,
    axes_of,
    height,
    normalize,
    number,
    precision,
    read,
    read_weights,
    statistics,
    welford,
)
from ._forward_mode import Gradients, gradients, hessian_vector_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.conventions import Convention

__all__ = [
    "Gradients",
    "Moments",
    "State",
    "Step",
    "batch_normalization",
    "gradients",
    "hessian_vector_product",
    "moments",
    "trajectory",
]


class Moments(NamedTuple):
    """Total weight, mean and population variance, all of one shape."""

    weight: ObjectArray
    mean: ObjectArray
    variance: ObjectArray


class State(NamedTuple):
    """Running averages, parameter-shaped, and the number of counted training batches."""

    moving_mean: ObjectArray
    moving_variance: ObjectArray
    num_batches: int


class Step(NamedTuple):
    """Output, state after it, and batch statistics.

    These are None in evaluation and for a batch that is empty or whose weights are all 0; in a channel whose
    weights are all 0, they are 0.
    """

    y: ObjectArray
    state: State
    mean: ObjectArray | None
    variance: ObjectArray | None


def moments(
    x: npt.NDArray[Any],
    axes: tuple[int, ...],
    weights: npt.NDArray[Any] | None = None,
    keepdims: bool = False,
) -> Moments:
    """Compute total weight, mean and population variance over some axes.

    Parameters
    ----------
    x : array, shape (*S)
        Finite wherever the weight is not 0.
    axes : tuple of int
        Axes to sum over.
    weights : array, x's rank with size 1 or x's size per axis, optional
        Frequencies; an element of weight 0 is deleted.
    keepdims : bool
        Keep the summed axes with size 1.

    Returns
    -------
    Moments
        ``sum(w)``, ``sum(w * x) / sum(w)`` and ``sum(w * (x - mean)**2) / sum(w)``.

    Raises
    ------
    ValueError
        If a total weight is 0, a weight is negative, a number is not finite, or a shape does not fit.
    """
    x = np.asarray(x)
    reduced = axes_of(axes, x.ndim)
    layout = Layout(x.shape, tuple(i for i in range(x.ndim) if i not in reduced))
    given = read_weights(weights, x.shape)
    w = np.broadcast_to(given, x.shape)
    data = read(x, where=w)
    size = height(data, given, given) + layout.elements.bit_length()
    found = tuple(np.empty(layout.kept, dtype=object) for _ in range(3))
    with mpmath.workprec(precision(6, size)):
        for place, indices in layout.channels():
            of_channel = welford([data[i] for i in indices], [w[i] for i in indices])
            for part, value in zip(found, of_channel, strict=True):
                part[place] = value
    shape = layout.kept if keepdims else tuple(size for i, size in enumerate(x.shape) if i not in reduced)
    return Moments(*(part.reshape(shape) for part in found))


def batch_normalization(
    x: npt.NDArray[Any],
    mean: Numbers,
    variance: Numbers,
    offset: Numbers | None,
    scale: Numbers | None,
    variance_epsilon: float,
) -> ObjectArray:
    """Compute ``scale * (x - mean) / sqrt(variance + variance_epsilon) + offset``, element by element.

    Parameters
    ----------
    x : array, shape (*S, C)
        Finite numbers.
    mean, variance, offset, scale : array
        Of x's rank, with size 1 or x's size per axis, or of shape (C,). `offset` and `scale` may be None.
    variance_epsilon : float
        Taken exactly.

    Returns
    -------
    array, shape (*S, C), object

    Raises
    ------
    ValueError
        If ``variance + variance_epsilon`` is not positive, a number is not finite or a shape does not fit.
    """
    data, epsilon = read(x), number(variance_epsilon)
    given = [
        np.full(data.shape[-1:], mpmath.mpf(default), dtype=object) if values is None else read(values)
        for values, default in ((mean, 0), (variance, 0), (scale, 1), (offset, 0))
    ]
    for part in given:
        fits = part.ndim == data.ndim and all(n in (1, size) for n, size in zip(part.shape, data.shape, strict=True))
        if not fits and part.shape != data.shape[-1:]:
            raise ValueError(f"a parameter does not fit x of shape {data.shape}. Got shape={part.shape}.")
    y = np.empty(data.shape, dtype=object)
    center, spread, gain, addend = (np.broadcast_to(part, data.shape) for part in given)
    with mpmath.workprec(precision(8, height(data, *given, epsilon))):
        for i in np.ndindex(*data.shape):
            y[i] = normalize([data[i]], center[i], spread[i], gain[i], addend[i], epsilon)[0]
    return y


def _running(initial: ObjectArray, history: Sequence[tuple[ObjectArray, ObjectArray, ObjectArray]]) -> ObjectArray:
    """Average over the whole history, with no step in between.

    `history` has for each update the share of the old value, the share of the new one, and the new one. What
    a number weighs at the end is its own share times the shares of the old value in all later updates.
    """
    later = [math.prod((old for old, _, _ in history[k:]), start=mpmath.mpf(1)) for k in range(len(history) + 1)]
    parts = [new * later[k + 1] * value for k, (_, new, value) in enumerate(history)]
    return np.asarray(sum(parts, later[0] * initial), dtype=object)


def _estimate(variance: ObjectArray, total: ObjectArray, convention: Convention) -> ObjectArray:
    """Return the variance to average, from the population variance and the total weight."""
    if convention.running_variance != "bessel":
        return variance
    found = variance.copy()
    for place in np.ndindex(*total.shape):
        if total[place] > 1:
            found[place] = variance[place] * total[place] / (total[place] - 1)
    return found


def trajectory(
    steps: Sequence[tuple[npt.NDArray[Any], bool] | tuple[npt.NDArray[Any], bool, npt.NDArray[Any] | None]],
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
) -> list[Step]:
    """Run a sequence of training and evaluation batches through one layer.

    Parameters
    ----------
    steps : sequence of (array, shape (*S) with the sizes of the parameters on the feature axes; bool; weights)
        Batches, whether each is a training batch, and frequencies, which may be left out or None: an array of
        x's rank with size 1 or x's size per axis, of finite numbers (also integers) that are not negative. An
        element of weight 0 counts in no statistic, and may be NaN or infinite. In evaluation, weights are not
        read.
    axis : tuple of int
        Feature axes; statistics are over all others.
    epsilon : float
        Added to the variance inside the square root, taken exactly.
    momentum : float or None
        What it multiplies is `convention.momentum_weighs`; None gives batch number k the weight 1/k.
    convention : Convention
        Supplies `momentum_weighs`, `running_variance`, `one_element` and `empty_batch`.
    gamma, beta, moving_mean, moving_variance : array
        Shape (C,) with one feature axis, else x's rank with size 1 on the other axes. `gamma` and `beta`
        may be None: 1 and 0.
    num_batches : int
        Training batches counted so far.

    Returns
    -------
    list of Step
        One per batch.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, a weight is negative, ``variance + epsilon`` is not
        positive, or N = 1 in training under ``one_element="raise"``, whatever the weights: N counts elements.

    Notes
    -----
    All elements are normalized, those of weight 0 too. With W the total weight of a channel, Bessel's variance
    is W / (W - 1) times that of the population where W > 1, and else that of the population. Where W = 0,
    mean and variance count as 0 in y, and the averages of that channel stay. A batch whose weights are all 0
    counts in `num_batches` like an empty one.

    The precision grows with the number of updates, so this is meant for tens of them.
    """
    batches = []
    for x, training, *more in steps:
        given = read_weights(more[0] if training and more else None, np.shape(x))
        batches.append((read(x, where=np.broadcast_to(given, np.shape(x))), training, given))
    eps, factor = number(epsilon), number(momentum or 0)
    gains, offsets = (None if p is None else read(p) for p in (gamma, beta))
    initial = read(moving_mean), read(moving_variance)
    size = height(eps, *initial, *(p for p in (gains, offsets) if p is not None))
    for data, training, given in batches:
        size += height(data, given, given) + Layout(data.shape, axis).elements.bit_length()
        if training:
            size += (num_batches + len(batches)).bit_length() if momentum is None else height(factor) + 1
    results: list[Step] = []
    history: list[tuple[ObjectArray, ObjectArray, ObjectArray, ObjectArray]] = []
    with mpmath.workprec(precision(8, size)):
        averages = initial
        for data, training, given in batches:
            layout, weights = Layout(data.shape, axis), np.broadcast_to(given, data.shape)
            n = layout.elements
            filled = n > 0 and (not given.size or any(given.ravel().tolist()))
            gain, offset = layout.fit("gamma", gains, 1), layout.fit("beta", offsets)
            center, spread = (
                layout.fit(name, average)
                for name, average in zip(("moving_mean", "moving_variance"), averages, strict=True)
            )
            if training and n == 1 and convention.one_element == "raise":
                raise ValueError(f"training requires more than one element per channel. Got shape={data.shape}.")
            if training and (filled or convention.empty_batch == "count"):
                num_batches += 1
            total, y = np.empty(layout.kept, dtype=object), np.empty(data.shape, dtype=object)
            if training:
                center, spread = total.copy(), total.copy()
            for place, indices in layout.channels():
                channel = [data[i] for i in indices]
                if training:
                    total[place], center[place], spread[place] = statistics(channel, [weights[i] for i in indices])
                if channel:
                    values = normalize(channel, center[place], spread[place], gain[place], offset[place], eps)
                    for i, value in zip(indices, values, strict=True):
                        y[i] = value
            mean = variance = None
            if training and filled:
                mean, variance, total = (part.reshape(layout.parameter) for part in (center, spread, total))
                if momentum is None:
                    old, new = mpmath.mpf(num_batches - 1) / num_batches, mpmath.mpf(1) / num_batches
                else:
                    old, new = (factor, 1 - factor) if convention.momentum_weighs == "old" else (1 - factor, factor)
                weighed = np.asarray(total > 0, dtype=object)
                shares = weighed * old + (1 - weighed), weighed * new
                history.append((*shares, mean, _estimate(variance, total, convention)))
                averages = (
                    _running(initial[0], [(old, new, value) for old, new, value, _ in history]),
                    _running(initial[1], [(old, new, value) for old, new, _, value in history]),
                )
            results.append(Step(y, State(*averages, num_batches), mean, variance))
    return results
