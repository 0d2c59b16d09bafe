"""Ghost batches, renormalization, adjustments and averages by the first oracle, against what is worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import inf

import numpy as np
import pytest

from bnspec import Renorm
from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.oracle import trajectory

from .oracle_helpers import draw, held

F = Fraction

# Two ghost batches. Contiguous, they have means 2 and 7 and variances 1 and 4; strided, (1, 5) has mean 3 and variance
# 4, and (3, 9) has mean 6 and variance 9. The whole has mean 9/2 and variance (49 + 9 + 1 + 81) / 16 = 35/4.
FOUR = np.asarray([[1.0], [3.0], [5.0], [9.0]])


def layer(steps, convention=KERAS, size=1, **changes):
    """Run a layer with epsilon 0 and momentum 1/2, from a mean of 0 and a variance of 1."""
    options = {"axis": (1,), "epsilon": 0.0, "momentum": 0.5, "gamma": None, "beta": None}
    options |= {"moving_mean": np.zeros(size), "moving_variance": np.ones(size)} | changes
    return trajectory(steps, convention=convention, **options)


def averages(step):
    return held(step.state.moving_mean) + held(step.state.moving_variance) + [step.state.num_batches]


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ("merged", [F(9, 4), F(1, 2) + F(35, 8), 1]),
        ("mean", [F(9, 4), F(1, 2) + F(5, 4), 1]),
        ("each", [F(1, 2) * 1 + F(7, 2), F(1, 2) * 1 + 2, 2]),  # by way of mean 1 and variance 1
    ],
)
def test_contiguous_ghost_batches(update, expected):
    step = layer([(FOUR, True)], replace(KERAS, ghost_update=update), virtual_batch_size=2)[0]
    assert held(step.y) == [-1, 1, -1, 1]
    assert averages(step) == expected
    assert [(held(g.weight), held(g.mean), held(g.variance)) for g in step.groups] == [([2], [2], [1]), ([2], [7], [4])]
    assert (step.mean, step.variance, step.correction) == (None, None, None)
    assert [e.num_batches for e in step.entries] == ([1, 2] if update == "each" else [1])


@pytest.mark.parametrize(("update", "expected"), [("mean", [F(9, 4), F(15, 4), 1]), ("each", [F(15, 4), F(23, 4), 2])])
def test_strided_ghost_batches(update, expected):
    convention = replace(KERAS, ghost_grouping="strided", ghost_update=update)
    step, after = layer([(FOUR, True), (FOUR, False)], convention, virtual_batch_size=2)
    assert held(step.y) == [-1, -1, 1, 1]
    assert averages(step) == averages(after) == expected
    assert (after.groups, after.entries) == ((), ())


@pytest.mark.parametrize(
    ("average", "momentum", "expected"),
    [
        # The batches (1, 3) and (5, 9) have means 2 and 7, and variances 1 and 4.
        ("exponential", 0.5, [4, F(5, 2), 2]),
        # Shares 1 and (1/2) / (1 - 1/4) = 2/3: 2 + 10/3 and 1 + 2.
        ("debiased", 0.5, [F(16, 3), 3, 2]),
        ("debiased_mean", 0.5, [F(16, 3), F(5, 2), 2]),
        ("first", 0.5, [F(9, 2), F(5, 2), 2]),
        ("first", 0.75, [F(13, 4), F(7, 4), 2]),
        # Shares 1 and (1/4) / (1 - 9/16) = 4/7.
        ("debiased", 0.75, [2 + F(20, 7), 1 + F(12, 7), 2]),
        ("debiased", 1.0, [F(9, 2), F(5, 2), 2]),
        ("exponential", 1.0, [0, 1, 2]),
        ("debiased", 0.0, [7, 4, 2]),
        *((average, None, [F(9, 2), F(5, 2), 2]) for average in ("exponential", "debiased", "debiased_mean", "first")),
    ],
)
@pytest.mark.parametrize("weighs", ["old", "new"])
def test_averages(average, momentum, expected, weighs):
    convention = replace(KERAS, average=average, momentum_weighs=weighs)
    momentum = momentum if momentum is None or weighs == "old" else 1 - momentum
    found = layer([(FOUR[:2], True), (FOUR[2:], True)], convention, momentum=momentum)[-1]
    wanted = layer([(FOUR, True)], replace(convention, ghost_update="each"), momentum=momentum, virtual_batch_size=2)[0]
    limit = F(1, 2**found.state.moving_mean.bits)
    for step in (found, wanted):
        assert all(abs(a - b) <= limit for a, b in zip(averages(step), expected, strict=True))


@pytest.mark.parametrize(
    ("weight", "population", "bessel", "less_epsilon"),
    # Variance 1. With epsilon 1/2, W / (W - 3/2): 4 for 2, 2 for 3; at 3/2 and below the population's.
    [(1.0, 1, 2, 4), (1.5, 1, F(3, 2), 2), (0.75, 1, 3, 1), (0.5, 1, 1, 1)],
)
def test_estimators(weight, population, bessel, less_epsilon):
    x, weights = np.asarray([[1.0], [3.0]]), np.full((2, 1), weight)
    estimates = {"population": population, "bessel": bessel, "bessel_epsilon": less_epsilon}
    for kind, estimate in estimates.items():
        convention = replace(KERAS, running_variance=kind)
        step = layer([(x, True, weights)], convention, epsilon=0.5, momentum=0.0)[0]
        assert held(step.state.moving_variance) == held(step.entries[0].estimate) == [estimate]
    # y**2 = 1 / (bessel + 2)
    step = layer([(x, True, weights)], replace(KERAS, normalizing_variance="bessel"), epsilon=2.0, momentum=0.0)[0]
    assert abs(held(step.y)[1] ** 2 - 1 / (bessel + F(2))) <= F(2, 2**step.y.bits)
    assert held(step.groups[0].normalizing) == [bessel]
    assert held(step.state.moving_variance) == held(step.variance) == [1]


def test_running_averages_normalize():
    # Mean 2 and variance 4: M = 1, V = 5/2, and with epsilon 3/2 a divisor of 2. (The second batch: M = 1/2 + 1 etc.)
    x, running = np.asarray([[0.0], [4.0]]), replace(KERAS, statistics="running")
    first, second = layer([(x, True), (x, False)], running, epsilon=1.5)
    assert held(first.y) == held(second.y) == [F(-1, 2), F(3, 2)]
    # A debiased average starts at the batch.
    steps = [(x, True), (x, True)]
    for average in ("debiased", "first"):
        plain, moved = (layer(steps, replace(c, average=average), epsilon=1.5) for c in (KERAS, running))
        assert [held(s.y) for s in plain] == [held(s.y) for s in moved]


# Mean 1 and variance 4; with epsilon 9/4, s = 5/2 and sqrt(epsilon) = 3/2.
PAIR = np.asarray([[-1.0], [3.0]])
RENORM = {"epsilon": 2.25, "momentum": 0.75, "moving_variance": np.full(1, 4.0), "renorm": Renorm(momentum=0.5)}


def test_renormalization():
    step, after = layer([(PAIR, True), (PAIR, False)], **RENORM)
    # D = 2, r = 5/4 and d = 1/2: by the averages, y = x / 2.
    assert [held(part) for part in step.correction] == [[F(5, 4)], [F(1, 2)]]
    assert held(step.y) == [F(-1, 2), F(3, 2)]
    # moving_stddev = 3/2 + 5/8, renorm_stddev = 1 + 5/4
    assert held(step.state.moving_stddev) == [F(17, 8)]
    assert averages(step) == [F(1, 4), F(17, 8) ** 2 - F(9, 4), 1]
    assert held(step.state.renorm_mean) + held(step.state.renorm_stddev) == [F(1, 2), F(9, 4)]
    # x - 1/4 is -5/4 and 11/4, and the divisor 17/8.
    wanted, limit = [F(-10, 17), F(22, 17)], F(1, 2**after.y.bits)
    assert all(abs(a - b) <= limit for a, b in zip(held(after.y), wanted, strict=True))
    assert after.correction is None


@pytest.mark.parametrize(
    ("limits", "given", "r", "d"),
    [
        ({"rmax": 1.0}, {}, 1, F(1, 2)),
        ({"rmin": 2.0}, {}, 2, F(1, 2)),
        ({"rmin": 2.0, "rmax": 2.0, "dmax": 0.25}, {}, 2, F(1, 4)),
        ({"dmax": 0.25}, {"renorm_mean": np.full(1, 8.0)}, F(5, 4), F(-1, 4)),
        ({}, {"renorm_mean": np.full(1, 8.0)}, F(5, 4), F(-7, 2)),
        ({}, {"renorm_stddev": np.full(1, 10.0)}, F(1, 4), F(1, 10)),
        # Below sqrt(epsilon): D = 3/2.
        ({}, {"renorm_stddev": np.full(1, 0.25)}, F(5, 3), F(2, 3)),
    ],
)
def test_limits_of_renormalization(limits, given, r, d):
    step = layer([(PAIR, True)], **RENORM | {"renorm": Renorm(momentum=0.5, **limits)} | given)[0]
    # z is -4/5 and 4/5.
    wanted = [r, d, d - F(4, 5) * r, d + F(4, 5) * r]
    found = [*held(step.correction[0]), *held(step.correction[1]), *held(step.y)]
    assert all(abs(a - b) <= 2 * F(1, 2**step.y.bits) for a, b in zip(found, wanted, strict=True))


def test_moving_variance_of_renormalization_is_not_negative():
    # Constant: s = 3/2, and 3/4 * 1/2 + 1/4 * 3/2 = 3/4 falls short of sqrt(epsilon).
    x, given = np.ones((2, 1)), {"moving_stddev": np.full(1, 0.5)}
    step = layer([(x, True)], **RENORM | given)[0]
    assert held(step.state.moving_stddev) + held(step.state.moving_variance) == [F(3, 4), 0]


@pytest.mark.parametrize("update", ["mean", "merged"])
def test_renormalization_of_ghost_batches(update):
    """Against float64, each of whose operations rounds once; all terms are positive, but for one subtraction."""
    x, weights = draw(1, (6, 2), loc=1.0), np.abs(draw(2, (6, 1)))
    weights[:2, 0] = 0  # the first group is absent
    convention = replace(TORCH, ghost_update=update)
    options = {"epsilon": 0.01, "momentum": 0.25, "renorm": Renorm(momentum=0.5, rmax=1.5)}
    step = layer([(x, True, weights)], convention, 2, virtual_batch_size=2, **options)[0]
    rows = [slice(2, 6)] if update == "merged" else [slice(2, 4), slice(4, 6)]

    def found(rows):
        w = weights[rows]
        mean = (w * x[rows]).sum(0) / w.sum()
        variance = (w * (x[rows] - mean) ** 2).sum(0) / w.sum()
        return mean, variance, variance * (w.sum() / (w.sum() - 1) if w.sum() > 1 else 1)

    mean, variance, estimate = np.mean([found(r) for r in rows], axis=0)
    s, t = np.sqrt(variance + 0.01), np.sqrt(estimate + 0.01)
    wanted = {"moving_mean": mean / 4, "moving_stddev": 0.75 + t / 4, "renorm_mean": mean / 2}
    wanted |= {"renorm_stddev": 0.5 + s / 2, "moving_variance": (0.75 + t / 4) ** 2 - 0.01}
    # Of the sums of 4 terms, and what follows from them; the terms of the means are of magnitude 1 to 4.
    bound = 64 * np.finfo(np.float64).eps
    for name, value in wanted.items():
        assert not ~(getattr(step.state, name).error(value) <= bound).any(), name
    r, d = np.minimum(s, 1.5), mean
    own = [(np.zeros(2), np.zeros(2)), found(slice(2, 4))[:2], found(slice(4, 6))[:2]]
    y = np.concatenate([(x[2 * i : 2 * i + 2] - m) / np.sqrt(v + 0.01) * r + d for i, (m, v) in enumerate(own)])
    # The gain r / s is at most 1.5 / 0.1.
    assert not ~(step.y.error(y) <= 15 * bound).any()
    assert held(step.groups[0].weight) == [0, 0]


def test_neutral_renormalization_is_none():
    x = draw(3, (4, 2))
    steps = [(x, True), (x**2, True)]
    neutral = layer(steps, size=2, renorm=Renorm(rmin=1.0, rmax=1.0, dmax=0.0))
    for plain, step in zip(layer(steps, size=2), neutral, strict=True):
        assert held(step.y) == held(plain.y)
        assert held(step.state.moving_mean) == held(plain.state.moving_mean)
        assert held(step.correction[0]) + held(step.correction[1]) == [1, 1, 0, 0]
        assert (plain.state.moving_stddev, plain.state.renorm_mean, plain.state.renorm_stddev) == (None,) * 3


def test_adjustments():
    # Variance 1 and epsilon 3: z is -1/2 and 1/2.
    x, a, b = np.asarray([[-1.0], [1.0]]), np.asarray([[2.0], [4.0]]), np.asarray([3.0])
    options = {"epsilon": 3.0, "gamma": np.full(1, 2.0), "beta": np.ones(1)}
    step, after = layer([(x, True, None, (a, b)), (x, False, None, (a, b))], **options)
    # (-1 + 3) * 2 + 1, (2 + 3) * 2 + 1; averages 0 and 1 evaluate to -1/2 and 1/2 times 2, plus 1
    assert held(step.y) == [5, 11]
    assert held(after.y) == [0, 2]
    # With r = 2 and d = -1/4: (-5/4 * 2 + 3) * 2 + 1 and (3/4 * 4 + 3) * 2 + 1
    options |= {"renorm": Renorm(rmin=2.0, rmax=2.0, dmax=0.25), "renorm_mean": np.full(1, 9.0)}
    assert held(layer([(x, True, None, (a, b))], **options)[0].y) == [2, 13]


@pytest.mark.parametrize("update", ["each", "mean", "merged"])
@pytest.mark.parametrize("policy", ["keep", "count"])
def test_absent_ghost_batches(update, policy):
    convention = replace(KERAS, ghost_update=update, empty_batch=policy)
    x = np.concatenate([FOUR, -FOUR], axis=1)
    first = np.asarray([[0, 0], [0, 0], [0, 1], [0, 1]])
    none = np.zeros((4, 1), np.int64)
    found = layer([(x, True, first), (x, True, none)], convention, 2, epsilon=1.0, virtual_batch_size=2)
    # Only the second group and channel have weight: mean -7, variance 4.
    counts = {"each": {"keep": [1, 1], "count": [2, 4]}}.get(update, {"keep": [1, 1], "count": [1, 2]})[policy]
    for step, count in zip(found, counts, strict=True):
        assert averages(step) == [0, F(-7, 2), 1, F(5, 2), count]
    assert [len(s.entries) for s in found] == [counts[0], counts[1] - counts[0]]
    assert found[0].entries[-1].present.tolist() == [False, True]
    # Nothing is subtracted from an absent channel: its elements, by a divisor of 1.
    assert held(found[0].y)[:5:2] == [1, 3, 5]


@pytest.mark.parametrize("update", ["each", "mean", "merged"])
def test_a_batch_without_elements_has_no_ghost_batches(update):
    convention = replace(KERAS, ghost_update=update, empty_batch="count")
    step = layer([(np.ones((0, 1)), True)], convention, virtual_batch_size=2)[0]
    assert step.y.shape == (0, 1)
    assert averages(step) == [0, 1, 0 if update == "each" else 1]


def test_one_ghost_batch_is_the_batch():
    x, weights = draw(6, (4, 3, 2)), np.abs(draw(7, (4, 1, 2)))
    steps = [(x, True, weights), (x, False)]
    options = {"axis": (-1,), "size": 2, "epsilon": 0.125}
    plain = layer(steps, TORCH, **options)
    for update in ("each", "mean", "merged"):
        for grouping in ("contiguous", "strided"):
            convention = replace(TORCH, ghost_update=update, ghost_grouping=grouping)
            for step, wanted in zip(layer(steps, convention, virtual_batch_size=4, **options), plain, strict=True):
                assert held(step.y) == held(wanted.y)
                assert averages(step) == averages(wanted)
                assert [[held(p) for p in g] for g in step.groups] == [[held(p) for p in g] for g in wanted.groups]


@pytest.mark.parametrize("update", ["each", "mean", "merged"])
def test_strided_groups_are_contiguous_ones_of_another_order(update):
    x, weights = draw(8, (6, 2)), np.abs(draw(9, (6, 2)))
    order = [0, 3, 1, 4, 2, 5]  # group g of 3 takes g and g + 3
    convention = replace(TORCH, ghost_update=update)
    options = {"size": 2, "virtual_batch_size": 2, "epsilon": 0.5}
    strided = layer([(x, True, weights)], replace(convention, ghost_grouping="strided"), **options)[0]
    contiguous = layer([(x[order], True, weights[order])], convention, **options)[0]
    assert np.array_equal(strided.y.fractions()[order], contiguous.y.fractions())
    assert averages(strided) == averages(contiguous)


def test_ghost_batches_one_by_one_are_batches_in_sequence():
    x, weights, parts = draw(10, (6, 2)), np.abs(draw(11, (6, 1))), [slice(0, 2), slice(2, 4), slice(4, 6)]
    convention = replace(TORCH, ghost_update="each", average="debiased")
    apart = layer([(x[p], True, weights[p]) for p in parts], convention, 2, epsilon=0.5)
    step = layer([(x, True, weights)], convention, 2, epsilon=0.5, virtual_batch_size=2)[0]
    assert averages(step) == averages(apart[-1])
    for group, alone in zip(step.groups, apart, strict=True):
        limit = F(2, 2 ** min(group.mean.bits, alone.mean.bits))
        assert all(abs(a - b) < limit for a, b in zip(held(group.mean), held(alone.mean), strict=True))
    together = step.y.fractions()
    for p, alone in zip(parts, apart, strict=True):
        assert np.all(abs(together[p] - alone.y.fractions()) < F(2, 2 ** min(step.y.bits, alone.y.bits)))


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({}, {"virtual_batch_size": 3}, "divisible by 3"),
        ({}, {"virtual_batch_size": 0}, "must be positive"),
        ({}, {"virtual_batch_size": 2, "axis": (0,), "size": 4}, "no feature axis"),
        ({"statistics": "running"}, {"virtual_batch_size": 2}, "without ghost batches"),
        ({"statistics": "running"}, {"renorm": Renorm()}, "without ghost batches"),
        ({"ghost_update": "each"}, {"virtual_batch_size": 2, "renorm": Renorm()}, "without renormalization"),
        ({"one_element": "raise"}, {"virtual_batch_size": 1}, "more than one element"),
        ({}, {"renorm": Renorm(rmax=inf), "moving_variance": np.zeros(1)}, "renorm_stddev or epsilon"),
    ],
)
def test_refusals(changes, options, words):
    with pytest.raises(ValueError, match=words):
        layer([(FOUR, True)], replace(KERAS, **changes), **options)


def test_adjustments_that_do_not_fit():
    with pytest.raises(ValueError, match="without ghost batches"):
        layer([(FOUR, True, None, (np.ones(1), np.ones(1)))], virtual_batch_size=2)
    with pytest.raises(ValueError, match="must broadcast to"):
        layer([(FOUR, True, None, (np.ones(3), np.ones(1)))])
