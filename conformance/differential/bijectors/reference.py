"""Reference: the exact answer with its bound, for one grade, by rules that are one for each kind of part."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np

from bnspec_conformance.bounds import FORMATS, Arithmetic, Uncertain
from bnspec_conformance.oracle import Exact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bnspec_conformance.bounds import Format, Grade

    from .part import Part

    Array = np.ndarray[Any, Any]

__all__ = ["Direction", "Point", "Reference", "Rule", "Shape", "Total", "aligned", "spread", "summed"]

Direction: TypeAlias = Literal["forward", "inverse"]
Shape: TypeAlias = tuple[int, ...]

# A product with a count takes two roundings; a sum in two stages has a level of blocks more than one in one stage.
_EXTRA = 2.0 + 8.0


class Point(NamedTuple):
    """An exact value, and how far a computed one may be from it."""

    exact: Exact
    error: Array


class Total(NamedTuple):
    """A sum over events: exact, how far a computed one may be from it, and the sum of the sizes of its terms."""

    exact: Exact
    error: Array
    size: Array


class Rule(Protocol):
    """What the reference knows of a kind."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return the minimal ranks of an event before and after forward."""

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape of an event after a direction."""

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Map a point."""

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Return the log-det of events of the rank `ndims`, of the point's side."""


def aligned(parts: Sequence[Exact]) -> tuple[list[Any], int]:
    """Give numerators one number of fractional bits."""
    bits = max(part.bits for part in parts)
    return [np.asarray(part.numerators * (1 << (bits - part.bits)), dtype=object) for part in parts], bits


def summed(exact: Exact, ndims: int) -> Exact:
    """Add up the last axes, without rounding."""
    shape = exact.shape[: len(exact.shape) - ndims]
    flat = exact.numerators.reshape(*shape, prod(exact.shape[len(shape) :]))
    return Exact(np.asarray(np.sum(flat, axis=-1, initial=0), dtype=object), exact.bits)


def spread(point: Point, shape: Shape) -> Point:
    """Broadcast a point."""
    numerators = np.broadcast_to(point.exact.numerators, shape)
    return Point(Exact(numerators, point.exact.bits), np.broadcast_to(point.error, shape))


class Reference:
    """Exact answers and their bounds.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Of all arrays.
    grade : Grade
        How well sums are computed.
    rules : mapping
        Kind to its rule.
    memory : dict
        Where exact values are kept, which are the same for each grade. One for each draw.
    """

    def __init__(self, dtype: str, grade: Grade, rules: dict[str, Rule], memory: dict[Any, Any]) -> None:
        self.dtype, self.grade = dtype, grade
        self.arithmetic = Arithmetic(FORMATS[dtype], grade.softplus_of_exp)
        self._rules, self._memory = rules, memory

    @property
    def form(self) -> Format:
        """What is computed in."""
        return self.arithmetic.form

    def once(self, key: tuple[Any, ...], compute: Callable[[], Any]) -> Any:
        """Compute an exact value, or recall it. What identifies it is kept with it, so that no id is used again."""
        place = tuple(each if isinstance(each, (str, int)) else id(each) for each in key)
        if place not in self._memory:
            self._memory[place] = compute(), key
        return self._memory[place][0]

    def given(self, values: Array) -> Point:
        """Take numbers without error; a subnormal one may be flushed to zero."""
        exact = self.once(("given", values), lambda: Exact.from_floats(values))
        return Point(exact, np.asarray(self.arithmetic.given(values).error))

    def uncertain(self, point: Point) -> Uncertain:
        """Return the value as float64 sees it, with its error."""
        return Uncertain(np.asarray(point.exact.to_float()), point.error)

    def ranks(self, part: Part) -> tuple[int, int]:
        """Return the minimal ranks of an event before and after forward."""
        return self._rules[part.kind].ranks(self, part)

    def shape(self, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape of an event after a direction."""
        return self._rules[part.kind].shape(self, part, direction, shape)

    def mapped(self, part: Part, direction: Direction, point: Point) -> Point:
        """Map a point."""
        return self._rules[part.kind].mapped(self, part, direction, point)

    def log_det(self, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Return the log-det of events of the rank `ndims`, of the point's side."""
        return self._rules[part.kind].log_det(self, part, direction, point, ndims)

    def total(self, terms: Point, ndims: int, size: Any = None) -> Total:
        """Sum terms over events.

        Parameters
        ----------
        terms : Point, shape (*S)
            The terms.
        ndims : int
            How many of the last axes.
        size : array, broadcastable to (*S), optional
            At least the terms' magnitudes, where their parts may be summed apart.
        """
        found = self.uncertain(terms)
        size = np.broadcast_to(np.abs(found.value) if size is None else size, found.value.shape)
        if not ndims:
            return Total(terms.exact, np.broadcast_to(terms.error, found.value.shape), size)
        bound = self.arithmetic.total(found, size, self.grade, ndims, extra=_EXTRA)
        kept = size.shape[: size.ndim - ndims]
        return Total(summed(terms.exact, ndims), bound.error, size.reshape(*kept, -1).sum(axis=-1))

    def added(self, totals: Sequence[Total]) -> Total:
        """Add totals, whose terms may be summed in any order."""
        if len(totals) == 1:
            return totals[0]
        shape = np.broadcast_shapes(*(total.exact.shape for total in totals))
        numerators, bits = aligned([total.exact for total in totals])
        exact = Exact(np.asarray(sum(np.broadcast_to(each, shape) for each in numerators), dtype=object), bits)
        errors, sizes = (
            np.stack([np.broadcast_to(getattr(total, name), shape) for total in totals], axis=-1)
            for name in ("error", "size")
        )
        values = np.stack([np.broadcast_to(total.exact.to_float(), shape) for total in totals], axis=-1)
        bound = self.arithmetic.total(Uncertain(values, errors), sizes, self.grade, 1, extra=_EXTRA)
        return Total(exact, bound.error, sizes.sum(axis=-1))
