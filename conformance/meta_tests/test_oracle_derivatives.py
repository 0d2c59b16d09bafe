"""Derivatives of the first oracle, against difference quotients and hand arithmetic."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec_conformance.oracle import gradients, hessian_vector_product

from .oracle_helpers import (
    BFLOAT16,
    BOUND,
    STEP,
    as_dict,
    assert_close,
    channels,
    draw,
    flat,
    held,
    mp,
    number,
    reference,
    thousand_bits,  # noqa: F401 - a fixture that applies itself
)


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
    assert all(held(part) == [0, 0] for part in none[1:-1])


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
