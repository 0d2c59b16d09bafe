"""Dual numbers: derivatives by computing with them, without a formula for any derivative of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath

__all__ = ["Dual", "real", "slope", "sqrt"]


@dataclass(frozen=True, slots=True, eq=False)
class Dual:
    """Hold ``value + slope * h`` for an infinitesimal h, ``h**2 = 0``.

    Parameters
    ----------
    value, slope : mpf or Dual
        A `Dual` in a `Dual` has a second infinitesimal, and the product of both carries second derivatives.

    Notes
    -----
    An mpf counts as constant along every infinitesimal. Two `Dual` numbers that meet must be nested equally
    deep: otherwise the same slot would stand for different infinitesimals.
    """

    value: Any
    slope: Any

    def __add__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slope + other.slope)
        return Dual(self.value + other, self.slope)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> Dual:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Dual:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)
        return Dual(self.value * other, self.slope * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        if isinstance(other, Dual):
            quotient = self.value / other.value
            return Dual(quotient, (self.slope - quotient * other.slope) / other.value)
        return Dual(self.value / other, self.slope / other)

    def __rtruediv__(self, other: Any) -> Dual:
        quotient = other / self.value
        return Dual(quotient, -quotient * self.slope / self.value)


def sqrt(number: Any) -> Any:
    """Return the square root of a positive mpf or Dual."""
    if isinstance(number, Dual):
        root = sqrt(number.value)
        return Dual(root, number.slope / (root + root))
    return mpmath.sqrt(number)


def real(number: Any) -> Any:
    """Return the mpf that remains where every infinitesimal is 0."""
    return real(number.value) if isinstance(number, Dual) else number


def slope(number: Any) -> Any:
    """Return the derivative along the outermost infinitesimal; a number without one is constant."""
    return number.slope if isinstance(number, Dual) else mpmath.mpf(0)
