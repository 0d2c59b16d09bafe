"""Bounds of what lies beyond the standard: special functions, triangular solves, random normals.

No framework documents the error of its special functions, so their constants are measured, against 50 digits on some
1,200 arguments each in float32 and float64, eagerly and compiled; the worst is named where the constant is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._formats import accumulated, rounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format

__all__ = [
    "error_function",
    "gaussian_slope",
    "inverse_error_function",
    "log_gamma",
    "normals",
    "triangular_residual",
]

# 4.7 u: TensorFlow's kernel in float32, at 2.96; XLA's 3.4 u, SciPy's 2.3 u, torch's 1.2 u.
_ERF = 6.0
# 4.8 u: XLA's after the refinement, in float64, at 0.83; TensorFlow's 3.7 u, SciPy's 3.1 u, torch's 1.4 u.
_ERFINV = 6.0
# 16.2 u: XLA's in float32, at 1.52; SciPy's 2.3 u, TensorFlow's 1.9 u, torch's 1.0 u.
_LGAMMA = 20.0
# 4.2 u: NumPy's vectorized one in float32; TensorFlow's 3.5 u, XLA's 2.0 u, torch's 1.1 u; CUDA documents 2 u.
_LOG = 5.0
# 1.8 u, absolute: torch's compiled ones in float32, over [0, 2 pi]; CUDA documents 2 u.
_COS = 2.5
# 1.05 u: torch's in float32; all others are correctly rounded.
_SQRT = 2.0


def error_function(value: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Bound the error of erf, given its value; small arguments may be flushed to zero."""
    return _ERF * form.roundoff * np.abs(value) + 2.0 * form.tiny


def inverse_error_function(value: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Bound the error of the inverse of erf, given its value."""
    return _ERFINV * form.roundoff * np.abs(value) + 2.0 * form.tiny


def gaussian_slope(slope: NDArray[np.float64], y: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Bound the error of c exp(-y^2) or c exp(y^2), the derivatives of erf at y and of its inverse at erf(y).

    y^2 has the absolute error (2 e + 1) u y^2 where y has the relative error e u, and the exponential takes that for
    a relative one; y is the result of the inverse. The constant, the exponential (2 u as the others), the products
    and the sums of the refinement are 8 roundings.
    """
    return accumulated(8.0, form.roundoff) * slope + (2.0 * _ERFINV + 1.0) * form.roundoff * y**2 * slope + form.tiny


def log_gamma(value: NDArray[np.float64], sensitivity: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Bound the error of log |gamma|, given its value and x digamma(x).

    The value is a sum of terms of the size of x log x and of 1, which cancel near the zeros; and each rounding of
    x moves it by u x digamma(x).
    """
    return _LGAMMA * form.roundoff * (1.0 + np.abs(value) + np.abs(sensitivity))


def triangular_residual(a: NDArray[np.float64], solution: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Bound |b - a X| for the computed X of a triangular system, in whatever order its sums are taken.

    The computed X solves a system with |da| <= g(N) |a| [1]_. Substitution that multiplies by the reciprocals of
    the diagonal rounds once more.

    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, theorem 8.5.
    """
    size: NDArray[np.float64] = np.matmul(np.abs(a), np.abs(solution))
    count: int = a.shape[-1]
    return accumulated(count + 1, form.roundoff) * size + count * form.tiny


def normals(uniform: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Bound the error of sqrt(-2 log u) cos(2 pi v) and sqrt(-2 log u) sin(2 pi v), given (u, v) in rows.

    Doubling is exact, and the square root halves the relative error of the logarithm. 2 pi is rounded and so is its
    product with v, which moves cosine and sine by no more than the angle; their own error is added, and the product
    is rounded.
    """
    unit = form.roundoff
    radius = np.sqrt(-2.0 * np.log(uniform[:, :1]))
    angle = 2.0 * np.pi * uniform[:, 1:]
    wave = np.abs(np.concatenate([np.cos(angle), np.sin(angle)], axis=1))
    wave_error = angle * accumulated(2.0, unit) + _COS * unit
    grown = accumulated(_LOG / 2.0 + _SQRT + 1.0, unit)
    return rounded(radius * (grown * wave + (1.0 + grown) * wave_error), radius * wave, form)
