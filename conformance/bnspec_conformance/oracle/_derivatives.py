"""First and second derivatives of batch normalization, from formulae derived in the docstrings."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._exact import GUARD_BITS, Exact, ObjectArray, combine_times_root, elementwise
from ._parts import (
    Batch,
    Layout,
    Numbers,
    batch_statistics,
    empty,
    finite,
    fit,
    inverse_square,
    layout_of,
    read,
    read_fractions,
    sum_over,
)
from ._weights import extend, read_weighted, read_weights, sum_times_roots

__all__ = ["Gradients", "gradients", "hessian_vector_product"]


class Gradients(NamedTuple):
    """Vector-Jacobian products of y: `x` of x's shape, `weights` of theirs, the others parameter-shaped."""

    x: Exact
    gamma: Exact
    beta: Exact
    moving_mean: Exact
    moving_variance: Exact
    weights: Exact | None = None


def _same_shape(name: str, value: Exact, x: Exact) -> None:
    if value.shape != x.shape:
        raise ValueError(f"{name} must have the shape {x.shape} of x. Got shape={value.shape}.")


def _unseen(special: npt.NDArray[np.float64], g: Exact) -> None:
    """Refuse infinities and NaN that would reach the gradients."""
    where = (special != 0) & np.asarray(g.numerators != 0, dtype=bool)
    if where.any():
        index = tuple(int(i) for i in np.argwhere(where)[0])
        raise ValueError(f"the cotangent must be 0 where x is not finite. Got x={special[index]} at index {index}.")


def _unmeaned(g: Exact, weights: Exact | None, batch: Batch, layout: Layout) -> ObjectArray:
    """Return ``g - w * sum(g) / W`` in units of ``2**-g.bits / batch.total``, an array of integers."""
    g_sum = sum_over(g.numerators, layout.reduced)
    taken = g_sum if weights is None else weights.numerators * g_sum
    return np.asarray(batch.total * g.numerators - taken, dtype=object)


def _weighted(integers: ObjectArray, weights: Exact | None) -> ObjectArray:
    """Multiply by the weights in units of their grid."""
    return integers if weights is None else np.asarray(weights.numerators * integers, dtype=object)


def _by_weights(
    shape: tuple[int, ...],
    batch: Batch,
    square: ObjectArray,
    g_sum: ObjectArray,
    product: ObjectArray,
    special: npt.NDArray[np.float64],
    layout: Layout,
) -> Exact:
    """Compute ``-(c G + (c**2 - variance) P / (2 s**2)) / (s W)`` per element, added up to the weights' shape.

    `g_sum` and `product` hold G and P as fractions, multiplied by gamma. The sum is NaN where x is not finite,
    and no such element enters it.
    """
    per_weight = elementwise(lambda w: -1 / w if w else Fraction(0), batch.weight)
    of_square = product * square * per_weight / 2
    usual = np.where(special == 0, 1, 0).astype(object)
    centred = np.asarray(usual * batch.centred, dtype=object)
    parts = [
        (centred, g_sum * batch.unit * per_weight),
        (centred * centred, of_square * batch.unit * batch.unit),
        (usual, -of_square * batch.variance),
    ]
    shared = tuple(i for i, size in enumerate(shape) if size == 1)
    # Elements of one channel have the root in common, channels do not.
    within = tuple(i for i in shared if i in layout.reduced)
    across = tuple(i for i in shared if i not in layout.reduced)
    terms = [(sum_over(integers, within), coefficients) for integers, coefficients in parts]
    if all(centred.shape[i] == 1 for i in across):
        found = combine_times_root(terms, square)
    else:
        total: Any = Fraction(0)
        for integers, coefficients in terms:
            total = total + integers * coefficients
        found = sum_times_roots(np.asarray(total, dtype=object), square, across)
    undefined = np.any(special != 0, axis=shared, keepdims=True)
    return extend(found, np.where(undefined, np.nan, 0.0))


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
) -> Gradients:
    """Compute the vector-Jacobian products of ``y = gamma * (x - mean) / s + beta``.

    Parameters
    ----------
    x, cotangent : array, shape (*S), real floating
        Input, and the numbers g that weigh the elements of y.
    axis, epsilon, gamma
        As in `trajectory`.
    moving_mean, moving_variance : array or Exact
        Parameter-shaped: the statistics in evaluation, not read in training.
    training : bool
        Whether mean and (population) variance are those of `x`, and differentiated through.
    weights : array, x's rank with size 1 or x's size per axis, real floating or integer, optional
        Frequencies w that weigh the statistics in training, as in `trajectory`; evaluation does not read them.

    Returns
    -------
    Gradients
        Of ``sum(g * y)``, whose terms w does not weigh. An absent gamma is 1, and its gradient is returned all
        the same. Without elements (N = 0), the gradients of parameters and weights are 0, and so are those of
        the moving statistics in training and of the weights in evaluation. `weights` has the shape of the given
        weights, or is None if there are none.

        An element of weight 0 may be NaN or infinite if its cotangent is 0. It contributes nothing to any
        gradient, and its own is 0; but no derivative by its weight exists, and `weights` is NaN there, an
        `Extended`; also where that weight, by its shape, belongs to other elements too.

    Raises
    ------
    ValueError
        If a number is not finite (but for those elements), a weight is negative, a shape does not fit, or
        ``variance + epsilon`` is not positive.

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
    """
    w = None if weights is None or not training else read_weights(weights, np.shape(x))
    (data, special), g = read_weighted(x, w), Exact.from_floats(cotangent)
    _same_shape("cotangent", g, data)
    _unseen(special, g)
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
    if training:
        batch = batch_statistics(data, layout, w)
        square = inverse_square(batch.variance, eps)
        product = sum_over(g.numerators * batch.centred, layout.reduced)
        unit = batch.unit * g_unit
        of_g, of_c = gain * g_unit / batch.total, -gain * product * unit * square * batch.unit / batch.total
        dx = combine_times_root([(_unmeaned(g, w, batch, layout), of_g), (_weighted(batch.centred, w), of_c)], square)
        if weights is not None:
            scaled = gain * g_sum * g_unit, gain * product * unit
            still = _by_weights(np.shape(weights), batch, square, *scaled, special, layout)
        return Gradients(dx, per_channel(product, one * unit), beta, zero, zero, still)
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


