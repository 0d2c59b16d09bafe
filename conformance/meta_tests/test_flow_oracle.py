"""The oracle of bijectors, densities and coupling."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec_conformance import bounds, oracle
from bnspec_conformance.oracle.multiprecision import log_abs_det, normalization_log_det

from .flow_helpers import BIJECTORS, CLOSE, LAYOUTS, NORMAL, batch, numbers, points


@pytest.mark.parametrize("name", BIJECTORS)
def test_log_dets_are_those_of_high_precision_differences(name):
    kind = BIJECTORS[name][0]
    x, parameters = points(name, "forward", "float64")
    x = np.asarray([value for value in x if 1e-3 < abs(value) < 30.0])
    bijector = getattr(oracle, kind)(**parameters)
    with mpmath.workprec(1200):
        step = mpf(2) ** -300
        for value, seen in zip(x, numbers(bijector.forward_log_det(x)), strict=True):
            near = [
                type(bijector)._forward(mpf(float(value)) + side * step, *(p.item() for p in bijector._parameters()))
                for side in (1, -1)
            ]
            slope = (near[0] - near[1]) / (2 * step)
            assert abs(seen - mpmath.log(abs(slope))) < CLOSE * max(1, abs(seen))


@pytest.mark.parametrize("name", BIJECTORS)
def test_inverses_undo(name):
    kind = BIJECTORS[name][0]
    y, parameters = points(name, "inverse", "float64")
    y = np.asarray([value for value in y if 1e-3 < abs(value) < 30.0])
    bijector = getattr(oracle, kind)(**parameters)
    x = bijector.inverse(y)
    for value, back in zip(y, numbers(bijector.forward(x)), strict=True):
        assert abs(back - mpf(float(value))) < CLOSE * 100
    for one, other in zip(numbers(bijector.inverse_log_det(y)), numbers(bijector.forward_log_det(x)), strict=True):
        assert abs(one + other) < CLOSE * 100


def test_the_absolute_value_has_two_preimages():
    y = np.asarray([0.0, 2.5, 1e-300])
    absolute = oracle.AbsoluteValue()
    np.testing.assert_array_equal(absolute.forward(-y).to_float(), y)
    for found, wanted in zip(absolute.inverse(y), (-y, y), strict=True):
        np.testing.assert_array_equal(found.to_float(), wanted)
    assert all(not numbers(part)[1] for part in absolute.inverse_log_det(y))
    with pytest.raises(ValueError, match=r"an absolute value must not be negative\. Got -1\.0\."):
        absolute.inverse(np.asarray([-1.0]))
    with pytest.raises(NotImplementedError, match="must not be asked for its forward log-det"):
        absolute.forward_log_det(y)
    np.testing.assert_array_equal(bounds.bijector_error("AbsoluteValue", "inverse", y, "float64"), [0, 0, 0])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (oracle.Scale, r"either scale or log_scale must be given\. Got Scale\("),
        (lambda: oracle.Sigmoid(low=1.0), r"low and high must be given together\. Got Sigmoid\(low=1\.0"),
        (lambda: oracle.Log().forward(np.zeros(1)), r"inside of the domain\. Got a logarithm of 0\.0\."),
        (lambda: oracle.Reciprocal().forward(np.zeros(1)), r"inside of the domain\. Got a division by 0\."),
        (lambda: oracle.Tanh().inverse(np.ones(1)), r"inside of the domain\. Got tanh\(x\) = 1\.0\."),
        (
            lambda: oracle.ScaleMatvecDiag(np.ones(1)).forward(np.ones((2, 3))),
            r"along the last axis\. Got \(1,\) and \(3,\)\.",
        ),
        (lambda: oracle.Normal(0, -1.0).prob(np.ones(1)), r"scale must be positive\. Got -1\.0\."),
        (lambda: oracle.Normal().quantile(np.ones(1)), r"between 0 and 1\. Got 1\.0\."),
        (
            lambda: oracle.MultivariateNormalDiag(0.0, np.zeros(2)).entropy(),
            r"scale_diag must not be 0\. Got an element",
        ),
        (lambda: oracle.MultivariateNormalDiag(0.0, np.ones(())).entropy(), r"at least one axis\. Got none\."),
        (lambda: oracle.masked_count(1.0, 3), r"inside of \(-1, 1\)\. Got fraction_masked=1\.0\."),
        (lambda: oracle.halves(-3, 3), r"smaller than the event size 3\. Got num_masked=-3\."),
        (lambda: oracle.dense_conditioner(np.ones(2), [(np.ones((2, 3)), None)]), r"even number of outputs\. Got 3\."),
        (
            lambda: oracle.transformed_log_prob(oracle.MultivariateNormalDiag(0.0, np.ones(2)), None, None),
            r"at least 1\. Got",
        ),
    ],
)
def test_bad_input_is_refused(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()


@pytest.mark.parametrize("absent", ["", "gamma", "beta", "both"])
@pytest.mark.parametrize(("shape", "axis", "event_ndims"), LAYOUTS)
def test_log_dets_of_batch_normalization_are_determinants(shape, axis, event_ndims, absent):
    y, gamma, beta, mean, variance, pair = batch(shape, axis)
    gamma, beta = None if absent in {"gamma", "both"} else gamma, None if absent in {"beta", "both"} else beta
    layer = oracle.BatchBijector(axis, 1e-3, mean, variance, gamma, beta)
    for training, adjustment in ((False, None), (True, None), (True, pair)):
        found = layer.inverse_log_det(y, training=training, event_ndims=event_ndims, adjustment=adjustment)
        assert found.shape == shape[: len(shape) - event_ndims]
        statistics = None if training else (mean, variance)
        with mpmath.workprec(800):
            given = {"statistics": statistics, "gamma": gamma, "beta": beta, "adjustment": adjustment}
            wanted = normalization_log_det(y, axis, 1e-3, event_ndims, **given)
            assert all(abs(a - b) < CLOSE for a, b in zip(numbers(found), wanted.ravel().tolist(), strict=True))
        terms = layer.inverse_log_det(y, training=training, adjustment=adjustment)
        assert terms.shape == shape
    x = layer.inverse(y, training=False)
    assert all(abs(a - mpf(float(b))) < CLOSE * 100 for a, b in zip(numbers(layer.forward(x)), y.ravel(), strict=True))
    back, there = (numbers(e) for e in (layer.forward_log_det(x), layer.inverse_log_det(y, training=False)))
    assert all(abs(a + b) < CLOSE for a, b in zip(back, there, strict=True))


def test_the_determinant_needs_pivots():
    with mpmath.workprec(300):
        matrix = np.asarray([[mpf(0), mpf(2)], [mpf(3), mpf(5)]], dtype=object)
        assert abs(log_abs_det(matrix) - mpmath.log(6)) < mpf(2) ** -250
        with pytest.raises(ValueError, match=r"must not be singular\. Got one that is\."):
            log_abs_det(matrix * 0)


def test_normalization_agrees_with_the_other_oracle():
    y, gamma, beta, mean, variance, _ = batch((5, 3), (1,))
    layer = oracle.BatchBijector((1,), 1e-3, mean, variance, gamma, beta)
    wanted = oracle.batch_normalization(y, mean, variance, beta, gamma, 1e-3)
    assert all(
        abs(a - b) < CLOSE for a, b in zip(numbers(layer.inverse(y, training=False)), numbers(wanted), strict=True)
    )
    batch_moments = oracle.moments(y, (0,))
    wanted = oracle.batch_normalization(y, batch_moments.mean, batch_moments.variance, beta, gamma, 1e-3)
    assert all(
        abs(a - b) < CLOSE for a, b in zip(numbers(layer.inverse(y, training=True)), numbers(wanted), strict=True)
    )


@pytest.mark.parametrize(
    ("change", "call", "text"),
    [
        ({"gamma": np.zeros(3)}, {"training": False}, r"gamma must not be 0\. Got a channel where it is\."),
        (
            {},
            {"training": False, "adjustment": (np.ones(()), np.ones(()))},
            r"must come with training\. Got one without\.",
        ),
        ({}, {"training": True, "adjustment": (np.zeros(()), np.ones(()))}, r"a of an adjustment must not be 0\. Got"),
        ({}, {"training": True, "event_ndims": 3}, r"between 0 and the rank 2\. Got event_ndims=3\."),
    ],
)
def test_a_batch_that_has_no_log_det(change, call, text):
    layer = oracle.BatchBijector((1,), 1e-3, np.zeros(3), np.ones(3), **change)
    with pytest.raises(ValueError, match=text):
        layer.inverse_log_det(np.arange(6.0).reshape(2, 3), **call)
    with pytest.raises(ValueError, match=r"a batch must have elements\. Got shape=\(0, 3\)\."):
        oracle.BatchBijector((1,), 1e-3, np.zeros(3), np.ones(3)).inverse(np.zeros((0, 3)), training=True)


def test_densities_integrate_to_one_and_to_their_probabilities():
    normal = oracle.Normal(0.25, 1.5)

    def density(x):
        value = np.asarray(float(x))
        return numbers(normal.prob(value))[0]

    points = [-14.0, -2.0, 0.25, 2.0, 16.0]
    with mpmath.workdps(25):
        # The nodes are rounded to float64, so that the integral is good to about 1e-15.
        whole = sum(mpmath.quad(density, pair) for pair in pairwise(points))
        assert abs(whole - 1) < 1e-13
        below = sum(mpmath.quad(density, pair) for pair in pairwise(points[:3]))
        assert abs(below - numbers(normal.cdf(np.asarray(0.25)))[0]) < 1e-13


def test_functions_of_a_normal_distribution_agree():
    x = np.asarray([-1e19, -38.5, -8.0, -1.0, 0.0, 1e-20, 0.7, 9.0, 40.0])
    normal = oracle.Normal()
    with mpmath.workprec(4000):
        for value, *found in zip(x, *(numbers(getattr(normal, name)(x)) for name in NORMAL), strict=True):
            z = mpf(float(value))
            below, above = (mpmath.erfc(side * z / mpmath.sqrt(2)) / 2 for side in (-1, 1))
            log_prob = -z * z / 2 - mpmath.log(2 * mpmath.pi) / 2
            wanted = (log_prob, mpmath.exp(log_prob), below, mpmath.log(below), above, mpmath.log(above))
            for seen, true in zip(found, wanted, strict=True):
                assert abs(seen - true) <= max(CLOSE * abs(true), mpf(2) ** -1300)
        p = np.asarray([5e-324, 1e-30, 0.1, 0.5, 0.5 + 2.0**-53, 0.975])
        for value, z in zip(p, numbers(normal.quantile(p)), strict=True):
            assert abs(mpmath.erfc(-z / mpmath.sqrt(2)) / 2 / mpf(float(value)) - 1) < CLOSE * 2000
        slope = oracle.Normal(3.0, 2.0).entropy()
        assert abs(numbers(slope)[0] - mpmath.log(2 * mpmath.pi * mpmath.e * 4) / 2) < CLOSE


def test_densities_of_events_and_of_two_preimages():
    y = np.asarray([[0.5, 2.0], [1.0, 3.0]])
    absolute, base = oracle.AbsoluteValue(), oracle.Normal(0.5, 2.0)
    folded = oracle.transformed_log_prob(base, absolute.inverse(y), absolute.inverse_log_det(y))
    with mpmath.workprec(500):
        wanted = [mpmath.log(a + b) for a, b in zip(numbers(base.prob(y)), numbers(base.prob(-y)), strict=True)]
        assert all(abs(a - b) < CLOSE for a, b in zip(numbers(folded), wanted, strict=True))
        exp = oracle.Exp()
        single = numbers(oracle.transformed_log_prob(base, exp.inverse(y), exp.inverse_log_det(y)))
        event = oracle.transformed_log_prob(base, exp.inverse(y), exp.inverse_log_det(y), 1)
        assert all(abs(a - sum(single[2 * k : 2 * k + 2])) < CLOSE for k, a in enumerate(numbers(event)))


@pytest.mark.parametrize(
    ("fraction", "size", "count"),
    [
        (0.29, 100, 29),
        (-0.1, 5, 0),
        (-0.5, 5, -2),
        (0.7, 10, 7),
        (0.5, 3, 1),
        (-0.29, 100, -29),
        (0.999, 4, 3),
        (0.0, 9, 0),
    ],
)
def test_a_fraction_is_the_decimal_that_is_written(fraction, size, count):
    assert oracle.masked_count(fraction, size) == count


def test_coupling_without_shift_or_scale():
    x = np.asarray([[1.0, 2.0, 3.0]])
    assert oracle.AffineCoupling(1).forward(x).to_float().tolist() == x.tolist()
    alone = oracle.AffineCoupling(1, log_scale=np.asarray([0.5, -2.0]))
    assert alone.inverse_log_det(np.asarray([1.0, 2.0, 3.0])).to_float() == 1.5
    assert oracle.AffineCoupling(1, np.asarray(2.0)).forward(x).to_float().tolist() == [[1.0, 4.0, 5.0]]
    assert oracle.AffineCoupling(-1, None, np.asarray([0.5])).forward_log_det(x).to_float().tolist() == [1.0]
