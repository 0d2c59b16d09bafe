"""Moments are a monoid, and the one reduction is what its bound says."""

from itertools import pairwise

import numpy as np
import pytest

import bnspec
from bnspec.arrays import BLOCK, blocked_sum
from bnspec.arrays import to_rows as lay_out
from bnspec_conformance import bounds, oracle

FORM = bounds.FORMATS["float32"]


def draw(shape, mean=1e4, seed=0):
    return np.random.default_rng(seed).normal(mean, 1.0, shape).astype(np.float32)


def within(found, x, merges=0):
    """Hold moments to the bound of the definition; each merge adds roundings of the size of its operands."""
    exact = oracle.moments(x, (0,))
    mean, variance = exact.mean.to_float(), exact.variance.to_float()
    limit = bounds.batch_statistics(x.astype(np.float64), mean, variance, bounds.DEFINITION, FORM)
    for seen, value, bound in (
        (found.mean, exact.mean, bounds.rounded(limit.mean_error, mean, FORM)),
        (found.variance(), exact.variance, bounds.rounded(limit.variance_error, variance, FORM)),
    ):
        assert (value.error(np.asarray(seen)) <= (1 + merges) * bound).all()


def test_parts_merge_to_the_whole():
    x = draw((1000, 3))
    whole = bnspec.Moments.of(x, 0)
    within(whole, x)
    cuts = [0, 1, 1, 4, 300, 999, 1000]  # an empty part and parts of one row
    parts = [bnspec.Moments.of(x[a:b], 0) for a, b in pairwise(cuts)]
    left = parts[0]
    for part in parts[1:]:
        left = left.merge(part)
    right = parts[-1]
    for part in parts[-2::-1]:
        right = part.merge(right)
    for merged in (left, right):
        np.testing.assert_array_equal(merged.weight, whole.weight)
        within(merged, x, merges=len(parts))


def test_the_empty_batch_is_the_identity_to_the_bit():
    some = bnspec.Moments.of(draw((7, 3)), 0)
    empty = bnspec.Moments.of(draw((0, 3)), 0)
    for merged in (some.merge(empty), empty.merge(some)):
        for seen, expected in zip(merged, some, strict=True):
            np.testing.assert_array_equal(seen, expected)
    for value in empty.merge(empty):
        np.testing.assert_array_equal(value, np.zeros(3))


def test_no_elements_have_no_mean_and_no_variance():
    for found in (
        bnspec.moments(draw((0, 3)), 0),
        bnspec.moments(draw((2, 0, 3)), (0, 1)),
        bnspec.weighted_moments(draw((4, 3)), 0, np.zeros((4, 1), np.float32)),
    ):
        for value in found:
            assert value.shape == (3,)
            assert np.isnan(value).all()


def test_one_element_has_variance_zero_and_no_bessel_estimate():
    found = bnspec.Moments.of(draw((1, 3)), 0)
    np.testing.assert_array_equal(found.variance(), np.zeros(3))
    assert np.isnan(found.variance(1)).all()


def test_no_reduced_axes_leave_the_input():
    x = draw((4, 3))
    mean, variance = bnspec.moments(x, ())
    np.testing.assert_array_equal(mean, x)
    np.testing.assert_array_equal(variance, np.zeros((4, 3)))


def test_bessel_divides_by_one_less():
    found = bnspec.Moments.of(draw((5, 3), mean=1.0), 0)
    np.testing.assert_array_equal(found.variance(1), found.m2 / np.float32(4))


def test_half_precision_statistics_are_float32():
    x = draw((2000, 2), mean=1000.0).astype(np.float16)
    for value in bnspec.moments(x, 0):
        assert value.dtype == np.float32


def test_weights_of_one_change_nothing():
    x = draw((37, 3))
    plain, weighted = bnspec.Moments.of(x, 0), bnspec.Moments.of(x, 0, np.ones_like(x))
    for seen, expected in zip(weighted, plain, strict=True):
        np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("count", [*range(1, 80), 511, 512, 513, 4095, 4096, 4097, 100_003])
def test_the_reduction_has_no_more_levels_than_its_bound_counts(count):
    class Counting:
        """Counts the levels; a sum over at most BLOCK terms is one."""

        levels = 0

        @staticmethod
        def reshape(x, shape):
            return np.reshape(x, shape)

        @staticmethod
        def concat(parts, axis):
            return np.concatenate(parts, axis)

        @classmethod
        def sum(cls, x, axis):
            assert x.shape[axis] <= BLOCK
            cls.levels += 1
            return np.sum(x, axis)

    rows = np.arange(count, dtype=np.float64)[:, None]
    assert blocked_sum(rows, Counting)[0] == count * (count - 1) / 2
    assert 7 * Counting.levels <= bounds.DEFINITION.additions(count)
    assert Counting.levels <= np.ceil(np.log(max(count, 2)) / np.log(8) - 1e-12) + 1


def test_rows_keep_the_order_of_the_kept_axes():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    rows = lay_out(x, (0, 2), np)
    assert rows.shape == (8, 3, 5)
    np.testing.assert_array_equal(rows[5], x[1, :, 1, :])


@pytest.mark.parametrize(
    "weights", [np.ones(3, np.float32), np.float32(1.0).reshape(()), np.ones((1, 3, 3), np.float32)]
)
def test_weights_of_another_rank_are_refused_however_they_would_broadcast(weights):
    with pytest.raises(ValueError, match=r"weights must have the rank of x.*x=\(3, 3\)"):
        bnspec.weighted_moments(np.ones((3, 3), np.float32), 0, weights)