def hessian_vector_product(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    tangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    weights: npt.NDArray[Any] | None = None,
) -> Exact:
    """Differentiate the training gradient with respect to x once more, along a tangent of x.

    Parameters
    ----------
    x, cotangent, tangent : array, shape (*S), real floating
        Input, the numbers g that weigh the elements of y, and direction u.
    axis, epsilon, gamma
        As in `trajectory`.
    weights : array, x's rank with size 1 or x's size per axis, real floating or integer, optional
        Frequencies w, which stay as they are. As in `gradients`, an element of weight 0 and cotangent 0 may be
        NaN or infinite; the result is 0 there.

    Returns
    -------
    Exact
        Shape (*S): ``d/dh`` at h = 0 of the gradient of ``sum(g * y)`` at ``x + h u``; no elements if N = 0.

    Raises
    ------
    ValueError
        If a number is not finite (but for those elements), a weight is negative, a shape does not fit, or
        ``variance + epsilon`` is not positive.

    Notes
    -----
    The gradient is ``gamma * ((g - w G / W) / s - w c P / (W s**3))``, with ``G = sum(g)`` and
    ``P = sum(g c)``; without weights, w is 1 and W is N. A tilde marks what remains after subtracting the mean
    that w weighs. Along u, c changes by u~, P by ``R = sum(g u~)`` and the variance by ``2 p``,
    ``p = sum(w c u~) / W``, so 1/s by ``-p / s**3`` and 1/s**3 by ``-3 p / s**5``. The result is
    ``gamma / s * (-(p (g - w G / W) + w (P u~ + R c) / W) / s**2 + 3 p P w c / (W s**4))``.
    """
    w = None if weights is None else read_weights(weights, np.shape(x))
    (data, special), g, u = read_weighted(x, w), Exact.from_floats(cotangent), Exact.from_floats(tangent)
    _same_shape("cotangent", g, data)
    _same_shape("tangent", u, data)
    _unseen(special, g)
    layout = layout_of(data.shape, axis)
    gain, eps = fit("gamma", read_fractions(gamma), layout, 1), finite("epsilon", epsilon)
    if layout.elements == 0:
        return empty(data.shape)
    of_c, of_u = batch_statistics(data, layout, w), batch_statistics(u, layout, w)
    square, g_unit = inverse_square(of_c.variance, eps), Fraction(1, 1 << g.bits)

    def added(integers: ObjectArray, units: ObjectArray) -> ObjectArray:
        return np.asarray(sum_over(integers, layout.reduced) * units, dtype=object)

    wc, wu = _weighted(of_c.centred, w), _weighted(of_u.centred, w)
    p = added(wc * of_u.centred, of_c.unit * of_u.unit / of_c.total)
    product = added(g.numerators * of_c.centred, of_c.unit * g_unit)
    change = added(g.numerators * of_u.centred, of_u.unit * g_unit)
    scale = gain * square / of_c.total
    terms = [
        (_unmeaned(g, w, of_c, layout), -scale * p * g_unit),
        (wu, -scale * product * of_u.unit),
        (wc, scale * (3 * p * product * square - change) * of_c.unit),
    ]
    return combine_times_root(terms, square)
