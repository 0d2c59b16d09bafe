"""The second oracle's parts of a layer: cases by hand, and what must not change anything."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from bnspec import Renorm
from bnspec.conventions import TORCH
from bnspec_conformance.oracle.multiprecision import (
    batch_normalization,
    gradients,
    hessian_vector_product,
    moments,
    trajectory,
)

from .oracle_helpers import mp, thousand_bits  # noqa: F401  # references are rounded at 2**-1000
from .test_oracle_multiprecision_weights import assert_all_same, assert_same, assert_steps_same

RNG = np.random.default_rng(21)
X, G, U, MORE, LAST = (RNG.standard_normal((4, 2)).astype(np.float32) for _ in range(5))
WEIGHTS = np.asarray([[0.5, 2.0], [3.0, 1.25], [0.0, 0.75], [1.5, 0.5]], np.float32)
A, B = RNG.standard_normal((4, 1)).astype(np.float32), RNG.standard_normal(2).astype(np.float32)
GAMMA, BETA = np.asarray([1.5, -0.75]), np.asarray([0.25, 3.0])
MOVING = {"moving_mean": np.asarray([0.5, -1.0]), "moving_variance": np.asarray([2.0, 0.125])}
LAYER = {"axis": (1,), "epsilon": 0.125, "gamma": GAMMA}
RUN = {**LAYER, **MOVING, "beta": BETA, "momentum": 0.25, "convention": TORCH}
TRAIN = {**LAYER, **MOVING, "training": True}
NEUTRAL = {"moving_stddev": np.ones(2), "renorm_mean": np.zeros(2), "renorm_stddev": np.ones(2)}
HALF = Fraction(1, 2)
UPDATES = ["mean", "merged", "each"]
AVERAGES = ["exponential", "debiased", "debiased_mean", "first"]


def changed(**fields):
    return replace(TORCH, **fields)


def column(*numbers):
    return np.asarray(numbers, np.float64)[:, np.newaxis]


# By hand, in one channel: without epsilon, ghost batches of 0 and 4 have mean 2 and variance 4, and those of 1 and 7
# have mean 4 and variance 9; of 0 and 1 they are 1/2 and 1/4, and of 4 and 7, 11/2 and 9/4. Together: 3 and 15/2.
GHOSTS = column(0, 4, 1, 7)
ONE = {
    "axis": (1,),
    "gamma": None,
    "beta": None,
    "moving_mean": np.asarray([7.0]),
    "moving_variance": np.asarray([9.0]),
}


GROUPED = {"contiguous": ([0, 1, 2, 3], [-1, 1, -1, 1]), "strided": ([0, 2, 1, 3], [-1, -1, 1, 1])}
ENTERED = {
    ("mean", "population"): (5, Fraction(31, 4), 1),
    ("mean", "bessel"): (5, 11, 1),
    ("merged", "population"): (5, Fraction(33, 4), 1),
    ("merged", "bessel"): (5, Fraction(19, 2), 1),
    ("each", "population"): (Fraction(17, 4), Fraction(31, 4), 2),
    ("each", "bessel"): (Fraction(17, 4), Fraction(53, 4), 2),
}


@pytest.mark.parametrize("grouping", GROUPED)
@pytest.mark.parametrize(("update", "estimator"), ENTERED)
def test_ghost_batches_by_hand(grouping, update, estimator):
    order, y = GROUPED[grouping]
    x, (mean, variance, counted) = GHOSTS[order], ENTERED[update, estimator]
    convention = changed(ghost_grouping=grouping, ghost_update=update, running_variance=estimator)
    run = {**ONE, "epsilon": 0.0, "momentum": 0.5, "convention": convention, "virtual_batch_size": 2}
    step, last = trajectory([(x, True), (x[:3], False)], **run)
    assert_same(step.y, np.asarray(y)[:, np.newaxis], x)
    assert_all_same(step.state[:2], ([mean], [variance]), x)
    assert step.state.num_batches == last.state.num_batches == counted
    assert step.mean is step.variance is step.correction is None


# In a channel of 0 and 4 with the weights 1 and 3, mean and variance are 3: the divisor 4 - 3/2 makes 24/5 of it.
@pytest.mark.parametrize(("epsilon", "factor"), [(0.5, Fraction(8, 5)), (2.0, 4), (3.0, 1), (5.0, 1)])
def test_bessel_less_epsilon_by_hand(epsilon, factor):
    run = {**ONE, "epsilon": epsilon, "momentum": 1.0, "convention": changed(running_variance="bessel_epsilon")}
    (step,) = trajectory([(column(0, 4), True, column(1, 3))], **run)
    assert_all_same(step.state[:2], ([3], [3 * factor]), column(0, 4))


def test_normalizing_by_bessel():
    # Of 0 and 4, with the weights 1 and 3: 3 * 4/3 = 4 normalizes; of weight 1 alone, the population's variance.
    run = {**ONE, "epsilon": 0.0, "momentum": 0.5, "convention": changed(normalizing_variance="bessel")}
    (step,) = trajectory([(column(0, 4), True, column(1, 3))], **run)
    assert_all_same((step.y, step.variance), ([[Fraction(-3, 2)], [HALF]], [3]))
    (step,) = trajectory([(column(0, 4), True, column(0.5, 0.5))], **run)
    assert_all_same((step.y, step.variance), ([[-1], [1]], [4]))


# With epsilon 1 and the same variance 3, s = 2. Averages of the first channel are 1 and 1/2, less than sqrt(epsilon):
# r = 2 and d = 2, clipped to 3/2 and 3/4. Those of the second are 5 and 4: r = 1/2 and d = -1/2.
def test_renormalization_by_hand():
    x, w = np.tile(column(0, 4), 2), column(1, 3)
    run = {"axis": (1,), "epsilon": 1.0, "gamma": np.asarray([2.0, 2.0]), "beta": np.ones(2), "momentum": 0.25}
    run |= {"moving_mean": np.full(2, 7.0), "moving_variance": np.asarray([8.0, 9.0]), "moving_stddev": np.full(2, 3.0)}
    run |= {"renorm_mean": np.asarray([1.0, 5.0]), "renorm_stddev": np.asarray([0.5, 4.0])}
    renorm = Renorm(rmax=1.5, dmax=0.75, momentum=0.5)
    step, after = trajectory(
        [(x, True, w), (x, False)], convention=changed(running_variance="population"), renorm=renorm, **run
    )
    assert_all_same(step.correction, ([Fraction(3, 2), HALF], [Fraction(3, 4), -HALF]), x)
    assert_same(step.y, [[-2, -1.5], [4, 0.5]], x)
    assert_all_same(step.state[:2], ([6, 6], [Fraction(105, 16)] * 2), x)
    assert_all_same(step.state[3:], ([Fraction(11, 4)] * 2, [2, 4], [Fraction(5, 4), 3]), x)
    assert step.state.num_batches == after.state.num_batches == 1
    assert after.correction is None
    assert_same(after.y, batch_normalization(x, *step.state[:2], run["beta"], run["gamma"], 1.0), x)
    assert_all_same(after.state[3:], step.state[3:], x)


def test_renormalization_has_two_estimators():
    # The population's variance 3 enters the average that r is relative to, Bessel's 4 what evaluation normalizes by.
    start = {"moving_stddev": np.ones(1), "renorm_mean": np.zeros(1), "renorm_stddev": np.ones(1)}
    run = {**ONE, "epsilon": 1.0, "momentum": 1.0, "convention": TORCH, "renorm": Renorm(momentum=1.0), **start}
    (step,) = trajectory([(column(0, 4), True, column(1, 3))], **run)
    assert_all_same((step.state.renorm_stddev, step.state.moving_variance), ([2], [4]))
    assert_same(step.state.moving_stddev, [mpmath.sqrt(5)])


def test_averages_of_renormalization_start_where_the_variance_does():
    run = {**RUN, "moving_variance": np.asarray([4.0, 0.25]), "renorm": Renorm()}
    start = {"moving_stddev": np.asarray([2.0, 0.5]), "renorm_mean": np.zeros(2)}
    steps = [(X, False), (X[:0], True), (X, True), (X, False)]
    found = trajectory(steps, **run)
    assert_layers_same(found, trajectory(steps, **run, **start, renorm_stddev=start["moving_stddev"]))
    assert_all_same(found[1].state[3:], (*start.values(), start["moving_stddev"]))
    assert [step.correction is None for step in found] == [True, True, False, True]
    # Without renormalization, they are not read.
    assert_layers_same(trajectory(steps, **RUN, **NEUTRAL), trajectory(steps, **RUN))


def test_moving_variance_is_not_negative():
    run = {**RUN, **NEUTRAL, "epsilon": 4.0, "renorm": Renorm(), "momentum": 0.0}
    (step,) = trajectory([(X, True)], **run)
    assert_all_same((step.state.moving_variance, step.state.moving_stddev), (np.zeros(2), np.ones(2)))


# The moving statistics 7 and 13 become 5 and 8 with the mean and variance 3, and with epsilon 1, s = 3.
def test_running_statistics_by_hand():
    convention = changed(statistics="running", running_variance="population")
    run = {**ONE, "moving_variance": np.asarray([13.0]), "epsilon": 1.0, "convention": convention, "momentum": 0.5}
    x, w = column(0, 4), column(1, 3)
    (step,) = trajectory([(x, True, w)], **run)
    assert_all_same((step.y, *step.state[:2]), ([[Fraction(-5, 3)], [Fraction(-1, 3)]], [5], [8]), x)
    del run["beta"]
    # With g = (1, 0), the loss is -M / s: it moves by -1/3 with M, by 5/54 with V, and by 1/3 with x_0 itself. M moves
    # by 1/8 and 3/8 with the two elements, V by -3/4 and 3/4, and both by 1/2 with the averages before.
    found = gradients(x, column(1, 0), weights=w, training=True, **run)
    of_x = [[Fraction(1, 3) - Fraction(1, 24) - Fraction(5, 54) * Fraction(3, 4)], [-Fraction(1, 8) + Fraction(5, 72)]]
    assert_same(found.x, of_x, x)
    assert_all_same((found.moving_mean, found.moving_variance), ([Fraction(-1, 6)], [Fraction(5, 108)]), x)
    assert_all_same((found.gamma, found.beta), ([Fraction(-5, 3)], [1]), x)


def assert_layers_same(found, expected, **options):
    assert_steps_same(found, expected, **options)
    for seen, wanted in zip(found, expected, strict=True):
        for a, b in zip(seen.state[3:], wanted.state[3:], strict=True):
            assert_same(a, b)
        assert (seen.correction is None) == (wanted.correction is None)
        if seen.correction is not None:
            assert_all_same(seen.correction, wanted.correction)


@pytest.mark.parametrize(
    ("update", "renormed"), [*((update, False) for update in UPDATES), ("mean", True), ("merged", True)]
)
@pytest.mark.parametrize("grouping", GROUPED)
def test_one_ghost_batch_is_the_batch(update, renormed, grouping):
    run = {**RUN, "convention": changed(ghost_update=update, ghost_grouping=grouping)}
    if renormed:
        run |= {**NEUTRAL, "renorm": Renorm(dmax=0.5)}
    steps = [(X, True, WEIGHTS), (MORE, True), (LAST[:3], False)]
    found = trajectory(steps, **run, virtual_batch_size=4)
    wanted = [step._replace(mean=None, variance=None) for step in trajectory(steps, **run)]
    assert_layers_same(found, wanted)
    options = {"weights": WEIGHTS, "convention": run["convention"]}
    assert_all_same(gradients(X, G, **TRAIN, **options, virtual_batch_size=4), gradients(X, G, **TRAIN, **options))
    found = hessian_vector_product(X, G, U, **LAYER, **options, virtual_batch_size=4)
    assert_same(found, hessian_vector_product(X, G, U, **LAYER, **options))


@pytest.mark.parametrize("update", UPDATES)
def test_strided_is_permuted_contiguous(update):
    order = [0, 2, 1, 3]  # sample 1 of 4 is in group 1 of 2 if strided
    options = [{"convention": changed(ghost_update=update, ghost_grouping=grouping)} for grouping in GROUPED]
    run = {**RUN, "virtual_batch_size": 2}
    found = trajectory([(X, True, WEIGHTS)], **{**run, **options[1]})
    wanted = trajectory([(X[order], True, WEIGHTS[order])], **{**run, **options[0]})
    assert_layers_same([found[0]._replace(y=found[0].y[order])], wanted)
    found = gradients(X, G, weights=WEIGHTS, virtual_batch_size=2, **TRAIN, **options[1])
    wanted = gradients(X[order], G[order], weights=WEIGHTS[order], virtual_batch_size=2, **TRAIN, **options[0])
    assert_all_same((found.x[order], *found[1:-1], found.weights[order]), wanted)
    found = hessian_vector_product(X, G, U, weights=WEIGHTS, virtual_batch_size=2, **LAYER, **options[1])
    given = {"weights": WEIGHTS[order], "virtual_batch_size": 2, **LAYER, **options[0]}
    assert_same(found[order], hessian_vector_product(X[order], G[order], U[order], **given))


def test_ghost_batches_are_batches():
    run = {**RUN, "convention": changed(ghost_update="each", normalizing_variance="bessel")}
    (step,) = trajectory([(X, True, WEIGHTS)], **run, virtual_batch_size=2)
    parts = trajectory([(X[:2], True, WEIGHTS[:2]), (X[2:], True, WEIGHTS[2:])], **run)
    assert_same(step.y, np.concatenate([part.y for part in parts]))
    assert_all_same(step.state[:2], parts[-1].state[:2])
    assert step.state.num_batches == 2
    options = {**TRAIN, "convention": run["convention"]}
    found = gradients(X, G, weights=WEIGHTS, **options, virtual_batch_size=2)
    parts = [gradients(X[rows], G[rows], weights=WEIGHTS[rows], **options) for rows in (slice(2), slice(2, 4))]
    assert_same(found.x, np.concatenate([part.x for part in parts]))
    assert_same(found.weights, np.concatenate([part.weights for part in parts]))
    assert_all_same((found.gamma, found.beta), (parts[0].gamma + parts[1].gamma, parts[0].beta + parts[1].beta))


def test_absent_ghost_batches():
    # The first channel is in the first ghost batch alone, the second in none of the two.
    weights = np.asarray([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    for update, empty_batch, counted in [("each", "keep", 1), ("each", "count", 2), ("mean", "keep", 1)]:
        convention = changed(ghost_update=update, empty_batch=empty_batch)
        run = {**RUN, "convention": convention, "virtual_batch_size": 2}
        (step,) = trajectory([(X, True, weights)], **run)
        (alone,) = trajectory([(X[:2], True, weights[:2])], **{**RUN, "convention": convention})
        assert_all_same(step.state[:2], alone.state[:2])
        assert_same([average[1] for average in step.state[:2]], [-1, 0.125])
        assert step.state.num_batches == counted
        zero = np.zeros(2)
        assert_same(step.y[2:], batch_normalization(X[2:], zero, zero, BETA, GAMMA, RUN["epsilon"]))
        (step,) = trajectory([(X, True, 0 * weights)], **run)
        assert step.state.num_batches == (2 if update == "each" else 1) * (empty_batch == "count")
        assert step.mean is None


def test_absent_channels_keep_the_averages_of_renormalization():
    weights = WEIGHTS * np.asarray([1, 0], np.float32)
    start = {"moving_stddev": np.asarray([1.0, 2.0]), "renorm_mean": np.asarray([0.5, 3.0])}
    start |= {"renorm_stddev": np.asarray([1.0, 0.25]), "renorm": Renorm(rmin=0.5, dmax=100.0)}
    (step,) = trajectory([(X, True, weights)], **RUN, **start)
    assert_same([average[1] for average in (*step.state[:2], *step.state[3:])], [-1, 0.125, 2, 3, 0.25])
    # sqrt(epsilon) is more than 1/4: r = 1, and d = -3 / sqrt(1/8).
    assert_same(step.correction[0][1:], [1])
    assert_same(step.correction[1][1:], [-3 * mpmath.sqrt(8)])


def test_renormalization_towards_the_batch_itself():
    _, mean, variance = moments(X, (0,), WEIGHTS)
    neutral = {**NEUTRAL, "renorm_mean": mean, "renorm_stddev": np.asarray([mpmath.sqrt(v + 0.125) for v in variance])}
    steps = [(X, True, WEIGHTS)]
    (wanted,) = trajectory(steps, **RUN)
    for renorm, given in ((Renorm(), neutral), (Renorm(rmin=1, rmax=1, dmax=0), NEUTRAL)):
        (found,) = trajectory(steps, **RUN, **given, renorm=renorm)
        assert_all_same((found.y, found.state.moving_mean), (wanted.y, wanted.state.moving_mean))
        assert_all_same(found.correction, (np.ones(2), np.zeros(2)))


def test_adjustments():
    given = (np.ones(()), np.zeros((1, 1)))
    steps = [(X, True, WEIGHTS), (MORE, True)]
    found = trajectory([(*steps[0], given), (*steps[1], None, given), (X, False, None, (A, B))], **RUN)
    assert_layers_same(found, trajectory([*steps, (X, False)], **RUN))
    (plain,) = trajectory([(X, True, WEIGHTS)], **{**RUN, "gamma": None, "beta": None})
    (found,) = trajectory([(X, True, WEIGHTS, (A, B))], **RUN)
    wanted = [
        [(plain.y[i, c] * mp(A[i, 0]) + mp(B[c])) * mp(GAMMA[c]) + mp(BETA[c]) for c in range(2)] for i in range(4)
    ]
    assert_same(found.y, wanted)


@pytest.mark.parametrize("size", [None, 2], ids=["whole", "ghosts"])
def test_corrections_and_adjustments_scale_the_cotangent(size):
    # Powers of 2, so that the scaled cotangent is exact.
    r, d, a = np.asarray([0.5, 2.0]), np.asarray([0.75, -1.0]), column(2, 0.25, -1, 0.5)
    options = {**TRAIN, "weights": WEIGHTS, "virtual_batch_size": size}
    twice = {**LAYER, "weights": WEIGHTS, "virtual_batch_size": size}
    both = {"correction": (r, d)} | ({} if size else {"adjustment": (a, B)})
    scaled, kept = (G * r, G) if size else (G * r * a, G * a)
    found, wanted = gradients(X, G, **both, **options), gradients(X, scaled.astype(np.float64), **options)
    assert_all_same((found.x, found.weights), (wanted.x, wanted.weights))
    added = [sum(mp(k) * mp(e) for k, e in zip(kept[:, c], [d[c]] * 4, strict=True)) for c in range(2)]
    if not size:
        added = [s + sum(mp(g) * mp(B[c]) for g in G[:, c]) for c, s in enumerate(added)]
    assert_all_same((found.gamma, found.beta), (wanted.gamma + added, gradients(X, G, **options).beta))
    product = hessian_vector_product(X, G, U, **both, **twice)
    assert_same(product, hessian_vector_product(X, scaled.astype(np.float64), U, **twice))


@pytest.mark.parametrize("average", AVERAGES[1:])
def test_running_statistics_of_the_first_batch_are_its_own(average):
    own = changed(statistics="batch", normalizing_variance="population")
    convention = changed(statistics="running", average=average, running_variance="population")
    momentum = 0.0 if average == "debiased_mean" else 0.25
    run = {**RUN, "momentum": momentum}
    if average == "debiased_mean":
        convention = replace(convention, momentum_weighs="old")
    (found,), (wanted,) = (trajectory([(X, True, WEIGHTS)], **{**run, "convention": c}) for c in (convention, own))
    assert_same(found.y, wanted.y)
    options = {"weights": WEIGHTS, "momentum": momentum}
    found = gradients(X, G, **TRAIN, **options, convention=convention)
    assert_all_same(found, gradients(X, G, **TRAIN, **options, convention=own))
    found = hessian_vector_product(X, G, U, **LAYER, **MOVING, **options, convention=convention)
    assert_same(found, hessian_vector_product(X, G, U, **LAYER, **options))


def test_running_statistics_that_no_batch_enters_are_those_of_evaluation():
    convention = changed(statistics="running", average="first")
    options = {"convention": convention, "momentum": 0.0, "num_batches": 3}
    (found,) = trajectory([(X, True, WEIGHTS)], **{**RUN, **options})
    assert_same(found.y, trajectory([(X, False)], **RUN)[0].y)
    wanted = gradients(X, G, **{**TRAIN, "training": False}, weights=WEIGHTS)
    assert_all_same(gradients(X, G, **TRAIN, weights=WEIGHTS, **options), wanted)
    assert not hessian_vector_product(X, G, U, **LAYER, **MOVING, **options).any()
    # Nor does a channel without weight enter them.
    found = gradients(X, G, **TRAIN, weights=0 * WEIGHTS, **{**options, "momentum": 1.0, "num_batches": 0})
    assert_all_same(found, wanted)
    (found,) = trajectory([(X, True, 0 * WEIGHTS)], **{**RUN, **options, "momentum": 1.0})
    assert_same(found.y, trajectory([(X, False)], **RUN)[0].y)


def test_evaluation_reads_no_parts():
    options = {"virtual_batch_size": 3, "correction": (GAMMA, BETA), "adjustment": (A, B), "momentum": 0.5}
    still = {**TRAIN, "training": False}
    wanted = gradients(X, G, **still)
    assert_all_same(gradients(X, G, **still, **options, convention=changed(statistics="running")), wanted)


RENORM = {**NEUTRAL, "renorm": Renorm()}
RUNNING, EACH = {"convention": changed(statistics="running")}, {"convention": changed(ghost_update="each")}
REFUSED = {
    "size that does not divide": ({"virtual_batch_size": 3}, None, "divide axis 0"),
    "no size": ({"virtual_batch_size": 0}, None, "must be positive"),
    "feature axis": ({"virtual_batch_size": 2, "axis": (0, 1)}, None, "no feature axis"),
    "adjusted ghosts": ({"virtual_batch_size": 2}, (A, B), "virtual_batch_size=None"),
    "one element in each": ({"virtual_batch_size": 1}, None, "more than one element"),
    "running ghosts": ({"virtual_batch_size": 2, **RUNNING}, None, "virtual_batch_size=None"),
    "running renormalization": ({**RENORM, **RUNNING}, None, "no renormalization"),
    "each and renormalization": ({**RENORM, **EACH, "virtual_batch_size": 2}, None, "ghost_update"),
    "shape of an average": ({**RENORM, "renorm_mean": np.zeros(3)}, None, "renorm_mean must have shape"),
    "shape of an adjustment": ({}, (X.T, B), "broadcast"),
    "adjustment of another rank": ({}, (X[np.newaxis], B), "must broadcast"),
    "NaN in an adjustment": ({}, (A * np.nan, B), "finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    options, pair, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        trajectory([(X, True, None, pair)], **{**RUN, **options})


@pytest.mark.parametrize(
    "function",
    [
        lambda **options: gradients(X, G, **{**TRAIN, **options}),
        lambda **options: hessian_vector_product(X, G, U, **{**LAYER, **options}),
    ],
    ids=["gradients", "hessian_vector_product"],
)
def test_derivatives_refuse(function):
    correction = GAMMA, BETA
    for options, message in [
        ({"virtual_batch_size": 3}, "divide axis 0"),
        ({"virtual_batch_size": 2, "adjustment": (A, B)}, "virtual_batch_size=None"),
        ({"correction": correction, **RUNNING, **MOVING}, "no renormalization"),
        ({"correction": (GAMMA, BETA[:1])}, "a correction must have shape"),
        ({"adjustment": (X.T, B)}, "broadcast"),
    ]:
        with pytest.raises(ValueError, match=message):
            function(**options)
    with pytest.raises(ValueError, match="requires moving_mean"):
        hessian_vector_product(X, G, U, **LAYER, **RUNNING)
