"""Derivatives of batch normalization in the second oracle, by computing forward with dual numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np
import numpy.typing as npt

from ._dual import Dual, slope
from ._forward import (
    Layout,
    Numbers,
    ObjectArray,
    height,
    normalize,
    number,
    precision,
    read,
    read_weights,
    statistics,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._forward import Index

__all__ = ["Gradients", "gradients", "hessian_vector_product"]


class Gradients(NamedTuple):
    """Vector-Jacobian products of y: `x` of x's shape, `weights` of theirs, or None, the others parameter-shaped."""

    x: ObjectArray
    gamma: ObjectArray
    beta: ObjectArray
    moving_mean: ObjectArray
    moving_variance: ObjectArray
    weights: ObjectArray | None = None


def _loss(variables: Sequence[Any], cotangent: Sequence[Any], epsilon: Any, training: bool) -> Any:
    """Compute ``sum(g * y)`` of one channel.

    The variables are its elements, gamma, beta, the moving statistics and the weights of the elements.
    """
    n = len(cotangent)
    values, (gamma, beta, mean, variance), weights = variables[:n], variables[n : n + 4], variables[n + 4 :]
    if training:
        _, mean, variance = statistics(values, weights)
    y = normalize(values, mean, variance, gamma, beta, epsilon)
    return sum((g * value for g, value in zip(cotangent, y, strict=True)), mpmath.mpf(0))


def _finite(indices: Sequence[Index], data: ObjectArray, cotangent: ObjectArray) -> list[Index]:
    """Keep the elements that are finite; no others may have a cotangent that is not 0."""
    for i in indices:
        if cotangent[i] and not mpmath.isfinite(data[i]):
            raise ValueError(f"where x is not finite, the cotangent must be 0. Got {float(cotangent[i])} at {i}.")
    return [i for i in indices if mpmath.isfinite(data[i])]


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
    weights : array, x's rank with size 1 or x's size per axis, optional
        Frequencies, as in `trajectory`. In evaluation, nothing but their shape is read.

    Returns
    -------
    Gradients
        An absent gamma is 1, and its gradient is returned all the same. The derivatives by weights, summed over
        the axes along which these have size 1, are 0 in evaluation.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, a weight is negative, ``variance + epsilon`` is not
        positive, or an element that is NaN or infinite (and of weight 0) has a cotangent that is not 0.

    Notes
    -----
    An element of weight 0 has in its own gradient only the direct term. By such a weight there is a derivative
    all the same, for weights from 0 upwards, but where the element is NaN or infinite: there it is NaN, and the
    element adds nothing to any other derivative. In a channel whose weights are all 0, the statistics count as
    constants. A weight shared by several elements has the sum, NaN if one is NaN.
    """
    given = read_weights(weights if training else None, np.shape(x))
    w = np.broadcast_to(given, np.shape(x))
    data, g, eps = read(x, where=w), read(cotangent), number(epsilon)
    layout = Layout(data.shape, axis)
    if g.shape != data.shape:
        raise ValueError(f"cotangent must have the shape {data.shape} of x. Got shape={g.shape}.")
    parameters = [
        layout.fit("gamma", None if gamma is None else read(gamma), 1),
        layout.fit("beta", None),
        layout.fit("moving_mean", None if training else read(moving_mean)),
        layout.fit("moving_variance", None if training else read(moving_variance)),
    ]
    zero, nan = mpmath.mpf(0), mpmath.mpf("nan")
    of_x = np.full(data.shape, zero, dtype=object)
    of_parameters = [np.full(layout.kept, zero, dtype=object) for _ in parameters]
    of_weights = None if weights is None else np.full(np.shape(weights), zero, dtype=object)
    size = height(data, g, eps, *parameters, given, given) + layout.elements.bit_length()
    with mpmath.workprec(precision(14 if of_weights is None else 16, size)):
        for place, indices in layout.channels():
            finite = _finite(indices, data, g)
            n, of_channel = len(finite), [g[i] for i in finite]
            variables = [*(data[i] for i in finite), *(p[place] for p in parameters), *(w[i] for i in finite)]
            by_weights = training and of_weights is not None and any(variables[n + 4 :])
            found = [zero] * len(variables)
            for k in range((len(variables) if by_weights else n + 4) if indices else 0):
                seeded = [*variables[:k], Dual(variables[k], mpmath.mpf(1)), *variables[k + 1 :]]
                found[k] = slope(_loss(seeded, of_channel, eps, training))
            for i, value in zip(finite, found, strict=False):
                of_x[i] = value
            for part, value in zip(of_parameters, found[n : n + 4], strict=True):
                part[place] = value
            if training and of_weights is not None:
                known = dict(zip(finite, found[n + 4 :], strict=True))
                for i in indices:
                    of_weights[tuple(np.minimum(i, np.subtract(of_weights.shape, 1)))] += known.get(i, nan)
    parts = (part.reshape(layout.parameter) for part in of_parameters)
    return Gradients._make([of_x, *parts, of_weights])


def hessian_vector_product(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    tangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    weights: npt.NDArray[Any] | None = None,
) -> ObjectArray:
    """Differentiate ``sum(cotangent * y)`` in training twice: along a tangent of x, and by each element of x.

    Parameters
    ----------
    x, cotangent, tangent : array, shape (*S)
        Input, weights of the elements of y, and direction.
    axis, epsilon, gamma
        As in `trajectory`.
    weights : array, x's rank with size 1 or x's size per axis, optional
        Frequencies, as in `trajectory`; they stay fixed.

    Returns
    -------
    array, shape (*S), object
        0 where x is NaN or infinite.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, a weight is negative, ``variance + epsilon`` is not
        positive, or an element that is NaN or infinite (and of weight 0) has a cotangent that is not 0.
    """
    given = read_weights(weights, np.shape(x))
    w = np.broadcast_to(given, np.shape(x))
    data, g, u, eps = read(x, where=w), read(cotangent), read(tangent), number(epsilon)
    layout = Layout(data.shape, axis)
    if not data.shape == g.shape == u.shape:
        raise ValueError(f"cotangent and tangent must have the shape {data.shape} of x. Got {g.shape}, {u.shape}.")
    gain = layout.fit("gamma", None if gamma is None else read(gamma), 1)
    zero, one = mpmath.mpf(0), mpmath.mpf(1)
    found = np.full(data.shape, zero, dtype=object)
    size = height(data, g, u, eps, gain, given, given) + layout.elements.bit_length()
    with mpmath.workprec(precision(24, size)):
        for place, indices in layout.channels():
            finite = _finite(indices, data, g)
            of_channel, moving = [g[i] for i in finite], [Dual(data[i], u[i]) for i in finite]
            for i in finite:
                seeded = [Dual(value, one if i == j else zero) for j, value in zip(finite, moving, strict=True)]
                variables = [*seeded, gain[place], zero, zero, zero, *(w[j] for j in finite)]
                found[i] = slope(slope(_loss(variables, of_channel, eps, training=True)))
    return found
