"""Moments: the monoid from which every statistic of batch normalization follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import (
    accumulation_dtype,
    as_axes,
    as_divisor,
    blocked_sum,
    common_namespace,
    dtype_name,
    fits,
    is_known,
    reduced_count,
    require_real_floating,
    resolve_axes,
    settled,
    shape_of,
    sizes_of,
    to_rows,
)
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Moments", "moments", "require_weights", "weighted_moments"]


class Moments(NamedTuple):
    """Weight, mean and centred second moment of each channel.

    `merge` is associative up to rounding, and the moments of an empty batch are its identity, exactly.
    Batches, shards, groups, chunks and streams are all merges.

    Attributes
    ----------
    weight : array, shape K
        The sum of the frequency weights; the number of elements where there are none.
    mean_hi, mean_lo : array, shape K
        The mean as an unevaluated sum, so that nothing of it is lost when it is large against the deviation.
        Both are 0 where the weight is 0.
    m2 : array, shape K
        The weighted sum of the squared deviations from the mean.

    Notes
    -----
    All four are float32, or float64 where the input is float64. K are the sizes of the axes that are kept.
    """

    weight: Any
    mean_hi: Any
    mean_lo: Any
    m2: Any

    @classmethod
    def of(cls, x: Any, axes: int | Sequence[int], weights: Any = None) -> Moments:
        """Compute the moments of an array over some of its axes.

        Parameters
        ----------
        x : array, shape S, real floating
            The data.
        axes : int or sequence of int
            The axes that are averaged over.
        weights : array, real floating, optional
            Frequency weights, of x's rank and broadcastable to S. A weight of zero deletes the element, NaN included;
            a negative one makes its channel NaN.

        Returns
        -------
        Moments
            Of shape K, the axes of S that are not in `axes`.

        Raises
        ------
        TypeError, ValueError
            If an array or an axis is not as described.

        Notes
        -----
        Three passes: ``hi = mean(x)``, ``lo = mean(x - hi)``, then the squares of ``d = (x - hi) - lo``, whose
        sum is corrected by what the rounding of the mean has left, (sum d)^2 / N [1]_.

        References
        ----------
        .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque, Algorithms for computing the sample variance,
           The American Statistician 37 (1983), equation 1.7.
        """
        xp = common_namespace(x=x, weights=weights)
        require_real_floating(x=x, weights=weights)
        shape = sizes_of(x)
        reduced = resolve_axes("axes", as_axes("axes", axes), shape)
        count = reduced_count(shape, reduced)
        dtype = accumulation_dtype(xp, x, weights)
        rows = to_rows(xp.astype(x, dtype), reduced, xp)
        divisor: Any
        if weights is None:
            frequencies, divisor = None, as_divisor(count, dtype, xp)
        else:
            require_weights(shape_of(weights), shape_of(x))
            counted = xp.astype(weights, dtype)
            # A negative frequency has no meaning: what it enters must not look as if it had one.
            counted = xp.where(counted < 0, xp.full_like(counted, float("nan")), counted)
            frequencies = to_rows(xp.broadcast_to(counted, shape), reduced, xp)
            deleted = frequencies == 0
            rows = _without(rows, deleted, xp)
            weight = blocked_sum(frequencies, xp)
            divisor = xp.where(weight == 0, xp.ones_like(weight), weight)

        def total(terms: Any) -> Any:
            return blocked_sum(terms if frequencies is None else frequencies * terms, xp)

        hi = settled(total(rows) / divisor, xp)
        if weights is None:
            weight = xp.full_like(hi, float(count)) if is_known(count) else xp.zeros_like(hi) + xp.astype(count, dtype)
        residual = rows - hi
        if frequencies is not None:
            residual = _without(residual, deleted, xp)
        lo = settled(total(residual) / divisor, xp)
        deviation = residual - lo
        left = total(deviation)
        m2 = total(deviation * deviation) - left * left / divisor
        # On a constant channel both terms are rounding errors, and their difference may be below zero.
        return cls(weight, hi, lo, xp.where(m2 < 0, xp.zeros_like(m2), m2))

    def merge(self, other: Moments) -> Moments:
        """Combine the moments of two disjoint parts into those of the whole.

        Parameters
        ----------
        other : Moments
            Moments of the same shape.

        Returns
        -------
        Moments
            As if both parts had been one array.

        References
        ----------
        .. [1] Chan, Golub and LeVeque (1983), equation 2.1.
        """
        xp = common_namespace(weight=self.weight, other=other.weight)
        weight = self.weight + other.weight
        share = other.weight / xp.where(weight == 0, xp.ones_like(weight), weight)
        delta = (other.mean_hi - self.mean_hi) + (other.mean_lo - self.mean_lo)
        hi, lost = _two_sum(self.mean_hi, delta * share)
        m2 = self.m2 + other.m2 + delta * delta * (self.weight * share)
        # With nothing on this side, delta would be the other's mean rounded: take its parts instead.
        first = self.weight == 0
        return Moments(
            weight,
            xp.where(first, other.mean_hi, hi),
            xp.where(first, other.mean_lo, self.mean_lo + lost),
            xp.where(first, other.m2, m2),
        )

    def merged(self) -> Moments:
        """Combine parts that lie along the leading axis into the whole.

        Returns
        -------
        Moments
            Of shape K, where these have shape (G, *K); as if the G parts had been one array.

        References
        ----------
        .. [1] Chan, Golub and LeVeque (1983), equation 2.1, summed over the parts.
        """
        xp = common_namespace(weight=self.weight)
        weight = blocked_sum(self.weight, xp)
        divisor = xp.where(weight == 0, xp.ones_like(weight), weight)
        hi = settled(blocked_sum(self.weight * self.mean_hi, xp) / divisor, xp)
        residual = (self.mean_hi - hi) + self.mean_lo
        lo = settled(blocked_sum(self.weight * residual, xp) / divisor, xp)
        deviation = residual - lo
        left = blocked_sum(self.weight * deviation, xp)
        between = blocked_sum(self.weight * deviation * deviation, xp) - left * left / divisor
        m2 = blocked_sum(self.m2, xp) + xp.where(between < 0, xp.zeros_like(between), between)
        return Moments(weight, hi, lo, m2)

    def freedom(self, correction: float = 0.0) -> Any:
        """Return what the second moment is divided by, so that every channel has an estimate.

        Parameters
        ----------
        correction : float
            0 for the population variance, 1 for Bessel's estimator.

        Returns
        -------
        array, shape K
            The weight less the correction; where that is not positive, the weight, and 1 where that is 0.
        """
        xp = common_namespace(weight=self.weight)
        whole = xp.where(self.weight == 0, xp.ones_like(self.weight), self.weight)
        return xp.where(self.weight > correction, self.weight - correction, whole) if correction else whole

    @property
    def mean(self) -> Any:
        """The mean, rounded once: array, shape K."""
        return self.mean_hi + self.mean_lo

    def variance(self, correction: Any = 0.0) -> Any:
        """Divide the second moment by the weight less a correction.

        Parameters
        ----------
        correction : float or array, shape K
            0 for the population variance, 1 for Bessel's estimator.

        Returns
        -------
        array, shape K
            The variance; NaN where the weight is not above the correction.
        """
        xp = common_namespace(weight=self.weight)
        freedom = self.weight - correction
        defined = freedom > 0
        variance = self.m2 / xp.where(defined, freedom, xp.ones_like(freedom))
        return xp.where(defined, variance, xp.full_like(variance, float("nan")))


def moments(x: Any, axes: int | Sequence[int], keepdims: bool = False) -> tuple[Any, Any]:
    """Compute mean and population variance.

    Parameters
    ----------
    x : array, shape S, real floating
        The data.
    axes : int or sequence of int
        The axes that are averaged over.
    keepdims : bool
        Keep the reduced axes, with size 1.

    Returns
    -------
    mean, variance : array, shape K
        float64 where x is, else float32; half-precision statistics would overflow where the data do not.
        NaN over an empty batch, and in each channel that holds NaN or an infinity.

    Raises
    ------
    TypeError, ValueError
        If `x` or `axes` is not as described.

    References
    ----------
    .. [1] ``tf.nn.moments``, whose argument names these are.
    """
    return _mean_and_variance(x, axes, None, keepdims)


def weighted_moments(
    x: Any, axes: int | Sequence[int], frequency_weights: Any, keepdims: bool = False
) -> tuple[Any, Any]:
    """Compute mean and population variance with frequency weights.

    Parameters
    ----------
    x : array, shape S, real floating
        The data.
    axes : int or sequence of int
        The axes that are averaged over.
    frequency_weights : array, real floating
        Non-negative weights of x's rank, broadcastable to S. A weight of 2 counts an element twice, 0
        deletes it, NaN included, and fractions count as fractions.
    keepdims : bool
        Keep the reduced axes, with size 1.

    Returns
    -------
    mean, variance : array, shape K
        As of :func:`moments`; NaN where all weights are zero.

    Raises
    ------
    TypeError, ValueError
        If an array or an axis is not as described.

    References
    ----------
    .. [1] ``tf.nn.weighted_moments``, whose argument names these are.
    """
    return _mean_and_variance(x, axes, frequency_weights, keepdims)


def _mean_and_variance(x: Any, axes: int | Sequence[int], weights: Any, keepdims: bool) -> tuple[Any, Any]:
    found = Moments.of(x, axes, weights)
    xp = common_namespace(x=x)
    mean = xp.where(found.weight > 0, found.mean, xp.full_like(found.mean, float("nan")))
    variance = found.variance()
    if keepdims:
        shape = sizes_of(x)
        reduced = resolve_axes("axes", as_axes("axes", axes), shape)
        kept = tuple(1 if axis in reduced else size for axis, size in enumerate(shape))
        mean, variance = xp.reshape(mean, kept), xp.reshape(variance, kept)
    return mean, variance


def _without(terms: Any, deleted: Any, xp: Any) -> Any:
    """Put 0 in the place of deleted terms whose square, times the weight 0, would be NaN.

    The others stay, because the derivative by a weight needs the term also where the weight is 0.
    """
    limit = 2.0**511 if dtype_name(terms.dtype) == "float64" else 2.0**63
    # Not the contrary of <=: TensorFlow's graph optimizer makes > of it, which NaN is not either.
    kept = xp.logical_or(xp.logical_not(deleted), xp.abs(terms) <= limit)
    return xp.where(kept, terms, xp.zeros_like(terms))


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """Add exactly: a + b = sum + lost (Knuth 1969), for any two floats that do not overflow."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def require_weights(given: tuple[Any, ...], shape: tuple[Any, ...]) -> None:
    """Require weights that lie against an input.

    Parameters
    ----------
    given, shape : tuple of int or None
        The shapes of the weights and of the input.

    Raises
    ------
    ValueError
        If the ranks differ, or an axis has neither the input's size nor 1.
    """
    wanted = tuple(1 if w == 1 else s for w, s in zip(given, shape, strict=False))
    if len(given) != len(shape) or not fits(given, wanted):
        raise ValueError(
            message("weights must have the rank of x and on each axis its size or 1", x=shape, weights=given)
        )
