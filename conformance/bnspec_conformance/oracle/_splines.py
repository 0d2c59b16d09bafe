"""Rational quadratic splines from the equation of a bin: slopes by differentiation, inverses by finding a root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

from ._multiple import Parameter, settled, wide

if TYPE_CHECKING:
    from ._exact import Exact, ObjectArray
    from ._parts import Numbers

__all__ = ["RationalQuadraticSpline"]


class _Curve(NamedTuple):
    """One spline: K widths, K heights, K + 1 slopes, and where it starts on both axes."""

    widths: tuple[Any, ...]
    heights: tuple[Any, ...]
    slopes: tuple[Any, ...]
    start: Any


class _Place(NamedTuple):
    """The bin that a number lies in: its corner, its sizes, and the slopes at both ends."""

    x: Any
    y: Any
    width: Any
    height: Any
    before: Any
    after: Any


def _place(value: Any, curve: _Curve, along: tuple[Any, ...]) -> _Place | None:
    """Find the bin along one axis; None outside of the range."""
    if value <= curve.start or value >= curve.start + sum(along):
        return None
    x = y = curve.start
    for k, (width, height) in enumerate(zip(curve.widths, curve.heights, strict=True)):
        end = (x if along is curve.widths else y) + along[k]
        if value < end or k == len(along) - 1:
            return _Place(x, y, width, height, curve.slopes[k], curve.slopes[k + 1])
        x, y = x + width, y + height
    raise AssertionError("a curve must have bins.")


def _rise(t: Any, at: _Place) -> tuple[Any, Any]:
    """Return by how much a bin has risen at a share t of its width, and the derivative by x (quotient rule)."""
    s = at.height / at.width
    bend = at.before + at.after - 2 * s
    over, under = s * t * t + at.before * t * (1 - t), s + bend * t * (1 - t)
    steep_over, steep_under = 2 * s * t + at.before * (1 - 2 * t), bend * (1 - 2 * t)
    return at.height * over / under, s * (steep_over * under - over * steep_under) / (under * under)


def _share(risen: Any, at: _Place) -> Any:
    """Find the share of the width at which a bin has risen by so much: Newton's steps, kept in a bracket."""
    low, high, t = mpmath.mpf(0), mpmath.mpf(1), risen / at.height
    for _ in range(40 + mpmath.mp.prec):
        found, slope = _rise(t, at)
        if found < risen:
            low = t
        else:
            high = t
        after = t - (found - risen) / (slope * at.width)
        if not low <= after <= high:
            after = (low + high) / 2
        if abs(after - t) <= mpmath.ldexp(abs(after), 24 - mpmath.mp.prec):
            return after
        t = after
    raise ArithmeticError("Newton's steps must settle. Got some that do not.")


def _forward(x: Any, curve: _Curve) -> Any:
    at = _place(x, curve, curve.widths)
    return x if at is None else at.y + _rise((x - at.x) / at.width, at)[0]


def _inverse(y: Any, curve: _Curve) -> Any:
    at = _place(y, curve, curve.heights)
    return y if at is None else at.x + at.width * _share(y - at.y, at)


def _forward_log_det(x: Any, curve: _Curve) -> Any:
    at = _place(x, curve, curve.widths)
    return mpmath.mpf(0) if at is None else mpmath.log(_rise((x - at.x) / at.width, at)[1])


def _inverse_log_det(y: Any, curve: _Curve) -> Any:
    at = _place(y, curve, curve.heights)
    return mpmath.mpf(0) if at is None else -mpmath.log(_rise(_share(y - at.y, at), at)[1])


@dataclass(frozen=True, eq=False)
class RationalQuadraticSpline:
    """A monotone map of an interval onto itself, the identity outside.

    Parameters
    ----------
    bin_widths, bin_heights : array, shape (*B, K), or Exact
        Positive, of one sum.
    knot_slopes : array, shape (*B, K - 1), (*B, 1) or (), or Exact, or float
        Positive; the slopes at both ends of the range are 1.
    range_min : array, shape (), or float
        Where the range starts.

    Raises
    ------
    ValueError
        If a parameter is not positive, or sizes do not fit.

    Notes
    -----
    In a bin of width w and height h whose knots have the slopes d and d', y rises by
    h (s t^2 + d t (1 - t)) / (s + (d' + d - 2 s) t (1 - t)) at the share t of w, with s = h / w [1]_. Its derivative is
    that of a quotient, and its inverse is found by Newton's method, so that neither repeats the closed forms.

    .. [1] C. Durkan, A. Bekasov, I. Murray, G. Papamakarios, Neural Spline Flows, arXiv:1906.04032, equation 4.
    """

    bin_widths: Numbers
    bin_heights: Numbers
    knot_slopes: Parameter
    range_min: Parameter = -1.0

    def _curves(self) -> ObjectArray:
        widths, heights, inner = (wide(value) for value in (self.bin_widths, self.bin_heights, self.knot_slopes))
        bins = widths.shape[-1]
        inner = np.broadcast_to(inner, (*inner.shape[:-1], bins - 1))
        batch = np.broadcast_shapes(*(part.shape[:-1] for part in (widths, heights, inner)))
        found = np.empty(batch, dtype=object)
        sizes = ((widths, bins), (heights, bins), (inner, bins - 1))
        rows = [np.broadcast_to(part, (*batch, size)).reshape(found.size, size).tolist() for part, size in sizes]
        one, start = mpmath.mpf(1), wide(self.range_min).item()
        for number, (width, height, slopes) in enumerate(zip(*rows, strict=True)):
            curve = _Curve(tuple(width), tuple(height), (one, *slopes, one), start)
            if any(value <= 0 for value in (*curve.widths, *curve.heights, *curve.slopes)):
                raise ValueError(
                    f"widths, heights and slopes must be positive. Got one that is not, in spline {number}."
                )
            found.reshape(-1)[number] = curve
        return found

    def forward(self, x: Numbers) -> Exact:
        """Compute y."""
        return settled(_forward, wide(x), self._curves())

    def inverse(self, y: Numbers) -> Exact:
        """Compute the x whose image is y."""
        return settled(_inverse, wide(y), self._curves())

    def forward_log_det(self, x: Numbers) -> Exact:
        """Compute log dy/dx at x, element by element."""
        return settled(_forward_log_det, wide(x), self._curves())

    def inverse_log_det(self, y: Numbers) -> Exact:
        """Compute log dx/dy at y, element by element."""
        return settled(_inverse_log_det, wide(y), self._curves())
