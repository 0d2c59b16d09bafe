"""Splines: by fixed knots, one or many, alone and in a chain, and by knots that a network gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._catalogue import conditioner, made, normalization
from ._parts import Chained, Elementwise, Inverted, Permuted, SplineCoupled, Splined

if TYPE_CHECKING:
    from ._catalogue import Maker
    from ._entry import Draw, Entry

__all__ = ["SPLINES"]

START = -1.96875
"""Where the range starts, so that no knot is 0: sizes are multiples of 1/16."""


def sizes(draw: Draw, bins: int, *batch: int) -> Any:
    """Draw positive multiples of 1/16 with the sum 4, which every format holds."""
    rows = [np.sort(draw.random.choice(np.arange(1, 31), bins - 1, replace=False)) for _ in range(int(np.prod(batch)))]
    ends = np.stack([np.concatenate([[0], 2 * row + row % 2, [64]]) for row in rows])
    return draw.array(np.diff(ends, axis=-1).reshape(*batch, bins) / 16.0)


def spline(draw: Draw, bins: int, *batch: int, low: float = 0.25, high: float = 4.0) -> Splined:
    """Draw a batch of splines."""
    slopes = np.exp(draw.random.uniform(np.log(low), np.log(high), (*batch, bins - 1)))
    return Splined(sizes(draw, bins, *batch), sizes(draw, bins, *batch), draw.array(slopes), draw.array(START))


def across(draw: Draw) -> Any:
    """Draw numbers inside of the range, and some outside."""
    return draw.array(draw.random.permutation(np.linspace(-2.53, 2.61, 24)).reshape(6, 4))


def knots(part: Splined, which: str) -> Any:
    """Return all knots, both ends of the range included."""
    ends = np.cumsum(getattr(part, which).astype(np.float64), axis=-1)
    return (START + np.concatenate([[0.0], ends])).reshape(1, -1)


def on_knots(draw: Draw) -> dict[str, Any]:
    """Try a spline on its knots, and between the last two numbers of float32 on both sides of them."""
    part = spline(draw, 5)
    places = {}
    for key, which in (("x", "bin_widths"), ("outputs", "bin_heights")):
        at = draw.array(knots(part, which))
        places[key] = np.concatenate([np.nextafter(at, -np.inf), at, np.nextafter(at, np.inf)]).astype(at.dtype)
    return {"part": part, **places}


def far_out(draw: Draw) -> Any:
    """Take numbers far outside."""
    sides = np.asarray([[2.03125, 30.0, 1e20, 3e38]])
    return draw.array(np.concatenate([sides, -sides]))


def coupling(draw: Draw, size: int, masked: int, *hidden: int, bins: int = 3) -> SplineCoupled:
    """Draw a coupling through splines, and its network."""
    units = (size - abs(masked)) * (3 * bins - 1)
    return SplineCoupled(size, conditioner(draw, abs(masked), *hidden, units).layers, bins, masked)


def of(part: Any, x: Any = across, **more: Any) -> Maker:
    """Return an entry of a part that is a function of what draws."""
    return lambda draw: {"part": part(draw), "x": x(draw), **more}


def one_slope(draw: Draw) -> Splined:
    """Draw a spline whose inner knots have one slope."""
    part = spline(draw, 4)
    return Splined(part.bin_widths, part.bin_heights, draw.array(1.625), part.range_min)


ROWS: dict[str, Maker] = {
    "spline": of(lambda d: spline(d, 5)),
    "spline of two bins": of(lambda d: spline(d, 2)),
    "spline of one slope": of(one_slope),
    "steep spline": of(lambda d: spline(d, 5, low=0.01, high=50.0), smooth=False),
    "spline on knots": on_knots,
    "spline far out": of(lambda d: spline(d, 5), far_out),
    "batch of splines": of(lambda d: spline(d, 4, 6, 4)),
    "batch of splines for each row": of(lambda d: spline(d, 4, 6, 1)),
    "inverse of a spline": of(lambda d: Inverted(spline(d, 5))),
    "inverse of a spline far out": of(lambda d: Inverted(spline(d, 5)), far_out),
    "spline in a chain": of(
        lambda d: Chained(
            (
                Elementwise("Shift", {"shift": d.normal((4,), -0.8)}),
                spline(d, 5),
                Elementwise("Scale", {"scale": d.factors((4,))}),
            )
        )
    ),
    "real nvp by splines": of(lambda d: coupling(d, 5, 2, 3), lambda d: d.normal((4, 5)), event_ndims=(1, 2)),
    "real nvp by splines, last units masked": of(
        lambda d: coupling(d, 5, -3, 3), lambda d: d.normal((4, 5)), event_ndims=(1,)
    ),
    "real nvp by splines, nothing masked": of(
        lambda d: coupling(d, 3, 0), lambda d: d.normal((4, 3)), event_ndims=(1,)
    ),
    "flow of splines": of(
        lambda d: Chained(
            (
                coupling(d, 4, 2, 3),
                normalization(d, (-1,), (5, 4)),
                Permuted((2, 0, 3, 1)),
                coupling(d, 4, -1, 3),
            )
        ),
        lambda d: d.normal((5, 4)),
        event_ndims=(1, 2),
    ),
}
"""From id to what makes the fields of an entry."""

ALSO = {
    "float64": ("spline", "steep spline", "batch of splines", "inverse of a spline", "real nvp by splines"),
    "float16": ("spline",),
    "bfloat16": ("spline in a chain",),
}

SPLINES: dict[str, Entry] = made(ROWS, ALSO)
"""From id to entry."""
