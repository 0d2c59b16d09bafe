"""The rules of elementwise bijectors, and of those that are made of others or move numbers."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.oracle import Exact

from .reference import Point, Total, aligned

if TYPE_CHECKING:
    from collections.abc import Callable

    from .part import Part
    from .reference import Direction, Reference, Shape

    Array = np.ndarray[Any, Any]

__all__ = ["Blockwise", "Chain", "Elementwise", "Invert", "Permute", "Reshape", "nothing", "other"]


def other(direction: Direction) -> Direction:
    """Return the other direction."""
    return "inverse" if direction == "forward" else "forward"


def nothing(point: Point, ndims: int) -> Total:
    """Return the log-det of a map that only moves numbers."""
    shape = point.exact.shape[: len(point.exact.shape) - ndims]
    return Total(Exact(np.full(shape, 0, dtype=object), 0), np.zeros(shape), np.zeros(shape))


def _moved(point: Point, move: Callable[[Any], Any]) -> Point:
    return Point(Exact(move(point.exact.numerators), point.exact.bits), move(point.error))


class Elementwise:
    """A map of the oracle with a formula in the bounds; `rank` is that of its smallest event."""

    def __init__(self, rank: int = 0) -> None:
        self.rank = rank

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return the rank twice."""
        return self.rank, self.rank

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape."""
        return shape

    def _bound(self, reference: Reference, part: Part, method: Any, point: Point) -> Array:
        given = {name: np.asarray(value, dtype=np.float64) for name, value in part.arguments.items()}
        found = bounds.bijector(part.kind, method, reference.uncertain(point), reference.arithmetic, **given)
        return np.where(np.isnan(found.error), np.inf, found.error)

    def _exact(self, reference: Reference, part: Part, method: str, point: Point) -> Exact:
        def compute() -> Exact:
            found = getattr(getattr(oracle, part.kind)(**part.arguments), method)(point.exact)
            # Of two preimages, take the one that is not negative.
            taken: Exact = found[1] if isinstance(found, tuple) else found
            return taken

        found: Exact = reference.once((part, method, point.exact), compute)
        return found

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Take the oracle's value, and the bound of its formula."""
        return Point(self._exact(reference, part, direction, point), self._bound(reference, part, direction, point))

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Take the bound of the formula, or of that of the other direction at the mapped point, which is as good."""
        method = f"{direction}_log_det"
        error = self._bound(reference, part, method, point)
        if part.kind != "AbsoluteValue":
            across = self.mapped(reference, part, direction, point)
            error = np.maximum(error, self._bound(reference, part, f"{other(direction)}_log_det", across))
        return reference.total(Point(self._exact(reference, part, method, point), error), ndims)


class Invert:
    """The other direction of its part."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Exchange the ranks."""
        before, after = reference.ranks(part.parts[0])
        return after, before

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Exchange the directions."""
        return reference.shape(part.parts[0], other(direction), shape)

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Exchange the directions."""
        return reference.mapped(part.parts[0], other(direction), point)

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Exchange the directions."""
        return reference.log_det(part.parts[0], other(direction), point, ndims)


class Chain:
    """The last of its parts first."""

    @staticmethod
    def _order(part: Part, direction: Direction) -> list[Part]:
        return list(part.parts if direction == "inverse" else reversed(part.parts))

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Find the least rank with which each part gets an event of its own minimum."""
        needed, moved = 0, 0
        for each in self._order(part, "forward"):
            before, after = reference.ranks(each)
            needed = max(needed, before - moved)
            moved += after - before
        return needed, needed + moved

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Follow the parts."""
        for each in self._order(part, direction):
            shape = reference.shape(each, direction, shape)
        return shape

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Follow the parts."""
        for each in self._order(part, direction):
            point = reference.mapped(each, direction, point)
        return point

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Add the parts', each at its own point."""
        totals = [nothing(point, ndims)]
        for each in self._order(part, direction):
            totals.append(reference.log_det(each, direction, point, ndims))
            before, after = reference.ranks(each)
            ndims += (after - before) * (1 if direction == "forward" else -1)
            point = reference.mapped(each, direction, point)
        return reference.added(totals)


class Blockwise:
    """Its parts side by side along the last axis."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return 1 twice."""
        return 1, 1

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape."""
        return shape

    def _each(self, reference: Reference, part: Part, point: Point) -> list[tuple[Part, Point]]:
        ends = np.cumsum(part.arguments["block_sizes"]).tolist()

        def blocks() -> list[Exact]:
            return [Exact(point.exact.numerators[..., a:b], point.exact.bits) for a, b in zip([0, *ends], ends)]  # noqa: B905

        exact = reference.once((part, "blocks", point.exact), blocks)
        errors = np.split(point.error, ends[:-1], axis=-1)
        return [(each, Point(*pair)) for each, *pair in zip(part.parts, exact, errors, strict=True)]

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Map each block."""
        found = [reference.mapped(each, direction, block) for each, block in self._each(reference, part, point)]

        def joined() -> Exact:
            numerators, bits = aligned([block.exact for block in found])
            return Exact(np.concatenate(numerators, axis=-1), bits)

        exact = reference.once((part, direction, point.exact), joined)
        return Point(exact, np.concatenate([block.error for block in found], axis=-1))

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Add the blocks'."""
        pairs = self._each(reference, part, point)
        return reference.added([reference.log_det(each, direction, block, ndims) for each, block in pairs])


class Permute:
    """y[i] = x[permutation[i]] along an axis."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return the axis, counted from the end, twice."""
        return -part.arguments["axis"], -part.arguments["axis"]

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape."""
        return shape

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Move the numbers."""
        order = part.arguments["permutation"]
        order = order if direction == "forward" else np.argsort(order).tolist()
        axis = part.arguments["axis"]
        moved = _moved(point, lambda array: np.take(array, order, axis=axis))
        return Point(reference.once((part, direction, point.exact), lambda: moved.exact), moved.error)

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Return 0."""
        return nothing(point, ndims)


class Reshape:
    """Another shape of the event."""

    def _shapes(self, part: Part, direction: Direction) -> tuple[Shape, Shape]:
        before, after = tuple(part.arguments["event_shape_in"]), tuple(part.arguments["event_shape_out"])
        return (before, after) if direction == "forward" else (after, before)

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return the ranks of both shapes."""
        before, after = self._shapes(part, "forward")
        return len(before), len(after)

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Exchange the shapes."""
        before, after = self._shapes(part, direction)
        kept, event = shape[: len(shape) - len(before)], shape[len(shape) - len(before) :]
        if prod(event) != prod(after):
            raise ValueError(f"an event must have the shape {before}. Got {event}.")
        return (*kept, *after)

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Move the numbers."""
        shape = self.shape(reference, part, direction, point.exact.shape)
        moved = _moved(point, lambda array: array.reshape(shape))
        return Point(reference.once((part, direction, point.exact), lambda: moved.exact), moved.error)

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Return 0."""
        return nothing(point, ndims)
