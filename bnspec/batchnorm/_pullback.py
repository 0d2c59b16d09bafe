"""The derivatives of the output, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import as_divisor
from bnspec.batchnorm._normalize import slope

if TYPE_CHECKING:
    from bnspec.batchnorm._layout import Layout
    from bnspec.batchnorm._weighting import Weighting

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
    weights : array, or None
        That of the frequency weights, shaped as they are: zero in evaluation, None where there are none.
    """

    x: Any
    gamma: Any
    beta: Any
    moving_mean: Any
    moving_variance: Any
    weights: Any = None


def training_pullback(
    cotangent: Any,
    centred: Any,
    inverse: Any,
    gamma: Any,
    layout: Layout,
    xp: Any,
    weighting: Weighting | None = None,
    variance: Any = None,
) -> Gradients:
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
    weighting : Weighting, optional
        The frequency weights.
    variance : array, of the broadcast shape, optional
        The variance of the batch; needed with weights.

    Returns
    -------
    Gradients
        Of x's shape and of the broadcast shape, all in the dtype of `centred`.

    Notes
    -----
    With x' = centred * inverse: dx = gamma inverse (dy - w sum(dy) / W - w x' sum(dy x') / W), where without weights
    w = 1 and W = N.

    References
    ----------
    .. [1] Ioffe and Szegedy (2015), section 3, with the sums collected.
    """
    normalized = centred * inverse
    beta_gradient = layout.total(cotangent, xp)
    gamma_gradient = layout.total(cotangent * normalized, xp)
    if weighting is None:
        count = as_divisor(layout.count, cotangent.dtype, xp)
        even, odd = beta_gradient / count, gamma_gradient / count
        weights_gradient = None
    else:
        even, odd = (
            weighting.frequencies * (gradient / weighting.total) for gradient in (beta_gradient, gamma_gradient)
        )
        share = variance * inverse * inverse
        weights_gradient = weighting.gradient(normalized, beta_gradient, gamma_gradient, gamma, share, xp)
    projected = (cotangent - even) - normalized * odd
    none = xp.zeros_like(inverse)
    return Gradients(projected * slope(inverse, gamma), gamma_gradient, beta_gradient, none, none, weights_gradient)


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
