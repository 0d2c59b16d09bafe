"""Mutants of splines and of squeezes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._flow_mutant import flow_registry
from ._sound_flow import SoundFlow

if TYPE_CHECKING:
    from ._sound_spline import Place

    Array = Any

FOUND, repeats = flow_registry()


@repeats("no public report, a search that is off by one")
class BinAfter(SoundFlow):
    """A number takes the bin after its own, where there is one."""

    def searched(self, at: Array, along: Array) -> Array:
        return np.minimum(super().searched(at, along) + 1, along.shape[-1] - 2)


@repeats("no public report, the wrong axis")
class SearchedAlongX(SoundFlow):
    """The inverse searches among the knots of x."""

    def axis(self, knots: list[Array], direction: str) -> Array:
        return knots[0]


@repeats("no public report, an index that is off by one")
class SlopeOfOneKnot(SoundFlow):
    """A bin has the slope of its first knot at both."""

    def slopes_at(self, number: Array, both: Array, of: Any) -> tuple[Array, Array]:
        return of(both), of(both)


@repeats("no public report, a term of the log-det")
class SteepnessOnce(SoundFlow):
    """The log-det of a spline has log s once, in the place of twice."""

    def log_of_steepness(self, s: Array) -> Array:
        return np.log(s)


@repeats("no public report, the wrong tails")
class OutsideClamped(SoundFlow):
    """What lies outside of the range of a spline goes to its end."""

    def outside(self, x: Array, at: Place) -> Array:
        return at.x + 0 * x


@repeats("no public report, no tails")
class OutsideBent(SoundFlow):
    """The rational function of the first bin goes on outside of the range."""

    def place(self, direction: str, x: Array, sizes: tuple[Array, Array], slopes: Array, start: Array) -> Place:
        found = super().place(direction, x, sizes, slopes, start)
        return found._replace(inside=np.ones_like(found.inside))


@repeats("no public report, the log-det of the tails")
class OutsideLogDet(SoundFlow):
    """The log-det of what lies outside of the range is that of a bin."""

    def within(self, log_slope: Array, at: Place) -> Array:
        return np.where(at.inside, log_slope, np.log(at.height.real / at.width.real))


@repeats("tensorflow_probability 0.25.0, a spline far outside of its range", "danielward27/flowjax#239")
class OneWhere(SoundFlow):
    """The derivative of what lies outside has that of the spline times 0, also where that has overflowed."""

    def jacobian(self, x: Array, event_ndims: int) -> Array:
        found = super().jacobian(x, event_ndims)
        with np.errstate(all="ignore"):
            beyond = (x.astype(np.float32) ** 2).reshape(found.shape[:-1])
            return found + 0.0 * beyond[..., None]


@repeats("no public report, the other root")
class OtherRoot(SoundFlow):
    """The inverse of a spline takes the root that lies outside of the bin."""

    def solved(self, a: Array, b: Array, c: Array) -> Array:
        return 2 * c / (-b + np.sqrt(b * b - 4 * a * c))


@repeats("no public report, no slope at the ends")
class FlatEnds(SoundFlow):
    """The slopes at both ends of the range are nearly 0."""

    def padded(self, inner: Array, ends: Array) -> Array:
        return super().padded(inner, ends / 1024)


@repeats("no public report, a sign")
class SplineLogDetSign(SoundFlow):
    """The log-det of the inverse of a spline has the sign of the other."""

    def signed(self, direction: str, log_det: Array) -> Array:
        return log_det


@repeats("no public report, a range of its own")
class RangeFromZero(SoundFlow):
    """The range of a spline starts at 0."""

    def knots(self, sizes: Array, start: Array) -> Array:
        return super().knots(sizes, 0 * start)


@repeats("no public report, one for all")
class FirstSplineForAll(SoundFlow):
    """Of a batch of splines, the first maps all numbers."""

    def curve(
        self, direction: str, x: Array, widths: Array, heights: Array, slopes: Array, start: Array
    ) -> tuple[Array, Array]:
        widths, heights, slopes = (
            one.reshape(-1, one.shape[-1])[0] if one.ndim else one for one in (widths, heights, slopes)
        )
        return super().curve(direction, x, widths, heights, slopes, start)


@repeats("no public report, a reshape for a transposition")
class SquaresByRows(SoundFlow):
    """Squares of pixels are cut out of rows."""

    def by_squares(self, parts: Array) -> Array:
        return parts
