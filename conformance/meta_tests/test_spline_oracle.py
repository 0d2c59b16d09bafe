"""The exact splines, against the closed forms of the paper; and their bounds, from both sides."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import DEFINITION, FORMATS, Arithmetic, Uncertain, computed_in
from bnspec_conformance.checks import LawBroken

from .flow_helpers import CLOSE, METHODS, make, numbers, require

START = -1.96875


def drawn(bins, dtype, low=0.1, high=10.0, batch=3, seed=0):
    """Draw splines whose sizes are multiples of 1/16 with the sum 4, and points: on knots, near them, and anywhere."""
    random = np.random.default_rng([bins, seed])

    def sizes():
        rows = [np.sort(random.choice(np.arange(1, 64), bins - 1, replace=False)) for _ in range(batch)]
        return np.stack([np.diff([0, *row, 64]) / 16.0 for row in rows])

    widths, heights = sizes(), sizes()
    slopes = make(np.exp(random.uniform(np.log(low), np.log(high), (batch, bins - 1))), dtype)
    knots = [START + np.cumsum(each, axis=-1).T for each in (widths, heights)]
    near = [knot * (1.0 + sign * 2.0**-22) for knot in knots for sign in (1, -1)]
    x = np.concatenate([random.uniform(-2.5, 2.5, (40, batch)), *knots, *near, np.full((1, batch), START)])
    return make(widths, dtype), make(heights, dtype), slopes, make(x, dtype)


def closed_form(x, widths, heights, slopes):
    """Equations 4, 5 and 29 of the paper, for one number: forward, its log-det, inverse, its log-det."""
    knots = [[mpf(START)], [mpf(START)]]
    for sizes, ends in zip((widths, heights), knots, strict=True):
        for size in sizes:
            ends.append(ends[-1] + mpf(float(size)))
    slopes = [mpf(1), *(mpf(float(slope)) for slope in slopes), mpf(1)]
    found = []
    for along, across in (knots, knots[::-1]):
        if not along[0] < x < along[-1]:
            found += [x, mpf(0)]
            continue
        k = next(k for k, pair in enumerate(pairwise(along)) if pair[0] <= x < pair[1])
        width, height = (ends[k + 1] - ends[k] for ends in knots)
        s, d, e = height / width, slopes[k], slopes[k + 1]
        t = (x - along[k]) / width
        if along is knots[1]:
            u = x - along[k]
            a = height * (s - d) + u * (e + d - 2 * s)
            b, c = height * d - u * (e + d - 2 * s), -s * u
            t = 2 * c / (-b - mpmath.sqrt(b * b - 4 * a * c))
        under = s + (e + d - 2 * s) * t * (1 - t)
        log = mpmath.log(s * s * (e * t * t + 2 * s * t * (1 - t) + d * (1 - t) ** 2) / under**2)
        if along is knots[0]:
            found += [across[k] + height * (s * t * t + d * t * (1 - t)) / under, log]
        else:
            found += [across[k] + t * width, -log]
    return found[0], found[2], found[1], found[3]


@pytest.mark.parametrize("bins", [1, 2, 5])
def test_the_closed_forms_agree(bins):
    widths, heights, slopes, x = drawn(bins, "float64")
    exact = oracle.RationalQuadraticSpline(widths, heights, slopes, START)
    with mpmath.workprec(800):
        found = [numbers(getattr(exact, method)(x)) for method in METHODS]
        for number, value in enumerate(x.ravel()):
            row = number % x.shape[1]
            wanted = closed_form(mpf(float(value)), widths[row], heights[row], slopes[row])
            for seen, true in zip(found, wanted, strict=True):
                assert abs(seen[number] - true) < CLOSE * max(1, abs(true))


def test_what_is_no_spline_is_refused():
    for widths, slopes in (([1.0, -1.0], 1.0), ([1.0, 1.0], 0.0)):
        with pytest.raises(ValueError, match=r"must be positive\. Got one that is not, in spline 0\."):
            oracle.RationalQuadraticSpline(np.asarray(widths), np.ones(2), slopes).forward(np.zeros(1))


def plain(method, x, widths, heights, slopes):
    """Evaluate the formulas of the paper as everybody does, in the dtype of x; the bin is off by `method`'s fault."""
    kind = np.float64 if x.dtype == np.float64 else np.float32
    x, widths, heights, slopes = (value.astype(kind) for value in (x, widths, heights, slopes))
    one = np.ones((len(widths), 1), kind)
    knots = [np.concatenate([0 * one, np.cumsum(each, axis=-1)], axis=-1) + kind(START) for each in (widths, heights)]
    both = np.concatenate([one, slopes, one], axis=-1)
    along = knots[method.startswith("inverse")]
    inside = (x > along[:, 0]) & (x < along[:, -1])
    at = np.where(inside, x, along[:, 0])
    k = (at[..., None] >= along[:, 1:-1]).sum(axis=-1)
    rows = np.arange(len(widths))
    x0, y0, width, height = (part[rows, k] for part in (*knots, *(np.diff(each, axis=-1) for each in knots)))
    s, d, e = height / width, both[rows, k], both[rows, k + 1]
    t = (at - x0) / width
    if method.startswith("inverse"):
        u = at - y0
        a, b, c = height * (s - d) + u * (e + d - 2 * s), height * d - u * (e + d - 2 * s), -s * u
        t = 2 * c / (-b - np.sqrt(b * b - 4 * a * c))
    under = s + (e + d - 2 * s) * t * (1 - t)
    if method.endswith("log_det"):
        log = 2 * np.log(s) + np.log(e * t * t + 2 * s * t * (1 - t) + d * (1 - t) ** 2) - 2 * np.log(under)
        return np.where(inside, log if method.startswith("forward") else -log, 0)
    if method == "inverse":
        return np.where(inside, x0 + t * width, x)
    return np.where(inside, y0 + height * (s * t * t + d * t * (1 - t)) / under, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bins", [1, 2, 6])
def test_plain_formulas_are_within_the_bounds_and_wrong_ones_are_not(method, bins, dtype):
    worst = 0.0
    for seed in range(5):
        widths, heights, slopes, x = drawn(bins, dtype, seed=seed)
        exact = getattr(oracle.RationalQuadraticSpline(widths, heights, slopes, START), method)(x)
        wide = [value.astype(np.float64) for value in (x, widths, heights, slopes)]
        error = bounds.spline(method, *wide, START, Arithmetic(computed_in(dtype))).error
        assert np.isfinite(error).all()
        seen = plain(method, x, widths, heights, slopes).astype(dtype)
        worst = max(worst, require(method, seen, exact, error, dtype).worst)
        if bins > 1:
            wrongs = [seen + np.where(np.abs(x) < 1.9, 1e-2, 0.0).astype(dtype)]
            wrongs.append(plain(method, x, heights, widths, slopes).astype(dtype))
            wrongs.append(plain(method, x, widths, heights, slopes[:, ::-1] * slopes.dtype.type(1.125)).astype(dtype))
            for wrong in wrongs:
                with pytest.raises(LawBroken):
                    require("wrong", wrong, exact, error, dtype)
    assert worst > 0.0 or bins == 1


@pytest.mark.parametrize("method", METHODS)
def test_errors_that_are_brought_are_followed(method):
    """A number, sizes and slopes that are off by what is said stay within the bound, and use up some of it."""
    random, form = np.random.default_rng(2), FORMATS["float64"]
    widths, heights, slopes, x = drawn(4, "float64", batch=1)
    points = (x, widths, heights, slopes)
    off = [1e-4 * np.abs(value) for value in points]
    given = [Uncertain(value, error) for value, error in zip(points, off, strict=True)]
    found = bounds.spline(method, *given, START, Arithmetic(form))
    shares = []
    for _ in range(50):
        moves = [0.99 * error * random.choice([-1.0, 1.0], error.shape) for error in off]
        # The sum of the sizes stays, as that of a softmax does.
        moves[1:3] = [(move - move.mean()) / 2.0 for move in moves[1:3]]
        seen = plain(method, *(value + move for value, move in zip(points, moves, strict=True)))
        distance = np.abs(seen - found.value)
        assert (distance <= found.error).all()
        shares.append((distance / np.maximum(found.error, form.tiny)).max())
    assert max(shares) > 1e-2


def test_knots_of_a_network():
    outputs = np.random.default_rng(1).normal(0, 2, (3, 2 * 8))
    sizes = 3, 4.0, 0.0625, 0.125
    exact = oracle.spline_parameters(outputs, *sizes)
    found = bounds.spline_parameters(
        Uncertain(outputs, np.zeros_like(outputs)), *sizes, DEFINITION, Arithmetic(FORMATS["float64"])
    )
    rows = outputs.reshape(3, 2, 8)
    for seen, true, bound in zip(
        (
            *(
                np.exp(part) / np.exp(part).sum(-1, keepdims=True) * 3.8125 + 0.0625
                for part in (rows[..., :3], rows[..., 3:6])
            ),
            np.log1p(np.exp(rows[..., 6:])) + 0.125,
        ),
        exact,
        found,
        strict=True,
    ):
        require("knots", seen, true, bound.error, "float64")
        with pytest.raises(LawBroken):
            require("wrong", seen * (1.0 + 1e-12), true, bound.error, "float64")
    for each in exact[:2]:
        assert np.abs(each.to_float().sum(-1) - 4.0).max() < bounds.accumulated(8.0, FORMATS["float64"].roundoff) * 8.0
