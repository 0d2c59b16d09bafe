"""The roundings of a kernel for the tails of the normal distribution: of a scaled complementary error function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["tail_roundings"]

# To four digits: what is counted is how the terms share in the sums.
_MIDDLE_ABOVE = (2.153e-8, 0.5642, 8.883, 66.12, 298.6, 882.0, 1712.0, 2051.0, 1230.0)
_MIDDLE_BELOW = (1.0, 15.74, 117.7, 537.1, 1621.0, 3291.0, 4363.0, 3439.0, 1230.0)
_FAR_ABOVE = (0.01632, 0.3053, 0.3603, 0.1258, 0.01608, 6.587e-4)
_FAR_BELOW = (1.0, 2.569, 1.873, 0.5279, 0.06052, 0.002335)


def tail_roundings(z: Any) -> Array:
    """Count the roundings of exp(y^2) erfc(y), y = |z| / sqrt(2), by Cody's rational approximations.

    Parameters
    ----------
    z : array, shape (*S)
        Where; what is nearer to 0 than 0.66 is taken for that.

    Returns
    -------
    array, shape (*S)
        The relative error in units of u.

    Notes
    -----
    Horner's scheme with positive coefficients c and argument: each product and each sum adds u of its size, each
    coefficient u of its own [1]_; an error of the argument adds at most that times the degree. Up to y = 4 the function
    is a quotient of two such polynomials [2]_. Beyond, with w = 1 / y^2, it is (1 / sqrt(pi) - r) / y, where
    r = w P(w) / Q(w) is small beside 1 / sqrt(pi). y itself has two roundings, and moves the function by no more.

    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, section 5.1.
    .. [2] W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23, 1969.
    """
    y = np.maximum(np.abs(np.asarray(z, dtype=np.float64)), 0.66) / np.sqrt(2.0)
    with np.errstate(under="ignore"):
        middle = np.minimum(y, 4.0)
        near = _horner(_MIDDLE_ABOVE, middle)[1] + _horner(_MIDDLE_BELOW, middle)[1] + 4.0
        w = 1.0 / np.maximum(y, 4.0) ** 2
        (above, of_above), (below, of_below) = _horner(_FAR_ABOVE, w), _horner(_FAR_BELOW, w)
        rest, whole = w * above / below, 1.0 / np.sqrt(np.pi)
        # w has 3 roundings, by which both polynomials of degree 5 move; w P / Q has 3 more.
        share = rest * (of_above + of_below + 2 * 5 * 3.0 + 6.0)
        far = (share + whole + (whole - rest)) / (whole - rest) + 4.0
    found: Array = np.where(y <= 4.0, near, far)
    return found


def _horner(coefficients: Sequence[float], x: Array) -> tuple[Array, Array]:
    """Return the polynomial, and its relative error in units of u."""
    value = np.full_like(x, coefficients[0])
    error = value
    for coefficient in coefficients[1:]:
        product = value * x
        value = product + coefficient
        error = error * x + product + coefficient + value
    return value, error / value
