"""The standard normal distribution: its functions, with the tails that erf loses.

Where |z| is large, the probability beyond it is exp(-z^2 / 2) / 2 times the scaled complementary error function, which
is of the size of 1 / |z| and has rational approximations [1]_, exact to 1e-16.

.. [1] W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23, 1969; the coefficients are
   those of CALERF in SPECFUN.
"""

from __future__ import annotations

from math import inf, log, nan, pi, sqrt
from typing import Any

from bnspec.registry import backend_of

__all__ = ["cdf", "log_cdf", "log_density", "quantile"]

HALF_LOG_TWO_PI = 0.5 * log(2.0 * pi)
"""Minus the logarithm of the density at 0."""

# |z| up to which erf is used: 0.46875 sqrt(2).
_NEAR = 0.66

# Beyond it, exp(-z^2 / 2) is 0 in float64 too; its square is finite in float32.
_FAR = 1e9

_MIDDLE_ABOVE = (
    *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1),
    *(2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3),
    1.23033935479799725e3,
)
_MIDDLE_BELOW = (
    *(1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3),
    *(3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)
_FAR_ABOVE = (
    *(1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1),
    *(1.60837851487422766e-2, 6.58749161529837803e-4),
)
_FAR_BELOW = (
    *(1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2),
    2.33520497626869185e-3,
)


def log_density(z: Any) -> Any:
    """Return the logarithm of the density.

    Parameters
    ----------
    z : array, shape S, float32 or float64
        Any values.

    Returns
    -------
    array, shape S
    """
    return -0.5 * z * z - HALF_LOG_TWO_PI


def cdf(z: Any, xp: Any) -> Any:
    """Return the probability of at most z.

    Parameters
    ----------
    z : array, shape S, float32 or float64
        Any values; the infinities give 0 and 1.
    xp : namespace
        Its namespace.

    Returns
    -------
    array, shape S
        Relatively accurate in the lower tail, down to where it underflows.
    """
    near, middle = _split(z, xp)
    beyond = xp.clip(z, -_FAR, _FAR)
    tail = 0.5 * _scaled_erfc(xp.abs(z), xp) * xp.exp(-0.5 * beyond * beyond)
    return xp.where(near, 0.5 + 0.5 * _erf(middle), xp.where(z < 0.0, tail, 1.0 - tail))


def log_cdf(z: Any, xp: Any) -> Any:
    """Return the logarithm of the probability of at most z.

    Parameters
    ----------
    z : array, shape S, float32 or float64
        Any values; the infinities give -inf and 0.
    xp : namespace
        Its namespace.

    Returns
    -------
    array, shape S
        Relatively accurate on both sides: near -z^2 / 2 far below 0, and near minus the upper tail far above.
    """
    near, middle = _split(z, xp)
    below = ~(near | (z > 0.0))  # NaN too
    lower = xp.where(below, z, -xp.ones_like(z))
    upper = xp.where(z > 0.0, xp.clip(z, -_FAR, _FAR), xp.zeros_like(z))
    tail = 0.5 * _scaled_erfc(xp.abs(upper), xp) * xp.exp(-0.5 * upper * upper)
    left = xp.log(0.5 * _scaled_erfc(xp.abs(lower), xp)) - 0.5 * lower * lower
    right = xp.log1p(-xp.where(near, xp.zeros_like(z), tail))
    return xp.where(near, xp.log(0.5 + 0.5 * _erf(middle)), xp.where(below, left, right))


def quantile(p: Any, xp: Any) -> Any:
    """Return the z with the probability p of at most z.

    Parameters
    ----------
    p : array, shape S, float32 or float64
        Probabilities.
    xp : namespace
        Its namespace.

    Returns
    -------
    array, shape S
        -inf and inf at 0 and 1, NaN outside.

    Notes
    -----
    Between 1/4 and 3/4, 2 p - 1 is exact, and erf is inverted there. In the tails two steps of Newton's method on the
    logarithm of the probability start from an approximation that is good to 5e-4 [1]_; each squares the error.

    References
    ----------
    .. [1] M. Abramowitz, I. A. Stegun, Handbook of Mathematical Functions, 1964, 26.2.23.
    """
    inside = (p > 0.0) & (p < 1.0)
    half = xp.full_like(p, 0.5)
    p_inside = xp.where(inside, p, half)
    centred = 2.0 * p_inside - 1.0
    near = xp.abs(centred) <= 0.5
    middle = sqrt(2.0) * backend_of(p).erfinv(xp.where(near, centred, xp.zeros_like(p)))
    rare = xp.where(near, 0.5 * half, xp.where(centred < 0.0, p_inside, 1.0 - p_inside))
    wanted = xp.log(rare)
    t = xp.sqrt(-2.0 * wanted)
    above = (0.010328 * t + 0.802853) * t + 2.515517
    below = ((0.001308 * t + 0.189269) * t + 1.432788) * t + 1.0
    z = above / below - t
    for _ in range(2):
        reached = log_cdf(z, xp)
        z = z - (reached - wanted) * xp.exp(reached - log_density(z))
    found = xp.where(near, middle, xp.where(centred < 0.0, z, -z))
    # Constants, because a product with them would have a gradient of 0 inf.
    zero = xp.zeros_like(p)
    return xp.where(inside, found, xp.where(p == 0.0, zero - inf, xp.where(p == 1.0, zero + inf, zero + nan)))


def _split(z: Any, xp: Any) -> tuple[Any, Any]:
    """Tell where erf is accurate, and give it an argument that is near everywhere."""
    near = xp.abs(z) <= _NEAR
    return near, xp.where(near, z, xp.zeros_like(z))


def _erf(z: Any) -> Any:
    return backend_of(z).erf(z * sqrt(0.5))


def _scaled_erfc(size: Any, xp: Any) -> Any:
    """Return exp(y^2) erfc(y) at y = size / sqrt(2), y >= 0.46; what is below is taken for that, NaN stays."""
    y = xp.clip(size * sqrt(0.5), 0.46, _FAR)
    is_far = y > 4.0
    four = xp.full_like(y, 4.0)
    middle = xp.where(is_far, four, y)
    near = _polynomial(_MIDDLE_ABOVE, middle) / _polynomial(_MIDDLE_BELOW, middle)
    far = xp.where(is_far, y, four)
    z = 1.0 / (far * far)
    rest = z * _polynomial(_FAR_ABOVE, z) / _polynomial(_FAR_BELOW, z)
    return xp.where(is_far, (sqrt(1.0 / pi) - rest) / far, near)


def _polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    """Evaluate a polynomial, the highest power first."""
    first, second, *others = coefficients
    found = first * x + second
    for coefficient in others:
        found = found * x + coefficient
    return found
