"""Derivatives of batch normalization in the second oracle, by computing forward with dual numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np
import numpy.typing as npt

from ._dual import Dual, slope
from ._forward import Layout, Numbers, ObjectArray, height, normalize, number, precision, read, welford

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Gradients", "gradients", "hessian_vector_product"]


class Gradients(NamedTuple):
    """Vector-Jacobian products of y: `x` of x's shape, the others parameter-shaped."""

    x: ObjectArray
    gamma: ObjectArray
    beta: ObjectArray
    moving_mean: ObjectArray
    moving_variance: ObjectArray


def _loss(variables: Sequence[Any], cotangent: Sequence[Any], epsilon: Any, training: bool) -> Any:
    """Compute ``sum(g * y)`` of one channel; the variables are its elements, gamma, beta and the moving statistics."""
    *values, gamma, beta, mean, variance = variables
    if training:
        _, mean, variance = welford(values)
    y = normalize(values, mean, variance, gamma, beta, epsilon)
    return sum((g * value for g, value in zip(cotangent, y, strict=True)), mpmath.mpf(0))


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
    """Compute the derivatives of ``sum(cotangent * y)``, each by one forward pass with a dual number in its place.

    Parameters
    ----------
    x, cotangent : array, shape (*S)
        Input, and the numbers that weigh the elements of y.
    axis, epsilon, gamma
        As in `trajectory`.
    moving_mean, moving_variance : array
        Parameter-shaped: the statistics in evaluation, not read in training.
    training : bool
        Whether mean and (population) variance are those of `x`, and differentiated through.

    Returns
    -------
    Gradients
        An absent gamma is 1, and its gradient is returned all the same.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, or ``variance + epsilon`` is not positive.
    """
    data, g, eps = read(x), read(cotangent), number(epsilon)
    layout = Layout(data.shape, axis)
    if g.shape != data.shape:
        raise ValueError(f"cotangent must have the shape {data.shape} of x. Got shape={g.shape}.")
    parameters = [
        layout.fit("gamma", None if gamma is None else read(gamma), 1),
        layout.fit("beta", None),
        layout.fit("moving_mean", None if training else read(moving_mean)),
        layout.fit("moving_variance", None if training else read(moving_variance)),
    ]
    of_x, of_parameters = np.empty(data.shape, dtype=object), [np.empty(layout.kept, dtype=object) for _ in parameters]
    size = height(data, g, eps, *parameters) + layout.elements.bit_length()
    with mpmath.workprec(precision(14, size)):
        for place, indices in layout.channels():
            of_channel = [g[i] for i in indices]
            variables = [*(data[i] for i in indices), *(p[place] for p in parameters)]
            found = [mpmath.mpf(0)] * len(variables)
            for k, variable in enumerate(variables if indices else []):
                seeded = [*variables[:k], Dual(variable, mpmath.mpf(1)), *variables[k + 1 :]]
                found[k] = slope(_loss(seeded, of_channel, eps, training))
            for i, value in zip(indices, found, strict=False):
                of_x[i] = value
            for part, value in zip(of_parameters, found[len(indices) :], strict=True):
                part[place] = value
    return Gradients(of_x, *(part.reshape(layout.parameter) for part in of_parameters))


def hessian_vector_product(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    tangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
) -> ObjectArray:
    """Differentiate ``sum(cotangent * y)`` in training twice: along a tangent of x, and by each element of x.

    Parameters
    ----------
    x, cotangent, tangent : array, shape (*S)
        Input, weights of the elements of y, and direction.
    axis, epsilon, gamma
        As in `trajectory`.

    Returns
    -------
    array, shape (*S), object

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, or ``variance + epsilon`` is not positive.
    """
    data, g, u, eps = read(x), read(cotangent), read(tangent), number(epsilon)
    layout = Layout(data.shape, axis)
    if not data.shape == g.shape == u.shape:
        raise ValueError(f"cotangent and tangent must have the shape {data.shape} of x. Got {g.shape}, {u.shape}.")
    gain = layout.fit("gamma", None if gamma is None else read(gamma), 1)
    found = np.empty(data.shape, dtype=object)
    zero, one = mpmath.mpf(0), mpmath.mpf(1)
    size = height(data, g, u, eps, gain) + layout.elements.bit_length()
    with mpmath.workprec(precision(24, size)):
        for place, indices in layout.channels():
            of_channel, moving = [g[i] for i in indices], [Dual(data[i], u[i]) for i in indices]
            for i in indices:
                seeded = [Dual(value, one if i == j else zero) for j, value in zip(indices, moving, strict=True)]
                variables = [*seeded, gain[place], zero, zero, zero]
                found[i] = slope(slope(_loss(variables, of_channel, eps, training=True)))
    return found
