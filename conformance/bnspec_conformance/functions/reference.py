"""The real elementwise functions in exact or multiprecision arithmetic, on Python floats.

Each returns an ``mpmath.mpf`` that is right to far more bits than a result of float64 has. What is rational is computed
as a fraction, so that neither huge quotients nor cancellation need any care.
"""

from __future__ import annotations

from fractions import Fraction
from math import copysign, floor
from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

__all__ = ["BITS", "REFERENCES", "Exact", "exact", "slopes"]

BITS = 256
"""The precision: two float64 of result, and as many bits again that near cancellation may take."""


class Exact(NamedTuple):
    """Real numbers as (head + tail) 2^exponent, of 106 bits and of any size.

    Attributes
    ----------
    head, tail : numpy.ndarray, shape (N,), float64
        1 <= abs(head + tail) < 2, or 0.
    exponent : numpy.ndarray, shape (N,), int64
        0 for a zero.
    """

    head: NDArray[np.float64]
    tail: NDArray[np.float64]
    exponent: NDArray[np.int64]


def _fraction(value: Fraction | int) -> Any:
    """Convert to an mpf, rounded to the precision."""
    value = Fraction(value)
    return mpmath.mpf(value.numerator) / value.denominator


def _rational(function: Callable[..., Fraction | int]) -> Callable[..., Any]:
    """Compute with fractions."""
    return lambda *args: _fraction(function(*map(Fraction, args)))


def _real(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compute with mpf; the argument itself is exact."""
    return lambda *args: function(*map(mpmath.mpf, args))


def _logaddexp(a: Any, b: Any) -> Any:
    return max(a, b) + mpmath.log1p(mpmath.exp(-abs(a - b)))


def _clip(x: Any, low: Any, high: Any) -> Any:
    return min(max(x, low), high)


def _sign(x: Fraction) -> int:
    return int(x > 0) - int(x < 0)


def _trunc(x: Fraction) -> int:
    return int(x)


REFERENCES: dict[str, Callable[..., Any]] = {
    "abs": _rational(abs),
    "acos": _real(mpmath.acos),
    "acosh": _real(mpmath.acosh),
    "add": _rational(lambda a, b: a + b),
    "asin": _real(mpmath.asin),
    "asinh": _real(mpmath.asinh),
    "atan": _real(mpmath.atan),
    "atan2": _real(mpmath.atan2),
    "atanh": _real(mpmath.atanh),
    "ceil": _rational(lambda x: -floor(-x)),
    "clip": _rational(_clip),
    "copysign": lambda a, b: mpmath.mpf(copysign(a, b)),
    "cos": _real(mpmath.cos),
    "cosh": _real(mpmath.cosh),
    "divide": _rational(lambda a, b: a / b),
    "exp": _real(mpmath.exp),
    "expm1": _real(mpmath.expm1),
    "floor": _rational(floor),
    "floor_divide": _rational(lambda a, b: a // b),
    "hypot": _real(mpmath.hypot),
    "log": _real(mpmath.log),
    "log10": _real(lambda x: mpmath.log(x) / mpmath.log(10)),
    "log1p": _real(mpmath.log1p),
    "log2": _real(lambda x: mpmath.log(x) / mpmath.log(2)),
    "logaddexp": _real(_logaddexp),
    "maximum": _rational(max),
    "minimum": _rational(min),
    "multiply": _rational(lambda a, b: a * b),
    "negative": _rational(lambda x: -x),
    "positive": _rational(lambda x: x),
    "pow": _real(mpmath.power),
    "reciprocal": _rational(lambda x: 1 / x),
    "remainder": _rational(lambda a, b: a - b * (a // b)),
    "round": _rational(round),
    "sign": _rational(_sign),
    "sin": _real(mpmath.sin),
    "sinh": _real(mpmath.sinh),
    "sqrt": _real(mpmath.sqrt),
    "square": _rational(lambda x: x * x),
    "subtract": _rational(lambda a, b: a - b),
    "tan": _real(mpmath.tan),
    "tanh": _real(mpmath.tanh),
    "trunc": _rational(_trunc),
}
"""By the names of the standard. nextafter has none: what it returns depends on the format."""


def exact(name: str, arguments: Iterable[NDArray[Any]]) -> Exact:
    """Evaluate a function.

    Parameters
    ----------
    name : str
        One of `REFERENCES`, or nextafter.
    arguments : iterable of numpy.ndarray, shape (N,)
        Finite numbers within the domain.

    Returns
    -------
    Exact
    """
    columns = list(arguments)
    if name == "nextafter":
        after = np.nextafter(*columns)
        values = [mpmath.mpf(float(x)) for x in after]
    else:
        function = REFERENCES[name]
        with mpmath.workprec(BITS):
            values = [function(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    heads, tails, exponents = [], [], []
    with mpmath.workprec(BITS):
        for value in values:
            mantissa, exponent = mpmath.frexp(value)
            head = float(2 * mantissa)
            heads.append(head)
            tails.append(float(2 * mantissa - head))
            exponents.append(int(exponent) - 1 if value else 0)
    return Exact(np.asarray(heads), np.asarray(tails), np.asarray(exponents, dtype=np.int64))


def slopes(name: str, row: tuple[float, ...]) -> list[tuple[float, float]]:
    """Differentiate a function by central differences in multiprecision arithmetic.

    Parameters
    ----------
    name : str
        One of `REFERENCES` that is made of mpmath's functions.
    row : tuple of float
        The arguments.

    Returns
    -------
    list of tuple of float
        For each argument the derivative, and what doubling the step changes in it.
    """
    function = REFERENCES[name]
    found = []
    with mpmath.workprec(2 * BITS):
        exactly = [mpmath.mpf(x) for x in row]
        for place, x in enumerate(exactly):

            def difference(step: Any, place: int = place, x: Any = x) -> Any:
                above, below = ([*exactly[:place], x + side, *exactly[place + 1 :]] for side in (step, -step))
                return (function(*above) - function(*below)) / (2 * step)

            step = mpmath.ldexp(abs(x) or 1, -BITS // 4)
            fine, coarse = difference(step), difference(2 * step)
            found.append((float(fine), float(abs(fine - coarse))))
    return found
