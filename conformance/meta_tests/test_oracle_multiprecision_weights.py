"""The second oracle's frequency weights: repetition, deletion, a case by hand, broadcasting, and no weight at all."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.oracle import _forward
from bnspec_conformance.oracle.multiprecision import (
    Step,
    batch_normalization,
    gradients,
    hessian_vector_product,
    moments,
    trajectory,
)

from .oracle_helpers import mp, thousand_bits  # noqa: F401  # references are rounded at 2**-1000

RNG = np.random.default_rng(20)
X, G, U, MORE = (RNG.standard_normal((4, 2)) for _ in range(4))
COUNTS = np.asarray([[2], [1], [3], [1]])
ROWS = COUNTS.ravel()
FIRST = np.cumsum(ROWS) - ROWS
GAMMA, BETA = np.asarray([1.5, -0.75]), np.asarray([0.25, 3.0])
MOVING = {"moving_mean": np.asarray([0.5, -1.0]), "moving_variance": np.asarray([2.0, 0.125])}
LAYER = {"axis": (1,), "epsilon": 1e-3, "gamma": GAMMA}
RUN = {**LAYER, **MOVING, "beta": BETA, "momentum": 0.25, "convention": TORCH}
TRAIN = {**LAYER, **MOVING, "training": True}
HOLE = X.copy()
HOLE[1, 0] = np.nan
NAN = mpmath.mpf("nan")


def values(result):
    """List the numbers of an array, an array of fractions, or a part of a step, as mpf."""
    return [
        mp(v) if isinstance(v, Fraction | int | float) else v for v in np.asarray(result, dtype=object).ravel().tolist()
    ]


def assert_same(found, expected, x=X, least=None):
    """Require the error that the oracle states, once for each side; NaN matches NaN.

    `least` has the numbers with the least nonzero magnitude m, where these are not the expected ones.
    """
    if found is None or expected is None:
        assert found is expected
        return
    assert np.shape(found) == np.shape(expected)
    sizes = [abs(v) for v in values(expected if least is None else least) if v and mpmath.isfinite(v)]
    h = _forward.height(_forward.read(x, where=np.zeros(np.shape(x))))
    limit = mpmath.ldexp(min([mpmath.ldexp(1, -h), *sizes]), 1 - _forward.BITS)
    for a, b in zip(values(found), values(expected), strict=True):
        assert (mpmath.isnan(a) and mpmath.isnan(b)) or a == b or abs(mpmath.fsub(a, b, exact=True)) <= limit


def assert_all_same(found, expected, x=X):
    for a, b in zip(found, expected, strict=True):
        assert_same(a, b, x)


def assert_steps_same(found, expected, rows=slice(None)):
    """Compare steps; `rows` of the expected y are those of the other."""
    for seen, wanted in zip(found, expected, strict=True):
        assert_same(seen.y, wanted.y[rows] if len(seen.y) != len(wanted.y) else wanted.y)
        assert_all_same((*seen.state[:2], seen.mean, seen.variance), (*wanted.state[:2], wanted.mean, wanted.variance))
        assert seen.state.num_batches == wanted.state.num_batches


def with_sums(exact):
    """Sum the rows of a result for repeated elements over the copies of each."""
    return np.add.reduceat(exact, FIRST, axis=0)


each_estimator = pytest.mark.parametrize("estimator", ["population", "bessel"])
each_momentum = pytest.mark.parametrize("momentum", [0.25, None], ids=str)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(4, 2), (4, 1), (1, 2), (1, 1)], ids=str)
def test_ones_are_no_weights(dtype, shape):
    ones = np.ones(shape, dtype)
    steps = trajectory([(X, True, ones), (MORE, False, ones), (X, True, None), (MORE, True, ones)], **RUN)
    assert_steps_same(steps, trajectory([(X, True), (MORE, False), (X, True), (MORE, True)], **RUN))
    found, plain = gradients(X, G, weights=ones, **TRAIN), gradients(X, G, **TRAIN)
    assert_all_same(found[:-1], plain[:-1])
    assert found.weights.shape == shape
    assert plain.weights is None
    assert_same(hessian_vector_product(X, G, U, weights=ones, **LAYER), hessian_vector_product(X, G, U, **LAYER))
    assert_all_same(moments(X, (0,), ones), moments(X, (0,)))


@each_estimator
@each_momentum
def test_whole_weights_repeat(estimator, momentum):
    run = {**RUN, "convention": replace(TORCH, running_variance=estimator), "momentum": momentum}
    repeated = np.repeat(X, ROWS, axis=0)
    found = trajectory([(MORE, True), (X, True, COUNTS), (X, False, COUNTS)], **run)
    wanted = trajectory([(MORE, True), (repeated, True), (X, False)], **run)
    assert_steps_same(found, wanted, FIRST)


def test_derivatives_of_repeated_elements():
    repeated, tangent = np.repeat(X, ROWS, axis=0), np.repeat(U, ROWS, axis=0)
    cotangent = np.zeros(repeated.shape)
    cotangent[FIRST] = G
    found, wanted = gradients(X, G, weights=COUNTS, **TRAIN), gradients(repeated, cotangent, **TRAIN)
    assert_same(found.x, with_sums(wanted.x), least=[*values(wanted.x), *values(found.x)])
    assert_all_same(found[1:-1], wanted[1:-1])
    found = hessian_vector_product(X, G, U, weights=COUNTS, **LAYER)
    wanted = hessian_vector_product(repeated, cotangent, tangent, **LAYER)
    assert_same(found, with_sums(wanted), least=[*values(wanted), *values(found)])


@pytest.mark.parametrize("hole", [0.0, 7.5, np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_weight_zero_deletes(hole, place):
    weights = np.asarray([[0.5], [1.25], [3.0], [0.75]])
    x, g, u = (np.insert(a, place, fill, axis=0) for a, fill in ((X, hole), (G, 0.0), (U, 2.0)))
    w = np.insert(weights, place, 0.0, axis=0)
    rest = [i for i in range(5) if i != place]
    found, wanted = trajectory([(x, True, w), (X, False)], **RUN), trajectory([(X, True, weights), (X, False)], **RUN)
    (outside,) = found[0].y[[place]]
    assert_steps_same([found[0]._replace(y=found[0].y[rest]), found[1]], wanted)
    if np.isfinite(hole):
        arguments = wanted[0].mean, wanted[0].variance, BETA, GAMMA, RUN["epsilon"]
        assert_same(outside, batch_normalization(np.full((1, 2), hole), *arguments)[0])
    else:
        np.testing.assert_array_equal(outside.astype(np.float64), hole * np.sign(GAMMA))
    found, wanted = gradients(x, g, weights=w, **TRAIN), gradients(X, G, weights=weights, **TRAIN)
    assert_same(found.x[rest], wanted.x)
    assert not found.x[place].any()
    assert_all_same(found[1:-1], wanted[1:-1])
    assert_same(found.weights[rest], wanted.weights, least=gradients(X, G, weights=weights + 0 * X, **TRAIN).weights)
    assert mpmath.isfinite(found.weights[place, 0]) == np.isfinite(hole)
    found = hessian_vector_product(x, g, u, weights=w, **LAYER)
    assert_same(found[rest], hessian_vector_product(X, G, U, weights=weights, **LAYER))
    assert np.isfinite(hole) or not found[place].any()
    assert_all_same(moments(x, (0,), w), moments(X, (0,), weights))


def test_weights_of_each_channel():
    weights = np.asarray([[0.0, 2.0], [1.5, 0.0], [0.5, 1.0], [3.0, 0.25]])
    x = np.where(weights == 0, np.nan, X)
    g = np.where(weights == 0, 0.0, G)
    found, (step,) = gradients(x, g, weights=weights, **TRAIN), trajectory([(x, True, weights)], **RUN)
    product = hessian_vector_product(x, g, U, weights=weights, **LAYER)
    for c in range(2):
        rows = np.flatnonzero(weights[:, c])
        part, one = np.ix_(rows, [c]), slice(c, c + 1)
        layer = {**LAYER, "gamma": GAMMA[one]}
        moving = {name: value[one] for name, value in MOVING.items()}
        wanted = gradients(X[part], G[part], weights=weights[part], training=True, **layer, **moving)
        assert_all_same(
            (found.x[part], found.gamma[one], found.weights[part]), (wanted.x, wanted.gamma, wanted.weights)
        )
        (alone,) = trajectory([(X[part], True, weights[part])], **{**RUN, **layer, **moving, "beta": BETA[one]})
        assert_all_same((step.y[part], step.mean[one], step.variance[one]), (alone.y, alone.mean, alone.variance))
        assert_all_same([average[one] for average in step.state[:2]], alone.state[:2])
        assert_same(product[part], hessian_vector_product(X[part], G[part], U[part], weights=weights[part], **layer))
    assert [[mpmath.isnan(v) for v in row] for row in found.weights] == (weights == 0).tolist()


# By hand: W = 4, mean 12/4 = 3, variance (9 + 3 * 1)/4 = 3, and sqrt(variance + 1) = 2, with c = -3, 1 and 2.
# With sum(g) = 2 and sum(g c) = -3, and gamma/s = 1: the gradient is g - (w/4) (2 - 3 c/4), the derivative by a
# weight is -(2 c - 3 (c**2 - 3)/8)/4, and of gamma's -3/2. The second derivative along the first element has
# dc = 3/4, -1/4, -1/4, d(variance) = -3/2, d(sum(g c)) = 1/2, d(1/s) s = 3/16 and d(1/s**2) = 3/32; in it the
# gradient has the factor 3/16, and w/4 the factors dc (-3)/4 + c (1/2)/4 + c (-3) (3/32).
HAND = np.asarray([[0.0], [4.0], [5.0]]), np.asarray([[1.0], [2.0], [-1.0]]), np.asarray([[1.0], [0.0], [0.0]])
HAND_LAYER = {"axis": (1,), "epsilon": 1.0, "gamma": np.asarray([2.0])}
HAND_MOVING = {"moving_mean": np.asarray([7.0]), "moving_variance": np.asarray([9.0])}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_by_hand(dtype):
    (x, g, u), w = HAND, np.asarray([[1], [3], [0]], dtype)
    run = {**HAND_LAYER, **HAND_MOVING, "beta": np.asarray([1.0]), "momentum": 0.25, "convention": TORCH}
    (step,) = trajectory([(x, True, w)], **run)
    assert_all_same((step.y, step.mean, step.variance), ([[-2], [2], [3]], [3], [3]), x)
    assert_all_same(
        step.state[:2], ([7 * Fraction(3, 4) + 3 * Fraction(1, 4)], [9 * Fraction(3, 4) + 4 * Fraction(1, 4)]), x
    )
    assert step.state.num_batches == 1
    found = gradients(x, g, weights=w, training=True, **HAND_LAYER, **HAND_MOVING)
    assert_all_same(found[:5], ([[Fraction(-1, 16)], [Fraction(17, 16)], [-1]], [Fraction(-3, 2)], [2], [0], [0]), x)
    assert_same(found.weights, [[Fraction(33, 16)], [Fraction(-11, 16)], [Fraction(-29, 32)]], x)
    found = hessian_vector_product(x, g, u, weights=w, **HAND_LAYER)
    assert_same(found, [[Fraction(3, 256)], [Fraction(45, 256)], [Fraction(-48, 256)]], x)


@pytest.mark.parametrize(("weight", "factor"), [(0.125, 1), (0.5, 1), (0.625, 5), (1.5, Fraction(3, 2))])
def test_bessel_needs_a_weight_above_one(weight, factor):
    x, w = np.asarray([[1.0], [3.0]]), np.asarray([[weight]])
    run = {**HAND_LAYER, **HAND_MOVING, "beta": None, "momentum": 1.0, "convention": TORCH}
    (step,) = trajectory([(x, True, w)], **run)
    assert_all_same((step.mean, step.variance, *step.state[:2]), ([2], [1], [2], [factor]), x)


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 2, 2), (3, 1, 2), (1, 1, 1), (3, 2, 1)], ids=str)
@pytest.mark.parametrize("axis", [(1,), (0, 2), ()], ids=str)
def test_weights_broadcast(shape, axis):
    full = (3, 2, 2)
    rng = np.random.default_rng([*shape, *axis])
    x, g, u = (rng.standard_normal(full).astype(np.float32) for _ in range(3))
    weights = rng.uniform(0.5, 2, shape).astype(np.float32)
    same = np.broadcast_to(weights, full)
    layer = {"axis": axis, "epsilon": 1e-3, "gamma": None}
    kept = tuple(n if i in axis else 1 for i, n in enumerate(full))
    moving = {name: np.ones(kept if len(axis) != 1 else 2) for name in MOVING}
    run = {**layer, **moving, "beta": None, "momentum": 0.25, "convention": KERAS}
    runs = (trajectory([(x, True, w), (x, False, w)], **run) for w in (weights, same))
    assert_steps_same(*runs)
    found, wanted = (gradients(x, g, weights=w, training=True, **layer, **moving) for w in (weights, same))
    assert_all_same(found[:-1], wanted[:-1], x)
    summed = tuple(i for i, n in enumerate(shape) if n == 1)
    assert_same(found.weights, wanted.weights.sum(axis=summed, keepdims=True), x, least=wanted.weights)
    # Weights that are all multiplied by one number change nothing.
    terms = [mp(w) * d for w, d in zip(same.ravel(), wanted.weights.ravel(), strict=True)]
    assert abs(sum(terms)) <= mpmath.ldexp(sum(abs(t) for t in terms), -_forward.BITS)
    first, second = (hessian_vector_product(x, g, u, weights=w, **layer) for w in (weights, same))
    assert_same(first, second, x)


@pytest.mark.parametrize("empty_batch", ["keep", "count"])
@each_momentum
def test_all_weights_zero(empty_batch, momentum):
    run = {**RUN, "convention": replace(TORCH, empty_batch=empty_batch), "momentum": momentum}
    found = trajectory([(MORE, True), (HOLE, True, 0 * COUNTS), (X, True)], **run)
    wanted = trajectory([(MORE, True), (X[:0], True), (X, True)], **run)
    zero = np.zeros(2)
    y = batch_normalization(np.nan_to_num(HOLE), zero, zero, BETA, GAMMA, RUN["epsilon"])
    y[1, 0] = NAN
    assert_steps_same(found, [wanted[0], wanted[1]._replace(y=y), wanted[2]])
    assert found[1].mean is None
    assert found[1].state.num_batches == 1 + (empty_batch == "count")


def test_derivatives_where_all_weights_are_zero():
    none, zero = 0 * COUNTS, np.zeros(2)
    found = gradients(X, G, weights=none, **TRAIN)
    constant = {**LAYER, "moving_mean": zero, "moving_variance": zero, "training": False}
    wanted = gradients(X, G, **constant)
    assert_all_same((found.x, found.gamma, found.beta), (wanted.x, wanted.gamma, wanted.beta))
    assert_all_same((found.moving_mean, found.moving_variance, found.weights), (zero, zero, np.zeros((4, 1))))
    assert not hessian_vector_product(X, G, U, weights=none, **LAYER).any()
    for weights in (none, np.zeros((4, 2))):
        with pytest.raises(ValueError, match="epsilon must be positive"):
            trajectory([(X, True, weights)], **{**RUN, "epsilon": 0.0})


@each_momentum
@each_estimator
def test_one_channel_without_weight_keeps_its_averages(momentum, estimator):
    run = {**RUN, "convention": replace(TORCH, running_variance=estimator), "momentum": momentum}
    weights = COUNTS * np.asarray([[1, 0]])
    found = trajectory([(MORE, True), (X, True, weights), (X, True)], **run)
    wanted = trajectory([(MORE, True), (X, True, COUNTS), (X, True)], **run)
    assert [step.state.num_batches for step in found] == [1, 2, 3]
    for seen, other in zip(found, wanted, strict=True):
        for average, usual in zip(seen.state[:2], other.state[:2], strict=True):
            assert_same(average[:1], usual[:1])
    assert_all_same([average[1] for average in found[1].state[:2]], [average[1] for average in found[0].state[:2]])
    assert_all_same((found[1].mean, found[1].variance), ([wanted[1].mean[0], 0], [wanted[1].variance[0], 0]))
    # Counted all the same: the next batch is number 3, whatever the channel has averaged so far.
    alone = {"moving_mean": found[1].state.moving_mean, "moving_variance": found[1].state.moving_variance}
    (last,) = trajectory([(X, True)], **{**run, **alone, "num_batches": 2})
    assert_all_same(found[2].state[:2], last.state[:2])
    y = batch_normalization(X, np.zeros(2), np.zeros(2), BETA, GAMMA, RUN["epsilon"])
    assert_same(found[1].y[:, 1], y[:, 1])


def test_no_elements():
    for weights in (np.ones((0, 2)), np.ones((1, 1)), np.zeros((1, 2))):
        assert_steps_same(trajectory([(X[:0], True, weights)], **RUN), trajectory([(X[:0], True)], **RUN))
        found = gradients(X[:0], G[:0], weights=weights, **TRAIN)
        assert_all_same((found.gamma, found.weights), (np.zeros(2), np.zeros(weights.shape)))
        assert hessian_vector_product(X[:0], G[:0], U[:0], weights=weights, **LAYER).shape == (0, 2)


def test_evaluation_reads_no_weights():
    wild = np.asarray([[np.nan], [-1.0], [0.0], [np.inf]])
    assert_steps_same(trajectory([(X, False, wild)], **RUN), trajectory([(X, False)], **RUN))
    layer = {**LAYER, **MOVING, "training": False}
    found, plain = gradients(X, G, weights=wild, **layer), gradients(X, G, **layer)
    assert_all_same(found, (*plain[:-1], np.zeros((4, 1))))
    with pytest.raises(ValueError, match="finite"):
        trajectory([(HOLE, False, 0 * COUNTS)], **RUN)


DROP = np.asarray([[1.0], [0.0], [1.0], [1.0]])
REFUSED = {
    "negative": (X, -DROP, "must not be negative"),
    "NaN": (X, DROP * np.nan, "finite"),
    "infinite": (X, DROP + np.inf, "finite"),
    "another rank": (X, DROP[:, 0], r"broadcast to \(4, 2\)"),
    "another size": (X, DROP[:3], r"broadcast to \(4, 2\)"),
    "larger than x": (X[:1], DROP, r"broadcast to \(1, 2\)"),
    "NaN that counts": (HOLE, 1 - DROP, "finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    x, weights, message = REFUSED[name]
    g = G[: len(x)]
    for function in (
        lambda: trajectory([(x, True, weights)], **RUN),
        lambda: gradients(x, 0 * g, weights=weights, **TRAIN),
        lambda: hessian_vector_product(x, 0 * g, g, weights=weights, **LAYER),
    ):
        with pytest.raises(ValueError, match=message):
            function()


def test_a_cotangent_needs_a_finite_element():
    for function in (
        lambda: gradients(HOLE, G, weights=DROP, **TRAIN),
        lambda: hessian_vector_product(HOLE, G, U, weights=DROP, **LAYER),
    ):
        with pytest.raises(ValueError, match="the cotangent must be 0"):
            function()


@pytest.mark.parametrize("weight", [0, 1, 3])
def test_one_element_is_counted_without_weights(weight):
    for one_element in ("raise", "update"):
        run = {**RUN, "convention": replace(TORCH, one_element=one_element)}
        if one_element == "update":
            assert isinstance(trajectory([(X[:1], True, np.full((1, 1), weight))], **run)[0], Step)
        else:
            with pytest.raises(ValueError, match="more than one element"):
                trajectory([(X[:1], True, np.full((1, 1), weight))], **run)


def test_weights_are_read_exactly():
    large = np.asarray([[2**62 + 1], [2**62 - 1]])
    total, mean, _ = moments(np.asarray([[1.0], [-1.0]]), (0,), large)
    assert_all_same((total, mean), ([Fraction(2**63)], [Fraction(2, 2**63)]), large * 1.0)


def results(x, g, u, weights):
    steps = [(x, True, weights), (u, True, weights[::-1]), (x, False)]
    for step in trajectory(steps, **{**RUN, "beta": None, "epsilon": 0.0}):
        yield from (step.y, *step.state[:2], *(part for part in step[2:] if part is not None))
    yield from gradients(x, g, weights=weights, **{**TRAIN, "epsilon": 0.0})
    yield hessian_vector_product(x, g, u, weights=weights, **{**LAYER, "epsilon": 0.0})
    yield from moments(x, (0,), weights)


@pytest.mark.parametrize("exponents", [(0, 1), (-149, -140), (100, 127), (-140, 127)], ids=str)
def test_more_bits_change_nothing_above_the_stated_error(exponents, monkeypatch):
    rng = np.random.default_rng([e + 150 for e in exponents])
    x, g, u = (rng.standard_normal((4, 2)).astype(np.float32) for _ in range(3))
    weights = np.ldexp(rng.uniform(1, 2, (4, 2)), rng.integers(*exponents, (4, 2))).astype(np.float32)
    few = list(results(x, g, u, weights))
    monkeypatch.setattr(_forward, "MARGIN", _forward.MARGIN + 2000)
    for seen, better in zip(few, results(x, g, u, weights), strict=True):
        assert_same(seen, better, x)
