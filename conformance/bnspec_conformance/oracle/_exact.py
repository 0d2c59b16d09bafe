"""Fixed-point arrays of arbitrary precision, and the two places where the oracle rounds."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["GUARD_BITS", "Exact", "ObjectArray", "combine_times_root", "elementwise"]

ObjectArray: TypeAlias = npt.NDArray[np.object_]

GUARD_BITS = 192
"""Every result's grid is 2**-192 times min(1, its smallest nonzero magnitude), or finer."""

_LEAST_EXPONENT = 1022
"""The least normal float64 is 2 to the power of minus this."""

# Width of the stored fraction. The exponent has the bits that remain after the fraction and the sign.
_FRACTION_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}


def elementwise(function: Callable[..., Any], *arrays: Any) -> ObjectArray:
    """Apply a Python function to broadcast object arrays; the result is an object array, also when 0-d."""
    # A ufunc returns a bare Python object for 0-d operands, hence the conversion.
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), dtype=object)


def _bit_lengths(integers: ObjectArray) -> npt.NDArray[np.int64]:
    return elementwise(int.bit_length, integers).astype(np.int64)


def _quotient(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def _to_nearest(numerators: ObjectArray, bits: int) -> npt.NDArray[np.float64]:
    """Round ``numerators * 2**-bits`` to float64; infinite beyond the largest."""
    if bits <= _LEAST_EXPONENT:
        # Python rounds an integer once, correctly, and scaling is exact, for nothing here is subnormal.
        with suppress(OverflowError):
            return np.asarray(np.ldexp(numerators.astype(np.float64), -bits))
    # Python divides integers with one correct rounding, for subnormal results too.
    return elementwise(_quotient, numerators, 1 << bits).astype(np.float64)


def _take_apart(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Split numbers into sign, exponent and mantissa, flat; the fourth array tells which are finite.

    A finite number is ``mantissa * 2**exponent``, negative where the first array says so. The bits are read
    because float operations would warn of signalling NaN, and would flush subnormal numbers to zero once
    some framework in the process has told the processor to.
    """
    if array.dtype.name not in _FRACTION_BITS:
        known = ", ".join(_FRACTION_BITS)
        raise TypeError(f"dtype must be one of {known}. Got dtype={array.dtype.name}.")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    width = 8 * array.dtype.itemsize
    fraction_bits = _FRACTION_BITS[array.dtype.name]
    largest = (1 << (width - 1 - fraction_bits)) - 1
    pattern = array.ravel().view(f"u{width // 8}").astype(np.uint64)
    biased = ((pattern >> np.uint64(fraction_bits)) & np.uint64(largest)).astype(np.int64)
    fraction = (pattern & np.uint64((1 << fraction_bits) - 1)).astype(np.int64)
    # A subnormal number has the exponent of the least normal one, and no implied leading bit.
    mantissa = np.where(biased > 0, fraction + (1 << fraction_bits), fraction)
    exponent = np.maximum(biased, 1) - (largest >> 1) - fraction_bits
    return pattern >> np.uint64(width - 1) != 0, exponent, mantissa, biased != largest


@dataclass(frozen=True, eq=False)
class Exact:
    """Hold an array of numbers ``numerators * 2**-bits``.

    Parameters
    ----------
    numerators : array, shape (*S), object
        Python integers.
    bits : int
        Number of fractional bits, not negative.

    Notes
    -----
    *Guarantee.* Let t be the value that the definition gives for the exact values of the inputs, and r the
    element of an `Exact` that a function of this package returned. Then ``|r - t| < 2**-bits``, and ``bits``
    is such that ``2**-bits <= 2**-192 * min(1, m)``, where m is the least magnitude of the nonzero elements
    of the array (for ``y``: of ``y - beta``; ``beta`` itself enters unrounded, and so does what correction and
    adjustment add, there and in the gradient of gamma). The absolute error and the
    relative error of every element (for ``y``: relative to ``y - beta``) are therefore both below 2**-192,
    and an element is 0 exactly where t is. The wider cases are ``y`` in an evaluation step of `trajectory`, and what
    renormalization rounds; `trajectory` says how far.

    *Argument.* Integers and fractions carry every quantity without rounding up to one of two places:
    `from_fractions` rounds a rational number once, to nearest (error at most 2**-(bits + 1)), and
    `combine_times_root` multiplies an exact integer by one square root per channel and shifts once; its
    docstring adds up the error.
    """

    numerators: ObjectArray
    bits: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.numerators.shape

    @classmethod
    def from_floats(cls, values: npt.ArrayLike, *, where: npt.NDArray[np.bool_] | None = None) -> Exact:
        """Read floating-point numbers without error.

        Parameters
        ----------
        values : array, shape (*S), float16, bfloat16, float32 or float64
            Subnormal numbers included.
        where : array, shape (*S), bool, optional
            Elements to read; the others become 0, whatever they are.

        Returns
        -------
        Exact
            Shape (*S), with the fewest bits that hold every element.

        Raises
        ------
        ValueError
            If an element that is read is NaN or infinite.
        TypeError
            If the dtype is none of the four.
        """
        array = np.asarray(values)
        parts = _take_apart(array)
        wanted = np.full(array.size, fill_value=True) if where is None else where.ravel()
        refused = np.flatnonzero(wanted & ~parts[3])
        if refused.size:
            index = tuple(int(i) for i in np.unravel_index(refused[0], array.shape))
            raise ValueError(f"the oracle requires finite numbers. Got {array[index]} at index {index}.")
        return cls._from_parts(parts, wanted, array.shape)

    @classmethod
    def _from_parts(
        cls, parts: tuple[npt.NDArray[Any], ...], wanted: npt.NDArray[np.bool_], shape: tuple[int, ...]
    ) -> Exact:
        """Put together what `_take_apart` has taken apart, where wanted."""
        negative, exponent, mantissa, _ = parts
        # Without trailing zeros the common grid is as coarse as the data allow, and the integers stay short.
        mantissa = np.where(wanted, mantissa, 0)
        nonzero = mantissa != 0
        lowest_one = np.where(nonzero, mantissa & -mantissa, 1)
        trailing = np.frexp(lowest_one.astype(np.float64))[1].astype(np.int64) - 1
        exponent = exponent + trailing
        bits = max(0, -int(exponent.min(where=nonzero, initial=0)))
        shift = np.where(nonzero, exponent + bits, 0)
        signed = np.where(negative, -mantissa, mantissa) >> trailing
        # A mantissa has at most 53 bits, so that the usual case fits into machine integers.
        if shift.max(initial=0) <= 9:
            numerators = (signed << shift).astype(object)
        else:
            numerators = signed.astype(object) << shift.astype(object)
        return cls(numerators.reshape(shape), bits)

    @classmethod
    def from_fractions(cls, values: ObjectArray, *, at_least: int = 0) -> Exact:
        """Round rational numbers to nearest, on a grid that meets the guarantee of the class.

        Parameters
        ----------
        values : array, shape (*S), object
            Fractions.
        at_least : int
            Bits wanted for another reason, such as a later subtraction.

        Returns
        -------
        Exact
            Shape (*S).
        """
        bits = max(at_least, GUARD_BITS)
        for value in values.ravel().tolist():
            if value:
                # |value| > 2**(length of numerator - 1 - length of denominator)
                magnitude = value.numerator.bit_length() - 1 - value.denominator.bit_length()
                bits = max(bits, GUARD_BITS - magnitude)

        def to_nearest(value: Fraction) -> int:
            return ((value.numerator << (bits + 1)) + value.denominator) // (2 * value.denominator)

        return cls(elementwise(to_nearest, values), bits)

    def fractions(self) -> ObjectArray:
        """Return the elements as an array of fractions, shape (*S), without error."""
        unit = 1 << self.bits
        return elementwise(lambda numerator: Fraction(numerator, unit), self.numerators)

    def at(self, bits: int) -> ObjectArray:
        """Return the numerators, shape (*S), on a finer grid of `bits` fractional bits, without error."""
        return self.numerators if bits == self.bits else np.asarray(self.numerators << (bits - self.bits), dtype=object)

    def reshape(self, shape: tuple[int, ...]) -> Exact:
        """Return the same numbers in another shape."""
        return Exact(self.numerators.reshape(shape), self.bits)

    def to_float(self) -> npt.NDArray[np.float64]:
        """Return the nearest float64 of each element, shape (*S); infinite beyond the largest float64."""
        return _to_nearest(self.numerators, self.bits)

    def error(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Measure how far computed numbers lie from these.

        Parameters
        ----------
        seen : array, shape (*S), float16, bfloat16, float32 or float64
            What an implementation returned.

        Returns
        -------
        array, shape (*S), float64
            ``|seen - exact|``: subtracted without error, then rounded to nearest. Infinite where `seen` is
            NaN or infinite.

        Raises
        ------
        ValueError
            If the shapes differ; nothing is broadcast.
        TypeError
            If the dtype is none of the four.
        """
        seen = np.asarray(seen)
        if seen.shape != self.shape:
            raise ValueError(f"seen must have the exact result's shape {self.shape}. Got shape={seen.shape}.")
        parts = _take_apart(seen)
        finite = parts[3]
        given = Exact._from_parts(parts, finite, seen.shape)
        bits = max(given.bits, self.bits)
        distance = np.asarray(abs(given.at(bits) - self.at(bits)), dtype=object)
        return np.where(finite.reshape(seen.shape), _to_nearest(distance, bits), np.inf)


def _common_factor(*coefficients: Fraction) -> Fraction:
    """Return the largest rational that divides every coefficient into an integer; 1 if all are 0."""
    numerator = math.gcd(*(c.numerator for c in coefficients))
    return Fraction(numerator or 1, math.lcm(*(c.denominator for c in coefficients)))


def combine_times_root(
    terms: Sequence[tuple[ObjectArray, ObjectArray]], square: ObjectArray, addend: ObjectArray | None = None
) -> Exact:
    """Compute ``sum_k(integers_k * coefficients_k) * sqrt(square) + addend`` with one rounding.

    Parameters
    ----------
    terms : sequence of (array, shape (*S), object; array, broadcastable to (*S), object)
        Integers and their rational coefficients.
    square : array, broadcastable to (*S), object
        Positive fractions.
    addend : array, broadcastable to (*S), object, optional
        Fractions whose denominators are powers of 2.

    Returns
    -------
    Exact
        Shape (*S).

    Notes
    -----
    With q the common factor of the coefficients, the sum is q times an integer n, exactly, and the result is
    ``n * f + addend`` with ``f = sqrt(q**2 * square)``. F is the integer part of ``f * 2**p``, so
    ``n * F * 2**-p`` is off by less than ``|n| * 2**-p <= 2**-(bits + 2)``, as p is bits + 2 + the length of
    the longest n. The final shift rounds to nearest, which adds at most ``2**-(bits + 1)``; an addend is a
    multiple of ``2**-bits``. Together this is below ``2**-bits``.
    """
    common = elementwise(_common_factor, *(coefficients for _, coefficients in terms))
    total: Any = 0
    for integers, coefficients in terms:
        total = total + integers * elementwise(lambda c, q: (c / q).numerator, coefficients, common)
    total = np.asarray(total, dtype=object)
    factor_square = elementwise(lambda q, s: q * q * s, common, square)

    lengths = _bit_lengths(total)
    # f**2 > 2**(length of numerator - 1 - length of denominator), and |n| >= 2**(length - 1)
    magnitude = elementwise(
        lambda s: (s.numerator.bit_length() - 1 - s.denominator.bit_length()) // 2, factor_square
    ).astype(np.int64)
    bits = GUARD_BITS - int((lengths - 1 + magnitude).min(where=lengths > 0, initial=0))
    if addend is not None:
        bits = max([bits, *(a.denominator.bit_length() - 1 for a in addend.ravel().tolist())])
    precision = bits + 2 + int(lengths.max(initial=0))

    def root(value: Fraction) -> int:
        return math.isqrt((value.numerator << (2 * precision)) // value.denominator)

    factor = elementwise(root, factor_square)
    drop = precision - bits
    half: Any = 1 << (drop - 1)
    if addend is not None:
        half = elementwise(lambda a: (a.numerator << precision) // a.denominator + half, addend)
    return Exact(np.asarray((total * factor + half) >> drop, dtype=object), bits)
