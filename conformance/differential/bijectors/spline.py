"""The rules of rational quadratic splines, and of Real NVP through splines whose knots a network gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.oracle import Exact

from .reference import Point, aligned

if TYPE_CHECKING:
    from .part import Part
    from .reference import Direction, Reference, Shape, Total

    Array = np.ndarray[Any, Any]

__all__ = ["KNOTS", "Spline", "SplineCoupling"]

KNOTS = {"interval": 4.0, "least_size": 0.0625, "least_slope": 0.125}
"""The sum of the sizes that a network gives, and what is added to each size and to each slope."""


def _bounded(reference: Reference, method: Any, point: Point, knots: Any) -> Array:
    widths, heights, slopes, start = knots
    found = bounds.spline(method, reference.uncertain(point), widths, heights, slopes, start, reference.arithmetic)
    return np.where(np.isnan(found.error), np.inf, found.error)


class Spline:
    """A spline of given knots."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return 0 twice."""
        return 0, 0

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape."""
        return shape

    def _at(self, reference: Reference, part: Part, method: str, point: Point) -> Point:
        given = [part.arguments[name] for name in ("bin_widths", "bin_heights", "knot_slopes", "range_min")]

        def compute() -> Exact:
            found: Exact = getattr(oracle.RationalQuadraticSpline(*given), method)(point.exact)
            return found

        wide = [np.asarray(value, np.float64) for value in given]
        exact = reference.once((part, method, point.exact), compute)
        return Point(exact, _bounded(reference, method, point, wide))

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Take the oracle's value, and the bound of the ends of what may be computed."""
        return self._at(reference, part, direction, point)

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Sum the logarithms of the slopes."""
        return reference.total(self._at(reference, part, f"{direction}_log_det", point), ndims)


class SplineCoupling:
    """Some units give the knots of the others' splines."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return 1 twice."""
        return 1, 1

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape."""
        return shape

    def _at(self, reference: Reference, part: Part, method: str, point: Point) -> tuple[Point, slice]:
        """Return what the splines make of the units that move, and where these are."""
        kept, moved = oracle.halves(part.arguments["num_masked"], point.exact.shape[-1])
        conditioner, start = part.arguments["conditioner"], part.arguments["range_min"]
        layers, activation, bins = (conditioner[name] for name in ("layers", "activation", "bins"))
        x0, units = (
            Point(Exact(point.exact.numerators[..., place], point.exact.bits), point.error[..., place])
            for place in (kept, moved)
        )

        def network() -> Any:
            outputs = oracle.dense(x0.exact, layers, activation)
            return outputs, oracle.RationalQuadraticSpline(*oracle.spline_parameters(outputs, bins, **KNOTS), start)

        outputs, spline = reference.once((part, "knots", point.exact), network)
        wide = [tuple(np.asarray(each, dtype=np.float64) for each in pair) for pair in layers]
        found = bounds.dense_network(reference.uncertain(x0), wide, reference.form, activation)  # type: ignore[arg-type]
        computed = bounds.Uncertain(np.asarray(outputs.to_float()), found.error)
        interval, least_size, least_slope = KNOTS.values()
        knots = bounds.spline_parameters(
            computed, bins, interval, least_size, least_slope, reference.grade, reference.arithmetic
        )
        exact = reference.once((part, method, point.exact), lambda: getattr(spline, method)(units.exact))
        return Point(exact, _bounded(reference, method, units, (*knots, np.asarray(start, np.float64)))), moved

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Take the units that stay as they are."""
        found, moved = self._at(reference, part, direction, point)

        def whole() -> Exact:
            (numerators, own), bits = aligned([point.exact, found.exact])
            numerators = numerators.copy()
            numerators[..., moved] = own
            return Exact(numerators, bits)

        error = np.array(point.error, dtype=np.float64)
        error[..., moved] = found.error
        return Point(reference.once((part, f"whole {direction}", point.exact), whole), error)

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Sum the logarithms of the slopes of the units that move."""
        found, _ = self._at(reference, part, f"{direction}_log_det", point)
        return reference.total(found, ndims)
