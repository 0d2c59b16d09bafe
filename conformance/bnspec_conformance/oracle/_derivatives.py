"""First and second derivatives of batch normalization, from formulae derived in the docstrings."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._exact import Exact, ObjectArray, combine_times_root
from ._parts import (
    Batch,
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

__all__ = ["Gradients", "gradients", "hessian_vector_product"]


class Gradients(NamedTuple):
    """Vector-Jacobian products of y: `x` of x's shape, the others parameter-shaped."""

    x: Exact
    gamma: Exact
    beta: Exact
    moving_mean: Exact
    moving_variance: Exact


def _same_shape(name: str, value: Exact, x: Exact) -> None:
    if value.shape != x.shape:
        raise ValueError(f"{name} must have the shape {x.shape} of x. Got shape={value.shape}.")


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

    Returns
    -------
    Gradients
        Of ``sum(g * y)``. An absent gamma is 1, and its gradient is returned all the same. Without elements
        (N = 0), the parameters' gradients are 0, and so are those of the moving statistics in training.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, or ``variance + epsilon`` is not positive.

    Notes
    -----
    Write c for ``x - mean`` and s for ``sqrt(variance + epsilon)``. Evaluation: ``dx = gamma g / s``,
    ``dgamma = sum(g c) / s``, ``dbeta = sum(g)``, ``dmean = -gamma sum(g) / s``,
    ``dvariance = -gamma sum(g c) / (2 s**3)``. In training, x_i moves the mean by 1/N and the variance by
    ``2 c_i / N`` (through the mean it does not, as ``sum(c) = 0``); the chain rule, with ``t = mean(g c)``,
    gives ``dx = gamma / s * (g - mean(g) - c t / s**2)``.
    """
    data, g = Exact.from_floats(x), Exact.from_floats(cotangent)
    _same_shape("cotangent", g, data)
    layout = layout_of(data.shape, axis)
    gain, eps = fit("gamma", read_fractions(gamma), layout, 1), finite("epsilon", epsilon)
    zero = Exact.from_fractions(fit("zero", None, layout)).reshape(layout.parameter)
    if layout.elements == 0:
        return Gradients(empty(data.shape), zero, zero, zero, zero)

    def per_channel(integers: ObjectArray, coefficients: ObjectArray) -> Exact:
        return combine_times_root([(integers, coefficients)], square).reshape(layout.parameter)

    one = np.full(layout.kept, Fraction(1), dtype=object)
    g_unit = Fraction(1, 1 << g.bits)
    g_sum = sum_over(g.numerators, layout.reduced)
    beta = Exact.from_fractions(one * g_sum * g_unit).reshape(layout.parameter)
    if training:
        batch = batch_statistics(data, layout)
        square = inverse_square(batch.variance, eps)
        product = sum_over(g.numerators * batch.centred, layout.reduced)
        t = product * (batch.unit * g_unit / layout.elements)
        g_centred = np.asarray(layout.elements * g.numerators - g_sum, dtype=object)
        of_g, of_c = gain * (g_unit / layout.elements), -gain * t * square * batch.unit
        dx = combine_times_root([(g_centred, of_g), (batch.centred, of_c)], square)
        return Gradients(dx, per_channel(product, one * batch.unit * g_unit), beta, zero, zero)
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
    )


def hessian_vector_product(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    tangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
) -> Exact:
    """Differentiate the training gradient with respect to x once more, along a tangent of x.

    Parameters
    ----------
    x, cotangent, tangent : array, shape (*S), real floating
        Input, weights g of the elements of y, and direction u.
    axis, epsilon, gamma
        As in `trajectory`.

    Returns
    -------
    Exact
        Shape (*S): ``d/dh`` at h = 0 of the gradient of ``sum(g * y)`` at ``x + h u``; no elements if N = 0.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, or ``variance + epsilon`` is not positive.

    Notes
    -----
    A tilde marks what remains after subtracting the mean: ``c = x~``. The gradient is
    ``gamma * (g~ / s - c t / s**3)``, ``t = mean(g c)``. Along u, c changes by u~, t by ``r = mean(u~ g~)``
    and the variance by ``2 p``, ``p = mean(u c)``, so 1/s by ``-p / s**3`` and 1/s**3 by ``-3 p / s**5``.
    The result is ``gamma / s * (-(p g~ + t u~ + r c) / s**2 + 3 t p c / s**4)``.
    """
    data, g, u = Exact.from_floats(x), Exact.from_floats(cotangent), Exact.from_floats(tangent)
    _same_shape("cotangent", g, data)
    _same_shape("tangent", u, data)
    layout = layout_of(data.shape, axis)
    gain, eps = fit("gamma", read_fractions(gamma), layout, 1), finite("epsilon", epsilon)
    if layout.elements == 0:
        return empty(data.shape)
    c, of_g, of_u = (batch_statistics(values, layout) for values in (data, g, u))
    square = inverse_square(c.variance, eps)

    def mean_product(left: Batch, right: Batch) -> ObjectArray:
        unit = left.unit * right.unit / layout.elements
        return np.asarray(sum_over(left.centred * right.centred, layout.reduced) * unit, dtype=object)

    p, t, r = mean_product(of_u, c), mean_product(of_g, c), mean_product(of_u, of_g)
    terms = [
        (of_g.centred, -gain * p * square * of_g.unit),
        (of_u.centred, -gain * t * square * of_u.unit),
        (c.centred, gain * square * (3 * t * p * square - r) * c.unit),
    ]
    return combine_times_root(terms, square)
