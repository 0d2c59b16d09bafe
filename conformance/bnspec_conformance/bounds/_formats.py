"""Floating-point formats, and the grades in which the statistics of a batch are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "DEFINITION",
    "FORMATS",
    "GRADES",
    "NAIVE",
    "TWO_PASS",
    "Format",
    "Grade",
    "accumulated",
    "accuracy_goal",
    "rounded",
]


class Format(NamedTuple):
    """A floating-point format.

    Attributes
    ----------
    roundoff : float
        The unit roundoff u, half the distance from 1 to the next number.
    tiny : float
        The smallest normal number; what is below it may be flushed to zero.
    largest : float
        The largest finite number; nothing is promised about what may lie beyond it.
    """

    roundoff: float
    tiny: float
    largest: float


FORMATS = {
    "float16": Format(2.0**-11, 2.0**-14, 65504.0),
    "bfloat16": Format(2.0**-8, 2.0**-126, 2.0**127 * (2.0 - 2.0**-7)),
    "float32": Format(2.0**-24, 2.0**-126, 2.0**127 * (2.0 - 2.0**-23)),
    "float64": Format(2.0**-53, 2.0**-1022, 2.0**1023 * (2.0 - 2.0**-52)),
}


@dataclass(frozen=True)
class Grade:
    """How well the statistics of a batch are computed.

    Attributes
    ----------
    name : str
        What the reports call it.
    additions : callable
        Maps N to h, such that a sum of N terms has the relative error g(h) in each term.
    mean : {"split", "rounded", "perturbed", "one-pass"}
        Whether the mean is carried as hi + lo; or rounded once, with the variance taken around it; or is only
        known to be that of perturbed data, like the variance; or whether the variance is mean(x^2) - mean(x)^2.
    quotient : bool
        Whether a debiased average may be kept biased, and divided by 1 - m^n in the format of the state, where digits
        of m are lost: see `share_roundings`.
    softplus_of_exp : bool
        Whether log(1 + exp(x)) may be log1p of exp(x) for positive x too, as TensorFlow's kernel is.
    """

    name: str
    additions: Callable[[int], int]
    mean: Literal["split", "rounded", "perturbed", "one-pass"]
    quotient: bool = False
    softplus_of_exp: bool = False


def _blocked(block: int) -> Callable[[int], int]:
    """Count block - 1 additions a level, what is left over joining the next level."""

    def additions(count: int) -> int:
        levels = 1
        while count > block:
            count = count // block + count % block
            levels += 1
        return (block - 1) * levels

    return additions


DEFINITION = Grade("definition", _blocked(8), "split")
"""What bnspec itself reaches: sums in blocks of 8, the mean as hi + lo, the correction of the variance."""

TWO_PASS = Grade("two-pass", _blocked(32), "rounded")
"""What a good library reaches: sums pairwise or in blocks of up to 32, and a second pass for the variance. NumPy's own
sum over the leading axis of C-ordered memory is sequential, and naive."""

NAIVE = Grade(
    "naive", lambda count: count + 2 * count.bit_length() + 2, "perturbed", quotient=True, softplus_of_exp=True
)
"""The least that a sound implementation reaches, sequential sums included, and all that a stranger is held to. The
two-pass algorithm, Welford's recurrence (whose mean takes N + 2 + 2 H(N) roundings, H being the harmonic numbers)
and one pass over data that is shifted by one of its elements are of this class; mean(x^2) - mean(x)^2 is not. So are
averages that are divided by a 1 - m^n of rounded numbers, and a softplus that is log1p of an exponential."""

GRADES = {grade.name: grade for grade in (DEFINITION, TWO_PASS, NAIVE)}
"""The grades by name, the strictest first."""


def accumulated(roundings: float, roundoff: float) -> float:
    """Return g(k) = k u / (1 - k u), infinite where k u is not below 1."""
    product = roundings * roundoff
    return product / (1.0 - product) if product < 1.0 else float("inf")


def rounded(error: NDArray[np.float64], value: NDArray[np.float64], form: Format) -> NDArray[np.float64]:
    """Add one rounding of a value to a format, underflow included; infinite where it may overflow."""
    size = np.abs(value) + error
    return np.where(size < form.largest, error + form.roundoff * size + form.tiny, np.inf)


def accuracy_goal(ratio: float) -> float:
    """Return the goal that the definition sets itself in float32, in units of 2^-23 max(1, |y|).

    Parameters
    ----------
    ratio : float
        Mean over standard deviation, up to 1e6.

    Returns
    -------
    float
        4 up to 1e4, 8 above. It is measured on random data, and far below what is proven for all data.
    """
    return 4.0 if ratio <= 1e4 else 8.0
