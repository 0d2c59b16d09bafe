"""Bounds of log |det J| where J is known with errors: by differences, or by automatic differentiation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._formats import FORMATS, accumulated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format

    Array = NDArray[np.float64]

__all__ = ["determinant", "differentiated"]


def determinant(jacobian: Array, errors: Array) -> Array:
    """Bound the error of log |det J|, computed in float64 by elimination.

    Parameters
    ----------
    jacobian : array, shape (*B, M, M)
        The matrices that came.
    errors : array, shape (*B, M, M)
        How far each element may be from the one that is meant.

    Returns
    -------
    array, shape (*B)
        Infinite where the matrix that is meant may be singular.

    Notes
    -----
    det(J + E) / det J is the product of the eigenvalues of 1 + J^-1 E, each within r = ||J^-1 E|| of 1, so that the
    logarithm moves by -M log(1 - r) at most. Elimination with partial pivoting is exact for a matrix that is off by
    g(3 M) |L| |U| [1]_, and no element of U exceeds 2^(M - 1) times the largest of J. The sum of M logarithms is
    rounded, too.

    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, theorems 9.3 and 9.5.
    """
    size = jacobian.shape[-1]
    if not size:
        return np.zeros(jacobian.shape[:-2])
    u = FORMATS["float64"].roundoff
    largest = np.abs(jacobian).max(axis=(-2, -1), keepdims=True)
    moved = errors + accumulated(3 * size, u) * size * 2.0 ** (size - 1) * largest
    ratio = np.abs(np.linalg.inv(jacobian)) @ moved
    norm = ratio.sum(axis=-1).max(axis=-1)
    logs = np.abs(np.linalg.slogdet(jacobian)[1]) + size
    with np.errstate(invalid="ignore", divide="ignore"):
        moved_by = np.where(norm < 1.0, -size * np.log1p(-norm), np.inf)
    found: Array = moved_by + accumulated(2 * size + 8, u) * logs
    return found


def differentiated(jacobian: Array, form: Format) -> Array:
    """Return how far the elements of a Jacobian by automatic differentiation may be off, where nothing is derived.

    2^8 roundings of the largest element of each row: a goal that is set, not proven, as that of second derivatives. It
    is for splines and networks with masks; of all else, the error is followed through the parts.
    """
    largest = np.abs(jacobian).max(axis=-1, keepdims=True, initial=0.0)
    return np.broadcast_to(accumulated(256.0, form.roundoff) * largest, jacobian.shape)
