"""Comparison: what was seen against what is exact, within a bound, as a sentence when it fails."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .oracle import Exact

__all__ = ["Checks", "LawBroken", "Miss"]


class Miss(NamedTuple):
    """An element that is too far from what it must be.

    Attributes
    ----------
    what : str
        What was compared.
    seen : object
        The array that the implementation gave.
    at : tuple of int
        The element that is furthest out.
    expected : float
        What it must be.
    found : float
        What it is.
    bound : float
        How far it may be.
    """

    what: str
    seen: Any
    at: tuple[int, ...]
    expected: float
    found: float
    bound: float

    @property
    def multiple(self) -> float:
        """The error as a multiple of the bound; infinite where there is none, or what was found is not finite."""
        error = abs(self.found - self.expected)
        return error / self.bound if self.bound > 0 and error < float("inf") else float("inf")


class LawBroken(AssertionError):
    """A law that an implementation breaks.

    Parameters
    ----------
    message : str
        What must be so, and what came.
    miss : Miss, optional
        Where a number is too far off.
    """

    def __init__(self, message: str, miss: Miss | None = None) -> None:
        super().__init__(message)
        self.miss = miss


class Checks:
    """The comparisons of one law on one case.

    Attributes
    ----------
    worst : float or None
        The largest error as a fraction of its bound; None before the first comparison.
    unbounded : int
        How many elements were not compared, because the grade promises nothing about them.
    """

    def __init__(self) -> None:
        self.worst: float | None = None
        self.unbounded = 0

    def close(self, what: str, seen: Any, exact: Exact, bound: np.ndarray[Any, Any], dtype: str) -> None:
        """Require shape, dtype, finiteness, and an error within the bound.

        Parameters
        ----------
        what : str
            What is compared, for the message.
        seen : array
            What the implementation gave. Where the bound is infinite, it may be anything.
        exact : Exact
            What the oracle gives.
        bound : array
            Of the same shape: how far `seen` may be from `exact`.
        dtype : str
            The name of the dtype that `seen` must have.

        Raises
        ------
        LawBroken
            If `seen` is not as required.
        """
        self.array(what, seen, exact.shape, dtype)
        if seen.size == 0:
            return
        promised = np.isfinite(bound)
        self.unbounded += int((~promised).sum())
        if not promised.any():
            return
        error = np.asarray(exact.error(seen))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where((error == 0) | ~promised, 0.0, error / bound)
        self.worst = max(self.worst or 0.0, float(ratio.max()))
        if not (ratio <= 1).all():
            at = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
            wanted, place = exact.to_float()[at], tuple(map(int, at))
            raise LawBroken(
                f"{what} must be {wanted} within {bound[at]:.3g} at {place}. "
                f"Got {seen[at]!s}, {ratio[at]:.3g} times the bound.",
                Miss(what, seen, place, float(wanted), float(seen[at]), float(bound[at])),
            )

    def agree(self, what: str, seen: Any, other: Any, bound: np.ndarray[Any, Any], dtype: str) -> None:
        """Require two results of one implementation to be within a bound of each other.

        Parameters
        ----------
        what : str
            What is compared, for the message.
        seen, other : array
            What the implementation gave. Where the bound is infinite, it may be anything.
        bound : array
            Of the same shape: how far they may be apart.
        dtype : str
            The name of the dtype that both must have.

        Raises
        ------
        LawBroken
            If they are not as required.
        """
        self.array(what, other, bound.shape, dtype)
        if not np.isfinite(other[np.isfinite(bound)]).all():
            raise LawBroken(f"{what} must be finite. Got {other!r}.")
        self.close(what, seen, Exact.from_floats(other, where=np.isfinite(bound)), bound, dtype)

    def array(self, what: str, seen: Any, shape: tuple[int, ...], dtype: str) -> None:
        """Require a NumPy array of a shape and dtype."""
        if not isinstance(seen, np.ndarray):
            raise LawBroken(f"{what} must be a NumPy array. Got type={type(seen).__qualname__}.")
        if seen.shape != shape:
            raise LawBroken(f"{what} must have shape {shape}. Got shape={seen.shape}.")
        if seen.dtype.name != dtype:
            raise LawBroken(f"{what} must have dtype {dtype}. Got dtype={seen.dtype.name}.")

    def same(self, what: str, seen: Any, expected: Any) -> None:
        """Require equality to the byte, dtype and shape included."""
        seen, expected = np.asarray(seen), np.asarray(expected)
        self.array(what, seen, expected.shape, expected.dtype.name)
        if seen.tobytes() != expected.tobytes():
            raise LawBroken(f"{what} must be unchanged to the byte. Got {seen!r}, not {expected!r}.")
        self.worst = self.worst or 0.0

    def true(self, what: str, condition: bool) -> None:
        """Require a condition."""
        if not condition:
            raise LawBroken(f"{what}.")
