"""Normal densities, and densities of transformed variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from ._exact import Exact, ObjectArray, elementwise
from ._multiple import Parameter, settled, settled_array, total_over, wide

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._parts import Numbers

__all__ = ["MultivariateNormalDiag", "Normal", "transformed_log_prob"]


def _half_log_two_pi() -> Any:
    return mpmath.log(2 * mpmath.pi) / 2


def _log_upper(z: Any) -> Any:
    """Return log of the probability above z of the standard normal distribution, z >= 0.

    Where z^2 suffices for the asymptotic series, sum (-1)^k (2 k - 1)!! / z^(2 k), its terms fall below the precision
    before they grow, and the error is less than the first term that is left out.
    """
    square = z * z
    if square < 4 * mpmath.mp.prec:
        return mpmath.log(mpmath.erfc(z / mpmath.sqrt(2)) / 2)
    term, total, k = mpmath.mpf(1), mpmath.mpf(1), 1
    while abs(term) > mpmath.ldexp(1, -mpmath.mp.prec):
        term *= -(2 * k - 1) / square
        total += term
        k += 1
    return -square / 2 - mpmath.log(z) - _half_log_two_pi() + mpmath.log(total)


def _log_lower(z: Any) -> Any:
    """Return log of the probability below z."""
    return _log_upper(-z) if z <= 0 else mpmath.log1p(-mpmath.exp(_log_upper(z)))


def _point(p: Any) -> Any:
    """Return the z with probability p below it.

    log of the probability is concave and rises, so that from the first step on, Newton's method climbs to the root.
    """
    if not 0 < p < 1:
        raise ValueError(f"a probability must lie between 0 and 1. Got {mpmath.nstr(p)}.")
    if p > mpmath.mpf(1) / 2:
        return -_point(1 - p)
    goal = mpmath.log(p)
    z = -mpmath.sqrt(-2 * goal) if p < mpmath.mpf(1) / 8 else mpmath.mpf(0)
    for _ in range(200):
        height = _log_lower(z)
        step = (goal - height) * mpmath.exp(height + z * z / 2 + _half_log_two_pi())
        z += step
        if abs(step) <= mpmath.ldexp(max(abs(z), mpmath.ldexp(1, -80)), 20 - mpmath.mp.prec):
            break
    return z


def _positive(scale: Any) -> Any:
    if scale <= 0:
        raise ValueError(f"scale must be positive. Got {mpmath.nstr(scale)}.")
    return scale


@dataclass(frozen=True, eq=False)
class Normal:
    """The normal distribution, element by element.

    Parameters
    ----------
    loc, scale : array or float, broadcastable with the arguments
        Mean and standard deviation; taken exactly.
    """

    loc: Parameter = 0
    scale: Parameter = 1

    event_rank = 0

    def _settled(self, function: Callable[[Any, Any], Any], value: Numbers) -> Exact:
        def standardized(value: Any, loc: Any, scale: Any) -> Any:
            return function((value - loc) / _positive(scale), scale)

        return settled(standardized, wide(value), wide(self.loc), wide(self.scale))

    def log_prob(self, value: Numbers) -> Exact:
        """Compute -z^2 / 2 - log(2 pi) / 2 - log(scale), z being (value - loc) / scale."""
        return self._settled(lambda z, scale: -z * z / 2 - _half_log_two_pi() - mpmath.log(scale), value)

    def prob(self, value: Numbers) -> Exact:
        """Compute the density."""
        return self._settled(lambda z, scale: mpmath.npdf(z) / scale, value)

    def cdf(self, value: Numbers) -> Exact:
        """Compute the probability below a value."""
        return self._settled(lambda z, _: mpmath.exp(_log_lower(z)), value)

    def log_cdf(self, value: Numbers) -> Exact:
        """Compute the logarithm of the probability below a value."""
        return self._settled(lambda z, _: _log_lower(z), value)

    def survival(self, value: Numbers) -> Exact:
        """Compute the probability above a value."""
        return self._settled(lambda z, _: mpmath.exp(_log_lower(-z)), value)

    def log_survival(self, value: Numbers) -> Exact:
        """Compute the logarithm of the probability above a value."""
        return self._settled(lambda z, _: _log_lower(-z), value)

    def quantile(self, probability: Numbers) -> Exact:
        """Compute the value that has a probability, inside of (0, 1), below it."""
        return settled(
            lambda p, loc, scale: loc + _positive(scale) * _point(p),
            wide(probability),
            wide(self.loc),
            wide(self.scale),
        )

    def entropy(self) -> Exact:
        """Compute (1 + log(2 pi)) / 2 + log(scale), in the shape of loc and scale together."""
        return settled(
            lambda _, scale: mpmath.mpf(1) / 2 + _half_log_two_pi() + mpmath.log(_positive(scale)),
            wide(self.loc),
            wide(self.scale),
        )


@dataclass(frozen=True, eq=False)
class MultivariateNormalDiag:
    """Independent normal variables along the last axis.

    Parameters
    ----------
    loc : array, shape (*B, D), or float
        The mean.
    scale_diag : array, shape (*B, D)
        The factors of standard normal variables; may be negative, and must not be 0.
    """

    loc: Parameter
    scale_diag: Numbers

    event_rank = 1

    def _factors(self) -> ObjectArray:
        scale = wide(self.scale_diag)
        if scale.ndim == 0:
            raise ValueError("scale_diag must have at least one axis. Got none.")
        if any(value == 0 for value in scale.ravel().tolist()):
            raise ValueError("scale_diag must not be 0. Got an element that is.")
        return elementwise(abs, scale)

    def log_prob(self, value: Numbers) -> Exact:
        """Compute the log-density of vectors: shape (*S, D) gives (*S)."""
        x, loc, scale = wide(value), wide(self.loc), self._factors()

        def term(x: Any, loc: Any, scale: Any) -> Any:
            return -(((x - loc) / scale) ** 2) / 2 - _half_log_two_pi() - mpmath.log(scale)

        return settled_array(lambda: total_over(elementwise(term, x, loc, scale), 1))

    def entropy(self) -> Exact:
        """Compute D (1 + log(2 pi)) / 2 + sum(log |scale_diag|), of shape (*B)."""
        loc, scale = wide(self.loc), self._factors()

        def term(_: Any, scale: Any) -> Any:
            return mpmath.mpf(1) / 2 + _half_log_two_pi() + mpmath.log(scale)

        return settled_array(lambda: total_over(elementwise(term, loc, scale), 1))


def transformed_log_prob(
    base: Normal | MultivariateNormalDiag,
    inverse: Exact | tuple[Exact, ...],
    inverse_log_det: Exact | tuple[Exact, ...],
    event_ndims: int = 0,
) -> Exact:
    """Compute the log-density of y = f(x) from that of x.

    Parameters
    ----------
    base : Normal or MultivariateNormalDiag
        The distribution of x.
    inverse : Exact, shape (*S), or tuple of Exact
        The x whose image is y; a tuple holds all preimages.
    inverse_log_det : Exact or tuple of Exact
        Terms of the elements, of shape (*S), or their sums over events, of the shape of the result.
    event_ndims : int
        The rank of an event of y and of x, at least that of the base; elements of a `Normal` are independent.

    Returns
    -------
    Exact
        Shape (*S) without the last `event_ndims` axes: the log of the sum over preimages of their densities.
    """
    if event_ndims < base.event_rank:
        raise ValueError(f"event_ndims must be at least {base.event_rank}. Got event_ndims={event_ndims}.")
    points = inverse if isinstance(inverse, tuple) else (inverse,)
    log_dets = inverse_log_det if isinstance(inverse_log_det, tuple) else (inverse_log_det,)
    parts = []
    for x, log_det in zip(points, log_dets, strict=True):
        density, terms, rank = wide(base.log_prob(x)), wide(log_det), len(x.shape)
        parts.append((density, terms, event_ndims if len(terms.shape) == rank else 0))

    def compute() -> ObjectArray:
        sums = [
            total_over(density, event_ndims - base.event_rank) + total_over(terms, count)
            for density, terms, count in parts
        ]
        if len(sums) == 1:
            return np.asarray(sums[0], dtype=object)
        return elementwise(lambda *logs: mpmath.log(mpmath.fsum(map(mpmath.exp, logs))), *sums)

    return settled_array(compute)
