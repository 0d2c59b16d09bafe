"""Bounds of affine coupling: x exp(s) + t, its inverse and its log-det."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._formats import accumulated
from ._functions import function_goal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format

    Array = NDArray[np.float64]

__all__ = ["coupled", "coupled_log_det", "uncoupled"]

# A unit in the last place is at most two roundoffs of the number.
EXP = 2.0 * function_goal("exp")


def coupled(x: Array, log_scale: Array, shift: Array, form: Format) -> Array:
    """Bound x exp(log_scale) + shift for exact arguments: an exponential, a product and a sum are rounded.

    Parameters
    ----------
    x, log_scale, shift : array, shape (*B, D)
        The arguments.
    form : Format
        What is computed in.

    Returns
    -------
    array, shape (*B, D)
    """
    return accumulated(EXP + 2.0, form.roundoff) * (np.abs(x) * np.exp(log_scale) + np.abs(shift))


def uncoupled(y: Array, error: Array | float, log_scale: Array, shift: Array, form: Format) -> Array:
    """Bound (y - shift) exp(-log_scale), where y has an error of its own; see :func:`coupled`.

    Parameters
    ----------
    y : array, shape (*B, D)
        The exact argument.
    error : array, shape (*B, D), or float
        How far the one that came may be from it.
    log_scale, shift : array, shape (*B, D)
        Exact arguments.
    form : Format
        What is computed in.

    Returns
    -------
    array, shape (*B, D)
    """
    relative = accumulated(EXP + 2.0, form.roundoff)
    bound: Array = (error * (1.0 + relative) + relative * np.abs(y - shift)) * np.exp(-log_scale)
    return bound


def coupled_log_det(log_scale: Array, form: Format) -> Array:
    """Bound the distance of the log-det from the logarithms of the computed derivatives, which are exponentials.

    Parameters
    ----------
    log_scale : array, shape (*B, D)
        The exact terms.
    form : Format
        What is computed in.

    Returns
    -------
    array, shape B
        The errors of D exponentials, each off by one more for the curvature of the logarithm, and of D additions.
    """
    units = log_scale.shape[-1]
    exponentials = units * accumulated(EXP + 1.0, form.roundoff)
    bound: Array = exponentials + accumulated(units, form.roundoff) * np.sum(np.abs(log_scale), axis=-1)
    return bound
