"""A second oracle: batch normalization in floating point of many bits, to check the first one against.

It shares with the first oracle the signatures, and neither code nor formulas: statistics come from Welford's
recurrence, the running averages from sums over the whole history, and the derivatives from dual numbers that
pass through the forward computation. It is slow, as every derivative is one more forward pass: O(N**2) per
channel.

Every function returns object arrays of `mpmath.mpf`, in which a result r of true value t is such that
``|r - t| <= 2**-320 * min(1, 2**-h, m)``: h is the `height` of x (and of beta, where it is added), and m the
least magnitude of the nonzero true values in the array, or of what these are sums of, where they add up different
square roots (for y: of ``y - beta``, and with a correction or an adjustment of its terms; for the derivative by a
weight that channels share: of what each of them adds; by gamma, of what each ghost batch and each part of the output
adds; for the averages of renormalization: of what each update adds). `precision` argues why.
Arithmetic on an mpf rounds to the precision that mpmath has at that moment, not to that of the operands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mpmath
import numpy as np
import numpy.typing as npt

from ._forward import (
    Layout,
    Numbers,
    ObjectArray,
    axes_of,
    height,
    normalize,
    number,
    precision,
    read,
    read_weights,
    welford,
)
from ._forward_averages import State
from ._forward_layer import Step, trajectory
from ._forward_mode import Gradients, gradients, hessian_vector_product
from ._jacobian import log_abs_det, normalization_log_det

__all__ = [
    "Gradients",
    "Moments",
    "State",
    "Step",
    "batch_normalization",
    "gradients",
    "hessian_vector_product",
    "log_abs_det",
    "moments",
    "normalization_log_det",
    "trajectory",
]


class Moments(NamedTuple):
    """Total weight, mean and population variance, all of one shape."""

    weight: ObjectArray
    mean: ObjectArray
    variance: ObjectArray


def moments(
    x: npt.NDArray[Any],
    axes: tuple[int, ...],
    weights: npt.NDArray[Any] | None = None,
    keepdims: bool = False,
) -> Moments:
    """Compute total weight, mean and population variance over some axes.

    Parameters
    ----------
    x : array, shape (*S)
        Finite wherever the weight is not 0.
    axes : tuple of int
        Axes to sum over.
    weights : array, x's rank with size 1 or x's size per axis, optional
        Frequencies; an element of weight 0 is deleted.
    keepdims : bool
        Keep the summed axes with size 1.

    Returns
    -------
    Moments
        ``sum(w)``, ``sum(w * x) / sum(w)`` and ``sum(w * (x - mean)**2) / sum(w)``.

    Raises
    ------
    ValueError
        If a total weight is 0, a weight is negative, a number is not finite, or a shape does not fit.
    """
    x = np.asarray(x)
    reduced = axes_of(axes, x.ndim)
    layout = Layout(x.shape, tuple(i for i in range(x.ndim) if i not in reduced))
    given = read_weights(weights, x.shape)
    w = np.broadcast_to(given, x.shape)
    data = read(x, where=w)
    size = height(data, given, given) + layout.elements.bit_length()
    found = tuple(np.empty(layout.kept, dtype=object) for _ in range(3))
    with mpmath.workprec(precision(6, size)):
        for place, indices in layout.channels():
            of_channel = welford([data[i] for i in indices], [w[i] for i in indices])
            for part, value in zip(found, of_channel, strict=True):
                part[place] = value
    shape = layout.kept if keepdims else tuple(size for i, size in enumerate(x.shape) if i not in reduced)
    return Moments(*(part.reshape(shape) for part in found))


def batch_normalization(
    x: npt.NDArray[Any],
    mean: Numbers,
    variance: Numbers,
    offset: Numbers | None,
    scale: Numbers | None,
    variance_epsilon: float,
) -> ObjectArray:
    """Compute ``scale * (x - mean) / sqrt(variance + variance_epsilon) + offset``, element by element.

    Parameters
    ----------
    x : array, shape (*S, C)
        Finite numbers.
    mean, variance, offset, scale : array
        Of x's rank, with size 1 or x's size per axis, or of shape (C,). `offset` and `scale` may be None.
    variance_epsilon : float
        Taken exactly.

    Returns
    -------
    array, shape (*S, C), object

    Raises
    ------
    ValueError
        If ``variance + variance_epsilon`` is not positive, a number is not finite or a shape does not fit.
    """
    data, epsilon = read(x), number(variance_epsilon)
    given = [
        np.full(data.shape[-1:], mpmath.mpf(default), dtype=object) if values is None else read(values)
        for values, default in ((mean, 0), (variance, 0), (scale, 1), (offset, 0))
    ]
    for part in given:
        fits = part.ndim == data.ndim and all(n in (1, size) for n, size in zip(part.shape, data.shape, strict=True))
        if not fits and part.shape != data.shape[-1:]:
            raise ValueError(f"a parameter does not fit x of shape {data.shape}. Got shape={part.shape}.")
    y = np.empty(data.shape, dtype=object)
    center, spread, gain, addend = (np.broadcast_to(part, data.shape) for part in given)
    with mpmath.workprec(precision(8, height(data, *given, epsilon))):
        for i in np.ndindex(*data.shape):
            y[i] = normalize([data[i]], center[i], spread[i], gain[i], addend[i], epsilon)[0]
    return y
