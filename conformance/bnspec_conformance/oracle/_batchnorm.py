"""Batch normalization from its definition: moments, one normalization, and a layer with state."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._exact import GUARD_BITS, Exact, ObjectArray, combine_times_root, elementwise
from ._parts import (
    Numbers,
    batch_statistics,
    broadcasts,
    empty,
    finite,
    fit,
    inverse_square,
    layout_of,
    normalize_axes,
    read,
    read_fractions,
    sum_over,
)
from ._weights import extend, read_weighted, read_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.conventions import Convention

__all__ = ["Moments", "State", "Step", "batch_normalization", "moments", "trajectory"]


class Moments(NamedTuple):
    """Total weight, mean and population variance, all of one shape."""

    weight: Exact
    mean: Exact
    variance: Exact


class State(NamedTuple):
    """Running averages, parameter-shaped, and the number of counted training batches."""

    moving_mean: Exact
    moving_variance: Exact
    num_batches: int


class Step(NamedTuple):
    """Output, state after it, and batch statistics (None in evaluation, for N = 0 and if all weights are 0)."""

    y: Exact
    state: State
    mean: Exact | None
    variance: Exact | None


def moments(
    x: npt.NDArray[Any],
    axes: tuple[int, ...],
    weights: npt.NDArray[Any] | None = None,
    keepdims: bool = False,
) -> Moments:
    """Compute total weight, mean and population variance over some axes.

    Parameters
    ----------
    x : array, shape (*S), real floating
        Finite wherever the weight is not 0.
    axes : tuple of int
        Axes to sum over, negative ones counted from the end.
    weights : array, x's rank with size 1 or x's size per axis, real floating or integer, optional
        Frequencies: weight 2 is the element twice, weight 0 is the element deleted even if it is NaN.
    keepdims : bool
        Keep the summed axes with size 1.

    Returns
    -------
    Moments
        Each `Exact`; with ``w`` the weights (1 if absent): ``sum(w)``, ``sum(w * x) / sum(w)`` and
        ``sum(w * (x - mean)**2) / sum(w)``. The mean also has 192 bits below the grid of `x`, so that
        ``x - mean`` keeps its leading digits.

    Raises
    ------
    ValueError
        If a total weight is 0 (also for N = 0), a weight is negative, a number is not finite, or `axes` or
        the shape of `weights` does not fit.
    """
    x = np.asarray(x)
    reduced = normalize_axes("axes", axes, x.ndim)
    if weights is None:
        w, frequency = Exact(np.full(x.shape, 1, dtype=object), 0), None
    else:
        w = read_weights(weights, x.shape)
        frequency = w.numerators
    exact = Exact.from_floats(x, where=None if frequency is None else np.asarray(frequency != 0, dtype=bool))
    a = exact.numerators
    wa = a if frequency is None else frequency * a
    total, first = sum_over(w.numerators, reduced), sum_over(wa, reduced)
    second = sum_over(wa * a, reduced)
    if np.any(total == 0):
        raise ValueError(f"the total weight must be positive. Got 0 for shape={x.shape}, axes={axes}.")
    unit = Fraction(1, 1 << exact.bits)
    mean = elementwise(lambda w, s: Fraction(s, w) * unit, total, first)
    variance = elementwise(lambda w, s, q: Fraction(w * q - s * s, w * w) * unit * unit, total, first, second)
    found = (
        Exact.from_fractions(Exact(total, w.bits).fractions()),
        Exact.from_fractions(mean, at_least=exact.bits + GUARD_BITS),
        Exact.from_fractions(variance),
    )
    shape = tuple(size for i, size in enumerate(x.shape) if i not in reduced)
    if keepdims:
        shape = total.shape
    return Moments(*(part.reshape(shape) for part in found))


def batch_normalization(
    x: npt.NDArray[Any],
    mean: Numbers,
    variance: Numbers,
    offset: Numbers | None,
    scale: Numbers | None,
    variance_epsilon: float,
) -> Exact:
    """Compute ``scale * (x - mean) / sqrt(variance + variance_epsilon) + offset``.

    Parameters
    ----------
    x : array, shape (*S, C), real floating
        Finite numbers.
    mean, variance, offset, scale : array or Exact
        Of x's rank, with size 1 or x's size per axis, or of shape (C,). `offset` and `scale` may be None.
    variance_epsilon : float
        Taken exactly.

    Returns
    -------
    Exact
        Shape (*S, C). An `Exact` argument counts as the number it holds, whatever it approximates.

    Raises
    ------
    ValueError
        If ``variance + variance_epsilon`` is not positive, a number is not finite or a shape does not fit.
    """
    data, eps = Exact.from_floats(x), finite("variance_epsilon", variance_epsilon)

    def fitting(name: str, value: Numbers) -> Exact:
        exact, shape, last = read(value), data.shape, data.shape[-1:]
        if exact.shape != last and not broadcasts(exact.shape, shape):
            raise ValueError(
                f"{name} must have the rank of x, and size 1 or that of x per axis, or shape {last}. "
                f"Got shape={exact.shape} for x of shape {shape}."
            )
        return exact

    center = fitting("mean", mean)
    bits = max(data.bits, center.bits)
    centred = np.asarray(data.at(bits) - center.at(bits), dtype=object)
    square = inverse_square(fitting("variance", variance).fractions(), eps)
    gain = np.asarray(Fraction(1), dtype=object) if scale is None else fitting("scale", scale).fractions()
    addend = None if offset is None else fitting("offset", offset).fractions()
    return combine_times_root([(centred, gain * Fraction(1, 1 << bits))], square, addend)


def _times_sign(special: npt.NDArray[np.float64], gain: ObjectArray) -> npt.NDArray[np.float64]:
    """Multiply infinities and NaN by what multiplies x; 0 stays 0."""
    with np.errstate(invalid="ignore"):  # 0 * inf
        return special * elementwise(lambda g: (g > 0) - (g < 0), gain).astype(np.float64)


def _average(old: ObjectArray, new: ObjectArray, share: Fraction, weight: ObjectArray) -> ObjectArray:
    """Move an average by a share towards the new value, in channels that have a weight."""
    return elementwise(lambda o, n, w: (1 - share) * o + share * n if w else o, old, new, weight)


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
    steps : sequence of (array, shape (*S); bool) or (array, shape (*S); bool; array or None)
        Batches, with the sizes of the parameters on the feature axes; whether each is a training batch; and
        its weights w, if it has any: finite, not negative, real floating or integer, of the batch's rank with
        size 1 or the batch's size per axis. Evaluation does not read them.
    axis : tuple of int
        Feature axes; statistics are over all others.
    epsilon : float
        Added to the variance inside the square root, taken exactly.
    momentum : float or None
        What it multiplies is `convention.momentum_weighs`; None gives batch number k the weight 1/k.
    convention : Convention
        Supplies `momentum_weighs`, `running_variance`, `one_element` and `empty_batch`. Bessel's estimator
        is the population variance times ``W / (W - 1)`` where ``W > 1``, and the population variance elsewhere.
    gamma, beta, moving_mean, moving_variance : array or Exact
        Shape (C,) with one feature axis, else x's rank with size 1 on the other axes. `gamma` and `beta`
        may be None: 1 and 0.
    num_batches : int
        Training batches counted so far.

    Returns
    -------
    list of Step
        One per batch. A batch with N = 0 gets a `y` without elements. Where an element of weight 0 is NaN or
        infinite, `y` is an `Extended`: NaN, or the infinity that ``gamma * (x - mean)`` is, which is NaN for
        ``gamma = 0``.

    Raises
    ------
    ValueError
        If a number is not finite (but for elements of weight 0 in training), a weight is negative, a shape does
        not fit, ``variance + epsilon`` is not positive, or N = 1 in training under ``one_element="raise"``.

    Notes
    -----
    Weights are frequencies. With ``W = sum(w)`` in each channel, the mean is ``sum(w * x) / W`` and the variance
    ``sum(w * (x - mean)**2) / W``, over elements of positive weight: one of weight 0 is normalized like the
    others, and is deleted from the statistics whatever it is. Without weights, each w is 1 and W is N. A channel
    with W = 0 keeps its averages, and is normalized with mean 0 and variance 0. A batch whose weights are all
    0 counts as an empty one, and every other batch counts once, whatever its weights. N is the number of
    elements, also in the rule for N = 1, which no weight takes part in.

    The state passes from step to step as fractions, unrounded; each update adds 53 bits or more to them, so
    this is meant for hundreds of updates, not for millions.

    For `y` in evaluation, the moving mean m is first rounded to nearest, with a relative error below 2**-192
    and to ``b + 192`` bits or more, b being the bits that hold x. Unless m is a multiple of that grid, ``y``
    is off by up to ``|gamma| / sqrt(variance + epsilon) * min(2**-(b + 193), 2**-192 * |m|)`` in addition to
    the guarantee of `Exact`. The relative error of ``y - beta`` stays below 2**-191 unless m and a nonzero
    element of x differ by less than half a grid step ``2**-b`` without being equal.
    """
    eps = finite("epsilon", epsilon)
    fixed_weight = None if momentum is None else finite("momentum", momentum)
    if fixed_weight is not None and convention.momentum_weighs == "old":
        fixed_weight = 1 - fixed_weight
    gains, offsets = read_fractions(gamma), read_fractions(beta)
    averages = (read(moving_mean).fractions(), read(moving_variance).fractions())
    results: list[Step] = []
    for step in steps:
        x, training = np.asarray(step[0]), step[1]
        given = step[2] if len(step) == 3 and training else None
        weights = None if given is None else read_weights(given, x.shape)
        data, special = read_weighted(x, weights)
        layout = layout_of(data.shape, axis)
        gain, offset = fit("gamma", gains, layout, 1), fit("beta", offsets, layout)
        old_mean = fit("moving_mean", averages[0], layout)
        old_variance = fit("moving_variance", averages[1], layout)
        if training and layout.elements == 1 and convention.one_element == "raise":
            raise ValueError(f"training requires more than one element per channel. Got shape={data.shape}.")
        weightless = given is not None and np.size(given) > 0 and not np.any(given)
        nothing = layout.elements == 0 or weightless
        if training and (not nothing or convention.empty_batch == "count"):
            num_batches += 1
        mean = variance = None
        if layout.elements == 0:
            y = empty(data.shape)
        elif training:
            batch = batch_statistics(data, layout, weights)
            square = inverse_square(batch.variance, eps)
            centred = np.where(special == 0, batch.centred, 0)
            y = combine_times_root([(centred, gain * batch.unit)], square, offset)
            y = extend(y, _times_sign(special, gain))
            if not nothing:
                mean = Exact.from_fractions(batch.mean, at_least=data.bits + GUARD_BITS).reshape(layout.parameter)
                variance = Exact.from_fractions(batch.variance).reshape(layout.parameter)
            estimate = batch.variance
            if convention.running_variance == "bessel":
                estimate = estimate * elementwise(lambda w: w / (w - 1) if w > 1 else Fraction(1), batch.weight)
            # Where all weights are 0, num_batches may be 0; nothing is averaged then.
            share = Fraction(1, max(num_batches, 1)) if fixed_weight is None else fixed_weight
            averages = (
                _average(old_mean, batch.mean, share, batch.weight).reshape(layout.parameter),
                _average(old_variance, estimate, share, batch.weight).reshape(layout.parameter),
            )
        else:
            center = Exact.from_fractions(old_mean, at_least=data.bits + GUARD_BITS)
            centred = np.asarray(data.at(center.bits) - center.numerators, dtype=object)
            unit = Fraction(1, 1 << center.bits)
            square = inverse_square(old_variance, eps)
            y = combine_times_root([(centred, gain * unit)], square, offset)
        state = State(Exact.from_fractions(averages[0]), Exact.from_fractions(averages[1]), num_batches)
        results.append(Step(y, state, mean, variance))
    return results
