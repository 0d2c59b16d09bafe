"""The error of the elementwise functions of a namespace, in units in the last place of the exact result.

Rules at the ends of the format: infinity counts as the first number out of range, both as a result and where the exact
result is beyond it; an exact result below the smallest normal number may be any number of at most that size, because
some frameworks flush to zero; NaN is infinitely wrong.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec_conformance.bounds import FORMATS, relative_to_one

from .points import POINTS, points
from .reference import Exact, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["DTYPES", "FUNCTIONS", "Accuracy", "errors", "measure", "modes"]

FUNCTIONS = tuple(POINTS)
"""Every real elementwise function of the standard that returns numbers."""

DTYPES = ("float32", "float64")

_DIGITS = {"float32": 23, "float64": 52}
_LARGEST = {"float32": 127, "float64": 1023}
_SMALLEST = {"float32": -126, "float64": -1022}


class Accuracy(NamedTuple):
    """What was measured of one function.

    Attributes
    ----------
    error : float
        The largest error, in units in the last place.
    at : tuple of float
        The arguments where it occurs.
    points : int
        Their number.
    """

    error: float
    at: tuple[float, ...]
    points: int


def modes(backend: Any) -> Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """Return the ways in which a backend runs a function; eagerly under the empty name."""
    return {"": lambda function: function, **backend.modes()}


@cache
def _expected(name: str, dtype: str, count: int) -> tuple[tuple[NDArray[Any], ...], Exact]:
    arguments = points(name, dtype, count)
    return arguments, exact(name, arguments)


def errors(name: str, found: NDArray[Any], expected: Exact, dtype: str) -> NDArray[np.float64]:
    """Compare results with exact ones.

    Parameters
    ----------
    name : str
        The function, which may have a unit of its own.
    found : numpy.ndarray, shape (N,)
        Of the dtype.
    expected : Exact, shape (N,)
        The exact results.
    dtype : str
        "float32" or "float64".

    Returns
    -------
    numpy.ndarray, shape (N,), float64
        Errors in units in the last place of the exact result.
    """
    largest, smallest = _LARGEST[dtype], _SMALLEST[dtype]
    over = expected.exponent > largest
    head = np.where(over, np.copysign(2.0, expected.head), expected.head)
    tail = np.where(over, 0.0, expected.tail)
    exponent = np.minimum(expected.exponent, largest)
    unit = np.maximum(exponent, 0) if relative_to_one(name) else exponent
    wide = found.astype(np.float64)
    with np.errstate(all="ignore"):
        scaled = np.where(
            np.isinf(wide), np.copysign(np.ldexp(2.0, largest - exponent), wide), np.ldexp(wide, -exponent)
        )
        error = np.ldexp(np.abs((scaled - head) - tail), _DIGITS[dtype] + exponent - unit)
    error = np.where(np.isnan(error), np.inf, error)
    below = (exponent < smallest) | (head == 0.0)
    if relative_to_one(name):
        return error
    return np.where(below, np.where(np.abs(wide) <= FORMATS[dtype].tiny, 0.0, np.inf), error)


def measure(backend: Any, name: str, dtype: str, count: int, mode: str = "") -> Accuracy:
    """Measure a function of a backend.

    Parameters
    ----------
    backend : Backend
        As ``bnspec.backend`` returns it.
    name : str
        One of `FUNCTIONS`.
    dtype : str
        "float32" or "float64".
    count : int
        The number of points, about.
    mode : str, optional
        One of the backend's modes; eagerly by default.

    Returns
    -------
    Accuracy
    """
    arguments, expected = _expected(name, dtype, count)
    with backend.context(), np.errstate(all="ignore"):
        function = modes(backend)[mode](getattr(backend.namespace(), name))
        found = backend.to_numpy(function(*(backend.asarray(argument) for argument in arguments)))
    error = errors(name, found, expected, dtype)
    worst = int(np.argmax(error))
    return Accuracy(float(error[worst]), tuple(float(argument[worst]) for argument in arguments), len(error))
