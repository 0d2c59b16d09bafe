"""Bounds of what is done with variables: penalties, projections, random values to begin with."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ._formats import accumulated

if TYPE_CHECKING:
    from ._formats import Format

__all__ = ["empirical", "penalty", "projection"]


def penalty(exact: float, count: int, form: Format) -> float:
    """Bound ``l1 sum(abs(v)) + l2 sum(v^2)``: no term is negative, so each has the relative error of N additions.

    A square, the rounding of a factor, its product, and the sum of both parts are four more.

    Parameters
    ----------
    exact : float
        The penalty.
    count : int
        N.
    form : Format
        What is computed in.

    Returns
    -------
    float
    """
    return accumulated(count + 4, form.roundoff) * exact + (count + 2) * form.tiny


def projection(exact: Any, count: int, form: Format) -> Any:
    """Bound ``v (rate clip(n, min, max) + (1 - rate) n) / (1e-7 + n)``, with n the norm of N numbers.

    Its own relative error is that of N + 1 roundings, and it enters twice. The limits, the rate, 1 minus it, two
    products and a sum make six above, 1e-7 and a sum two below; a quotient and a product follow.

    Parameters
    ----------
    exact : array
        The projected values.
    count : int
        N.
    form : Format
        What is computed in.

    Returns
    -------
    numpy.ndarray
        Of the shape of `exact`.
    """
    return accumulated(2 * (count + 1) + 10, form.roundoff) * np.abs(exact) + 2.0 * form.tiny


def empirical(count: int, chance: float) -> float:
    """Bound the distance of an empirical distribution from the one that its N numbers are drawn from.

    Parameters
    ----------
    count : int
        N.
    chance : float
        That independent numbers are further away, at most.

    Returns
    -------
    float

    References
    ----------
    .. [1] P. Massart, The Tight Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality, Ann. Probab. 18(3), 1990.
    """
    return sqrt(log(2.0 / chance) / (2.0 * count))
