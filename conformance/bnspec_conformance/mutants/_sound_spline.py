"""Sound splines and squeezes as people write them, in NumPy: a part of the sound flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    Array = Any  # an ndarray; see _sound_flow.py

__all__ = ["Place", "SoundSpline"]


class Place(NamedTuple):
    """The bin of each number: its corner, its sizes, and the slopes at its knots."""

    inside: Array
    x: Array
    y: Array
    width: Array
    height: Array
    before: Array
    after: Array


class SoundSpline:
    """Splines by the formulas of the paper, and squares of pixels as channels."""

    dtype: Any
    event_total: Any

    def splined(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Map each element by a spline of fixed knots."""
        given = part.bin_widths, part.bin_heights, part.knot_slopes, part.range_min
        y, log_det = self.curve(direction, x, *(value.astype(self.dtype) for value in given))
        return y, self.event_total(part, log_det, ndims)

    def splinecoupled(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Map some units by splines whose knots a network of the others gives."""
        number, size = part.num_masked, part.size
        stays, moves = slice(0, number), slice(number, size)
        if number < 0:
            stays, moves = slice(size + number, size), slice(0, size + number)
        y = np.array(x)
        start = self.dtype.type(part.range_min)
        y[..., moves], log_det = self.curve(direction, x[..., moves], *self.network(part, x[..., stays]), start)
        return y, self.event_total(part, log_det, ndims)

    def network(self, part: Any, x0: Array) -> tuple[Array, Array, Array]:
        """Run a network: widths, heights and slopes of each unit."""
        for number, (kernel, bias) in enumerate(part.layers):
            x0 = (np.tanh(x0) if number else x0) @ kernel + bias
        bins = part.bins
        rows = x0.reshape(*x0.shape[:-1], -1, 3 * bins - 1)
        slopes = np.log(1 + np.exp(rows[..., 2 * bins :])) + self.dtype.type(part.least_slope)
        return self.sizes(part, rows[..., :bins]), self.sizes(part, rows[..., bins : 2 * bins]), slopes

    def sizes(self, part: Any, outputs: Array) -> Array:
        """Compute sizes of one sum."""
        grown = np.exp(outputs)
        shares = grown / grown.sum(axis=-1, keepdims=True)
        least = self.dtype.type(part.least_size)
        return shares * self.dtype.type(part.interval - part.bins * part.least_size) + least

    def curve(
        self, direction: str, x: Array, widths: Array, heights: Array, slopes: Array, start: Array
    ) -> tuple[Array, Array]:
        """Map each element, and return the logarithms of the slopes of what was asked for."""
        at = self.place(direction, x, (widths, heights), slopes, start)
        if direction == "forward":
            t = np.where(at.inside, x - at.x, 0) / at.width
            y = np.where(at.inside, at.y + self.risen(t, at), self.outside(x, at))
        else:
            t = self.share_of(np.where(at.inside, x - at.y, 0), at)
            y = np.where(at.inside, at.x + t * at.width, self.outside(x, at))
        return y, self.signed(direction, self.within(self.curve_log_slope(t.real, at), at))

    def signed(self, direction: str, log_det: Array) -> Array:
        """Turn the logarithm of the slope into the log-det of a direction."""
        return log_det if direction == "forward" else -log_det

    def outside(self, x: Array, at: Place) -> Array:
        """Map what lies outside of the range."""
        return x

    def within(self, log_slope: Array, at: Place) -> Array:
        """Return 0 for what lies outside of the range."""
        return np.where(at.inside, log_slope, 0)

    def place(self, direction: str, x: Array, sizes: tuple[Array, Array], slopes: Array, start: Array) -> Place:
        """Find the bin of each element."""
        knots = [self.knots(each, start) for each in sizes]
        along = self.axis(knots, direction)
        inside = (x.real > along[..., 0].real) & (x.real < along[..., -1].real)
        at = np.where(inside, x.real, along[..., 0].real)
        number = self.searched(at, along.real)
        bins = along.shape[-1] - 1
        inner = np.broadcast_to(slopes, (*slopes.shape[:-1], bins - 1))
        both = self.padded(inner, np.ones((*inner.shape[:-1], 1), inner.dtype))

        def of(values: Array, more: int = 0) -> Array:
            full = np.broadcast_to(values, (*number.shape, values.shape[-1]))
            return np.take_along_axis(full, number[..., None] + more, axis=-1)[..., 0]

        (x0, x1), (y0, y1) = ((of(each), of(each, 1)) for each in knots)
        before, after = self.slopes_at(number, both, of)
        return Place(inside, x0, y0, x1 - x0, y1 - y0, before, after)

    def axis(self, knots: list[Array], direction: str) -> Array:
        """Return the knots among which a direction searches."""
        return knots[direction == "inverse"]

    def knots(self, sizes: Array, start: Array) -> Array:
        """Add up sizes."""
        ends = np.cumsum(sizes, axis=-1, dtype=sizes.dtype) + start
        return np.concatenate([np.zeros_like(ends[..., :1]) + start, ends], axis=-1)

    def searched(self, at: Array, along: Array) -> Array:
        """Count the inner knots that each element has reached."""
        return (at[..., None] >= along[..., 1:-1]).sum(axis=-1)

    def padded(self, inner: Array, ends: Array) -> Array:
        """Put the slopes of both ends of the range beside the others."""
        return np.concatenate([ends, inner, ends], axis=-1)

    def slopes_at(self, number: Array, both: Array, of: Any) -> tuple[Array, Array]:
        """Take the slopes at both knots of each bin."""
        return of(both), of(both, 1)

    def under(self, t: Array, at: Place) -> Array:
        """Compute the divisor of the rational function."""
        s = at.height / at.width
        return s + (at.before + at.after - 2 * s) * t * (1 - t)

    def risen(self, t: Array, at: Place) -> Array:
        """Compute by how much a bin has risen at a share of its width."""
        s = at.height / at.width
        return at.height * (s * t * t + at.before * t * (1 - t)) / self.under(t, at)

    def share_of(self, risen: Array, at: Place) -> Array:
        """Solve the quadratic equation of the share of the width."""
        s = at.height / at.width
        bend = risen * (at.before + at.after - 2 * s)
        a, b, c = at.height * (s - at.before) + bend, at.height * at.before - bend, -s * risen
        return self.solved(a, b, c)

    def solved(self, a: Array, b: Array, c: Array) -> Array:
        """Take the root that lies in the bin."""
        return 2 * c / (-b - np.sqrt(b * b - 4 * a * c))

    def curve_log_slope(self, t: Array, at: Place) -> Array:
        """Compute the logarithm of the slope at a share of the width."""
        s = at.height.real / at.width.real
        over = at.after.real * t * t + 2 * s * t * (1 - t) + at.before.real * (1 - t) ** 2
        under = s + (at.before.real + at.after.real - 2 * s) * t * (1 - t)
        return self.log_of_steepness(s) + np.log(over) - 2 * np.log(under)

    def log_of_steepness(self, s: Array) -> Array:
        """Return the term of the sizes of a bin."""
        return 2 * np.log(s)

    # Squares of pixels as channels.

    def squeezed(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Lay out images anew."""
        f, batch = part.factor, x.shape[:-3]
        rows, columns = part.height // f, part.width // f
        if direction == "forward":
            parts = x.reshape(*batch, rows, f, columns, f, part.channels)
            y = self.by_squares(parts).reshape(*batch, rows, columns, f * f * part.channels)
        else:
            parts = x.reshape(*batch, rows, columns, f, f, part.channels)
            y = self.by_squares(parts).reshape(*batch, part.height, part.width, part.channels)
        return y, np.zeros(x.shape[: x.ndim - ndims], x.real.dtype)

    def by_squares(self, parts: Array) -> Array:
        """Exchange rows of squares and columns of pixels: its own inverse."""
        return np.swapaxes(parts, -4, -3)
