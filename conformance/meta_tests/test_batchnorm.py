"""The definition: configuration, what is returned, and agreement with the originals."""

import inspect
from collections import namedtuple

import numpy as np
import pytest

import bnspec
from bnspec.conventions import KERAS, TORCH

X = np.random.default_rng(5).normal(2.0, 3.0, (6, 3)).astype(np.float32)


def test_defaults_are_the_conventions():
    keras, torch = bnspec.BatchNorm(), bnspec.BatchNorm(convention=TORCH)
    assert (keras.axis, keras.momentum, keras.epsilon, keras.convention) == (-1, 0.99, 1e-3, KERAS)
    assert (torch.axis, torch.momentum, torch.epsilon) == (1, 0.1, 1e-5)
    assert bnspec.BatchNorm(convention=TORCH, momentum=None).momentum is None
    assert bnspec.BatchNorm(axis=[1]).axis == 1
    assert bnspec.BatchNorm(axis=[3, 1]).axis == (3, 1)
    assert bnspec.BatchNorm(epsilon=np.float32(0.5)).epsilon == 0.5
    assert "DEFAULT" not in repr(bnspec.BatchNorm())
    assert "= DEFAULT" in str(inspect.signature(bnspec.BatchNorm))


def test_a_configuration_is_a_frozen_value():
    spec = bnspec.BatchNorm(momentum=0.5)
    assert spec == bnspec.BatchNorm(momentum=0.5)
    assert hash(spec) == hash(bnspec.BatchNorm(momentum=0.5))
    with pytest.raises(AttributeError):
        spec.momentum = 0.7


def test_initial_values(backend):
    like = backend.asarray(X)
    params, state = bnspec.BatchNorm(axis=(1, 3)).init((2, 3, 4, 5), like=like)
    for value, expected in ((params.gamma, 1), (params.beta, 0), (state.moving_mean, 0), (state.moving_variance, 1)):
        assert backend.owns(value)
        seen = backend.to_numpy(value)
        assert seen.dtype == np.float32
        np.testing.assert_array_equal(seen, np.full((1, 3, 1, 5), expected))
    assert backend.to_numpy(state.num_batches) == 0
    params, _ = bnspec.BatchNorm(center=False, scale=False).init((2, 3), like=like)
    assert params == (None, None)


def test_no_two_leaves_share_memory(backend):
    like = backend.asarray(X)
    leaves = [leaf for part in bnspec.BatchNorm().init(X.shape, like=like) for leaf in part if leaf is not None]
    assert len({id(leaf) for leaf in leaves}) == 5
    if backend.framework in ("numpy", "torch"):
        leaves[0] -= 0.5
        leaves[1] -= 0.5
        np.testing.assert_array_equal(backend.to_numpy(leaves[2]), np.zeros(3))
        np.testing.assert_array_equal(backend.to_numpy(leaves[3]), np.ones(3))


def test_the_state_keeps_nothing_of_torch_s_graph():
    torch = pytest.importorskip("torch")
    spec = bnspec.BatchNorm(convention=TORCH)
    x = torch.tensor(X)
    params, state = spec.init(X.shape, like=x)
    params = bnspec.Params(*(torch.nn.Parameter(leaf) for leaf in params))
    for _ in range(3):
        y, state = spec.apply(params, state, x * params.gamma, training=True)
        y.sum().backward()
        assert not any(leaf.requires_grad for leaf in state if leaf is not None)
    spec.apply(params, state, x, training=False)[0].sum().backward()


def test_a_state_of_another_named_tuple_is_taken():
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=X)
    reloaded = namedtuple("Reloaded", state._fields)(*state)  # noqa: PYI024 - as TensorFlow makes them
    np.testing.assert_array_equal(
        spec.apply(params, reloaded, X, training=True)[0], spec.apply(params, state, X, training=True)[0]
    )


@pytest.mark.parametrize("momentum", [0.75, None])
def test_no_gradient_passes_the_new_state(backend, momentum):
    if "autodiff" in backend.gaps():
        pytest.skip(backend.gaps()["autodiff"])
    spec = bnspec.BatchNorm(momentum=momentum)
    with backend.context():
        x = backend.asarray(X)
        params, state = spec.init(X.shape, like=x)
        xp = backend.namespace()

        def total(values):
            y, after = spec.apply(params, state, values[0], training=True)
            return xp.sum(after.moving_mean + after.moving_variance) + 0.0 * xp.sum(y)

        value, (gradient,) = backend.value_and_grad(total)((x,))
        assert backend.to_numpy(value) != 0
        assert not backend.to_numpy(gradient).any()


