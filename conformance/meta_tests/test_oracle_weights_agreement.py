"""Both oracles with frequency weights: the same numbers, by other ways."""

import numpy as np
import pytest

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.oracle import gradients, hessian_vector_product, multiprecision, trajectory

from .test_oracle_agreement import assert_agree

SHAPES = [((5, 3), (1,)), ((4, 2, 3), (1,)), ((3, 2, 4), (0, 2)), ((7, 1), (1,))]


def drawn(number, shape, dtype=np.float32):
    rng = np.random.default_rng([number, *shape])
    x, cotangent, tangent = (0.5 + 2 * rng.standard_normal((3, *shape))).astype(dtype)
    weights = rng.choice([0.0, 0.25, 1.0, 2.0, 3.5], shape).astype(dtype)
    weights[0] = 0.75
    return x, cotangent, tangent, weights


def kept(shape, axis):
    if len(axis) == 1:
        return (shape[axis[0]],)
    return tuple(size if a in axis else 1 for a, size in enumerate(shape))


def parameters(shape, axis):
    rng = np.random.default_rng(7)
    gamma, mean, variance = rng.uniform(0.5, 2.0, (3, *kept(shape, axis)))
    return {"axis": axis, "epsilon": 0.125, "gamma": gamma, "moving_mean": mean, "moving_variance": variance}


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_derivatives_agree(shape, axis, number):
    x, cotangent, tangent, weights = drawn(number, shape)
    given = parameters(shape, axis)
    found = [f(x, cotangent, training=True, weights=weights, **given) for f in (gradients, multiprecision.gradients)]
    for exact, other in zip(*found, strict=True):
        assert_agree(exact, other)
    layer = {name: given[name] for name in ("axis", "epsilon", "gamma")}
    products = [
        f(x, cotangent, tangent, weights=weights, **layer)
        for f in (hessian_vector_product, multiprecision.hessian_vector_product)
    ]
    assert_agree(*products)


@pytest.mark.parametrize(("shape", "axis"), SHAPES[:2])
def test_derivatives_by_shared_weights_agree(shape, axis):
    x, cotangent, _, weights = drawn(11, shape)
    shared = weights[:, *(slice(1),) * (len(shape) - 1)]
    given = parameters(shape, axis)
    exact, other = (
        f(x, cotangent, training=True, weights=shared, **given).weights for f in (gradients, multiprecision.gradients)
    )
    # A sum of different roots may be small beside its terms: the steps are those of the terms.
    assert_agree(exact, other, relative=False)


@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=lambda convention: convention.name)
@pytest.mark.parametrize("momentum", [0.75, None])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_trajectories_agree(shape, axis, momentum, convention):
    first, second = drawn(3, shape), drawn(4, shape)
    nothing = np.zeros_like(first[3])
    steps = [(first[0], True, first[3]), (second[0], True, nothing), (second[0], True, second[3]), (first[0], False)]
    given = {**parameters(shape, axis), "momentum": momentum, "convention": convention, "beta": None}
    found = [f(steps, **given) for f in (trajectory, multiprecision.trajectory)]
    for exact, other in zip(*found, strict=True):
        for name in ("y", "mean", "variance"):
            ours, theirs = getattr(exact, name), getattr(other, name)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert_agree(ours, theirs)
        assert exact.state.num_batches == other.state.num_batches
        for name in ("moving_mean", "moving_variance"):
            assert_agree(getattr(exact.state, name), getattr(other.state, name))
