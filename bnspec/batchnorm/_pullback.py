"""The derivatives of the output, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import as_divisor
from bnspec.batchnorm._normalize import slope

if TYPE_CHECKING:
    from bnspec.batchnorm._layout import Layout

__all__ = ["Gradients", "evaluation_pullback", "training_pullback"]


class Gradients(NamedTuple):
    """Gradients, each with the shape and dtype of what it belongs to.

    Attributes
    ----------
    x : array, shape S
        The gradient of the input.
    gamma, beta : array, shape K, or None
        Those of the parameters; None where there is no such parameter.
    moving_mean, moving_variance : array, shape K
        Those of the running averages that were given: zero in training.
    """

    x: Any
    gamma: Any
    beta: Any
    moving_mean: Any
    moving_variance: Any


def training_pullback(cotangent: Any, centred: Any, inverse: Any, gamma: Any, layout: Layout, xp: Any) -> Gradients:
    """Differentiate through the batch's mean and population variance.

    Parameters
    ----------
    cotangent : array, shape S
        The cotangent of the output.
    centred : array, shape S
        ``x - mean``.
    inverse : array, of the broadcast shape
        ``1 / sqrt(variance + epsilon)``.
    gamma : array, of the broadcast shape, or None
        The scale.
    layout : Layout
        What is averaged.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    Gradients
        Of x's shape and of the broadcast shape, all in the dtype of `centred`.

    Notes
    -----
    With x' = centred * inverse: dx = gamma inverse (dy - mean(dy) - x' mean(dy x')).

    References
    ----------
    .. [1] Ioffe and Szegedy (2015), section 3, with the sums collected.
    """
    normalized = centred * inverse
    count = as_divisor(layout.count, cotangent.dtype, xp)
    beta_gradient = layout.total(cotangent, xp)
    gamma_gradient = layout.total(cotangent * normalized, xp)
    projected = (cotangent - beta_gradient / count) - normalized * (gamma_gradient / count)
    none = xp.zeros_like(inverse)
    return Gradients(projected * slope(inverse, gamma), gamma_gradient, beta_gradient, none, none)


def evaluation_pullback(cotangent: Any, centred: Any, inverse: Any, gamma: Any, layout: Layout, xp: Any) -> Gradients:
    """Differentiate with the statistics given: they have gradients of their own.

    Parameters
    ----------
    cotangent, centred, inverse, gamma, layout, xp
        As of :func:`training_pullback`.

    Returns
    -------
    Gradients
        As of :func:`training_pullback`.

    Notes
    -----
    With x' = centred * inverse: dx = gamma inverse dy, dmean = -gamma inverse sum(dy), and
    dvariance = -gamma inverse^2 sum(dy x') / 2.
    """
    factor = slope(inverse, gamma)
    beta_gradient = layout.total(cotangent, xp)
    gamma_gradient = layout.total(cotangent * (centred * inverse), xp)
    mean_gradient = -(factor * beta_gradient)
    variance_gradient = factor * inverse * gamma_gradient * -0.5
    return Gradients(cotangent * factor, gamma_gradient, beta_gradient, mean_gradient, variance_gradient)
