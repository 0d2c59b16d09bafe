"""The derivatives of the output, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.batchnorm._normalize import slope

if TYPE_CHECKING:
    from bnspec.batchnorm._averages import Shares
    from bnspec.batchnorm._layout import Layout
    from bnspec.batchnorm._renorm import Correction
    from bnspec.batchnorm._weighting import Weighting

__all__ = ["Chain", "Gradients", "Point", "evaluation_pullback", "training_pullback"]


class Gradients(NamedTuple):
    """Gradients, each with the shape and dtype of what it belongs to.

    Attributes
    ----------
    x : array, shape S
        The gradient of the input.
    gamma, beta : array, shape K, or None
        Those of the parameters; None where there is no such parameter.
    moving_mean, moving_variance : array, shape K
        Those of the running averages that were given: zero in training, unless the convention normalizes by them.
    weights : array, or None
        That of the frequency weights, shaped as they are: zero in evaluation, None where there are none.
    """

    x: Any
    gamma: Any
    beta: Any
    moving_mean: Any
    moving_variance: Any
    weights: Any = None


class Chain(NamedTuple):
    """How the statistics that normalize hang on the batch.

    Attributes
    ----------
    deviation : array, of the cut shape
        ``x - mean``, with the batch's own mean.
    mean_weight, variance_weight : array, of the statistic shape
        What the sums of mean and variance are divided by.
    variance : array, of the statistic shape
        The batch's own variance.
    present : array, of the statistic shape, boolean
        Where there is anything to average; elsewhere the statistics are constants.
    shares : pair of Shares, or None
        Where the running averages normalize: how the batch's mean and variance entered them.
    """

    deviation: Any
    mean_weight: Any
    variance_weight: Any
    variance: Any
    present: Any
    shares: tuple[Shares, Shares] | None


class Point(NamedTuple):
    """Where the derivative is taken.

    Attributes
    ----------
    layout : Layout
        What is averaged.
    centred : array, of the cut shape
        ``x - mean``, with the mean that normalizes.
    inverse : array, of the statistic shape
        ``1 / sqrt(variance + epsilon)``.
    gamma : array, of the broadcast shape, or None
        The scale.
    correction : Correction or None
        That of renormalization.
    adjustment : pair of arrays, or None
        The scale and bias that follow it, of the cut shape.
    weighting : Weighting or None
        The frequency weights.
    chain : Chain or None
        None where the statistics are given.
    """

    layout: Layout
    centred: Any
    inverse: Any
    gamma: Any
    correction: Correction | None = None
    adjustment: tuple[Any, Any] | None = None
    weighting: Weighting | None = None
    chain: Chain | None = None

    @property
    def gain(self) -> Any:
        """Gamma r, of the broadcast shape; None where there is neither."""
        return self.gamma if self.correction is None else slope(self.correction.r, self.gamma)

    @property
    def slope(self) -> Any:
        """Gamma r / sqrt(variance + epsilon), of the statistic shape."""
        return slope(self.inverse, self.gain)

    def sums(self, cotangent: Any, xp: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Return the adjusted cotangent, its sum and that of its product with x', and the gradients of both parameters.

        With x' = (x - mean) / sqrt(variance + epsilon) and c = dy a:
        dbeta = sum(dy) and dgamma = sum(dy ((x' r + d) a + b)) = r sum(c x') + d sum(c) + sum(dy b).
        """
        adjusted = cotangent if self.adjustment is None else cotangent * self.adjustment[0]
        plain = self.layout.total(adjusted, xp)
        product = self.layout.total(adjusted * (self.centred * self.inverse), xp)
        gamma = product
        if self.correction is not None:
            gamma = self.correction.r * product + self.correction.d * plain
        beta = plain
        if self.adjustment is not None:
            gamma = gamma + self.layout.total(cotangent * self.adjustment[1], xp)
            beta = self.layout.total(cotangent, xp)
        return adjusted, plain, product, self.layout.gathered(gamma, xp), self.layout.gathered(beta, xp)


def training_pullback(cotangent: Any, point: Point, chain: Chain, xp: Any) -> Gradients:
    """Differentiate through the mean and the variance of the batch.

    Parameters
    ----------
    cotangent : array, of the cut shape
        The cotangent of the output.
    point : Point
        Where the derivative is taken.
    chain : Chain
        How its statistics hang on the batch.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    Gradients
        Those of x and of the weights of the cut shape, the others of the broadcast shape, all in the dtype of the
        computation.

    Notes
    -----
    With x' and c as in :meth:`Point.sums`, u = (x - batch mean) / sqrt(variance + epsilon), A the slope, W and F what
    mean and variance are divided by, and t = 1, or the share of the batch in the averages that normalize:
    dx = A (c - t w sum(c) / W - t w u sum(c x') / F), where w = 1 without weights, and
    dw = -A' t (u sum(c) / W + (u^2 - v / (variance + epsilon)) sum(c x') / (2 F)), where v is the batch's variance
    and A' is A without the root.

    References
    ----------
    .. [1] Ioffe and Szegedy (2015), section 3, with the sums collected.
    """
    adjusted, plain, product, gamma, beta = point.sums(cotangent, xp)
    own = chain.deviation * point.inverse
    even, odd = plain / chain.mean_weight, product / chain.variance_weight
    if chain.shares is not None:
        even, odd = even * chain.shares[0].take, odd * chain.shares[1].take
    weights = None
    if point.weighting is None:
        projected = (adjusted - even) - own * odd
    else:
        even, odd = (xp.where(chain.present, part, xp.zeros_like(part)) for part in (even, odd))
        share = chain.variance * point.inverse * point.inverse
        terms = even * own + odd * (own * own - share) * 0.5
        weights = -terms if point.gain is None else -(point.gain * terms)
        weights = xp.where(point.weighting.lost, xp.full_like(weights, float("nan")), weights)
        frequencies = point.weighting.frequencies
        projected = (adjusted - frequencies * even) - own * (frequencies * odd)
    factor = point.slope
    mean = variance = point.layout.gathered(xp.zeros_like(point.inverse), xp)
    if chain.shares is not None:
        one = xp.zeros_like(mean) + 1.0
        keep = [xp.where(chain.present, one * shares.keep, one) for shares in chain.shares]
        mean, variance = -(factor * plain) * keep[0], factor * point.inverse * product * -0.5 * keep[1]
    return Gradients(projected * factor, gamma, beta, mean, variance, weights)


def evaluation_pullback(cotangent: Any, point: Point, xp: Any) -> Gradients:
    """Differentiate with the statistics given: they have gradients of their own.

    Parameters
    ----------
    cotangent, point, xp
        As of :func:`training_pullback`.

    Returns
    -------
    Gradients
        As of :func:`training_pullback`.

    Notes
    -----
    dx = A dy, dmean = -A sum(dy), and dvariance = -A sum(dy x') / (2 sqrt(variance + epsilon)).
    """
    adjusted, plain, product, gamma, beta = point.sums(cotangent, xp)
    mean = point.layout.gathered(-(point.slope * plain), xp)
    variance = point.layout.gathered(point.slope * point.inverse * product * -0.5, xp)
    return Gradients(adjusted * point.slope, gamma, beta, mean, variance)
