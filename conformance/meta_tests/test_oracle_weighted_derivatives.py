"""Derivatives with frequency weights by the first oracle, against difference quotients, and what they rest on."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec_conformance.oracle import gradients, hessian_vector_product
from bnspec_conformance.oracle._weights import Extended, sum_times_roots

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
    rational,
    thousand_bits,  # noqa: F401 - a fixture that applies itself
)


def weighted_loss(x, weights, cotangent, axis, gamma, epsilon):
    """Weigh the outputs by the cotangent, in the words of the definition."""
    total = mpf(0)
    for c, (_, indices) in enumerate(channels(x["shape"], axis)):
        weight = sum(weights[i] for i in indices)
        mean = sum(weights[i] * x[i] for i in indices) / weight
        variance = sum(weights[i] * (x[i] - mean) ** 2 for i in indices) / weight
        total += gamma[c] * sum(cotangent[i] * (x[i] - mean) for i in indices) / mpmath.sqrt(variance + mpf(epsilon))
    return total


def central(function):
    return (function(STEP) - function(-STEP)) / (2 * STEP)


CASES = {
    "rows": ((4, 2), (-1,), (4, 1), np.float64, 1e-3),
    "elements": ((4, 2), (1,), (4, 2), np.float32, 1e-5),
    "no epsilon": ((4, 2), (1,), (4, 1), np.float32, 0.0),
    "channels first": ((2, 2, 2), (1,), (2, 1, 2), np.float64, 1e-3),
    "two feature axes": ((2, 2, 3), (0, 1), (2, 1, 3), np.float64, 1e-3),
    "one for each channel": ((3, 2), (1,), (1, 2), np.float64, 1e-3),
    "bfloat16": ((4, 2), (1,), (4, 1), BFLOAT16, 1e-3),
}


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_the_limits_of_difference_quotients(name):
    shape, axis, weight_shape, dtype, epsilon = CASES[name]
    x, g, u, weights = draw(40, shape, dtype, 5), draw(41, shape, dtype), draw(42, shape, dtype), draw(43, weight_shape)
    weights = np.abs(weights).astype(dtype)
    if weight_shape[0] == shape[0] > 1:
        weights[(-1,) * len(shape)] = 0  # the formulas hold on both sides of weight 0
    size = len(list(channels(shape, axis)))
    one = np.ones([shape[i] if i in {a % len(shape) for a in axis} else 1 for i in range(len(shape))])
    gamma = draw(44, size if len(axis) == 1 else one.shape, dtype)
    options = {"axis": axis, "epsilon": epsilon, "gamma": gamma, "weights": weights}
    found = gradients(x, g, moving_mean=one, moving_variance=one, training=True, **options)
    twice = hessian_vector_product(x, g, u, **options)
    data, w, cotangent = as_dict(x), as_dict(np.broadcast_to(weights, shape)), as_dict(g)
    gains, indices = flat(gamma, size, 1), list(np.ndindex(*shape))

    def at(x_shifts=None, w_shifts=None, gains=gains):
        moved = [old | {i: old[i] + h for i, h in (s or {}).items()} for old, s in ((data, x_shifts), (w, w_shifts))]
        return weighted_loss(*moved, cotangent, axis, gains, epsilon)

    def sharing(index):
        return [i for i in indices if all(n == 1 or j == k for n, j, k in zip(weight_shape, index, i, strict=True))]

    assert_close(found.x, [central(lambda h, i=i: at({i: h})) for i in indices], shape)
    expected = [central(lambda h, i=i: at(None, dict.fromkeys(sharing(i), h))) for i in np.ndindex(*weight_shape)]
    if weight_shape[0] == 1:
        # A factor of all weights of a channel: exactly 0, which a difference quotient is only nearly.
        assert all(abs(rational(e)) < BOUND for e in expected)
        assert not found.weights.numerators.any()
    else:
        assert_close(found.weights, expected, weight_shape)
    bumped = [central(lambda h, c=c: at(gains=[v + h * (k == c) for k, v in enumerate(gains)])) for c in range(size)]
    assert_close(found.gamma, bumped, gamma.shape)

    def along(h, i, k):
        shifts = {j: h * mp(u[j]) for j in indices}
        return at(shifts | {i: shifts[i] + k})

    nested = [central(lambda h, i=i: central(lambda k: along(h, i, k))) for i in indices]
    assert_close(twice, nested, shape)


def test_sums_of_roots():
    squares = np.asarray([Fraction(2), Fraction(8), Fraction(3, 4), Fraction(18), Fraction(27), Fraction(25, 9)])
    rows = [[1, 1, 0, -1, 0, 0], [1, 0, -6, 0, 1, 0], [0, 0, 0, 0, 0, 3], [0, 0, 0, 0, 0, 0], [1, -1, 1, 0, 0, 1]]
    found = sum_times_roots(np.asarray([[Fraction(n) for n in row] for row in rows]), squares, (1,))
    root = mpmath.sqrt
    assert_close(found, [0, root(2), 5, 0, -root(2) + root(3) / 2 + mpf(5) / 3], (5, 1))
    # Convergents p / q of sqrt(2): p - q sqrt(2) falls as 1 / q, here far below the first precision tried.
    convergents = [(1, 1)]
    for _ in range(300):
        p, q = convergents[-1]
        convergents.append((p + 2 * q, p + q))
    numerators = np.asarray([[Fraction(p), Fraction(-q)] for p, q in convergents[::50]])
    found = sum_times_roots(numerators, np.asarray([Fraction(1), Fraction(2)]), (1,))
    assert_close(found, [p - q * root(2) for p, q in convergents[::50]], (7, 1))
    assert all(Fraction(1, 2**found.bits) <= abs(later) < abs(sooner) for sooner, later in pairwise(held(found)))


def test_numbers_beside_nan():
    special = np.asarray([0.0, np.nan, np.inf, 0.0])
    mixed = Extended(np.asarray([3, 0, 0, 0], dtype=object), 1, special)
    seen = np.asarray([1.0, np.nan, np.inf, np.nan])
    assert mixed.error(seen).tolist() == [0.5, 0.0, 0.0, np.inf]
    assert mixed.error(seen[::-1]).tolist() == [np.inf, np.inf, np.inf, 1.0]
    assert mixed.error(seen.astype(BFLOAT16)).tolist() == [0.5, 0.0, 0.0, np.inf]
    np.testing.assert_array_equal(mixed.reshape((2, 2)).to_float(), [[1.5, np.nan], [np.inf, 0.0]])
    with pytest.raises(ValueError, match=r"no fractions\."):
        mixed.fractions()
    with pytest.raises(ValueError, match=r"on no grid\. Got bits=7\."):
        mixed.at(7)
