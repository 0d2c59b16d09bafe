"""Second derivatives of batch normalization, from a formula derived in the docstring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._exact import Exact, combine_times_root
from ._parts import Numbers, batch_statistics, empty, sum_over
from ._training import Known, prepare, same_shape

if TYPE_CHECKING:
    from bnspec.conventions import Convention

    from ._normalizer import Adjustment

__all__ = ["hessian_vector_product"]


def hessian_vector_product(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    tangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    weights: npt.NDArray[Any] | None = None,
    convention: Convention | None = None,
    momentum: float | None = None,
    num_batches: int = 0,
    moving_mean: Numbers | None = None,
    moving_variance: Numbers | None = None,
    virtual_batch_size: int | None = None,
    correction: tuple[Numbers, Numbers] | None = None,
    adjustment: Adjustment | None = None,
) -> Exact:
    """Differentiate the training gradient with respect to x once more, along a tangent of x.

    Parameters
    ----------
    x, cotangent, tangent : array, shape (*S), real floating
        Input, the numbers g that weigh the elements of y, and direction u.
    axis, epsilon, gamma
        As in `trajectory`.
    weights : array, x's rank with size 1 or x's size per axis, real floating or integer, optional
        Frequencies w, which stay as they are. As in `gradients`, an element of weight 0 and cotangent 0 may be
        NaN or infinite; the result is 0 there.
    convention, momentum, num_batches, moving_mean, moving_variance, virtual_batch_size, correction, adjustment
        As in `gradients`; the moving statistics are needed under ``statistics="running"`` only.

    Returns
    -------
    Exact
        Shape (*S): ``d/dh`` at h = 0 of the gradient of ``sum(g * y)`` at ``x + h u``, which leaves r, d, a and b as
        they are; no elements if N = 0.

    Raises
    ------
    ValueError
        If a number is not finite (but for those elements), a weight is negative, a shape does not fit,
        ``variance + epsilon`` is not positive, or parts are combined that exclude each other.

    Notes
    -----
    The gradient is ``gamma * ((g - w G / W) / s - w c P / (W s**3))``, with ``G = sum(g)`` and
    ``P = sum(g c)``; without weights, w is 1 and W is N. A tilde marks what remains after subtracting the mean
    that w weighs. Along u, c changes by u~, P by ``R = sum(g u~)`` and the variance by ``2 p``,
    ``p = sum(w c u~) / W``, so 1/s by ``-p / s**3`` and 1/s**3 by ``-3 p / s**5``. The result is
    ``gamma / s * (-(p (g - w G / W) + w (P u~ + R c) / W) / s**2 + 3 p P w c / (W s**4))``.

    In general, in the terms of `gradients`, the gradient is ``r gamma * ((h - w m G) / s - w c v P / s**3)``. M changes
    by T times the mean of u, V by ``2 p`` with ``p = v sum(w c u~)``, and P by
    ``R = sum(h u~) + (1 - T) mean(u) G``. The result is
    ``r gamma / s * (-(p (h - w m G) + w v (P u~ + R c)) / s**2 + 3 p P w c v / s**4)``.
    """
    known = Known(weights, convention, momentum, num_batches, moving_mean, moving_variance)
    known = known._replace(virtual_batch_size=virtual_batch_size, correction=correction, adjustment=adjustment)
    u = Exact.from_floats(tangent)
    same_shape("tangent", u, Exact(np.empty(np.shape(x), dtype=object), 0))
    found = prepare(x, cotangent, axis, epsilon, gamma, known)
    if found.grouping.whole.elements == 0:
        return empty(np.shape(x))
    by, layout, w = found.by, found.grouping.layout, found.w
    of_u = batch_statistics(u.reshape(found.grouping.shape), layout, w)
    c_unit, u_unit = by.batch.unit * found.w_unit, of_u.unit * found.w_unit
    p = by.by_square * sum_over(found.wc * of_u.centred, layout.reduced) * c_unit * of_u.unit
    change = sum_over(found.h.numerators * of_u.centred, layout.reduced) * of_u.unit * found.unit
    change = change + by.unmoved * of_u.mean * found.total
    scale, v = found.scale * by.square, by.by_square
    terms = [
        (found.h.numerators, -scale * p * found.unit),
        (w.numerators, scale * p * by.by_mean * found.total * found.w_unit),
        (np.asarray(w.numerators * of_u.centred, dtype=object), -scale * v * found.product * u_unit),
        (found.wc, scale * v * (3 * p * found.product * by.square - change) * c_unit),
    ]
    return combine_times_root(terms, by.square).reshape(np.shape(x))
