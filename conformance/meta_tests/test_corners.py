"""Corners in which parts of the definition and of the layer meet."""

from dataclasses import replace

import numpy as np
import pytest

import bnspec
from bnspec.conventions import CAFFE, EQUINOX_BATCH, FLAX, HAIKU, KERAS
from bnspec.layers import BatchNormalization

X = np.arange(8.0).reshape(4, 2)


@pytest.mark.parametrize("update", ["mean", "merged", "each"])
@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_a_weight_without_meaning_in_one_ghost_batch_keeps_the_averages(update, bad):
    spec = bnspec.BatchNorm(convention=replace(KERAS, ghost_update=update), virtual_batch_size=2)
    params, state = spec.init(X.shape, like=X)
    weights = np.asarray([[bad, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    y, after = spec.apply(params, state, X, training=True, weights=weights)
    assert np.isnan(y[:2, 0]).all()
    assert np.isfinite(y[:, 1]).all()
    assert (after.moving_mean[0], after.moving_variance[0]) == (0.0, 1.0)
    assert after.moving_mean[1] != 0.0


def test_the_first_debiased_batch_leaves_nothing_of_the_initial_state():
    x = np.asarray([[1.0], [2.0], [4.0]], np.float32) * np.float32(1e-5)
    for momentum in (0.9, 0.99, 0.999):
        spec = bnspec.BatchNorm(axis=1, momentum=momentum, convention=EQUINOX_BATCH)
        params, state = spec.init(x.shape, like=x)
        _, after = spec.apply(params, state, x, training=True)
        assert after.moving_variance[0] == bnspec.moments(x, 0)[1][0]


@pytest.mark.parametrize("convention", [HAIKU, CAFFE])
def test_a_momentum_that_keeps_less_than_a_rounding(convention):
    spec = bnspec.BatchNorm(axis=1, momentum=1e-20, convention=convention)
    params, state = spec.init(X.shape, like=X)
    _, after = spec.apply(params, state, X, training=True)
    np.testing.assert_array_equal(after.moving_mean, X.mean(axis=0))
    assert bnspec.convert(after, spec, spec, keep="statistics").state.moving_mean.tolist() == [3.0, 4.0]


def test_weights_change_neither_the_precision_of_evaluation_nor_the_promoted_dtype():
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    spec = bnspec.BatchNorm()
    params, state = spec.init(x.shape, like=x)
    _, state = spec.apply(params, state, x, training=True)
    plain, _ = spec.apply(params, state, x, training=False)
    weighted, _ = spec.apply(params, state, x, training=False, weights=np.ones((64, 1)))
    assert plain.tobytes() == weighted.tobytes()
    spec = bnspec.BatchNorm(convention=FLAX)
    half = x.astype(np.float16)
    params, state = spec.init(x.shape, like=half)
    y, _ = spec.apply(params, state, half, training=True, weights=np.ones((64, 1)))
    assert y.dtype == np.float32


def test_empty_ghost_batches_are_counted_each():
    convention = replace(KERAS, ghost_update="each", empty_batch="count")
    spec = bnspec.BatchNorm(axis=-1, convention=convention, virtual_batch_size=2)
    params, state = spec.init((4, 0, 3), like=np.zeros((4, 0, 3)))
    for shape, counted in (((4, 0, 3), 2), ((0, 5, 3), 0)):
        _, after = spec.apply(params, state, np.zeros(shape), training=True)
        assert after.num_batches == counted


def test_an_empty_batch_needs_no_weight():
    assert BatchNormalization()(np.ones((0, 3)), training=True, weights=np.zeros((1, 1))).shape == (0, 3)


def test_constraints_and_penalties_of_half_precision():
    from bnspec.layers import L2, MaxNorm, UnitNorm  # noqa: PLC0415

    assert UnitNorm()(np.zeros(3, np.float16)).tolist() == [0.0, 0.0, 0.0]
    limited = MaxNorm(100.0)(np.full(512, 12.0, np.float16))
    assert limited.dtype == np.float16
    assert abs(float(limited[0]) - 100.0 / 512**0.5) < 4.42 * np.finfo(np.float16).eps
    assert abs(float(L2(0.01)(np.full(512, 12.0, np.float16))) - 737.28) < 738 * np.finfo(np.float16).eps


def values(layer):
    return [[each.value for each in part] for part in (layer.trainable_variables, layer.non_trainable_variables)]


def test_weights_pass_compilers_without_being_looked_at():
    jax = pytest.importorskip("jax")
    x, weights = jax.numpy.asarray(X, "float32"), jax.numpy.asarray([[1.0], [0.0], [2.0], [1.0]], "float32")
    layer = BatchNormalization()
    layer.build(X.shape, like=x)
    given = [
        [variable.value for variable in part] for part in (layer.trainable_variables, layer.non_trainable_variables)
    ]
    wanted, _ = layer.stateless_call(*given, x, training=True, weights=weights)
    y = jax.jit(lambda x: layer.stateless_call(*given, x, training=True, weights=weights)[0])(x)
    assert np.abs(np.asarray(y - wanted)).max() <= 16 * np.finfo(np.float32).eps
    assert jax.jit(lambda x: layer(x, weights=weights))(x).shape == X.shape
    torch = pytest.importorskip("torch")
    x, weights = torch.asarray(X), torch.asarray([[1.0], [0.0], [2.0], [1.0]]).double()
    layer = BatchNormalization()
    layer.build(X.shape, like=x)
    given = [
        [variable.value for variable in part] for part in (layer.trainable_variables, layer.non_trainable_variables)
    ]

    def call(x, weights):
        return layer.stateless_call(*given, x, training=True, weights=weights)[0]

    both = torch.func.vmap(call)(torch.stack([x, x]), torch.stack([weights, weights]))
    torch.testing.assert_close(both[1], call(x, weights))


def test_ghost_batches_of_an_unknown_number_cannot_each_update():
    tf = pytest.importorskip("tensorflow")
    spec = bnspec.BatchNorm(convention=replace(KERAS, ghost_update="each"), virtual_batch_size=2)
    x = tf.constant(X)
    params, state = spec.init(X.shape, like=x)
    call = tf.function(lambda x: spec.apply(params, state, x, training=True)[0], autograph=False)
    with pytest.raises(ValueError, match=r"the number of samples must be known where each ghost batch updates"):
        call.get_concrete_function(tf.TensorSpec((None, 2), tf.float64))
