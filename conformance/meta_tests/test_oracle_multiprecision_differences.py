"""The second oracle's parts of a layer: derivatives against finite differences, and precision that suffices."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from bnspec_conformance.oracle import _forward
from bnspec_conformance.oracle.multiprecision import gradients, hessian_vector_product, trajectory

from .oracle_helpers import BOUND, mp, thousand_bits  # noqa: F401  # references are rounded at 2**-1000
from .test_oracle_multiprecision_parts import (
    BETA,
    GAMMA,
    LAYER,
    MOVING,
    RENORM,
    RUN,
    TRAIN,
    WEIGHTS,
    A,
    B,
    G,
    U,
    X,
    changed,
)
from .test_oracle_multiprecision_weights import assert_same


def mps(array):
    found = np.empty(np.shape(array), dtype=object)
    for i in np.ndindex(*found.shape):
        found[i] = mp(array[i])
    return found


DIFFERENTIATED = {
    "ghosts": ({}, {"virtual_batch_size": 2}),
    "strided ghosts": ({"ghost_grouping": "strided"}, {"virtual_batch_size": 2}),
    "bessel": ({"normalizing_variance": "bessel"}, {}),
    "bessel in ghosts": ({"normalizing_variance": "bessel"}, {"virtual_batch_size": 2}),
    "adjustment": ({}, {"adjustment": (A, B)}),
    "running": ({"statistics": "running"}, {}),
    "running, debiased": ({"statistics": "running", "average": "debiased"}, {"num_batches": 2}),
    "running, debiased mean": ({"statistics": "running", "average": "debiased_mean"}, {"num_batches": 1}),
    "running, first": ({"statistics": "running", "average": "first"}, {"num_batches": 0}),
    "running, cumulative": ({"statistics": "running"}, {"num_batches": 2, "momentum": None}),
    "running, bessel": ({"statistics": "running", "running_variance": "bessel"}, {"adjustment": (A, B)}),
    "running, bessel less epsilon": ({"statistics": "running", "running_variance": "bessel_epsilon"}, {}),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_finite_differences(name):
    fields, options = DIFFERENTIATED[name]
    given = {"convention": changed(**fields), "momentum": 0.25, **options}
    pair = given.pop("adjustment", None)
    step = mpmath.ldexp(1, -200)
    point = {"x": mps(X), "gamma": mps(GAMMA), "beta": mps(BETA), **{k: mps(v) for k, v in MOVING.items()}}
    # A weight of 0 can but grow.
    point["weights"] = mps(np.where(WEIGHTS == 0, 0.25, WEIGHTS))

    def loss(values):
        layer = {k: v for k, v in values.items() if k not in ("x", "weights")}
        (found,) = trajectory(
            [(values["x"], True, values["weights"], pair)], axis=(1,), epsilon=0.125, **layer, **given
        )
        return sum(mp(g) * y for g, y in zip(G.ravel(), found.y.ravel(), strict=True))

    layer = {k: v for k, v in point.items() if k not in ("x", "beta")}
    found = gradients(point["x"], G, axis=(1,), epsilon=0.125, training=True, adjustment=pair, **layer, **given)
    for part, gradient in found._asdict().items():
        for i in np.ndindex(*gradient.shape):
            ends = []
            for sign in (-1, 1):
                moved = {**point, part: point[part].copy()}
                moved[part][i] += sign * step
                ends.append(loss(moved))
            assert abs((ends[1] - ends[0]) / (2 * step) - gradient[i]) <= mp(BOUND), (part, i)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_finite_differences_of_gradients(name):
    fields, options = DIFFERENTIATED[name]
    given = {"convention": changed(**fields), "momentum": 0.25, "weights": WEIGHTS, **options}
    step = mpmath.ldexp(1, -200)
    ends = [gradients(mps(X) + sign * step * mps(U), G, **TRAIN, **given).x for sign in (-1, 1)]
    found = hessian_vector_product(X, G, U, **LAYER, **MOVING, **given)
    for low, high, product in zip(ends[0].ravel(), ends[1].ravel(), found.ravel(), strict=True):
        assert abs((high - low) / (2 * step) - product) <= mp(BOUND)


def results(x, g, u, weights):
    for name, (fields, options) in DIFFERENTIATED.items():
        given = {"convention": changed(**fields), "momentum": 0.25, "weights": weights, **options}
        yield from gradients(x, g, **TRAIN, **given)
        yield hessian_vector_product(x, g, u, **LAYER, **MOVING, **given)
        layer = {k: v for k, v in given.items() if k not in ("weights", "adjustment")}
        steps = [(x, True, weights), (u, True), (x, False)]
        for step in trajectory(steps, **{**RUN, "beta": None, **layer}):
            yield from (step.y, *step.state[:2])
        if "running" not in name:
            for step in trajectory(
                [(x, True, weights), (u, True), (x, False)], **{**RUN, "beta": None, **layer, **RENORM}
            ):
                yield from (step.y, *step.state[:2], *step.state[3:], *(step.correction or ()))


@pytest.mark.parametrize("exponents", [(0, 1), (-60, 60)], ids=str)
def test_more_bits_change_nothing_above_the_stated_error(exponents, monkeypatch):
    rng = np.random.default_rng([e + 150 for e in exponents])
    x, g, u = (rng.standard_normal((4, 2)).astype(np.float32) for _ in range(3))
    weights = np.ldexp(rng.uniform(1, 2, (4, 2)), rng.integers(*exponents, (4, 2))).astype(np.float32)
    few = list(results(x, g, u, weights))
    monkeypatch.setattr(_forward, "MARGIN", _forward.MARGIN + 2000)
    for seen, better in zip(few, results(x, g, u, weights), strict=True):
        assert_same(seen, better, x)
