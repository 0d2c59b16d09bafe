"""The rule of affine coupling, and the dense network that both sides are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.oracle import Exact

from .reference import Point, Total

if TYPE_CHECKING:
    from .part import Part
    from .reference import Direction, Reference, Shape

__all__ = ["Coupling", "count_of"]


def count_of(part: Part, size: int) -> int:
    """Return how many units stay; negative where they are the last ones."""
    number = part.arguments["num_masked"]
    return oracle.masked_count(part.arguments["fraction_masked"], size) if number is None else int(number)


class Coupling:
    """Some units say how the others are scaled and shifted."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return 1 twice."""
        return 1, 1

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape."""
        return shape

    def _conditioned(self, reference: Reference, part: Part, point: Point) -> tuple[Any, Any, Any]:
        """Return the coupling of the oracle, and what the network gives with its errors: shift and log_scale."""
        count = count_of(part, point.exact.shape[-1])
        kept, _ = oracle.halves(count, point.exact.shape[-1])
        conditioner = part.arguments["conditioner"]
        layers, activation = conditioner["layers"], conditioner["activation"]
        x0 = Point(Exact(point.exact.numerators[..., kept], point.exact.bits), point.error[..., kept])

        def compute() -> Any:
            outputs = oracle.dense_conditioner(
                x0.exact, layers, activation, shift_only=conditioner["returns"] != "both"
            )
            if conditioner["returns"] == "log_scale":
                outputs = oracle.Conditioned(None, outputs.shift)
            return oracle.AffineCoupling(count, outputs.shift, outputs.log_scale), outputs

        coupling, outputs = reference.once((part, "conditioned", point.exact), compute)
        wide = [tuple(np.asarray(each, dtype=np.float64) for each in pair) for pair in layers]
        found = bounds.dense_network(reference.uncertain(x0), wide, reference.form, activation)  # type: ignore[arg-type]
        parts: list[Any] = []
        start = 0
        for exact in outputs:
            if exact is None:
                parts.append(None)
                continue
            stop = start + exact.shape[-1]
            parts.append(bounds.Uncertain(np.asarray(exact.to_float()), found.error[..., start:stop]))
            start = stop
        return coupling, parts[0], parts[1]

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Take the units that stay as they are."""
        coupling, shift, log_scale = self._conditioned(reference, part, point)
        exact = reference.once((part, direction, point.exact), lambda: getattr(coupling, direction)(point.exact))
        _, moved = oracle.halves(coupling.num_masked, point.exact.shape[-1])
        value, error = reference.uncertain(point)
        units = bounds.Uncertain(value[..., moved], error[..., moved])
        bound = bounds.coupled(units, shift, log_scale, reference.form, inverse=direction == "inverse")
        total = np.array(error, dtype=np.float64)
        total[..., moved] = bound.error
        return Point(exact, total)

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Sum log_scale."""
        coupling, _, log_scale = self._conditioned(reference, part, point)
        method = f"{direction}_log_det"
        exact = reference.once((part, method, point.exact), lambda: getattr(coupling, method)(point.exact))
        _, moved = oracle.halves(coupling.num_masked, point.exact.shape[-1])
        shape = point.error[..., moved].shape
        bound = bounds.coupled_log_det(log_scale, shape, reference.grade, reference.form)
        return reference.total(Point(exact, np.asarray(bound.error)), ndims - 1)
