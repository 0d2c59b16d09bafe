"""Normalization and layers of the first oracle, against mpmath, fractions and hand arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.oracle import Exact, batch_normalization, hessian_vector_product, moments, trajectory

from .oracle_helpers import (
    BOUND,
    DTYPES,
    HARD,
    as_dict,
    assert_close,
    channels,
    draw,
    flat,
    held,
    mp,
    number,
    rational,
    reference,
    reference_values,
    thousand_bits,  # noqa: F401 - a fixture that applies itself
    two_pass,
)


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