def test_an_array_that_no_backend_is_for_is_normalized_in_training():
    array = pytest.importorskip("dask.array")
    spec = bnspec.BatchNorm(momentum=0.75)
    params, state = spec.init(X.shape, like=X)
    wanted, after = spec.apply(params, state, X, training=True)
    given = (type(part)(*(leaf if leaf is None else array.asarray(leaf) for leaf in part)) for part in (params, state))
    y, found = spec.apply(*given, array.asarray(X), training=True)
    np.testing.assert_array_equal(y.compute(), wanted)
    np.testing.assert_array_equal(found.moving_variance.compute(), after.moving_variance)


def test_a_device_scope_inside_a_graph_is_the_same_device():
    tf = pytest.importorskip("tensorflow")
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=tf.constant(X))

    def call(x):
        with tf.device("/CPU:0"):
            return spec.apply(params, state, x * 1.0, training=True)[0]

    assert tf.function(call, autograph=False)(tf.constant(X)).shape == X.shape


def test_evaluation_returns_the_same_state(backend):
    x = backend.asarray(X)
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=x)
    assert spec.apply(params, state, x, training=False)[1] is state


def test_an_empty_batch_counts_as_the_convention_says(backend):
    x = backend.asarray(X[:0])
    for convention, counted in ((KERAS, 0), (TORCH, 1)):
        spec = bnspec.BatchNorm(convention=convention)
        params, state = spec.init(X.shape, like=x)
        y, after, pullback = spec.vjp(params, state, x, training=True)
        assert backend.to_numpy(y).shape == (0, 3)
        assert int(after.num_batches) == counted
        assert after.moving_mean is state.moving_mean
        assert after.moving_variance is state.moving_variance
        gradients = pullback(y)
        assert backend.to_numpy(gradients.x).shape == (0, 3)
        np.testing.assert_array_equal(backend.to_numpy(gradients.gamma), np.zeros(3))


def test_state_and_parameters_keep_their_dtype():
    spec = bnspec.BatchNorm(axis=-1, convention=TORCH)
    params, state = spec.init(X.shape, like=X)
    wide = state._replace(moving_mean=state.moving_mean.astype(np.float64))
    half = params._replace(gamma=params.gamma.astype(np.float16))
    y, after, pullback = spec.vjp(half, wide, X, training=True)
    assert (y.dtype, after.moving_mean.dtype, after.moving_variance.dtype) == (np.float32, np.float64, np.float32)
    gradients = pullback(X)
    assert (gradients.x.dtype, gradients.gamma.dtype, gradients.beta.dtype) == (np.float32, np.float16, np.float32)
    assert gradients.moving_mean.dtype == np.float64


def test_gradients_of_absent_parameters_are_absent():
    spec = bnspec.BatchNorm(center=False, scale=False)
    params, state = spec.init(X.shape, like=X)
    gradients = spec.vjp(params, state, X, training=True)[2](X)
    assert (gradients.gamma, gradients.beta) == (None, None)
    np.testing.assert_array_equal(gradients.moving_mean, np.zeros(3))


def test_a_tensorflow_variable_is_an_array():
    tf = pytest.importorskip("tensorflow")
    spec = bnspec.BatchNorm()
    x = tf.constant(X)
    params, state = spec.init(X.shape, like=x)
    variables = bnspec.Params(tf.Variable(params.gamma), tf.Variable(params.beta))
    y, _ = spec.apply(variables, state, x, training=True)
    np.testing.assert_array_equal(y.numpy(), spec.apply(params, state, x, training=True)[0].numpy())


def test_the_name_of_batch_normalization_changes_nothing():
    arguments = (X, X[0], X[1] ** 2, X[2], X[3], 1e-3)
    np.testing.assert_array_equal(
        bnspec.batch_normalization(*arguments), bnspec.batch_normalization(*arguments, name="layer")
    )
