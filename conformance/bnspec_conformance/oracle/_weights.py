"""What frequency weights ask for: elements that are no numbers, and sums of different square roots."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._exact import GUARD_BITS, Exact, ObjectArray
from ._parts import broadcasts

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Extended", "extend", "read_weighted", "read_weights", "sum_times_roots"]


@dataclass(frozen=True, eq=False)
class Extended(Exact):
    """Hold numbers as `Exact` does, of which some are infinite or NaN.

    Parameters
    ----------
    numerators, bits
        As in `Exact`; 0 where the element is infinite or NaN.
    special : array, shape (*S), float64
        The element where it is infinite or NaN, and 0 elsewhere.

    Notes
    -----
    A function of this package returns it only where at least one element is infinite or NaN.
    """

    special: npt.NDArray[np.float64]

    def fractions(self) -> ObjectArray:
        """Refuse: infinity and NaN are no fractions."""
        raise ValueError("infinite elements and NaN are no fractions.")

    def at(self, bits: int) -> ObjectArray:
        """Refuse: infinity and NaN are on no grid."""
        raise ValueError(f"infinite elements and NaN are on no grid. Got bits={bits}.")

    def reshape(self, shape: tuple[int, ...]) -> Extended:
        """Return the same elements in another shape."""
        return Extended(self.numerators.reshape(shape), self.bits, self.special.reshape(shape))

    def to_float(self) -> npt.NDArray[np.float64]:
        """Return the nearest float64 of each element, shape (*S)."""
        return np.where(self.special == 0, super().to_float(), self.special)

    def error(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Measure as `Exact` does; an infinity or NaN is at distance 0 from itself, and infinite from the rest."""
        seen = np.asarray(seen)
        usual = Exact(self.numerators, self.bits).error(seen)
        with np.errstate(invalid="ignore"):  # signalling NaN
            wide = seen.astype(np.float64)
        equal = (wide == self.special) | (np.isnan(wide) & np.isnan(self.special))
        return np.where(self.special == 0, usual, np.where(equal, 0.0, np.inf))


def extend(exact: Exact, special: npt.NDArray[np.float64]) -> Exact:
    """Put infinities and NaN in place of the numbers where `special`, of the same shape, is not 0."""
    where = special != 0
    if not where.any():
        return exact
    return Extended(np.where(where, 0, exact.numerators), exact.bits, special)


def read_weights(weights: npt.NDArray[Any], shape: tuple[int, ...]) -> Exact:
    """Check frequency weights, and read them.

    Parameters
    ----------
    weights : array, rank of `shape` with size 1 or its size per axis, real floating or integer
        Finite and not negative.
    shape : tuple of int
        Shape (*S) of the data.

    Returns
    -------
    Exact
        Shape (*S).

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or the shape does not fit.
    """
    weights = np.asarray(weights)
    if not broadcasts(weights.shape, shape):
        raise ValueError(f"weights must broadcast to {shape} with its rank. Got shape={weights.shape}.")
    whole = weights.dtype.kind in "iu"
    exact = Exact(weights.astype(object), 0) if whole else Exact.from_floats(weights)
    if np.any(exact.numerators < 0):
        raise ValueError(f"weights must not be negative. Got {weights.min()}.")
    return Exact(np.broadcast_to(exact.numerators, shape), exact.bits)


def read_weighted(x: npt.NDArray[Any], weights: Exact | None) -> tuple[Exact, npt.NDArray[np.float64]]:
    """Read data of which elements of weight 0 may be infinite or NaN.

    Parameters
    ----------
    x : array, shape (*S), real floating
        Data.
    weights : Exact, optional
        Shape (*S). If absent, every element has to be finite.

    Returns
    -------
    Exact
        Shape (*S), with 0 for infinities and NaN.
    array, shape (*S), float64
        Those infinities and NaN, and 0 elsewhere.
    """
    x = np.asarray(x)
    if weights is None:
        return Exact.from_floats(x), np.zeros(x.shape)
    with np.errstate(invalid="ignore"):  # signalling NaN
        finite = np.isfinite(x)
        special = np.where(finite, 0.0, x.astype(np.float64))
    return Exact.from_floats(x, where=finite | np.asarray(weights.numerators != 0, dtype=bool)), special


def _rational_root(value: Fraction) -> Fraction | None:
    """Return the square root of a positive fraction if it is rational."""
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return root if root * root == value else None


def _truncated_sum(terms: Sequence[tuple[Fraction, Fraction]], precision: int) -> int:
    """Add up ``coefficient * sqrt(square)`` in units of ``2**-precision``; off by less than 1 per term."""
    total = 0
    for coefficient, square in terms:
        value = coefficient * coefficient * square
        root = math.isqrt((value.numerator << (2 * precision)) // value.denominator)
        total += root if coefficient > 0 else -root
    return total


def sum_times_roots(coefficients: ObjectArray, squares: ObjectArray, axes: tuple[int, ...]) -> Exact:
    """Compute ``sum(coefficients * sqrt(squares))`` along axes, which keep size 1.

    Parameters
    ----------
    coefficients : array, shape (*S), object
        Fractions.
    squares : array, broadcastable to (*S), object
        Positive fractions.
    axes : tuple of int
        Axes to sum over, counted from 0.

    Returns
    -------
    Exact
        Shape (*S) with size 1 on the axes.

    Notes
    -----
    Square roots of rational numbers are linearly independent over the rational numbers as soon as no quotient
    of two of them is rational. Terms whose quotient is are therefore collected under one root, with a rational
    coefficient; the sum is 0 exactly where all of the coefficients are, and any other sum leaves the error of
    `_truncated_sum` behind at some precision, which is found by doubling. From there, k terms are computed
    with an error below ``k * 2**-(bits + 2 + length of k) <= 2**-(bits + 2)``, and rounding to nearest adds at
    most ``2**-(bits + 1)``.
    """
    shape = tuple(1 if i in axes else size for i, size in enumerate(coefficients.shape))
    known: dict[Fraction, tuple[Fraction, Fraction]] = {}  # square: (representative, its root to that one's)
    for square in dict.fromkeys(squares.ravel().tolist()):
        known[square] = square, Fraction(1)
        for representative in {found for found, _ in known.values()} - {square}:
            ratio = _rational_root(square / representative)
            if ratio is not None:
                known[square] = representative, ratio
    squares = np.broadcast_to(squares, coefficients.shape)

    rows: list[list[tuple[Fraction, Fraction]]] = []
    bits = GUARD_BITS
    for index in np.ndindex(*shape):
        line = tuple(slice(None) if i in axes else place for i, place in enumerate(index))
        collected: dict[Fraction, Fraction] = {}
        for coefficient, square in zip(coefficients[line].ravel(), squares[line].ravel(), strict=True):
            representative, ratio = known[square]
            collected[representative] = collected.get(representative, Fraction(0)) + coefficient * ratio
        terms = [(coefficient, square) for square, coefficient in collected.items() if coefficient]
        rows.append(terms)
        if terms:
            precision = GUARD_BITS
            while abs(total := _truncated_sum(terms, precision)) < 4 * len(terms):
                precision *= 2
            least = abs(total) - len(terms)
            bits = max(bits, GUARD_BITS - (least.bit_length() - 1 - precision))

    numerators = np.empty(len(rows), dtype=object)
    for position, terms in enumerate(rows):
        drop = 2 + len(terms).bit_length()
        numerators[position] = (_truncated_sum(terms, bits + drop) + (1 << (drop - 1))) >> drop
    return Exact(numerators.reshape(shape), bits)
