"""Derivatives with ghost batches, renormalization, adjustments and running averages, by the first oracle."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bnspec import Renorm
from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.oracle import gradients, hessian_vector_product, trajectory
from bnspec_conformance.oracle._weights import Extended

from .oracle_helpers import held, number

F = Fraction

# Central differences with this step are off by its square times a third derivative.
STEP = 2.0**-40
EPS = F(float(np.finfo(np.float64).eps))


def grid(seed, shape, lowest=-16):
    """Draw multiples of 1/8, which leave room for the step in a float64."""
    return np.random.default_rng(seed).integers(lowest, 17, shape) / 8


X, G, U = grid(1, (4, 2, 2)), grid(2, (4, 2, 2)), grid(3, (4, 2, 2))
GAMMA, BETA = grid(4, 2, 1), grid(5, 2)
MEAN, VARIANCE = grid(6, 2), grid(7, 2, 1)
ROWS, ELEMENTS, SHARED = grid(8, (4, 1, 1), 1), grid(9, (4, 2, 2), 1), grid(10, (1, 2, 2), 1)
FIXED = {"correction": (np.asarray([1.25, 1.25]), np.asarray([0.5, 0.5]))}
ADJUSTED = {"adjustment": (grid(11, (4, 2, 2)), grid(12, (2,)))}
GHOSTS = {"virtual_batch_size": 2}

CASES = {
    "contiguous": (KERAS, None, GHOSTS),
    "contiguous, weighted": (KERAS, ROWS, GHOSTS),
    "contiguous, weights in common": (KERAS, SHARED, GHOSTS),
    "strided": (replace(KERAS, ghost_grouping="strided"), ELEMENTS, GHOSTS),
    "bessel": (replace(KERAS, normalizing_variance="bessel"), None, {}),
    "bessel, weighted": (replace(KERAS, normalizing_variance="bessel"), ELEMENTS, {}),
    "bessel, ghosts": (replace(KERAS, normalizing_variance="bessel"), ROWS, GHOSTS),
    "corrected": (KERAS, ROWS, FIXED),
    "corrected, ghosts": (KERAS, ROWS, FIXED | GHOSTS),
    "adjusted": (KERAS, None, ADJUSTED),
    "adjusted and corrected": (KERAS, ROWS, FIXED | ADJUSTED),
    "running": (replace(TORCH, statistics="running"), None, {}),
    "running, weighted": (replace(TORCH, statistics="running"), ELEMENTS, {}),
    "running, epsilon in the divisor": (
        replace(KERAS, statistics="running", running_variance="bessel_epsilon"),
        ROWS,
        {},
    ),
    "running, debiased mean": (replace(KERAS, statistics="running", average="debiased_mean"), ROWS, {"num_batches": 1}),
    "running, first, adjusted": (replace(KERAS, statistics="running", average="first"), None, ADJUSTED),
    "running, cumulative": (replace(KERAS, statistics="running"), None, {"momentum": None, "num_batches": 2}),
}


def options_of(convention, weights, more):
    options = {"axis": (-1,), "epsilon": 0.25, "gamma": GAMMA, "moving_mean": MEAN, "moving_variance": VARIANCE}
    return options | {"weights": weights, "convention": convention, "momentum": 0.25, "num_batches": 0} | more


def loss(x, options, beta=BETA):
    """Weigh the outputs of the layer, whose renormalization is made constant by its limits."""
    options = dict(options)
    step = (x, True, options.pop("weights"), options.pop("adjustment", None))
    if options.pop("correction", None):
        options["renorm"] = Renorm(rmin=1.25, rmax=1.25, dmax=0.5)
        options["renorm_mean"] = np.full(2, -1e6)
    y = trajectory([step], beta=beta, **options)[0].y
    return sum(number(g) * F(v) for g, v in zip(G.ravel(), held(y), strict=True))


def quotient(function, array, *index):
    """Divide a central difference by an element of an array."""
    ends = []
    for step in (STEP, -STEP):
        moved = array.copy()
        moved[index] += step
        assert ((moved[index] - array[index]) == step).all()
        ends.append(function(moved))
    return (ends[0] - ends[1]) / F(2 * STEP)


def assert_near(exact, quotients):
    found = held(exact)
    limit = EPS * max(map(abs, found))
    assert limit > 0
    assert len(found) == len(quotients)
    assert all(abs(a - b) <= limit for a, b in zip(found, quotients, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_limits_of_difference_quotients(name):
    convention, weights, more = CASES[name]
    options = options_of(convention, weights, more)
    found = gradients(X, G, training=True, **options)

    def along(key):
        array = options[key]
        return [quotient(lambda v: loss(X, options | {key: v}), array, *index) for index in np.ndindex(*array.shape)]

    assert_near(found.x, [quotient(lambda v: loss(v, options), X, *index) for index in np.ndindex(*X.shape)])
    assert_near(found.gamma, along("gamma"))
    assert_near(found.beta, [quotient(lambda v: loss(X, options, v), BETA, c) for c in range(2)])
    if weights is None:
        assert found.weights is None
    else:
        assert found.weights.shape == weights.shape
        assert_near(found.weights, along("weights"))
    if convention.statistics == "running" and convention.average != "first":
        assert_near(found.moving_variance, along("moving_variance"))
    if convention.statistics == "running" and convention.average == "exponential":
        assert_near(found.moving_mean, along("moving_mean"))
    else:
        # The batch alone, or an average that starts with it; "debiased_mean" here has seen another.
        started = name == "running, debiased mean"
        assert any(held(found.moving_mean)) == started
        if started:
            assert_near(found.moving_mean, along("moving_mean"))


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_are_limits_of_difference_quotients(name):
    convention, weights, more = CASES[name]
    options = options_of(convention, weights, more)
    found = hessian_vector_product(X, G, U, **options)
    ahead, behind = (held(gradients(X + h * U, G, training=True, **options).x) for h in (STEP, -STEP))
    assert ((X + STEP * U) - X == STEP * U).all()
    assert_near(found, [(a - b) / F(2 * STEP) for a, b in zip(ahead, behind, strict=True)])


@pytest.mark.parametrize("grouping", ["contiguous", "strided"])
@pytest.mark.parametrize("weights", [None, ROWS, SHARED], ids=["none", "rows", "shared"])
def test_gradients_of_ghost_batches_are_those_of_batches(grouping, weights):
    options = options_of(replace(KERAS, ghost_grouping=grouping), weights, {})
    parts = [[0, 1], [2, 3]] if grouping == "contiguous" else [[0, 2], [1, 3]]
    found = gradients(X, G, training=True, virtual_batch_size=2, **options)
    twice = hessian_vector_product(X, G, U, virtual_batch_size=2, **options)
    apart, again = [], []
    for p in parts:
        own = weights if weights is None or len(weights) == 1 else weights[p]
        apart.append(gradients(X[p], G[p], training=True, **options | {"weights": own}))
        again.append(hessian_vector_product(X[p], G[p], U[p], **options | {"weights": own}))

    def assert_same(left, right, share=2):
        assert left.shape == right.shape
        assert np.all(abs(left - right) <= share * F(1, 2**192))

    for p, one, second in zip(parts, apart, again, strict=True):
        assert_same(found.x.fractions()[p], one.x.fractions())
        assert_same(twice.fractions()[p], second.fractions())
        if weights is ROWS:
            assert_same(found.weights.fractions()[p], one.weights.fractions())
    names = ["gamma", "beta", *(["weights"] if weights is SHARED else [])]
    for name in names:
        assert_same(getattr(found, name).fractions(), sum(getattr(one, name).fractions() for one in apart), 3)


def test_derivatives_by_hand():
    # Two ghost batches, each of variance 1; with epsilon 3, s = 2, and x - mean is -1 and 1.
    x, g = np.asarray([[0.0], [2.0], [7.0], [5.0]]), np.asarray([[1.0], [0.0], [0.0], [4.0]])
    options = {"axis": (1,), "epsilon": 3.0, "gamma": None, "virtual_batch_size": 2}
    given = {"moving_mean": np.zeros(1), "moving_variance": np.ones(1), "training": True}
    found = gradients(x, g, correction=(np.asarray([2.0]), np.asarray([3.0])), **options, **given)
    # First group: G = 1, P = -1, so (g - 1/2 + c / 8) * 2 / 2: 3/8 and -3/8. Second: G = 4, P = -4, so
    # g - 2 + c / 2: for c = 1 and -1, -3/2 and 3/2.
    assert held(found.x) == [F(3, 8), F(-3, 8), F(-3, 2), F(3, 2)]
    # r (P / s + P / s) + d G = 2 (-5/2) + 15
    assert held(found.gamma) + held(found.beta) == [10, 5]
    assert held(found.moving_mean) + held(found.moving_variance) == [0, 0]
    # Running: M = 1/2 (0 + 1) and V = 1/2 (5 + 1), s**2 = 4 with epsilon 1. G = 1 and P = -1/2.
    running = replace(KERAS, statistics="running")
    given |= {"moving_variance": np.full(1, 5.0), "convention": running, "momentum": 0.5}
    options |= {"epsilon": 1.0, "virtual_batch_size": None}
    found = gradients(x[:2], g[:2], **options, **given)
    # (g - 1/4 + c / 4 * 1/2 * 1/4) / 2 for c = -1 and 1
    assert held(found.x) == [F(23, 64), F(-7, 64)]
    assert held(found.gamma) + held(found.moving_mean) + held(found.moving_variance) == [F(-1, 4), F(-1, 4), F(1, 64)]


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_a_channel_without_weight_has_constants_for_statistics(statistics):
    x, g = X[:, 0], G[:, 0]
    convention, weights = replace(KERAS, statistics=statistics), np.asarray([[0, 1]] * 4)
    options = options_of(convention, weights, {})
    found = gradients(x, g, training=True, **options)
    kept = statistics == "running"
    fixed = {"moving_mean": MEAN if kept else np.zeros(2), "moving_variance": VARIANCE if kept else np.zeros(2)}
    wanted = gradients(x, g, training=False, **options | fixed)
    for name in ("gamma", "beta", *(["moving_mean", "moving_variance"] if kept else [])):
        assert abs(held(getattr(found, name))[0] - held(getattr(wanted, name))[0]) <= F(2, 2**192)
    assert np.all(abs(found.x.fractions()[:, 0] - wanted.x.fractions()[:, 0]) <= F(2, 2**192))
    assert not found.weights.numerators[:, 0].any()
    assert not hessian_vector_product(x, g, U[:, 0], **options).numerators[:, 0].any()


def test_holes_in_ghost_batches():
    x, g, weights = X[:, 0].copy(), G[:, 0].copy(), ROWS[:, 0].copy()
    x[1], g[1], weights[1] = np.nan, 0, 0
    options = options_of(KERAS, weights, GHOSTS)
    found = gradients(x, g, training=True, **options)
    assert isinstance(found.weights, Extended)
    np.testing.assert_array_equal(np.isnan(found.weights.to_float()), [[False], [True], [False], [False]])
    assert not found.x.numerators[1].any()
    x[1] = 100.0
    again = gradients(x, g, training=True, **options)
    assert held(found.x) == held(again.x)
    assert held(found.gamma) == held(again.gamma)


def test_no_elements():
    x = np.zeros((0, 2, 2))
    for convention, more in ((KERAS, GHOSTS), (KERAS, FIXED), (replace(KERAS, statistics="running"), {})):
        options = options_of(convention, None, more) | {"epsilon": 0.0, "moving_variance": np.zeros(2)}
        found = gradients(x, x, training=True, **options)
        assert found.x.shape == hessian_vector_product(x, x, x, **options).shape == x.shape
        assert not any(any(held(part)) for part in found[1:5])
    with pytest.raises(ValueError, match="requires moving_mean"):
        hessian_vector_product(X, G, U, axis=(-1,), epsilon=0.25, gamma=None, convention=convention)
    with pytest.raises(ValueError, match="two arrays of shape"):
        gradients(X, G, training=True, **options_of(KERAS, None, {"correction": (np.ones(1), np.zeros(1))}))
