"""Bounds of what is done with variables: penalties, projections, random values to begin with."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ._formats import accumulated

if TYPE_CHECKING:
    from ._formats import Format

__all__ = ["adam", "empirical", "penalty", "projection"]


def adam(
    gradients: Any,
    values: Any,
    form: Format,
    *,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> Any:
    """Bound how far steps of Adam may be from those in exact arithmetic, given the gradients.

    Parameters
    ----------
    gradients : array, shape (T, *K)
        Of each step; no square of them underflows.
    values : array, shape (T, *K)
        Before each step.
    form : Format
        What is computed in.
    learning_rate, beta_1, beta_2, epsilon : float
        As of :class:`bnspec.training.Adam`.

    Returns
    -------
    numpy.ndarray, shape (T, *K)
        After each step.

    Notes
    -----
    A term of an average has three roundings when it enters, and three at each later step; those of the first average
    are relative to the sum of their sizes, those of the second to itself, and its root halves them. A correction
    1 - b^t has eight, and where it is formed by a difference four of b^t more, relative to 1 - b^t; two products, two
    quotients, a root and a sum make ten. Each step rounds the value. With the correction on the other side of epsilon,
    as PyTorch has it, there are not more.
    """
    sizes = np.abs(np.asarray(gradients, np.float64))
    first, second = np.zeros_like(sizes[0]), np.zeros_like(sizes[0])
    error, found = np.zeros_like(sizes[0]), []
    for step, (size, value) in enumerate(zip(sizes, np.asarray(values, np.float64), strict=True), start=1):
        first = beta_1 * first + (1.0 - beta_1) * size
        second = beta_2 * second + (1.0 - beta_2) * size * size
        parts = 1.0 - beta_1**step, 1.0 - beta_2**step
        moved = learning_rate * (first / parts[0]) / (np.sqrt(second / parts[1]) + epsilon)
        roundings = 3.0 * step + 1.5 * step + 16.0 + 10.0 + 4.0 / parts[0] + 4.0 / parts[1]
        error = error + accumulated(roundings, form.roundoff) * moved
        error = error + form.roundoff * (np.abs(value) + moved + error) + form.tiny
        found.append(error)
    return np.asarray(found)


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
