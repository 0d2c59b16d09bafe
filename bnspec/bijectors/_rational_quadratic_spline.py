"""Monotone splines of rational quadratic functions, with the identity outside of their range."""

from __future__ import annotations

from typing import Any, NamedTuple

from bnspec.arrays import broadcast_shapes, common_namespace, detached, device_of, sizes_of
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._domain import require_all
from bnspec.bijectors._elementwise import magnitude
from bnspec.errors import message
from bnspec.variables import as_parameter, parameter_shape, resolved

__all__ = ["RationalQuadraticSpline"]


class _Bin(NamedTuple):
    """The bin that each number lies in, by what a rational quadratic function of it takes.

    `share` is how much of the bin lies before the number, and `rest` how much behind it; both were computed by
    themselves, so that neither loses digits at its end. Outside of the range, they are 0 and 1 of the first bin.
    """

    inside: Any
    share: Any
    rest: Any
    start: Any  # of the other coordinate
    span: Any  # of the other coordinate
    steepness: Any  # height / width
    before: Any  # the slopes at both knots
    after: Any


class RationalQuadraticSpline(Bijector):
    """Map an interval onto itself by a monotone spline, piecewise a quotient of quadratic functions.

    Parameters
    ----------
    bin_widths : nested list, array or Variable, shape (*B, K)
        The distances between knots along x; positive.
    bin_heights : nested list, array or Variable, shape (*B, K)
        The distances between knots along y; positive, with the sum of the widths.
    knot_slopes : number, nested list, array or Variable, shape (*B, K - 1), (*B, 1) or ()
        The slopes at the knots between two bins; positive. At both ends of the range, the slope is 1.
    range_min : number, array or Variable, shape ()
        The first knot, along x and along y.
    validate_args : bool
        Whether widths, heights and slopes that are not positive are refused, and totals that differ by more than
        rounding explains: by (10 + K) epsilon of the dtype, in relation to their sum.
    name : str, optional
        By default, ``"rational_quadratic_spline"``.

    Raises
    ------
    TypeError
        If a parameter is none of these, or not real floating.
    ValueError
        If their shapes do not fit each other.

    Notes
    -----
    The parameters broadcast with each other and with x: (*B) is a batch of splines, one for each number. Outside of the
    range, the map is the identity, with log-det 0 and gradients that are those of the identity.

    In a bin of width w, height h, s = h / w and the slopes d and d' at its knots, a number with the share t of the bin
    before it and r = 1 - t behind it has the rise a / (a + b) of the height, with a = t (t + r d / s) and
    b = r (r + t d' / s), and the slope (d' t^2 + 2 s t r + d r^2) / (a + b)^2: equations 4 and 5 of [1]_, in terms of
    which none is negative, so that none cancels. For the inverse, with the share u of the height below it, v = 1 - u
    and p = v d / s - u d' / s, the share of the width is 2 u / (p + 2 u + sqrt(p^2 + 4 u v)) where p is not negative,
    and otherwise 1 minus the same with v and -p.

    References
    ----------
    .. [1] C. Durkan, A. Bekasov, I. Murray, G. Papamakarios, Neural Spline Flows, arXiv:1906.04032.

    Examples
    --------
    >>> from bnspec.bijectors import RationalQuadraticSpline
    >>> spline = RationalQuadraticSpline([0.5, 1.5], [1.0, 1.0], knot_slopes=2.0)
    >>> [float(spline.forward(x)) for x in (-3.0, -0.5, 1.0)]
    [-3.0, 0.0, 1.0]
    """

    def __init__(
        self,
        bin_widths: Any,
        bin_heights: Any,
        knot_slopes: Any,
        range_min: Any = -1,
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        given = {
            "bin_widths": bin_widths,
            "bin_heights": bin_heights,
            "knot_slopes": knot_slopes,
            "range_min": range_min,
        }
        for key, value in given.items():
            if value is None:
                raise TypeError(message(f"{key} must be given", **{key: value}))
        self._widths, self._heights, self._slopes, self._start = (
            as_parameter(key, value) for key, value in given.items()
        )
        self._bins = _bins(**{key: parameter_shape(value) for key, value in given.items()})
        super().__init__(
            forward_min_event_ndims=0,
            validate_args=validate_args,
            parameters={**given, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def bin_widths(self) -> Any:
        """The distances between knots along x, as they were given."""
        return self._widths

    @property
    def bin_heights(self) -> Any:
        """The distances between knots along y, as they were given."""
        return self._heights

    @property
    def knot_slopes(self) -> Any:
        """The slopes at the knots between two bins, as they were given."""
        return self._slopes

    @property
    def range_min(self) -> Any:
        """The first knot, as it was given."""
        return self._start

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        shapes = [parameter_shape(value)[:-1] for value in (self._widths, self._heights, self._slopes)]
        return broadcast_shapes(*(shape[: max(len(shape) - event_ndims, 0)] for shape in shapes))

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        xp, found = common_namespace(x=x), self._located("forward", x)
        risen, left = _parts(found)
        y = found.start + found.span * (risen / (risen + left))
        return xp.where(found.inside, y, x), lambda: _log_slope(found, xp)

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        xp, found = common_namespace(y=y), self._located("inverse", y)
        low, high = found.share, found.rest
        tilt = (high * found.before - low * found.after) / found.steepness
        first = tilt >= 0.0
        size = magnitude(tilt, xp)
        # The root of p^2 + 4 u v in units of |p| where that is above 1, since its square may overflow. The derivative
        # by a unit is 0.
        unit = detached(xp.where(size > 1.0, size, xp.ones_like(size)))
        root = unit * xp.sqrt((tilt / unit) * (tilt / unit) + 4.0 * (low / unit) * (high / unit))
        # The smaller of both shares of the width, by sums of positive terms; halves, of which the sum cannot overflow.
        near, far = xp.where(first, low, high), 0.5 * size + 0.5 * root
        smaller, larger = near / (near + far), 1.0 / (1.0 + near / far)
        share, rest = xp.where(first, smaller, larger), xp.where(first, larger, smaller)
        x = found.start + found.span * share
        return xp.where(found.inside, x, y), lambda: -_log_slope(found._replace(share=share, rest=rest), xp)

    def _validate(self, direction: str, x: Any) -> None:
        xp = common_namespace(x=x)
        widths, heights, slopes, _ = self._values(x)
        for name, value in (("bin_widths", widths), ("bin_heights", heights), ("knot_slopes", slopes)):
            require_all(f"{name} must be positive", value > 0.0)
        wide, high = xp.sum(widths, axis=-1), xp.sum(heights, axis=-1)
        close = (10.0 + self._bins) * xp.finfo(x.dtype).eps * (wide + high)
        require_all("bin_widths and bin_heights must have one sum", xp.abs(wide - high) <= close, "Scale one of them.")

    def _values(self, x: Any) -> tuple[Any, Any, Any, Any]:
        return (
            resolved("bin_widths", self._widths, x),
            resolved("bin_heights", self._heights, x),
            resolved("knot_slopes", self._slopes, x),
            resolved("range_min", self._start, x),
        )

    def _located(self, direction: str, x: Any) -> _Bin:
        """Find the bin of each number."""
        xp = common_namespace(x=x)
        widths, heights, slopes, start = self._values(x)
        along, across = (widths, heights) if direction == "forward" else (heights, widths)
        (left, right), (low, high) = _knots(along, start, xp), _knots(across, start, xp)
        inside = (x > start) & (x < right[..., -1])
        # What lies outside is put where the function and its derivatives are finite, and is replaced at the end: a
        # derivative that is not finite would not vanish by being multiplied by 0.
        at = xp.where(inside, x, start)
        passed = xp.astype(xp.expand_dims(at, axis=-1) >= right[..., :-1], xp.int32)
        number = xp.sum(passed, axis=-1, dtype=xp.int32, keepdims=True)
        chosen = number == xp.arange(self._bins, dtype=xp.int32, device=device_of(x))

        def of(values: Any) -> Any:
            # The terms of the other bins are replaced, and not multiplied by 0, which would keep what is not finite.
            return xp.sum(xp.where(chosen, values, xp.zeros_like(values)), axis=-1)

        before, after = self._both_slopes(slopes, xp)
        begin, end = of(left), of(right)
        one = xp.ones_like(at)
        span = xp.where(inside, end - begin, one)
        bottom = of(low)
        return _Bin(
            inside=inside,
            share=xp.where(inside, at - begin, xp.zeros_like(at)) / span,
            rest=xp.where(inside, end - at, one) / span,
            start=bottom,
            span=of(high) - bottom,
            steepness=of(heights / widths),
            before=of(before),
            after=of(after),
        )

    def _both_slopes(self, slopes: Any, xp: Any) -> tuple[Any, Any]:
        """Return the slopes at the first and at the second knot of each bin."""
        inner = xp.broadcast_to(slopes, (*sizes_of(slopes)[:-1], self._bins - 1))
        ends = xp.ones((*sizes_of(inner)[:-1], 1), dtype=slopes.dtype, device=device_of(slopes))
        return xp.concat([ends, inner], axis=-1), xp.concat([inner, ends], axis=-1)


def _knots(sizes: Any, start: Any, xp: Any) -> tuple[Any, Any]:
    """Return where each bin begins and ends; one ends where the next begins, in every bit."""
    ends = start + _running_sums(sizes, xp)
    first = xp.broadcast_to(start, (*sizes_of(ends)[:-1], 1))
    return xp.concat([first, ends[..., :-1]], axis=-1), ends


def _running_sums(sizes: Any, xp: Any) -> Any:
    """Return the sums of the first sizes, along the last axis."""
    # The array's own, where it has that: array_api_compat's cumulative_sum finds a namespace behind
    # functools.lru_cache, about which torch.compile warns.
    own = getattr(sizes, "cumsum", None)
    return xp.cumulative_sum(sizes, axis=-1) if own is None else own(-1)


def _parts(found: _Bin) -> tuple[Any, Any]:
    """Return what has risen at a number, and what is left: their sum is no less than 1/2."""
    share, rest = found.share, found.rest
    return (
        share * (share + rest * (found.before / found.steepness)),
        rest * (rest + share * (found.after / found.steepness)),
    )


def _log_slope(found: _Bin, xp: Any) -> Any:
    """Return the logarithm of the slope, 0 outside."""
    share, rest = found.share, found.rest
    risen, left = _parts(found)
    slope = found.after * share * share + 2.0 * found.steepness * share * rest + found.before * rest * rest
    log = xp.log(slope) - 2.0 * xp.log(risen + left)
    return xp.where(found.inside, log, xp.zeros_like(log))


def _bins(
    bin_widths: tuple[int | None, ...],
    bin_heights: tuple[int | None, ...],
    knot_slopes: tuple[int | None, ...],
    range_min: tuple[int | None, ...],
) -> int:
    """Return how many bins there are, or refuse the shapes."""
    shapes: dict[str, Any] = {"bin_widths": bin_widths, "bin_heights": bin_heights, "knot_slopes": knot_slopes}
    if not bin_widths or not bin_heights:
        raise ValueError(message("bin_widths and bin_heights must have an axis of bins", **shapes))
    known = {shape[-1] for shape in (bin_widths, bin_heights)} - {None}
    if not known:
        raise ValueError(message("the number of bins must be known", "Trace with a known last axis.", **shapes))
    if len(known) > 1 or known == {0}:
        raise ValueError(message("bin_widths and bin_heights must have the same number of bins, at least 1", **shapes))
    (bins,) = (size for size in known if size is not None)
    if knot_slopes and knot_slopes[-1] not in (1, bins - 1, None):
        raise ValueError(
            message(
                f"knot_slopes must be a number, or {bins - 1} for {bins} bins",
                "The slopes at both ends of the range are 1, and not given.",
                **shapes,
            )
        )
    if range_min:
        raise ValueError(message("range_min must be one number", range_min=range_min))
    broadcast_shapes(*(shape[:-1] for shape in shapes.values()))
    return bins
