"""Gradients of batch normalization, from formulae derived in the docstrings."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._exact import GUARD_BITS, Exact, ObjectArray, combine_times_root
from ._parts import (
    Numbers,
    empty,
    finite,
    fit,
    inverse_square,
    layout_of,
    read,
    read_fractions,
    sum_over,
)
from ._training import Known, Training, plus, prepare, same_shape, times_root
from ._weights import extend, sum_times_roots

if TYPE_CHECKING:
    from bnspec.conventions import Convention

    from ._normalizer import Adjustment

__all__ = ["Gradients", "gradients"]


class Gradients(NamedTuple):
    """Vector-Jacobian products of y: `x` of x's shape, `weights` of theirs, the others parameter-shaped."""

    x: Exact
    gamma: Exact
    beta: Exact
    moving_mean: Exact
    moving_variance: Exact
    weights: Exact | None = None


def gradients(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    moving_mean: Numbers,
    moving_variance: Numbers,
    training: bool,
    weights: npt.NDArray[Any] | None = None,
    convention: Convention | None = None,
    momentum: float | None = None,
    num_batches: int = 0,
    virtual_batch_size: int | None = None,
    correction: tuple[Numbers, Numbers] | None = None,
    adjustment: Adjustment | None = None,
) -> Gradients:
    """Compute the vector-Jacobian products of ``y = ((r (x - mean) / s + d) a + b) gamma + beta``.

    Parameters
    ----------
    x, cotangent : array, shape (*S), real floating
        Input, and the numbers g that weigh the elements of y.
    axis, epsilon, gamma
        As in `trajectory`.
    moving_mean, moving_variance : array or Exact
        Parameter-shaped: the statistics in evaluation. In training read only under ``statistics="running"``, as the
        averages before the batch.
    training : bool
        Whether `x` is a training batch.
    weights : array, x's rank with size 1 or x's size per axis, real floating or integer, optional
        Frequencies w that weigh the statistics in training, as in `trajectory`; evaluation does not read them.
    convention : Convention, optional
        What `trajectory` reads of it. By default mean and population variance of the batch normalize, ghost batches
        are contiguous, and weights are frequencies.
    momentum, num_batches
        As in `trajectory`, `num_batches` before this batch. Read under ``statistics="running"`` only.
    virtual_batch_size : int, optional
        As in `trajectory`.
    correction : tuple of array or Exact, optional
        r and d of renormalization, parameter-shaped, such as `Step.correction`; 1 and 0 if absent.
    adjustment : tuple of array, optional
        a and b, as in `trajectory`; 1 and 0 if absent. Evaluation reads neither these nor r and d.

    Returns
    -------
    Gradients
        Of ``sum(g * y)``, whose terms w does not weigh; r, d, a and b are constants. An absent gamma is 1, and its
        gradient is returned all the same. Without elements (N = 0), the gradients of parameters and weights are 0,
        and so are those of the moving statistics in training and of the weights in evaluation. `weights` has the
        shape of the given weights, or is None if there are none.

        An element of weight 0 may be NaN or infinite if its cotangent is 0. It contributes nothing to any
        gradient, and its own is 0; but no derivative by its weight exists, and `weights` is NaN there, an
        `Extended`; also where that weight, by its shape, belongs to other elements too.

    Raises
    ------
    ValueError
        If a number is not finite (but for those elements), a weight is negative, a shape does not fit,
        ``variance + epsilon`` is not positive, or parts are combined that exclude each other.

    Notes
    -----
    Write c for ``x - mean`` and s for ``sqrt(variance + epsilon)``. Evaluation: ``dx = gamma g / s``,
    ``dgamma = sum(g c) / s``, ``dbeta = sum(g)``, ``dmean = -gamma sum(g) / s``,
    ``dvariance = -gamma sum(g c) / (2 s**3)``. In training, x_i moves the mean by 1/N and the variance by
    ``2 c_i / N`` (through the mean it does not, as ``sum(c) = 0``); the chain rule, with ``t = mean(g c)``,
    gives ``dx = gamma / s * (g - mean(g) - c t / s**2)``.

    With weights, x_i moves the mean by ``w_i / W`` and the variance by ``2 w_i c_i / W``, as ``sum(w c) = 0``.
    Writing ``W * mean = sum(w x)`` and ``W * variance = sum(w c**2)`` shows that w_i moves them by ``c_i / W``
    and ``(c_i**2 - variance) / W``. With ``G = sum(g)`` and ``P = sum(g c)``, which w does not weigh,
    ``dx = gamma / s * (g - w G / W - w c P / (W s**2))`` and
    ``dw = -gamma / (s W) * (c G + (c**2 - variance) P / (2 s**2))``. In a channel with W = 0, mean and variance
    count as constants: ``dx = gamma g / s`` and ``dw = 0``.

    In general (see `Normalizer`), ``y = (r z + d) a gamma + b gamma + beta`` with ``z = (x - M) / s`` and
    ``s = sqrt(V + epsilon)``, where x_i moves M by ``w_i m`` and V by ``2 w_i c_i v``, and w_i moves them by
    ``c_i m`` and ``(c_i**2 - e) v``, c being the distance from the batch's mean. With ``h = g a``,
    ``G = sum(h)`` and ``P = sum(h (x - M))``,

    - ``dx = r gamma / s * (h - w m G - w c v P / s**2)``,
    - ``dw = -r gamma / s * (c m G + (c**2 - e) v P / (2 s**2))``,
    - ``dgamma = r P / s + d G + sum(g b)`` and ``dbeta = sum(g)``,
    - for averages M0 and V0 that M and V keep shares k and k' of, ``dM0 = -r gamma k G / s`` and
      ``dV0 = -r gamma k' P / (2 s**3)``.

    All but dgamma and dbeta hold for each ghost batch by itself; these two, and weights that ghost batches share, add
    up over them.
    """
    if not training:
        return _in_evaluation(x, cotangent, axis, epsilon, gamma, moving_mean, moving_variance, weights)
    known = Known(weights, convention, momentum, num_batches, moving_mean, moving_variance)
    known = known._replace(virtual_batch_size=virtual_batch_size, correction=correction, adjustment=adjustment)
    found = prepare(x, cotangent, axis, epsilon, gamma, known)
    whole, grouping = found.grouping.whole, found.grouping
    zero = Exact.from_fractions(fit("zero", None, whole)).reshape(whole.parameter)
    still = None if weights is None else Exact(np.full(np.shape(weights), 0, dtype=object), GUARD_BITS)
    if whole.elements == 0:
        return Gradients(empty(np.shape(x)), zero, zero, zero, zero, still)
    by, scale, square = found.by, found.scale, found.by.square
    of_square = scale * found.product * square
    dx = combine_times_root(
        [
            (found.h.numerators, scale * found.unit),
            (found.w.numerators, -scale * found.total * by.by_mean * found.w_unit),
            (found.wc, -of_square * by.by_square * by.batch.unit * found.w_unit),
        ],
        square,
    )
    if weights is not None:
        still = _by_weights(np.shape(weights), found)
    roots = found.product * found.r
    across = () if grouping.axis is None else (grouping.axis,)
    gain = sum_times_roots(roots, square, across) if across else times_root(roots, square)
    constant = sum_over(np.asarray(found.total * found.d, dtype=object), across)
    beta, of_b = (part.reshape(whole.parameter) for part in (found.cotangents, found.of_addend))
    dgamma = plus(gain.reshape(whole.parameter), constant.reshape(whole.parameter) + of_b)
    averages = (zero, zero)
    if np.any(by.kept[0] != 0) or np.any(by.kept[1] != 0):
        of_mean = times_root(-scale * by.kept[0] * found.total, square)
        of_variance = times_root(-of_square * by.kept[1] / 2, square)
        averages = (of_mean.reshape(whole.parameter), of_variance.reshape(whole.parameter))
    return Gradients(dx.reshape(np.shape(x)), dgamma, Exact.from_fractions(beta), *averages, still)


