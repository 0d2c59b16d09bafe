"""Splines followed through the oracle: fixed ones, and those whose knots a network gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import Uncertain
from bnspec_conformance.oracle import Exact

from ._parts import SplineCoupled, Splined

if TYPE_CHECKING:
    from ._way import Followed, Way

    Knots = tuple[Any, Any, Any, Any]
    Pair = tuple[Exact, np.ndarray[Any, Any]]

__all__ = ["curved"]


def curved(part: Splined | SplineCoupled, direction: Any, x: Followed, way: Way) -> tuple[Pair, Pair]:
    """Follow splines.

    Parameters
    ----------
    part : Splined or SplineCoupled
        What is computed.
    direction : {"forward", "inverse"}
        Which way.
    x : Followed
        What comes in.
    way : Way
        How.

    Returns
    -------
    value, log_det : (Exact, array)
        With bounds of the errors. The log-dets are those of single numbers: of a coupling, of the units that it moves.
    """
    if isinstance(part, SplineCoupled):
        return _coupled(part, direction, x, way)
    given = part.bin_widths, part.bin_heights, part.knot_slopes, part.range_min
    wide: Any = tuple(value.astype(np.float64) for value in given)
    return _both(oracle.RationalQuadraticSpline(*given), wide, direction, x.exact, x.uncertain, way)


def _both(
    exact: oracle.RationalQuadraticSpline, knots: Knots, direction: Any, x: Exact, uncertain: Uncertain, way: Way
) -> tuple[Pair, Pair]:
    def of(method: Any) -> Pair:
        found: Exact = getattr(exact, method)(x)
        return found, bounds.spline(method, uncertain, *knots, way.arithmetic).error

    return of(direction), of(f"{direction}_log_det")


def _coupled(part: SplineCoupled, direction: Any, x: Followed, way: Way) -> tuple[Pair, Pair]:
    stays, moves = oracle.halves(part.num_masked, part.size)

    def of(place: slice) -> tuple[Exact, Uncertain]:
        exact = Exact(x.exact.numerators[..., place], x.exact.bits)
        return exact, Uncertain(exact.to_float(), np.broadcast_to(x.error, x.shape)[..., place])

    (kept, uncertain), (units, moved) = of(stays), of(moves)
    sizes = part.bins, part.interval, part.least_size, part.least_slope
    layers = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in part.layers]
    outputs = bounds.dense_network(uncertain, layers, way.arithmetic.form, "tanh")
    knots = bounds.spline_parameters(outputs, *sizes, way.grade, way.arithmetic)
    exact = oracle.spline_parameters(oracle.dense(kept, part.layers, "tanh"), *sizes)
    spline = oracle.RationalQuadraticSpline(*exact, part.range_min)
    (value, error), log_det = _both(spline, (*knots, part.range_min), direction, units, moved, way)
    bits = max(value.bits, x.exact.bits)
    numerators, errors = x.exact.at(bits).copy(), np.array(np.broadcast_to(x.error, x.shape))
    numerators[..., moves], errors[..., moves] = value.at(bits), error
    return (Exact(numerators, bits), errors), log_det
