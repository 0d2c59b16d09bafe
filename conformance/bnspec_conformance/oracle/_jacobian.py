"""The log-det of normalization from the determinant of its Jacobian, to check `BatchBijector` against.

It shares no formula with it: the map is written down with its statistics held fixed, its Jacobian is taken by
differences, which are exact for an affine map, and the determinant comes from elimination with pivots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mpmath
import numpy as np

from ._forward import ObjectArray, axes_of, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._forward import Numbers

__all__ = ["log_abs_det", "normalization_log_det"]


def log_abs_det(matrix: ObjectArray) -> Any:
    """Return log |det| of a square matrix of mpf, by elimination with partial pivoting."""
    rows, total = [list(row) for row in matrix], mpmath.mpf(0)
    for k in range(len(rows)):
        best = max(range(k, len(rows)), key=lambda i: abs(rows[i][k]))
        rows[k], rows[best] = rows[best], rows[k]
        pivot = rows[k][k]
        if not pivot:
            raise ValueError("a Jacobian must not be singular. Got one that is.")
        total += mpmath.log(abs(pivot))
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / pivot
            if factor:
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return total


def _jacobian(function: Callable[[ObjectArray], ObjectArray], size: int) -> ObjectArray:
    """Return the matrix of an affine map of vectors."""
    zero = np.full(size, mpmath.mpf(0), dtype=object)
    start = function(zero)
    columns = []
    for k in range(size):
        step = zero.copy()
        step[k] = mpmath.mpf(1)
        columns.append(function(step) - start)
    return np.stack(columns, axis=1) if columns else np.empty((0, 0), dtype=object)


def normalization_log_det(
    y: Numbers,
    axis: tuple[int, ...],
    epsilon: float,
    event_ndims: int,
    *,
    statistics: tuple[Numbers, Numbers] | None = None,
    gamma: Numbers | None = None,
    beta: Numbers | None = None,
    adjustment: tuple[Numbers, Numbers] | None = None,
) -> ObjectArray:
    """Compute the log-det of normalization for each event.

    Parameters
    ----------
    y : array, shape (*S)
        The data.
    axis : tuple of int
        The feature axes.
    epsilon : float
        Added to the variance.
    event_ndims : int
        The rank of an event, the last axes of y.
    statistics : tuple of array, optional
        Mean and variance; those of y, the population variance, if absent.
    gamma, beta : array, optional
        Of shape (C,), or of y's rank.
    adjustment : tuple of array, optional
        a and b, broadcastable to (*S).

    Returns
    -------
    array, object
        mpf, of the shape of y without its last `event_ndims` axes, computed with the precision that mpmath has.
    """
    data = read(y)
    features = axes_of(axis, data.ndim)
    kept = tuple(size if i in features else 1 for i, size in enumerate(data.shape))

    def spread(values: Numbers | None, default: int) -> ObjectArray:
        if values is None:
            return np.full(data.shape, mpmath.mpf(default), dtype=object)
        return np.broadcast_to(read(values).reshape(kept), data.shape)

    if statistics is None:
        others = tuple(i for i in range(data.ndim) if i not in features)
        count = data.size // max(1, int(np.prod(kept)))
        mean = np.broadcast_to(np.sum(data, axis=others, keepdims=True) / count, data.shape)
        variance = np.broadcast_to(np.sum((data - mean) ** 2, axis=others, keepdims=True) / count, data.shape)
    else:
        mean, variance = spread(statistics[0], 0), spread(statistics[1], 1)
    pair = (np.ones(()), np.zeros(())) if adjustment is None else adjustment
    a, b = (np.broadcast_to(read(part), data.shape) for part in pair)
    scale, offset = spread(gamma, 1), spread(beta, 0)
    result = np.empty(data.shape[: data.ndim - event_ndims], dtype=object)
    for place in np.ndindex(*result.shape):
        m, v, g, o, factor, addend = (part[place].ravel() for part in (mean, variance, scale, offset, a, b))
        deviation = np.asarray([mpmath.sqrt(value + mpmath.mpf(epsilon)) for value in v], dtype=object)

        def normalize(
            event: ObjectArray, m: Any = m, s: Any = deviation, a: Any = factor, b: Any = addend, g: Any = g, o: Any = o
        ) -> ObjectArray:
            return np.asarray(((event - m) / s * a + b) * g + o, dtype=object)

        result[place] = log_abs_det(_jacobian(normalize, m.size))
    return result
