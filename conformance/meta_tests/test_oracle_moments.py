"""Moments of the first oracle, against fractions and hand arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bnspec_conformance.oracle import moments

from .oracle_helpers import HARD, assert_close, channels, draw, held, number, two_pass


@pytest.mark.parametrize("name", HARD)
def test_moments_are_those_of_fractions(name):
    x = HARD[name]
    expected = [two_pass([number(v) for v in column], [Fraction(1)] * len(column)) for column in x.T]
    found = moments(x, (0,))
    for part, wanted in zip(found, zip(*expected, strict=True), strict=True):
        assert_close(part, wanted, (x.shape[1],))
        # The guarantee as it is written, with the bits that the result itself names.
        assert part.bits >= 192
        for seen, value in zip(held(part), wanted, strict=True):
            assert abs(seen - value) < Fraction(1, 2**part.bits)
            assert value == 0 or Fraction(1, 2**part.bits) <= abs(value) / 2**192


def test_variance_of_one_to_four_and_of_a_constant():
    found = moments(np.asarray([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0], [4.0, 7.0]], np.float32), (0,))
    assert held(found.weight) == [4, 4]
    assert held(found.mean) == [Fraction(5, 2), 7]
    assert held(found.variance) == [Fraction(5, 4), 0]


@pytest.mark.parametrize("axes", [(0,), (1,), (-1,), (0, 2), (-3, 1), (0, 1, 2), ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_moments_over_any_axes(axes, keepdims):
    x = draw(9, (2, 3, 4))
    features = [i for i in range(3) if i not in {a % 3 for a in axes}]
    shape = tuple(1 if i not in features else n for i, n in enumerate(x.shape))
    if not keepdims:
        shape = tuple(x.shape[i] for i in features)
    expected = []
    for _, indices in channels(x.shape, features):
        expected.append(two_pass([number(x[i]) for i in indices], [Fraction(1)] * len(indices)))
    for part, wanted in zip(moments(x, axes, keepdims=keepdims), zip(*expected, strict=True), strict=True):
        assert_close(part, wanted, shape)


@pytest.mark.parametrize("weight_shape", [(5, 1, 2), (5, 3, 2), (1, 3, 2), (1, 1, 1)], ids=str)
def test_weights_are_frequencies(weight_shape):
    x = draw(10, (5, 3, 2), np.float32)
    weights = np.abs(draw(11, weight_shape)).astype(np.float32)
    full = np.broadcast_to(weights, x.shape)
    expected = []
    for _, indices in channels(x.shape, (2,)):
        expected.append(two_pass([number(x[i]) for i in indices], [number(full[i]) for i in indices]))
    for part, wanted in zip(moments(x, (0, 1), weights), zip(*expected, strict=True), strict=True):
        assert_close(part, wanted, (2,))


def test_weight_two_is_the_element_twice_and_weight_zero_deletes_it():
    x = np.asarray([[1.0], [np.nan], [5.0], [np.inf]])
    found = moments(x, (0,), np.asarray([[2.0], [0.0], [1.0], [-0.0]]))
    again = moments(np.asarray([[1.0], [1.0], [5.0]]), (0,))
    assert [held(p) for p in found] == [held(p) for p in again]
    assert_close(found.mean, [Fraction(7, 3)], (1,))
    assert_close(found.variance, [Fraction(32, 9)], (1,))


def test_moments_refuse_what_has_none():
    with pytest.raises(ValueError, match=r"total weight must be positive\. Got 0 for shape=\(0, 3\)"):
        moments(np.zeros((0, 3)), (0,))
    with pytest.raises(ValueError, match=r"total weight must be positive\. Got 0 for shape=\(2, 2\), axes=\(0,\)"):
        moments(np.ones((2, 2)), (0,), np.asarray([[0.0, 1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"must not be negative\. Got -1\.0\."):
        moments(np.ones((2, 2)), (0,), np.asarray([[2.0], [-1.0]]))
    with pytest.raises(ValueError, match=r"broadcast to \(2, 2\) with its rank\. Got shape=\(2,\)\."):
        moments(np.ones((2, 2)), (0,), np.ones(2))
    with pytest.raises(ValueError, match="Got nan at index"):
        moments(np.asarray([[np.nan], [1.0]]), (0,), np.asarray([[1.0], [1.0]]))
    with pytest.raises(ValueError, match="Got inf at index"):
        moments(np.ones((2, 1)), (0,), np.asarray([[np.inf], [1.0]]))
    for axes in [(2,), (-3,), (0, 0), (0, -2)]:
        with pytest.raises(ValueError, match=r"axes must name different axes of an array of rank 2\. Got axes="):
            moments(np.ones((2, 2)), axes)
    assert moments(np.ones((5, 0)), (0,)).variance.shape == (0,)
