"""Frequency weights in training by the first oracle: ones, repetition, deletion, common factors, no weight."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.oracle import (
    Exact,
    batch_normalization,
    gradients,
    hessian_vector_product,
    moments,
    trajectory,
)
from bnspec_conformance.oracle._weights import Extended

from .oracle_helpers import (
    BFLOAT16,
    draw,
    held,
    number,
)

CONVENTIONS = pytest.mark.parametrize("convention", [KERAS, TORCH], ids=lambda c: c.name)


def grid(exact):
    return Fraction(1, 2**exact.bits)


def array(exact):
    """Return the numbers in an `Exact`, also those beside NaN, as an array of fractions."""
    return Exact(exact.numerators, exact.bits).fractions()


def assert_same(left, right, left_share=1, right_share=1):
    """Require equality of fractions, up to the error that `Exact` promises: `share` steps of each grid."""
    slack = grid(left[1]) * left_share + grid(right[1]) * right_share
    assert left[0].shape == right[0].shape
    assert np.all(abs(left[0] - right[0]) < slack)


def with_grid(exact, rows=slice(None)):
    return array(exact)[rows], exact


def assert_equal(left, right):
    assert (left.bits, left.shape) == (right.bits, right.shape)
    assert np.array_equal(left.numerators, right.numerators)


def layer(steps, convention=KERAS, size=1, **changes):
    options = {"axis": (1,), "epsilon": 1e-3, "momentum": 0.75, "gamma": None, "beta": None}
    options |= {"moving_mean": np.full(size, 0.5), "moving_variance": np.ones(size)} | changes
    return trajectory(steps, convention=convention, **options)


def pullback(x, cotangent, weights, **changes):
    options = {"axis": (1,), "epsilon": 1e-3, "gamma": None, "training": True}
    # Of a shape that would be refused: in training nothing reads it.
    options |= {"moving_mean": np.ones(()), "moving_variance": np.ones(())} | changes
    return gradients(x, cotangent, weights=weights, **options)


def second(x, cotangent, tangent, weights, epsilon=1e-3, gamma=None):
    return hessian_vector_product(x, cotangent, tangent, axis=(1,), epsilon=epsilon, gamma=gamma, weights=weights)


@CONVENTIONS
@pytest.mark.parametrize("shape", [(4, 2), (4, 1), (1, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, BFLOAT16], ids=str)
def test_weights_of_one_are_no_weights(convention, shape, dtype):
    x, g, u, ones = draw(1, (4, 2)), draw(2, (4, 2)), draw(3, (4, 2)), np.ones(shape, dtype)
    gamma, beta = draw(4, 2), draw(5, 2)
    more = {"gamma": gamma, "beta": beta, "size": 2}
    plain, weighted, absent = (layer([(x, True, *w)], convention, **more)[0] for w in ([], [ones], [None]))
    for found in (weighted, absent):
        for left, right in zip(
            (plain.y, *plain[2:], *plain.state[:2]), (found.y, *found[2:], *found.state[:2]), strict=True
        ):
            assert_equal(left, right)
        assert found.state.num_batches == 1
    plain, weighted = pullback(x, g, None, gamma=gamma), pullback(x, g, ones, gamma=gamma)
    assert plain.weights is None
    assert weighted.weights.shape == shape
    for left, right in zip(plain[:-1], weighted[:-1], strict=True):
        assert_equal(left, right)
    assert_equal(second(x, g, u, None, gamma=gamma), second(x, g, u, ones, gamma=gamma))


COUNTS = [3, 1, 0, 2, 1]


@CONVENTIONS
@pytest.mark.parametrize("dtype", [np.int64, np.float32], ids=str)
def test_integer_weights_repeat_rows(convention, dtype):
    x, u, gamma, beta = draw(6, (5, 2)), draw(7, (5, 2)), draw(8, 2), draw(9, 2)
    weights, copies = np.asarray(COUNTS, dtype)[:, None], np.repeat(np.arange(5), COUNTS)
    more = {"gamma": gamma, "beta": beta, "size": 2}
    found = layer([(x, True, weights), (x[::-1], True, weights[::-1])], convention, **more)
    again = layer([(x[copies], True), (x[copies][::-1], True)], convention, **more)
    for seen, wanted, rows in zip(found, again, (copies, (4 - copies)[::-1]), strict=True):
        for left, right in zip((*seen[2:], *seen.state[:2]), (*wanted[2:], *wanted.state[:2]), strict=True):
            assert_equal(left, right)
        assert seen.state.num_batches == wanted.state.num_batches
        assert_same(with_grid(seen.y, rows), with_grid(wanted.y))

    # Copies with cotangents of their own add up to the weighted element, whose cotangent is their sum.
    own = np.random.default_rng(10).integers(-9, 9, (len(copies), 2)).astype(np.float64)
    g = np.zeros((5, 2))
    np.add.at(g, copies, own)

    def added(exact):
        total = np.full((5, 2), Fraction(0))
        np.add.at(total, copies, array(exact))
        return total, exact

    left, right = pullback(x, g, weights, gamma=gamma), pullback(x[copies], own, None, gamma=gamma)
    assert_same(with_grid(left.x), added(right.x), right_share=max(COUNTS))
    assert_same(with_grid(left.gamma), with_grid(right.gamma))
    assert_equal(left.beta, right.beta)
    left, right = second(x, g, u, weights, gamma=gamma), second(x[copies], own, u[copies], None, gamma=gamma)
    assert_same(with_grid(left), added(right), right_share=max(COUNTS))


@CONVENTIONS
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, 1e300, 5e-324])
def test_weight_zero_deletes_an_element(convention, hole):
    # A different element of each channel, so that channels are compared one by one.
    x, g, u, weights = draw(11, (4, 2)), draw(12, (4, 2)), draw(13, (4, 2)), np.abs(draw(14, (4, 2)))
    gone = np.asarray([[True, False], [False, False], [False, True], [False, False]])
    x[gone], g[gone], weights[gone] = hole, 0, 0
    gamma, beta = np.asarray([2.0, -3.0]), np.ones(2)
    step = layer([(x, True, weights)], convention, size=2, gamma=gamma, beta=beta)[0]
    first, hvp = pullback(x, g, weights, gamma=gamma), second(x, g, u, weights, gamma=gamma)
    assert not array(first.x)[gone].any()
    assert not np.isfinite(hole) or not isinstance(step.y, Extended)
    for c in range(2):
        rows = ~gone[:, c]
        some, given = x[rows, c, None], {"gamma": gamma[[c]]}
        parts = some, g[rows, c, None]
        alone = layer([(some, True, weights[rows, c, None])], convention, beta=np.ones(1), **given)[0]
        for left, right in zip((*step[2:], *step.state[:2]), (*alone[2:], *alone.state[:2]), strict=True):
            # Arrays share one grid, so that each may round at a place of its own.
            assert_same(with_grid(left, slice(c, c + 1)), with_grid(right))
        at = rows, slice(c, c + 1)
        assert_same(with_grid(step.y, at), with_grid(alone.y))
        wanted = pullback(*parts, weights[rows, c, None], **given)
        for left, right in ((first.x, wanted.x), (first.weights, wanted.weights)):
            assert_same(with_grid(left, at), with_grid(right))
        for left, right in ((first.gamma, wanted.gamma), (first.beta, wanted.beta)):
            assert_same(with_grid(left, slice(c, c + 1)), with_grid(right))
        wanted = second(*parts, u[rows, c, None], weights[rows, c, None], **given)
        assert_same(with_grid(hvp, at), with_grid(wanted))
    if not np.isfinite(hole):
        np.testing.assert_array_equal(np.isnan(first.weights.to_float()), gone)
        np.testing.assert_array_equal(step.y.special[gone], [hole, -hole])
        assert not step.y.special[~gone].any()
        assert not array(hvp)[gone].any()
        shared = pullback(x[:, :1], g[:, :1], np.asarray([[0.0], [1.0], [1.0], [1.0]]), gamma=gamma[:1])
        np.testing.assert_array_equal(np.isnan(shared.weights.to_float()), gone[:, :1])


def test_elements_of_weight_zero_are_normalized_like_the_others():
    # Of -1 and 1, mean 0 and variance 1; with epsilon = 3, the divisor is 2.
    x, weights = np.asarray([[-1.0], [1.0], [5.0], [np.nan]]), np.asarray([[1], [1], [0], [0]])
    g = np.asarray([[1.0], [0.0], [0.0], [0.0]])
    step = layer([(x, True, weights)], epsilon=3.0)[0]
    assert array(step.y)[:3, 0].tolist() == [Fraction(-1, 2), Fraction(1, 2), Fraction(5, 2)]
    np.testing.assert_array_equal(step.y.to_float(), [[-0.5], [0.5], [2.5], [np.nan]])
    assert (held(step.mean), held(step.variance)) == ([0], [1])
    found = pullback(x, g, weights, epsilon=3.0)
    assert held(found.x) == [Fraction(3, 16), Fraction(-3, 16), 0, 0]
    # G = 1, P = -1, W = 2: -(c - (c**2 - 1) / 8) / 4
    assert array(found.weights)[:3, 0].tolist() == [Fraction(1, 4), Fraction(-1, 4), Fraction(-1, 2)]
    np.testing.assert_array_equal(found.weights.to_float(), [[0.25], [-0.25], [-0.5], [np.nan]])
    # The cotangent of an element of weight 0 counts in full.
    direct = pullback(x[:3], np.asarray([[0.0], [0.0], [1.0]]), weights[:3], epsilon=3.0)
    # G = 1, P = 5: g / 2 - w / 4 - 5 w c / 16
    assert held(direct.x) == [Fraction(1, 16), Fraction(-9, 16), Fraction(1, 2)]
    assert (held(direct.gamma), held(direct.beta)) == ([Fraction(5, 2)], [1])


@CONVENTIONS
@pytest.mark.parametrize("scale", [3.0, 0.25, 2.0**-149])
def test_population_statistics_do_not_see_a_common_factor(convention, scale):
    x, g, u = draw(15, (4, 2)), draw(16, (4, 2)), draw(17, (4, 2))
    weights = np.asarray([[1.0], [0.5], [0.0], [2.0]])
    options = {"convention": replace(convention, running_variance="population"), "size": 2}
    one, other = (layer([(x, True, w)], **options)[0] for w in (weights, scale * weights))
    assert one.state.num_batches == other.state.num_batches == 1
    for left, right in zip((*one[2:], *one.state[:2]), (*other[2:], *other.state[:2]), strict=True):
        assert_equal(left, right)
    assert_same(with_grid(one.y), with_grid(other.y))
    one, other = (pullback(x, g, w) for w in (weights, scale * weights))
    for left, right in ((one.x, other.x), (one.gamma, other.gamma), (one.beta, other.beta)):
        assert_same(with_grid(left), with_grid(right))
    assert_same(with_grid(one.weights), (array(other.weights) * number(scale), other.weights), 1, number(scale))
    assert_same(with_grid(second(x, g, u, weights)), with_grid(second(x, g, u, scale * weights)))


@pytest.mark.parametrize(
    ("total", "bessel"),
    [(4.0, Fraction(9, 4)), (2.0, Fraction(27, 8)), (1.5, Fraction(81, 16)), (1.0, None), (0.5, None)],
)
def test_bessel_divides_by_one_less_than_the_total_weight(total, bessel):
    # 1 with three quarters of the weight and 4 with one: mean 7/4, variance 27/16.
    x, weights = np.asarray([[1.0], [4.0]]), total * np.asarray([[0.75], [0.25]])
    step = layer([(x, True, weights)], TORCH, momentum=1.0)[0]
    assert (held(step.mean), held(step.variance)) == ([Fraction(7, 4)], [Fraction(27, 16)])
    assert held(step.state.moving_variance) == [bessel or Fraction(27, 16)]


def test_weights_are_weights_of_moments_too():
    x, weights = draw(18, (5, 2)), np.asarray(COUNTS)[:, None]
    found, step = moments(x, (0,), weights), layer([(x, True, weights)], size=2)[0]
    assert_equal(found.mean, step.mean)
    assert_equal(found.variance, step.variance)


def test_each_counted_batch_weighs_the_same_in_a_cumulative_average():
    x, weights = draw(19, (3, 1)), [np.asarray(w)[:, None] for w in ([5, 1, 1], [0, 0, 0], [0.25, 0, 0.5])]
    found = layer([(x, True, w) for w in weights], replace(TORCH, empty_batch="keep"), momentum=None)
    assert [step.state.num_batches for step in found] == [1, 1, 2]
    means = [array(found[k].mean)[0] for k in (0, 2)]
    assert_same((np.asarray([sum(means) / 2]), found[2].mean), with_grid(found[2].state.moving_mean))


@CONVENTIONS
@pytest.mark.parametrize("momentum", [None, 0.75], ids=str)
@pytest.mark.parametrize("policy", ["keep", "count"])
@pytest.mark.parametrize("shape", [(3, 2), (3, 1), (1, 1)], ids=str)
def test_weights_of_zero_are_an_empty_batch(convention, momentum, policy, shape):
    x, g, u, gamma, beta = draw(20, (3, 2)), draw(21, (3, 2)), draw(22, (3, 2)), draw(23, 2), draw(24, 2)
    none, zero = np.zeros(shape), np.zeros(2)
    options = {"momentum": momentum, "gamma": gamma, "beta": beta, "size": 2}
    first, then = layer([(x, True, none), (x, True)], replace(convention, empty_batch=policy), **options)
    assert (first.mean, first.variance) == (None, None)
    assert (held(first.state.moving_mean), held(first.state.moving_variance)) == ([Fraction(1, 2)] * 2, [1, 1])
    assert [s.state.num_batches for s in (first, then)] == ([0, 1] if policy == "keep" else [1, 2])
    assert_same(with_grid(first.y), with_grid(batch_normalization(x, zero, zero, beta, gamma, 1e-3)))
    found = pullback(x, g, none, gamma=gamma)
    fixed = pullback(x, g, None, gamma=gamma, moving_mean=zero, moving_variance=zero, training=False)
    for left, right in zip(found[:3], fixed[:3], strict=True):
        assert_same(with_grid(left), with_grid(right))
    assert found.weights.shape == shape
    assert not found.weights.numerators.any()
    assert not second(x, g, u, none, gamma=gamma).numerators.any()


def test_a_channel_without_weight_keeps_its_averages():
    x, weights = draw(25, (3, 2)), np.asarray([[0.0, 1.0]])
    step, alone = layer([(x, True, weights)], TORCH, size=2)[0], layer([(x[:, 1:], True)], TORCH)[0]
    assert step.state.num_batches == 1
    for part, kept in ((step.mean, 0), (step.variance, 0), (step.state.moving_mean, Fraction(1, 2))):
        assert held(part)[0] == kept
    for left, right in zip((*step[2:], *step.state[:2]), (*alone[2:], *alone.state[:2]), strict=True):
        assert_same(with_grid(left, slice(1, 2)), with_grid(right))
    x[0, 0] = np.nan
    assert np.isnan(layer([(x, True, weights)], size=2)[0].y.to_float()).sum() == 1
    with pytest.raises(ValueError, match=r"variance \+ epsilon must be positive\. Got 0\.0 \+ 0\.0\."):
        layer([(x, True, weights)], size=2, epsilon=0.0)


def test_the_number_of_elements_is_not_weighed():
    with pytest.raises(ValueError, match="more than one element per channel"):
        layer([(np.ones((1, 1)), True, np.full((1, 1), 3))], TORCH)
    step = layer([(np.asarray([[3.0], [9.0]]), True, np.asarray([[1], [0]]))], TORCH, momentum=1.0)[0]
    assert (held(step.mean), held(step.state.moving_variance)) == ([3], [0])
    none = layer([(np.ones((0, 2)), True, np.ones((1, 2)))], TORCH, size=2)[0]
    assert (none.y.shape, none.mean, none.state.num_batches) == ((0, 2), None, 1)
    found = pullback(np.ones((0, 2)), np.ones((0, 2)), np.ones((1, 2)))
    assert (found.weights.shape, held(found.weights)) == ((1, 2), [0, 0])


@pytest.mark.parametrize("shape", [(4, 1, 3), (1, 2, 3), (4, 2, 1), (1, 2, 1), (4, 1, 1), (1, 1, 1)], ids=str)
def test_weights_broadcast(shape):
    x, g, u, gamma = draw(26, (4, 2, 3)), draw(27, (4, 2, 3)), draw(28, (4, 2, 3)), draw(29, 2)
    weights = np.abs(draw(30, shape, np.float32))
    whole = np.array(np.broadcast_to(weights, x.shape))
    few, all_of_them = (layer([(x, True, w)], TORCH, size=2)[0] for w in (weights, whole))
    pairs = zip(
        (few.y, *few[2:], *few.state[:2]), (all_of_them.y, *all_of_them[2:], *all_of_them.state[:2]), strict=True
    )
    few, all_of_them = (pullback(x, g, w, gamma=gamma) for w in (weights, whole))
    for left, right in (*pairs, *zip(few[:-1], all_of_them[:-1], strict=True)):
        assert_equal(left, right)
    assert_equal(second(x, g, u, weights), second(x, g, u, whole))
    axes = tuple(i for i, n in enumerate(shape) if n == 1)
    total = np.sum(array(all_of_them.weights), axis=axes, keepdims=True)
    assert_same(with_grid(few.weights), (total, all_of_them.weights), right_share=x.size)


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_a_common_factor_of_the_weights_moves_nothing(scale):
    x, g = scale * draw(31, (4, 3)), draw(32, (4, 3))
    # One weight for all elements is such a factor, and 0 is found exactly; also where roots of channels add up.
    for shape in ((1, 3), (1, 1)):
        assert not pullback(x, g, np.full(shape, 0.75)).weights.numerators.any()
    weights = np.abs(draw(33, (4, 1)))
    found = pullback(x, g, weights).weights
    terms = array(found) * Exact.from_floats(weights).fractions()
    assert np.all(terms != 0)
    assert abs(terms.sum()) < grid(found) * sum(map(number, weights.ravel()))


def test_channels_that_cancel_do_so_exactly():
    # Without epsilon, a channel and its double have the same y, by roots of which one is twice the other.
    x, g = draw(34, (4, 1)), draw(35, (4, 1))
    both, weights = np.concatenate([x, 2 * x], axis=1), np.asarray([[1.0], [2.0], [0.0], [0.5]])
    assert not pullback(both, np.concatenate([g, -g], axis=1), weights, epsilon=0.0).weights.numerators.any()
    twice, once = (pullback(z, np.tile(g, z.shape[1]), weights, epsilon=0.0).weights for z in (both, x))
    assert_same(with_grid(twice), (2 * array(once), once), right_share=2)


def test_evaluation_does_not_read_weights():
    x, nonsense, one = draw(50, (3, 1)), np.asarray([np.nan, -1.0]), np.ones(1)
    plain, weighted = (layer([step])[0] for step in ((x, False), (x, False, nonsense)))
    assert_equal(plain.y, weighted.y)
    assert weighted.state.num_batches == 0
    moving = {"moving_mean": one, "moving_variance": one, "training": False}
    plain, weighted = (pullback(x, x, w, **moving) for w in (None, nonsense))
    for left, right in zip(plain[:-1], weighted[:-1], strict=True):
        assert_equal(left, right)
    assert (plain.weights, held(weighted.weights)) == (None, [0, 0])
    with pytest.raises(ValueError, match="Got nan at index"):
        layer([(x * np.nan, False, np.zeros((3, 1)))])


def test_infinity_times_a_scale():
    x, weights = np.asarray([[np.inf] * 3, [1.0] * 3, [2.0] * 3]), np.asarray([[0], [1], [1]])
    step = layer([(x, True, weights)], size=3, gamma=np.asarray([2.0, 0.0, -2.0]), beta=np.ones(3))[0]
    np.testing.assert_array_equal(step.y.to_float()[0], [np.inf, np.nan, -np.inf])
    assert array(step.y)[1:, 1].tolist() == [1, 1]


def test_nan_does_not_make_the_grid_finer():
    x, weights = np.asarray([[-1.0], [1 + 2.0**-52], [np.nan]]), np.asarray([[1], [1], [0]])
    assert layer([(x, True, weights)])[0].y.bits == layer([(x[:2], True)])[0].y.bits


REFUSED = {
    "negative": (np.asarray([[1.0], [-0.5]]), ValueError, r"weights must not be negative\. Got -0\.5\."),
    "negative integer": (np.asarray([[1], [-2]]), ValueError, r"weights must not be negative\. Got -2\."),
    "NaN": (np.asarray([[1.0], [np.nan]]), ValueError, r"finite numbers\. Got nan at index \(1, 0\)\."),
    "infinite": (np.asarray([[np.inf], [1.0]]), ValueError, r"finite numbers\. Got inf at index \(0, 0\)\."),
    "rank": (np.ones(2), ValueError, r"weights must broadcast to \(2, 1\) with its rank\. Got shape=\(2,\)\."),
    "size": (np.ones((3, 1)), ValueError, r"weights must broadcast to \(2, 1\) .*Got shape=\(3, 1\)\."),
    "dtype": (np.ones((2, 1), bool), TypeError, r"Got dtype=bool\."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_weights_are_refused(name):
    weights, error, text = REFUSED[name]
    x = np.asarray([[1.0], [2.0]])
    for call in (
        lambda: layer([(x, True, weights)]),
        lambda: pullback(x, x, weights),
        lambda: second(x, x, x, weights),
    ):
        with pytest.raises(error, match=text):
            call()


def test_nan_is_refused_where_it_would_count():
    x, g, weights = np.asarray([[np.nan], [1.0], [3.0]]), np.ones((3, 1)), np.asarray([[0], [1], [1]])
    for call in (pullback, lambda x, g, w: second(x, g, g, w)):
        with pytest.raises(
            ValueError, match=r"cotangent must be 0 where x is not finite\. Got x=nan at index \(0, 0\)"
        ):
            call(x, g, weights)
        with pytest.raises(ValueError, match=r"finite numbers\. Got nan at index \(0, 0\)\."):
            call(x, np.zeros((3, 1)), weights[::-1])
        with pytest.raises(ValueError, match=r"finite numbers\. Got nan at index \(0, 0\)\."):
            call(x, np.zeros((3, 1)), None)
    with pytest.raises(ValueError, match=r"finite numbers\. Got nan at index \(0, 0\)\."):
        layer([(x, True, weights[::-1])])
