"""Frequency weights of the definition: what the laws do not say, and what is refused."""

import numpy as np
import pytest

import bnspec
from bnspec.conventions import KERAS, TORCH
from bnspec_conformance import expectation
from bnspec_conformance.bounds import DEFINITION
from bnspec_conformance.cases import WEIGHTED
from bnspec_conformance.checks import Checks
from bnspec_conformance.definition import paired, receive, send

X = np.random.default_rng(5).normal(2.0, 3.0, (6, 3)).astype(np.float32)
W = np.asarray([2.0, 0.0, 0.5, 1.0, 3.0, 0.0], np.float32)[:, None]


def started(backend, spec, x=X):
    params, state = spec.init(x.shape, like=backend.asarray(x))
    moved = bnspec.State(state.moving_mean + 0.25, state.moving_variance * 3.0, state.num_batches)
    return params, moved


@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=lambda convention: convention.name)
def test_a_batch_without_weight_keeps_the_averages(backend, convention):
    spec = bnspec.BatchNorm(convention=convention)
    with backend.context():
        params, state = started(backend, spec)
        y, after = spec.apply(params, state, backend.asarray(X), training=True, weights=backend.asarray(0 * W))
        kept, counted = receive(backend, tuple(after)), receive(backend, state.num_batches)
        for old, new in zip(receive(backend, tuple(state)[:2]), kept, strict=False):
            assert old.tobytes() == new.tobytes()
        assert kept[2] == counted + (convention.empty_batch == "count")
        assert np.isfinite(receive(backend, y)).all()


def test_a_channel_without_weight_keeps_its_averages(backend):
    spec = bnspec.BatchNorm(axis=-1)
    weights = np.broadcast_to(W, X.shape).copy()
    weights[:, 1] = 0.0
    with backend.context():
        params, state = started(backend, spec)
        _, after = spec.apply(params, state, backend.asarray(X), training=True, weights=backend.asarray(weights))
        for old, new in zip(receive(backend, tuple(state)[:2]), receive(backend, tuple(after)), strict=False):
            assert (old == new).tolist() == [False, True, False]
        assert receive(backend, after.num_batches) == 1


def test_weights_change_nothing_in_evaluation(backend):
    spec = bnspec.BatchNorm()
    with backend.context():
        params, state = started(backend, spec)
        x, weights = backend.asarray(X), backend.asarray(W)
        plain, _, _ = spec.vjp(params, state, x, training=False)
        y, after, pullback = spec.vjp(params, state, x, training=False, weights=weights)
        assert receive(backend, y).tobytes() == receive(backend, plain).tobytes()
        assert after is state
        gradient = receive(backend, pullback(y).weights)
        assert gradient.shape == W.shape
        assert not gradient.any()


def test_what_is_deleted_and_not_finite_has_no_gradient():
    x, cotangent = X.copy(), np.cos(X)
    x[1], cotangent[1] = np.nan, 0.0
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=X)
    y, _, pullback = spec.vjp(params, state, x, training=True, weights=W)
    found = pullback(cotangent)
    assert np.isnan(y[1]).all()
    assert np.isfinite(np.delete(y, 1, axis=0)).all()
    assert (found.x[1] == 0).all()
    assert all(np.isfinite(part).all() for part in (found.x, found.gamma, found.beta))
    assert np.isnan(found.weights[:, 0]).tolist() == [False, True, False, False, False, False]


def test_the_statistics_of_a_channel_without_weight_are_constants():
    spec = bnspec.BatchNorm(epsilon=0.25)
    params, state = spec.init(X.shape, like=X)
    weights = np.broadcast_to(W, X.shape).copy()
    weights[:, 1] = 0.0
    y, _, pullback = spec.vjp(params, state, X, training=True, weights=weights)
    found = pullback(np.cos(X))
    np.testing.assert_array_equal(y[:, 1], X[:, 1] / np.float32(0.5))
    np.testing.assert_array_equal(found.x[:, 1], np.cos(X)[:, 1] / np.float32(0.5))
    assert not found.weights[:, 1].any()
    assert found.weights[:, 0].all()


def test_a_huge_deleted_element_is_not_seen():
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=X)
    x = X.copy()
    x[1], x[5] = 3e38, -1e30
    _, huge = spec.apply(params, state, x, training=True, weights=W)
    _, plain = spec.apply(params, state, X, training=True, weights=W)
    for ours, theirs in zip(huge, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", [case for case in WEIGHTED if case.dtype != "bfloat16"], ids=lambda case: case.id)
def test_a_framework_differentiates_by_the_weights(backend, case):
    if "autodiff" in backend.gaps() or case.dtype in backend.gaps():
        pytest.skip("no automatic differentiation, or not of this dtype")
    spec = bnspec.BatchNorm(
        axis=case.axis, epsilon=case.epsilon, momentum=case.take, center=case.center, scale=case.scale
    )
    with backend.context():
        xp = backend.namespace()
        params = bnspec.Params(*send(backend, (case.gamma, case.beta)))
        state = bnspec.State(*send(backend, (case.moving_mean, case.moving_variance, np.asarray(0, np.int32))))
        weight = backend.asarray(case.cotangent)

        def forward(values):
            y, _ = spec.apply(params, state, values[0], training=True, weights=values[1])
            return paired(y, weight, xp)

        given = (backend.asarray(case.training[-1]), backend.asarray(case.weights[-1]))
        _, gradients = backend.value_and_grad(forward)(given)
        expected, checks = expectation.gradients(case, KERAS, True, DEFINITION, chained=True), Checks()
        for name, seen, dtype in zip(("x", "weights"), gradients, (case.dtype, case.parameter_dtype), strict=True):
            checks.close(name, receive(backend, seen), *expected[name], dtype)


@pytest.mark.parametrize(
    ("weights", "error", "shown"),
    [
        (W[:, 0], ValueError, r"weights must have the rank of x .*x=\(6, 3\), weights=\(6,\)"),
        (W[:5], ValueError, r"weights=\(5, 1\)"),
        (np.ones((6, 1), np.int32), TypeError, "weights must be real floating"),
        (W.astype(bool), TypeError, "weights must be real floating"),
        ([1.0], TypeError, "weights must be an array of a known library"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_no_weight_is_refused(weights, error, shown, training):
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=X)
    with pytest.raises(error, match=shown):
        spec.apply(params, state, X, training=training, weights=weights)


def test_a_negative_weight_shows_and_spoils_no_average():
    x, weights = np.asarray([[1.0, 2.0], [3.0, 5.0], [4.0, 9.0]]), np.asarray([[1.0, 1.0], [-0.5, 1.0], [1.0, 1.0]])
    spec = bnspec.BatchNorm()
    params, state = spec.init(x.shape, like=x)
    y, after = spec.apply(params, state, x, training=True, weights=weights)
    assert np.isnan(y[:, 0]).all()
    assert np.isfinite(y[:, 1]).all()
    assert after.moving_mean[0] == 0.0
    assert after.moving_variance[0] == 1.0
    assert after.moving_mean[1] != 0.0
