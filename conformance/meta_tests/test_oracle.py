"""The oracle against facts that owe it nothing: fractions, mpmath, finite differences and hand arithmetic."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import ml_dtypes
import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance import oracle
from bnspec_conformance.oracle import (
    Exact,
    batch_normalization,
    gradients,
    hessian_vector_product,
    moments,
    trajectory,
)

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)]

# The oracle promises 2**-192, absolute and relative. The rest is room for the references, which mpmath rounds
# at 2**-1000, and for finite differences, whose step of 1e-60 leaves a relative error near 1e-115.
BOUND = Fraction(1, 2**190)
STEP = mpf(10) ** -60


@pytest.fixture(autouse=True)
def _thousand_bits():
    with mpmath.workprec(1000):
        yield


def number(value):
    """Convert a NumPy scalar to a fraction; every dtype here is a subset of the Python floats."""
    return Fraction(float(value))


def mp(value):
    if isinstance(value, Fraction):
        return mpf(value.numerator) / value.denominator
    return mpf(float(value))


def rational(value):
    """Convert an mpf, which is a dyadic number, to the same fraction."""
    if isinstance(value, Fraction | int):
        return Fraction(value)
    sign, mantissa, exponent, _ = value._mpf_
    return (-1) ** sign * mantissa * Fraction(2) ** exponent


def held(exact):
    """List the numbers in an `Exact`, in C order."""
    return [Fraction(n, 2**exact.bits) for n in exact.numerators.ravel().tolist()]


def assert_close(exact, expected, shape, bound=BOUND):
    """Require that each element be off by at most `bound`, and by at most `bound` of its own magnitude."""
    assert exact.shape == shape
    assert exact.numerators.dtype == np.dtype(object)
    found = held(exact)
    assert all(type(n) is int for n in exact.numerators.ravel().tolist())
    expected = [rational(e) for e in expected]
    assert len(found) == len(expected)
    for index, (seen, wanted) in enumerate(zip(found, expected, strict=True)):
        limit = bound * min(Fraction(1), abs(wanted))
        assert abs(seen - wanted) <= limit, f"element {index}: {float(seen)} instead of {float(wanted)}"


def channels(shape, features):
    """Yield for each channel its place in a parameter and the indices of its elements, in C order."""
    features = [f % len(shape) for f in features]
    for place in product(*(range(shape[f]) for f in sorted(features))):
        wanted = dict(zip(sorted(features), place, strict=True))
        yield place, [i for i in np.ndindex(*shape) if all(i[f] == v for f, v in wanted.items())]


def reference(x, features, gamma, beta, epsilon, statistics=None):
    """Normalize a dict from index to mpf, channel by channel, in the words of the definition."""
    y = {}
    for c, (_, indices) in enumerate(channels(x["shape"], features)):
        n = len(indices)
        if statistics is None:
            mean = sum(x[i] for i in indices) / n
            variance = sum((x[i] - mean) ** 2 for i in indices) / n
        else:
            mean, variance = statistics[0][c], statistics[1][c]
        for i in indices:
            y[i] = gamma[c] * (x[i] - mean) / mpmath.sqrt(variance + mpf(epsilon)) + beta[c]
    return y


def reference_values(x, epsilon):
    """Normalize an array of shape (N, C) without parameters; in C order."""
    y = reference(as_dict(x), (1,), [1] * x.shape[1], [0] * x.shape[1], epsilon)
    return [y[i] for i in np.ndindex(*x.shape)]


def as_dict(x):
    return {"shape": x.shape} | {i: mp(x[i]) for i in np.ndindex(*x.shape)}


def flat(parameter, count, default):
    return [mpf(default)] * count if parameter is None else [mp(v) for v in parameter.ravel()]


def draw(seed, shape, dtype=np.float64, loc=0.0, scale=1.0):
    return (loc + scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_finite_bit_pattern_is_read_exactly(dtype):
    pattern = np.random.default_rng(1).integers(0, 2 ** (8 * dtype.itemsize), 500, dtype=np.uint64)
    values = pattern.astype(f"u{dtype.itemsize}").view(dtype)
    with np.errstate(invalid="ignore"):  # ml_dtypes warns of signalling NaN
        values = values[np.isfinite(values)]
    assert held(Exact.from_floats(values)) == [number(v) for v in values]


@pytest.mark.parametrize(
    ("dtype", "text"),
    list(zip(DTYPES, ["0x1p-24", "0x1p-133", "0x1p-149", "0x1p-1074"], strict=True)),
    ids=str,
)
def test_the_least_subnormal_is_read_exactly(dtype, text):
    least = np.asarray([1], dtype=f"u{dtype.itemsize}").view(dtype)
    assert held(Exact.from_floats(least)) == [Fraction(float.fromhex(text))]
    assert held(Exact.from_floats(-3 * least)) == [-3 * Fraction(float.fromhex(text))]


@pytest.mark.parametrize("exponent", [1, 8, 9, 10, 11, 20, 62, 63, 64, 70])
def test_numbers_of_unlike_size_share_one_grid(exponent):
    values = np.asarray([1 + 2.0**-52, -(2 - 2.0**-52) * 2.0**exponent])
    assert held(Exact.from_floats(values)) == [Fraction(v) for v in values.tolist()]


def test_extremes_of_float64_share_one_grid():
    values = np.asarray([np.finfo(np.float64).max, -5e-324, 0.0, -0.0, 1.0])
    assert held(Exact.from_floats(values)) == [Fraction(v) for v in values.tolist()]
    np.testing.assert_array_equal(Exact.from_floats(values).to_float(), values)


def test_memory_layout_does_not_matter():
    values = draw(2, (4, 6), np.float32)
    expected = [number(v) for v in values[::2, ::-3].ravel()]
    assert held(Exact.from_floats(values[::2, ::-3])) == expected
    assert held(Exact.from_floats(values[::2, ::-3].astype(">f4"))) == expected
    assert held(Exact.from_floats(np.asfortranarray(values[::2, ::-3]))) == expected


def test_scalar_and_empty_arrays_keep_their_shapes():
    scalar = Exact.from_floats(np.asarray(0.75))
    assert (scalar.shape, held(scalar)) == ((), [Fraction(3, 4)])
    assert scalar.to_float().shape == scalar.error(np.asarray(0.5)).shape == ()
    assert float(scalar.error(np.asarray(0.5))) == 0.25
    none = Exact.from_floats(np.zeros((0, 3), np.float32))
    assert none.shape == none.to_float().shape == none.error(np.zeros((0, 3))).shape == (0, 3)


def test_numbers_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"requires finite numbers\. Got nan at index \(1, 0\)\."):
        Exact.from_floats(np.asarray([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match=r"Got -inf at index \(0,\)\."):
        Exact.from_floats(np.asarray([-np.inf], BFLOAT16))
    for pattern in (0x7F81, 0x7FC0):  # signalling and quiet NaN
        with pytest.raises(ValueError, match=r"Got nan at index \(\)\."):
            Exact.from_floats(np.asarray(pattern, np.uint16).view(BFLOAT16))
    with pytest.raises(TypeError, match=r"dtype must be one of float16, .*float64\. Got dtype=int64\."):
        Exact.from_floats(np.asarray([1]))


@pytest.mark.parametrize(
    "value",
    [Fraction(1, 3), Fraction(-(2**53) - 1), Fraction(3, 2**1075), Fraction(1, 2**1076), 2 ** Fraction(1023)],
    ids=str,
)
def test_to_float_rounds_to_nearest(value):
    bits = 1100
    exact = Exact(np.asarray([round(Fraction(value) * 2**bits)], dtype=object), bits)
    assert exact.to_float().tolist() == [float(held(exact)[0])]


def test_fractions_are_rounded_to_nearest():
    values = [Fraction(n, d) for n in (-2, -1, 1, 2) for d in (3, 7, 10**30)]
    exact = Exact.from_fractions(np.asarray(values))
    assert exact.bits >= 192 + 99
    assert all(abs(s - v) <= Fraction(1, 2 ** (exact.bits + 1)) for s, v in zip(held(exact), values, strict=True))
    assert Exact.from_fractions(np.asarray([Fraction(1)]), at_least=500).bits == 500


def test_to_float_beyond_the_largest_float64_is_infinite():
    assert Exact(np.asarray([2**1030, -(2**1030)], dtype=object), 3).to_float().tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_error_is_subtracted_before_it_is_rounded(dtype):
    exact = Exact.from_fractions(np.asarray([[Fraction(1, 3), Fraction(-2, 7)], [Fraction(), Fraction(100)]]))
    seen = np.asarray([[0.333, -0.2857], [1e-7, 100.0]]).astype(dtype)
    expected = [float(abs(number(s) - e)) for s, e in zip(seen.ravel(), held(exact), strict=True)]
    assert exact.error(seen).ravel().tolist() == expected
    assert exact.error(seen).dtype == np.float64
    assert exact.error(seen)[1, 1] == 0.0


def test_error_sees_differences_far_below_the_grid_and_the_float64_spacing():
    one = Exact(np.asarray([1], dtype=object), 0)
    assert one.error(np.asarray([1 + 2.0**-52])).tolist() == [2.0**-52]
    zero = Exact(np.asarray([0], dtype=object), 0)
    assert zero.error(np.asarray([5e-324])).tolist() == [5e-324]
    third = Exact.from_fractions(np.asarray([Fraction(1, 3)]))
    assert 0 < third.error(np.asarray([1 / 3]))[0] < 2.0**-54


def test_error_is_infinite_where_the_result_is_not_finite():
    exact = Exact.from_floats(np.asarray([1.0, 2.0, 3.0, np.finfo(np.float64).max]))
    seen = np.asarray([np.nan, np.inf, 3.5, -np.finfo(np.float64).max])
    assert exact.error(seen).tolist() == [np.inf, np.inf, 0.5, np.inf]
    signalling = np.asarray([0x7F81, 0xFF80, 0x4060, 0x7FC0], np.uint16).view(BFLOAT16)
    assert exact.error(signalling).tolist() == [np.inf, np.inf, 0.5, np.inf]


def test_error_does_not_broadcast():
    exact = Exact.from_floats(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"the exact result's shape \(2, 3\)\. Got shape=\(3,\)\."):
        exact.error(np.zeros(3))
    with pytest.raises(TypeError, match=r"Got dtype=complex128\."):
        exact.error(np.zeros((2, 3), np.complex128))


def two_pass(values, weights):
    total = sum(weights, Fraction())
    mean = sum((w * v for w, v in zip(weights, values, strict=True)), Fraction()) / total
    variance = sum((w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)), Fraction()) / total
    return total, mean, variance


HARD = {
    "plain": draw(3, (7, 3)),
    "far from zero": draw(4, (5, 3)) * [[1e-8, 1e-12, 1e-15]] + [[1e7, 0.01, -1.0]],
    "variance 1e-24": draw(5, (6, 2), scale=1e-12),
    "float32 at 4096": draw(6, (9, 2), np.float32, 4096, 1e-3),
    "float16": draw(7, (9, 2), np.float16, 3),
    "bfloat16": draw(8, (9, 2), BFLOAT16, 3),
    "subnormal": np.asarray([[5e-324, 1e-310], [-1e-323, 0.0], [2.0**-1022, 3e-308]]),
    "both ends of the exponent": np.asarray([[1e300, 5e-324], [-1e300, 1e-300], [1e308, 1e300]]),
    "constant": np.full((3, 2), 0.1),
}


@pytest.mark.parametrize("name", HARD)
def test_moments_are_those_of_fractions(name):
    x = HARD[name]
    expected = [two_pass([number(v) for v in column], [Fraction(1)] * len(column)) for column in x.T]
    found = moments(x, (0,))
    for part, wanted in zip(found, zip(*expected, strict=True), strict=True):
        assert_close(part, wanted, (x.shape[1],))
        # The guarantee as it is written, with the bits that the result itself names.
        assert part.bits >= 192
        for seen, value in zip(held(part), wanted, strict=True):
            assert abs(seen - value) < Fraction(1, 2**part.bits)
            assert value == 0 or Fraction(1, 2**part.bits) <= abs(value) / 2**192


def test_variance_of_one_to_four_and_of_a_constant():
    found = moments(np.asarray([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0], [4.0, 7.0]], np.float32), (0,))
    assert held(found.weight) == [4, 4]
    assert held(found.mean) == [Fraction(5, 2), 7]
    assert held(found.variance) == [Fraction(5, 4), 0]


@pytest.mark.parametrize("axes", [(0,), (1,), (-1,), (0, 2), (-3, 1), (0, 1, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_moments_over_any_axes(axes, keepdims):
    x = draw(9, (2, 3, 4))
    features = [i for i in range(3) if i not in {a % 3 for a in axes}]
    shape = tuple(1 if i not in features else n for i, n in enumerate(x.shape))
    if not keepdims:
        shape = tuple(x.shape[i] for i in features)
    expected = []
    for _, indices in channels(x.shape, features):
        expected.append(two_pass([number(x[i]) for i in indices], [Fraction(1)] * len(indices)))
    for part, wanted in zip(moments(x, axes, keepdims=keepdims), zip(*expected, strict=True), strict=True):
        assert_close(part, wanted, shape)


@pytest.mark.parametrize("weight_shape", [(5, 1, 2), (5, 3, 2), (1, 3, 2), (1, 1, 1)], ids=str)
def test_weights_are_frequencies(weight_shape):
    x = draw(10, (5, 3, 2), np.float32)
    weights = np.abs(draw(11, weight_shape)).astype(np.float32)
    full = np.broadcast_to(weights, x.shape)
    expected = []
    for _, indices in channels(x.shape, (2,)):
        expected.append(two_pass([number(x[i]) for i in indices], [number(full[i]) for i in indices]))
    for part, wanted in zip(moments(x, (0, 1), weights), zip(*expected, strict=True), strict=True):
        assert_close(part, wanted, (2,))


def test_weight_two_is_the_element_twice_and_weight_zero_deletes_it():
    x = np.asarray([[1.0], [np.nan], [5.0], [np.inf]])
    found = moments(x, (0,), np.asarray([[2.0], [0.0], [1.0], [-0.0]]))
    again = moments(np.asarray([[1.0], [1.0], [5.0]]), (0,))
    assert [held(p) for p in found] == [held(p) for p in again]
    assert_close(found.mean, [Fraction(7, 3)], (1,))
    assert_close(found.variance, [Fraction(32, 9)], (1,))


def test_moments_refuse_what_has_none():
    with pytest.raises(ValueError, match=r"total weight must be positive\. Got 0 for shape=\(0, 3\)"):
        moments(np.zeros((0, 3)), (0,))
    with pytest.raises(ValueError, match=r"total weight must be positive\. Got 0 for shape=\(2, 2\), axes=\(0,\)"):
        moments(np.ones((2, 2)), (0,), np.asarray([[0.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"must not be negative\. Got -1\.0\."):
        moments(np.ones((2, 2)), (0,), np.asarray([[2.0], [-1.0]]))
    with pytest.raises(ValueError, match=r"broadcast to \(2, 2\) with its rank\. Got shape=\(2,\)\."):
        moments(np.ones((2, 2)), (0,), np.ones(2))
    with pytest.raises(ValueError, match="Got nan at index"):
        moments(np.asarray([[np.nan], [1.0]]), (0,), np.asarray([[1.0], [1.0]]))
    with pytest.raises(ValueError, match="Got inf at index"):
        moments(np.ones((2, 1)), (0,), np.asarray([[np.inf], [1.0]]))
    for axes in [(2,), (-3,), (0, 0), (0, -2)]:
        with pytest.raises(ValueError, match=r"axes must name different axes of an array of rank 2\. Got axes="):
            moments(np.ones((2, 2)), axes)
    assert moments(np.ones((5, 0)), (0,)).variance.shape == (0,)


def test_known_answer_at_4096():
    x = (4096 + np.asarray([[-3.0], [-1.0], [1.0], [3.0]]) / 2048).astype(np.float32)
    root = mpmath.sqrt(5)
    expected = [-3 / root, -1 / root, 1 / root, 3 / root]
    found = moments(x, (0,))
    assert_close(batch_normalization(x, found.mean, found.variance, None, None, 0.0), expected, x.shape)
    one = np.ones(1, np.float32)
    step = trajectory(
        [(x, True)], axis=(1,), epsilon=0.0, momentum=0.5, convention=KERAS, gamma=None, beta=None,
        moving_mean=one, moving_variance=one,
    )[0]  # fmt: skip
    assert_close(step.y, expected, x.shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("epsilon", [1e-3, 1e-12, 0.0])
@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 3), (4, 1)], ids=str)
def test_normalization_with_parameters_of_any_admitted_shape(shape, epsilon, dtype):
    x = draw(12, (4, 3), dtype, 2)
    mean, offset, scale = (draw(s, shape, dtype) for s in (13, 14, 15))
    variance = np.abs(draw(16, shape, dtype)) + np.asarray(0.125, dtype)
    y = batch_normalization(x, mean, variance, offset, scale, epsilon)
    plain = batch_normalization(x, mean, variance, None, None, epsilon)
    expected, bare = [], []
    for i in np.ndindex(*x.shape):
        m, v, b, g = (mp(np.broadcast_to(p, x.shape)[i]) for p in (mean, variance, offset, scale))
        bare.append((mp(x[i]) - m) / mpmath.sqrt(v + mpf(epsilon)))
        expected.append(g * bare[-1] + b)
    assert_close(plain, bare, x.shape)
    # y may be tiny by cancellation against the offset, which the guarantee leaves out: absolute bound.
    assert y.shape == x.shape
    assert all(abs(s - rational(e)) <= BOUND for s, e in zip(held(y), expected, strict=True))


def test_normalization_of_tiny_variances_is_right_relative_to_its_size():
    x, tiny = np.asarray([[1e-20], [-3e-18]]), np.asarray([1e-24])
    y = batch_normalization(x, np.asarray([1e-19]), tiny, None, np.asarray([1e-200]), 1e-12)
    divisor = mpmath.sqrt(mpf(1e-24) + mpf(1e-12))
    assert_close(y, [mpf(1e-200) * (mp(v) - mpf(1e-19)) / divisor for v in x.ravel()], x.shape)
    subnormal = np.asarray([5e-324])
    y = batch_normalization(x, np.zeros(1), subnormal, np.asarray([5e-324]), None, 0.0)
    assert_close(y, [mp(v) / mpmath.sqrt(mpf(5e-324)) + mpf(5e-324) for v in x.ravel()], x.shape)


def test_zero_scale_and_the_mean_itself_give_the_offset():
    x, offset = np.asarray([[0.1, 7.0], [0.3, 8.0]]), np.asarray([5e-324, 0.9])
    y = batch_normalization(x, np.asarray([0.1, 0.0]), np.ones(2), offset, np.asarray([1.0, 0.0]), 1e-3)
    assert [held(y)[i] for i in (0, 1, 3)] == [Fraction(5e-324), Fraction(0.9), Fraction(0.9)]


def test_exact_arguments_count_as_the_numbers_they_hold():
    x = draw(17, (5, 2), np.float32, 1e4)
    found = moments(x, (0,), keepdims=True)
    third = Exact.from_fractions(np.asarray([Fraction(1, 3), Fraction(2, 3)]))
    y = batch_normalization(x, found.mean, found.variance, third, third, 1e-3)
    params = [mp(v) for v in held(third)]
    expected = reference(as_dict(x), (1,), params, params, 1e-3)
    wanted = [rational(expected[i]) for i in np.ndindex(5, 2)]
    assert all(abs(s - w) <= BOUND for s, w in zip(held(y), wanted, strict=True))


def test_normalization_refuses_what_is_undefined():
    x, one = np.ones((2, 3)), np.ones(3)
    with pytest.raises(ValueError, match=r"variance \+ epsilon must be positive\. Got 0\.0 \+ 0\.0\."):
        batch_normalization(x, one, 0 * one, None, None, 0.0)
    with pytest.raises(ValueError, match=r"must be positive\. Got -1\.0 \+ 0\.001\."):
        batch_normalization(x, one, -one, None, None, 1e-3)
    with pytest.raises(ValueError, match=r"variance_epsilon must be finite\. Got variance_epsilon=inf\."):
        batch_normalization(x, one, one, None, None, float("inf"))
    for shape in [(2,), (1,), (2, 1, 3), (3, 2), ()]:
        with pytest.raises(ValueError, match=r"scale must have the rank of x.* Got shape="):
            batch_normalization(x, one, one, None, np.ones(shape), 1e-3)
    with pytest.raises(ValueError, match="Got nan"):
        batch_normalization(x, one * np.nan, one, None, None, 1e-3)


def layer(steps, convention=KERAS, **changes):
    one = np.ones(1)
    arguments = {"axis": (-1,), "epsilon": 1e-3, "momentum": 0.75, "gamma": None, "beta": None}
    arguments |= {"moving_mean": 0 * one, "moving_variance": one} | changes
    return trajectory(steps, convention=convention, **arguments)


BATCHES = [
    np.asarray([[1.0], [2.0], [6.0]]),
    np.asarray([[4.0], [8.0]]),
    np.asarray([[-1.0], [0.0], [1.0], [4.0]]),
]
# By hand: means 3, 6, 1; population variances 14/3, 4, 7/2; Bessel's 7, 8, 14/3.
MEANS = [Fraction(3), Fraction(6), Fraction(1)]
POPULATION = [Fraction(14, 3), Fraction(4), Fraction(7, 2)]
BESSEL = [Fraction(7), Fraction(8), Fraction(14, 3)]


@pytest.mark.parametrize("estimator", ["population", "bessel"])
@pytest.mark.parametrize(
    ("weighs", "momentum", "mean", "variance"),
    [
        # old, 3/4: 0 -> 3/4 -> 33/16 -> 115/64
        ("old", 0.75, [Fraction(3, 4), Fraction(33, 16), Fraction(115, 64)], None),
        # new, 3/4: 0 -> 9/4 -> 81/16 -> 129/64
        ("new", 0.75, [Fraction(9, 4), Fraction(81, 16), Fraction(129, 64)], None),
        # cumulative: averages of the first k batch means, and the initial value is forgotten
        ("old", None, [Fraction(3), Fraction(9, 2), Fraction(10, 3)], "cumulative"),
        ("new", None, [Fraction(3), Fraction(9, 2), Fraction(10, 3)], "cumulative"),
    ],
)
def test_three_updates_by_hand(estimator, weighs, momentum, mean, variance):
    convention = replace(KERAS, momentum_weighs=weighs, running_variance=estimator)
    estimates = BESSEL if estimator == "bessel" else POPULATION
    if variance == "cumulative":
        running = [sum(estimates[: k + 1], Fraction()) / (k + 1) for k in range(3)]
    else:
        old = Fraction(3, 4) if weighs == "old" else Fraction(1, 4)
        running, last = [], Fraction(1)
        for estimate in estimates:
            last = old * last + (1 - old) * estimate
            running.append(last)
    found = layer([(x, True) for x in BATCHES], convention, momentum=momentum)
    for k, step in enumerate(found):
        assert_close(step.state.moving_mean, [mean[k]], (1,))
        assert_close(step.state.moving_variance, [running[k]], (1,))
        assert step.state.num_batches == k + 1
        assert_close(step.mean, [MEANS[k]], (1,))
        # What normalizes the batch is the population variance under every convention.
        assert_close(step.variance, [POPULATION[k]], (1,))
        expected = reference(as_dict(BATCHES[k]), (1,), [1], [0], 1e-3)
        assert_close(step.y, expected.values(), BATCHES[k].shape)


def test_running_variance_by_hand_in_numbers():
    old = layer([(x, True) for x in BATCHES], replace(KERAS, running_variance="bessel"))
    # 3/4 * 1 + 7/4 = 5/2; 15/8 + 2 = 31/8; 93/32 + 7/6 = 391/96
    assert_close(old[2].state.moving_variance, [Fraction(391, 96)], (1,))
    new = layer([(x, True) for x in BATCHES], TORCH)
    # 1/4 + 21/4 = 11/2; 11/8 + 6 = 59/8; 59/32 + 7/2 = 171/32
    assert_close(new[2].state.moving_variance, [Fraction(171, 32)], (1,))


def test_momentum_is_the_exact_value_of_the_float():
    found = layer([(BATCHES[0], True)], momentum=0.99)[0]
    assert_close(found.state.moving_mean, [3 * (1 - Fraction(0.99))], (1,))


def test_num_batches_can_start_anywhere():
    ten = np.asarray([10.0])
    found = layer([(BATCHES[0], True)], TORCH, momentum=None, num_batches=4, moving_mean=ten)[0]
    assert found.state.num_batches == 5
    assert_close(found.state.moving_mean, [Fraction(4, 5) * 10 + Fraction(3, 5)], (1,))


@pytest.mark.parametrize(
    "name", ["plain", "far from zero", "variance 1e-24", "float32 at 4096", "bfloat16", "subnormal"]
)
@pytest.mark.parametrize("epsilon", [1e-3, 1e-12, 0.0])
def test_training_and_evaluation_against_mpmath(name, epsilon):
    x = HARD[name]
    size = x.shape[1]
    gamma, beta, mean = (draw(s, size, x.dtype) for s in (18, 19, 20))
    variance = np.abs(draw(21, size, x.dtype))
    g, b = flat(gamma, size, 1), flat(beta, size, 0)
    steps = [(x, False), (x, True), (x, False)]
    parameters = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    first, second, third = layer(steps, epsilon=epsilon, momentum=0.99, **parameters)
    # Without parameters the result is of any size, and must be right relative to it.
    bare = layer([(x, True)], epsilon=epsilon, moving_mean=mean, moving_variance=variance)[0]
    assert_close(bare.y, reference_values(x, epsilon), x.shape)
    batch = [two_pass([number(v) for v in c], [Fraction(1)] * len(c)) for c in x.T]
    keep = Fraction(0.99)
    state = [
        [keep * number(old) + (1 - keep) * new[part] for old, new in zip(initial, batch, strict=True)]
        for part, initial in ((1, mean), (2, variance))
    ]
    expected = [
        reference(as_dict(x), (1,), g, b, epsilon, (flat(mean, size, 0), flat(variance, size, 0))),
        reference(as_dict(x), (1,), g, b, epsilon),
        reference(as_dict(x), (1,), g, b, epsilon, [[mp(v) for v in part] for part in state]),
    ]
    for step, wanted in zip((first, second, third), expected, strict=True):
        for seen, index in zip(held(step.y), np.ndindex(*x.shape), strict=True):
            assert abs(seen - rational(wanted[index])) <= BOUND * max(1, abs(rational(wanted[index])))
    assert first.mean is first.variance is third.mean is third.variance is None
    assert [s.state.num_batches for s in (first, second, third)] == [0, 1, 1]
    assert held(first.state.moving_mean) == [number(v) for v in mean]
    assert_close(third.state.moving_mean, state[0], (size,))
    assert_close(third.state.moving_variance, state[1], (size,))


@pytest.mark.parametrize("axis", [(1,), (-2,), (0, 2), (-1, 0), (1, 2), ()], ids=str)
def test_feature_axes_in_any_number_and_sign(axis):
    x = draw(22, (2, 3, 4), np.float32)
    place = {a % 3 for a in axis}
    shape = tuple(n if i in place else 1 for i, n in enumerate(x.shape))
    if len(axis) == 1:
        shape = (x.shape[axis[0]],)
    size = int(np.prod(shape))
    gamma, beta, zero, one = draw(23, shape), draw(24, shape), np.zeros(shape), np.ones(shape)
    parameters = {"gamma": gamma, "beta": beta, "moving_mean": zero, "moving_variance": one}
    step, after = layer([(x, True), (x, False)], TORCH, axis=axis, **parameters)
    batch = [
        two_pass([number(x[i]) for i in indices], [Fraction(1)] * len(indices))
        for _, indices in channels(x.shape, axis)
    ]
    assert_close(step.mean, [b[1] for b in batch], shape)
    assert_close(step.variance, [b[2] for b in batch], shape)
    g, b = flat(gamma, size, 1), flat(beta, size, 0)
    state = [[mp(v) for v in held(part)] for part in (step.state.moving_mean, step.state.moving_variance)]
    for found, wanted in [
        (step, reference(as_dict(x), axis, g, b, 1e-3)),
        (after, reference(as_dict(x), axis, g, b, 1e-3, state)),
    ]:
        assert found.y.shape == x.shape
        assert found.state.moving_mean.shape == found.state.moving_variance.shape == shape
        for seen, index in zip(held(found.y), np.ndindex(*x.shape), strict=True):
            assert abs(seen - rational(wanted[index])) <= BOUND


def test_the_rank_may_change_from_batch_to_batch():
    wide = draw(25, (2, 3, 4))
    narrow = np.moveaxis(wide, 1, 2).reshape(8, 3)
    zero, one = np.zeros(3), np.ones(3)
    found = layer([(wide, True), (narrow, True)], TORCH, axis=(1,), moving_mean=zero, moving_variance=one)
    assert held(found[0].mean) == held(found[1].mean)
    assert held(found[0].variance) == held(found[1].variance)


def test_one_element_per_channel():
    x = np.asarray([[5.0]])
    with pytest.raises(ValueError, match=r"more than one element per channel\. Got shape=\(1, 1\)\."):
        layer([(x, True)], TORCH)
    assert_close(layer([(x, False)], TORCH)[0].y, [5 / mpmath.sqrt(1 + mpf(1e-3))], (1, 1))
    for estimator in ("population", "bessel"):
        step = layer([(x, True)], replace(KERAS, running_variance=estimator), beta=np.asarray([2.0]))[0]
        assert held(step.y) == [2]
        assert held(step.variance) == [0]
        assert held(step.state.moving_variance) == [Fraction(3, 4)]
        assert held(step.state.moving_mean) == [Fraction(5, 4)]


@pytest.mark.parametrize(("policy", "counted"), [("keep", 0), ("count", 1)])
def test_empty_batch(policy, counted):
    convention = replace(TORCH, empty_batch=policy)
    none = np.zeros((0, 1), np.float32)
    steps = [(none, True), (none, False), (BATCHES[0], True)]
    found = layer(steps, convention, momentum=None, moving_mean=np.asarray([9.0]))
    for step in found[:2]:
        assert (step.y.shape, step.mean, step.variance) == ((0, 1), None, None)
        assert step.state.num_batches == counted
        assert held(step.state.moving_mean) == [9]
        assert held(step.state.moving_variance) == [1]
    # The batch after it is number 1 or number 2.
    assert found[2].state.num_batches == counted + 1
    assert_close(found[2].state.moving_mean, [Fraction(9 * counted + 3, counted + 1)], (1,))


def test_layer_refuses_what_is_undefined():
    x = BATCHES[0]
    with pytest.raises(ValueError, match=r"variance \+ epsilon must be positive"):
        layer([(np.ones((3, 1)), True)], epsilon=0.0)
    with pytest.raises(ValueError, match=r"epsilon must be finite\. Got epsilon=nan\."):
        layer([(x, True)], epsilon=float("nan"))
    with pytest.raises(ValueError, match=r"momentum must be finite\. Got momentum=inf\."):
        layer([(x, True)], momentum=float("inf"))
    with pytest.raises(ValueError, match="Got nan at index"):
        layer([(x * np.nan, False)])
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        with pytest.raises(ValueError, match=rf"{name} must have shape \(1,\)\. Got shape=\(1, 1\)\."):
            layer([(x, True)], **{name: np.ones((1, 1))})
    with pytest.raises(ValueError, match=r"axis must name different axes .* Got axis=\(1, -1\)\."):
        layer([(x, True)], axis=(1, -1))
    assert layer([]) == []


def test_state_may_be_handed_on():
    whole = layer([(x, True) for x in BATCHES])
    first = layer([(BATCHES[0], True)])[0].state
    rest = layer(
        [(x, True) for x in BATCHES[1:]],
        moving_mean=first.moving_mean,
        moving_variance=first.moving_variance,
        num_batches=first.num_batches,
    )
    assert rest[1].state.num_batches == 3
    assert_close(rest[1].state.moving_variance, held(whole[2].state.moving_variance), (1,))


def test_many_rows():
    x = draw(26, (20000, 2), np.float32, 1e4, 0.01)
    found = layer([(x, True)], TORCH, epsilon=1e-12, moving_mean=np.zeros(2), moving_variance=np.ones(2))[0]
    batch = [two_pass([number(v) for v in column], [Fraction(1)] * len(column)) for column in x.T]
    assert_close(found.variance, [b[2] for b in batch], (2,))
    for row, column in [(0, 0), (777, 1), (19999, 0)]:
        _, mean, variance = batch[column]
        expected = mp(number(x[row, column]) - mean) / mpmath.sqrt(mp(variance) + mpf(1e-12))
        seen = Fraction(found.y.numerators[row, column], 2**found.y.bits)
        assert abs(seen - rational(expected)) <= BOUND * abs(rational(expected))


def loss(x, cotangent, axis, gamma, beta, epsilon, statistics=None):
    y = reference(x, axis, gamma, beta, epsilon, statistics)
    return sum(cotangent[i] * y[i] for i in y)


def moved(x, shifts):
    return x | {i: x[i] + s for i, s in shifts.items()}


def central(function):
    """Differentiate at 0; the neglected term is of relative order STEP**2."""
    return (function(STEP) - function(-STEP)) / (2 * STEP)


CASES = {
    "channels last": ((5, 2), (-1,), np.float64, 1e-3),
    "channels first, float32": ((3, 2, 2), (1,), np.float32, 1e-5),
    "two feature axes": ((2, 2, 3), (0, 1), np.float64, 1e-3),
    "no epsilon": ((4, 2), (1,), np.float32, 0.0),
    "bfloat16": ((4, 2), (1,), BFLOAT16, 1e-3),
}


def problem(name):
    shape, axis, dtype, epsilon = CASES[name]
    parameter = tuple(n if i in {a % len(shape) for a in axis} else 1 for i, n in enumerate(shape))
    if len(axis) == 1:
        parameter = (shape[axis[0]],)
    x, cotangent, tangent = draw(30, shape, dtype, 5), draw(31, shape, dtype), draw(32, shape, dtype, 1)
    gamma, mean = draw(33, parameter, dtype), draw(34, parameter, dtype)
    variance = np.abs(draw(35, parameter, dtype)) + np.asarray(0.25, dtype)
    return x, cotangent, tangent, axis, epsilon, gamma, mean, variance


def bump(values, position, amount):
    return [v + amount if i == position else v for i, v in enumerate(values)]


@pytest.mark.parametrize("scaled", [True, False], ids=["gamma", "no gamma"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_the_limits_of_difference_quotients(name, training, scaled):
    x, cotangent, _, axis, epsilon, gamma, mean, variance = problem(name)
    found = gradients(
        x, cotangent, axis=axis, epsilon=epsilon, gamma=gamma if scaled else None,
        moving_mean=mean, moving_variance=variance, training=training,
    )  # fmt: skip
    size, data, weights = gamma.size, as_dict(x), as_dict(cotangent)
    g, b = flat(gamma if scaled else None, size, 1), [mpf(0)] * size
    m, v = flat(mean, size, 0), flat(variance, size, 1)

    def at(x=data, g=g, b=b, m=m, v=v):
        return loss(x, weights, axis, g, b, epsilon, None if training else (m, v))

    indices, positions = list(np.ndindex(*x.shape)), range(size)
    assert_close(found.x, [central(lambda h, i=i: at(x=moved(data, {i: h}))) for i in indices], x.shape)
    assert_close(found.gamma, [central(lambda h, c=c: at(g=bump(g, c, h))) for c in positions], gamma.shape)
    assert_close(found.beta, [central(lambda h, c=c: at(b=bump(b, c, h))) for c in positions], gamma.shape)
    of_mean = [central(lambda h, c=c: at(m=bump(m, c, h))) for c in positions]
    of_variance = [central(lambda h, c=c: at(v=bump(v, c, h))) for c in positions]
    assert_close(found.moving_mean, of_mean, gamma.shape)
    assert_close(found.moving_variance, of_variance, gamma.shape)


def test_gradient_by_hand():
    # x = -1, 1, so mean 0 and variance 1. With epsilon = 0, y = x, and nothing can move y. With epsilon = 3,
    # s = 2 and for g = (1, 0): mean(g) = 1/2, t = -1/2, dx = 1/2 * (g - 1/2 + x / 8) = (3/16, -3/16).
    x, g, one = np.asarray([[-1.0], [1.0]]), np.asarray([[1.0], [0.0]]), np.ones(1)
    arguments = {"axis": (1,), "gamma": None, "moving_mean": one, "moving_variance": one, "training": True}
    still = gradients(x, g, epsilon=0.0, **arguments)
    assert held(still.x) == [0, 0]
    assert held(still.gamma) == [-1]
    found = gradients(x, g, epsilon=3.0, **arguments)
    assert held(found.x) == [Fraction(3, 16), Fraction(-3, 16)]
    assert held(found.gamma) == [Fraction(-1, 2)]
    assert held(found.beta) == [1]
    assert held(found.moving_mean) == held(found.moving_variance) == [0]


@pytest.mark.parametrize("epsilon", [1e-12, 0.0])
def test_gradient_keeps_its_digits_where_everything_cancels(epsilon):
    x, cotangent = draw(36, (5, 1), np.float64, 1e7, 1e-6), draw(37, (5, 1), np.float64, 1e5)
    one = np.ones(1)
    found = gradients(
        x,
        cotangent,
        axis=(1,),
        epsilon=epsilon,
        gamma=one,
        moving_mean=one,
        moving_variance=one,
        training=True,
    )
    data, weights = as_dict(x), as_dict(cotangent)
    expected = [
        central(lambda h, i=i: loss(moved(data, {i: h}), weights, (1,), [1], [0], epsilon))
        for i in np.ndindex(*x.shape)
    ]
    # With a variance of 1e-12, the third derivative may exceed the first by 1e24: 1e-90 after STEP**2.
    assert_close(found.x, expected, x.shape)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_one_element_and_of_none(training):
    arguments = {"axis": (1,), "gamma": None, "moving_mean": np.zeros(2), "moving_variance": np.ones(2)}
    one = gradients(np.asarray([[3.0, 4.0]]), np.ones((1, 2)), epsilon=0.5, training=training, **arguments)
    assert held(one.beta) == [1, 1]
    if training:
        assert held(one.x) == held(one.gamma) == [0, 0]
    else:
        root = mpmath.sqrt(mpf(1.5))
        assert_close(one.x, [1 / root, 1 / root], (1, 2))
        assert_close(one.gamma, [3 / root, 4 / root], (2,))
    none = gradients(np.zeros((0, 2)), np.zeros((0, 2)), epsilon=0.5, training=training, **arguments)
    assert none.x.shape == (0, 2)
    assert all(held(part) == [0, 0] for part in none[1:])


@pytest.mark.parametrize("scaled", [True, False], ids=["gamma", "no gamma"])
@pytest.mark.parametrize("name", CASES)
def test_hessian_vector_product_is_the_limit_of_difference_quotients(name, scaled):
    x, cotangent, tangent, axis, epsilon, gamma, _, _ = problem(name)
    gamma = gamma if scaled else None
    found = hessian_vector_product(x, cotangent, tangent, axis=axis, epsilon=epsilon, gamma=gamma)
    data, weights = as_dict(x), as_dict(cotangent)
    indices = list(np.ndindex(*x.shape))
    size = len(list(channels(x.shape, axis)))
    g, b = flat(gamma, size, 1), [mpf(0)] * size

    def at(i, h, k):
        shifts = {j: h * mp(tangent[j]) + (k if i == j else 0) for j in indices}
        return loss(moved(data, shifts), weights, axis, g, b, epsilon)

    expected = [central(lambda h, i=i: central(lambda k: at(i, h, k))) for i in indices]
    assert_close(found, expected, x.shape)


def test_hessian_vector_product_is_symmetric_and_degenerates_quietly():
    x, g, u, w = (draw(s, (4, 1)) for s in (40, 41, 42, 43))
    of_u, of_w = (hessian_vector_product(x, g, d, axis=(1,), epsilon=1e-3, gamma=None) for d in (u, w))
    left = sum(number(a) * h for a, h in zip(w.ravel(), held(of_u), strict=True))
    right = sum(number(a) * h for a, h in zip(u.ravel(), held(of_w), strict=True))
    assert left != 0
    assert abs(left - right) <= BOUND
    one = np.ones((1, 1))
    assert held(hessian_vector_product(one, one, one, axis=(1,), epsilon=1e-3, gamma=None)) == [0]
    none = np.ones((0, 1))
    assert hessian_vector_product(none, none, none, axis=(1,), epsilon=1e-3, gamma=None).shape == (0, 1)


def test_derivatives_refuse_other_shapes():
    x, one = np.ones((3, 1)), np.ones(1)
    arguments = {"axis": (1,), "epsilon": 1e-3, "gamma": None}
    with pytest.raises(ValueError, match=r"cotangent must have the shape \(3, 1\) of x\. Got shape=\(3,\)\."):
        gradients(x, np.ones(3), moving_mean=one, moving_variance=one, training=True, **arguments)
    with pytest.raises(ValueError, match=r"tangent must have the shape \(3, 1\) of x\. Got shape=\(1, 1\)\."):
        hessian_vector_product(x, x, np.ones((1, 1)), **arguments)
    for name in ("moving_mean", "moving_variance"):
        moving = {"moving_mean": one, "moving_variance": one} | {name: np.ones(2)}
        with pytest.raises(ValueError, match=rf"{name} must have shape \(1,\)\. Got shape=\(2,\)\."):
            gradients(x, x, training=False, **moving, **arguments)


def test_inputs_are_not_written_to():
    x, parameter = draw(50, (4, 3)), np.ones(3)
    for array in (x, parameter):
        array.flags.writeable = False
    before = x.tobytes() + parameter.tobytes()
    moments(x, (0,), x * x)
    batch_normalization(x, parameter, parameter, parameter, parameter, 1e-3)
    layer(
        [(x, True), (x, False)],
        gamma=parameter,
        beta=parameter,
        moving_mean=parameter,
        moving_variance=parameter,
    )
    hessian_vector_product(x, x, x, axis=(1,), epsilon=1e-3, gamma=parameter)
    assert x.tobytes() + parameter.tobytes() == before


def runtime_imports(path):
    """List the top-level packages that a module imports when it runs; what only types need is left out."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "").split(".")[0]


def test_the_oracle_imports_nothing_that_it_judges():
    folder = Path(oracle.__file__).parent
    own = {"." + path.stem for path in folder.glob("*.py")}
    seen = {name for path in folder.glob("*.py") for name in runtime_imports(path)}
    assert seen - own - set(sys.stdlib_module_names) == {"numpy"}


def test_public_names():
    # Where pytest rewrites assertions, the names that it adds start with "@".
    assert {name for name in vars(oracle) if name[0] not in "_@"} == set(oracle.__all__)
