"""Goals of the elementwise functions of a namespace, and of their gradients.

The goals are set, not derived: no framework documents the error of its kernels. They are what a namespace has to reach
on the points of the suite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._formats import FORMATS, accumulated

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["function_goal", "function_gradient", "relative_to_one", "second_derivative_goal"]

_GOAL = 4.0
# TensorFlow's kernel is a rational function: measured 4.5 in float32 and 5.4 in float64.
_GOALS = {"tanh": 6.0}


def function_goal(name: str) -> float:
    """Return the goal of an elementwise function, in units in the last place of the exact result.

    Parameters
    ----------
    name : str
        Its name in the standard.

    Returns
    -------
    float
        4; 6 for tanh.
    """
    return _GOALS.get(name, _GOAL)


def relative_to_one(name: str) -> bool:
    """Tell whether a function's unit is that of ``max(1, abs(result))``.

    That of logaddexp is: near its zeros it is the difference of nearly equal numbers, one of which is rounded.
    """
    return name == "logaddexp"


def function_gradient(estimate: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Bound the difference of a float64 gradient from one by finite differences.

    Twice the estimated error of the differences, and 32 roundings of a number of the size of the largest derivative
    and the largest weight together: the derivative of each function here is a product and a sum of few terms of
    which none is larger, each from a kernel that is off by a few units in the last place.
    """
    return 2.0 * np.asarray(estimate) + accumulated(32.0, FORMATS["float64"].roundoff) * size


def second_derivative_goal(size: float) -> float:
    """Return how far a float64 Hessian-vector product of a small batch may be from one by exact differences.

    Parameters
    ----------
    size : float
        The largest element of the product.

    Returns
    -------
    float
        2^12 roundings of that element. The bound that is proven is that of the law; this goal holds for all
        arguments together, and what it is to see, a path that is cut, is off by percents.
    """
    return accumulated(4096.0, FORMATS["float64"].roundoff) * size
