"""The bound of a map of numbers that is a sum of few terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._formats import FORMATS, accumulated
from ._functions import function_goal

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["sum_of_kernels"]

_KERNELS = 5.0
_OPERATIONS = 8.0


def sum_of_kernels(size: NDArray[np.float64], dtype: str) -> NDArray[np.float64]:
    """Bound the error of an expression of up to five elementwise functions and eight operations.

    Parameters
    ----------
    size : array, shape S
        The sum of the absolute values of the terms that are added last: the absolute value of the result, where
        none cancel.
    dtype : str
        What is computed in.

    Returns
    -------
    array, shape S
        Each function is within its goal, in units of two roundoffs, and passes the error of its argument on no larger
        than it came, relative to its result: so do exp of what is bounded, log away from its zero and log1p of what
        is positive.
    """
    form = FORMATS[dtype]
    roundings = _KERNELS * 2.0 * function_goal("tanh") + _OPERATIONS
    return accumulated(roundings, form.roundoff) * np.asarray(size) + form.tiny