def _by_weights(shape: tuple[int, ...], found: Training) -> Exact:
    """Compute dw per element, added up to the weights' shape; NaN where x is not finite."""
    by, batch, special = found.by, found.by.batch, found.special
    usual = np.where(special == 0, 1, 0).astype(object)
    centred = np.asarray(usual * batch.centred, dtype=object)
    linear = -found.scale * found.total * by.by_mean
    of_square = -found.scale * found.product * by.square * by.by_square / 2
    parts = [
        (centred, linear * batch.unit),
        (centred * centred, of_square * batch.unit * batch.unit),
        (usual, -of_square * by.estimate),
    ]
    shared = tuple(i for i, size in enumerate(found.grouping.split(shape)) if size == 1)
    # Elements of one channel of one group have the root in common, others do not.
    reduced = found.grouping.layout.reduced
    within = tuple(i for i in shared if i in reduced)
    across = tuple(i for i in shared if i not in reduced)
    terms = [(sum_over(integers, within), coefficients) for integers, coefficients in parts]
    if all(centred.shape[i] == 1 for i in across):
        result = combine_times_root(terms, by.square)
    else:
        total: Any = Fraction(0)
        for integers, coefficients in terms:
            total = total + integers * coefficients
        result = sum_times_roots(np.asarray(total, dtype=object), by.square, across)
    undefined = np.any(special != 0, axis=shared, keepdims=True)
    return extend(result, np.where(undefined, np.nan, 0.0)).reshape(shape)


def _in_evaluation(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    moving_mean: Numbers,
    moving_variance: Numbers,
    weights: npt.NDArray[Any] | None,
) -> Gradients:
    """Compute the gradients where the statistics are given."""
    data, g = Exact.from_floats(x), Exact.from_floats(cotangent)
    same_shape("cotangent", g, data)
    layout = layout_of(data.shape, axis)
    gain, eps = fit("gamma", read_fractions(gamma), layout, 1), finite("epsilon", epsilon)
    zero = Exact.from_fractions(fit("zero", None, layout)).reshape(layout.parameter)
    still = None if weights is None else Exact(np.full(np.shape(weights), 0, dtype=object), GUARD_BITS)
    if layout.elements == 0:
        return Gradients(empty(data.shape), zero, zero, zero, zero, still)

    def per_channel(integers: ObjectArray, coefficients: ObjectArray) -> Exact:
        return combine_times_root([(integers, coefficients)], square).reshape(layout.parameter)

    one = np.full(layout.kept, Fraction(1), dtype=object)
    g_unit = Fraction(1, 1 << g.bits)
    g_sum = sum_over(g.numerators, layout.reduced)
    beta = Exact.from_fractions(one * g_sum * g_unit).reshape(layout.parameter)
    square = inverse_square(fit("moving_variance", read(moving_variance).fractions(), layout), eps)
    center = read(moving_mean)
    fit("moving_mean", center.fractions(), layout)
    bits = max(data.bits, center.bits)
    centred = data.at(bits) - center.at(bits).reshape(layout.kept)
    product = sum_over(g.numerators * centred, layout.reduced)
    unit = g_unit / (1 << bits)
    return Gradients(
        combine_times_root([(g.numerators, gain * g_unit)], square),
        per_channel(product, one * unit),
        beta,
        per_channel(g_sum, -gain * g_unit),
        per_channel(product, gain * square * (-unit / 2)),
        still,
    )
