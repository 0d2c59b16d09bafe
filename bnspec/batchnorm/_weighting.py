"""Frequency weights in training: what they share out, and their own derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import blocked_sum, is_known, sizes_of, to_rows

if TYPE_CHECKING:
    from bnspec.batchnorm._layout import Layout

__all__ = ["Weighting"]


class Weighting(NamedTuple):
    """The weights of one call, laid against the input.

    Attributes
    ----------
    weights : array
        As the caller gave them, in the dtype of the computation.
    frequencies : array, shape S
        The same, broadcast to the input.
    total : array, of the broadcast shape
        The sum of each channel's weights; 1 where that is 0.
    inverse : array, of the broadcast shape
        One by the sum of each channel's weights; 0 where that is 0.
    lost : array, shape S, boolean
        What is deleted and is not finite: it has no output that could be differentiated.
    """

    weights: Any
    frequencies: Any
    total: Any
    inverse: Any
    lost: Any

    @classmethod
    def of(cls, weights: Any, x: Any, total: Any, layout: Layout, xp: Any) -> Weighting:
        """Lay weights against an input.

        Parameters
        ----------
        weights : array, broadcastable to S
            Checked already.
        x : array, shape S
            The input, in the dtype of the computation.
        total : array, shape K
            The sum of each channel's weights.
        layout : Layout
            What is averaged.
        xp : namespace
            The namespace of the arrays.

        Returns
        -------
        Weighting
        """
        weights = xp.astype(weights, x.dtype)
        frequencies = xp.broadcast_to(weights, layout.shape)
        divisor = xp.where(total == 0, xp.ones_like(total), total)
        lost = xp.logical_and(frequencies == 0, xp.logical_not(xp.isfinite(x)))
        inverse = xp.where(total == 0, xp.zeros_like(total), 1.0 / divisor)
        return cls(weights, frequencies, layout.spread(divisor, xp), layout.spread(inverse, xp), lost)

    def gradient(self, normalized: Any, beta_sum: Any, gamma_sum: Any, gamma: Any, share: Any, xp: Any) -> Any:
        """Differentiate by the weights.

        Parameters
        ----------
        normalized : array, shape S
            ``(x - mean) / sqrt(variance + epsilon)``.
        beta_sum, gamma_sum : array, of the broadcast shape
            The sums of the cotangent, and of its product with `normalized`.
        gamma : array, of the broadcast shape, or None
            The scale.
        share : array, of the broadcast shape
            ``variance / (variance + epsilon)``.
        xp : namespace
            The namespace of the arrays.

        Returns
        -------
        array, shaped as the weights
            NaN where the element is `lost`; 0 in a channel without weight, whose statistics are taken as constants.

        Notes
        -----
        A weight w moves the mean by (x - mean) / W and the variance by ((x - mean)^2 - variance) / W, so that
        dw = -gamma / W (sum(dy) x' + sum(dy x') (x'^2 - share) / 2).
        """
        scale = self.inverse if gamma is None else gamma * self.inverse
        terms = -(scale * (beta_sum * normalized + gamma_sum * (normalized * normalized - share) * 0.5))
        terms = xp.where(self.lost, xp.full_like(terms, float("nan")), terms)
        return self._gathered(terms, xp)

    def _gathered(self, terms: Any, xp: Any) -> Any:
        """Sum over the axes along which the weights are broadcast.

        An axis of size s on which the weights have w, 1 or s, is laid out as (w, s / w), which needs not be known.
        """
        given, shape, spread = sizes_of(self.weights), [], []
        for size, whole in zip(given, sizes_of(terms), strict=True):
            shape.append(size)
            if not is_known(size) or size != whole:
                spread.append(len(shape))
                shape.append(whole if is_known(size) and size == 1 else whole // xp.maximum(size, 1))
        return blocked_sum(to_rows(xp.reshape(terms, tuple(shape)), tuple(spread), xp), xp) if spread else terms
