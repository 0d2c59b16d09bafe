"""The layer computes what the definition computes, to the bit, whatever its arguments are."""

import numpy as np
import pytest

import bnspec
from bnspec import conventions
from bnspec.layers import BatchNormalization, Constant
from bnspec_conformance.definition import receive

from .layer_helpers import SECOND, W, X, assert_steps_as_the_definition, bits, split, values

ARGUMENTS = {
    "default": {},
    "axis": {"axis": 1},
    "axes": {"axis": [0, -1]},
    "momentum": {"momentum": 0.7},
    "cumulative": {"momentum": None},
    "epsilon": {"epsilon": 4.0},
    "no center": {"center": False},
    "no scale": {"scale": False},
    "no affine": {"center": False, "scale": False},
    "renorm": {"renorm": True},
    "clipped renorm": {
        "renorm": True,
        "renorm_clipping": {"rmax": 1.5, "rmin": 0.5, "dmax": np.float32(0.25)},
        "renorm_momentum": 0.5,
    },
    "ghosts": {"virtual_batch_size": 2},
    "ghosts and renorm": {"virtual_batch_size": 3, "renorm": True, "renorm_clipping": {"rmax": None}},
    "torch": {"convention": "torch"},
    "keras": {"convention": conventions.KERAS},
    "haiku": {"convention": "haiku", "momentum": 0.9},
    "not fused": {"fused": False},
    "fused": {"fused": True},
}


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_the_layer_is_the_definition(backend, arguments):
    moved = {"gamma_initializer": Constant(1.75), "beta_initializer": Constant(-0.5)}
    assert_steps_as_the_definition(backend, BatchNormalization(**moved, **arguments), [X, SECOND])


@pytest.mark.parametrize("arguments", [{}, {"renorm": True}, {"virtual_batch_size": 3}, {"axis": 1}], ids=str)
def test_the_layer_is_the_definition_with_weights(backend, arguments):
    assert_steps_as_the_definition(backend, BatchNormalization(**arguments), [X, SECOND], weights=backend.asarray(W))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_dtype_of_the_first_input_decides(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip("not of this dtype")
    kind = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype
    layer = BatchNormalization()
    assert layer.dtype is None
    assert_steps_as_the_definition(backend, layer, [X.astype(kind)])
    assert layer.dtype == dtype
    assert values(layer)["gamma"].dtype == ("float64" if dtype == "float64" else "float32")


def test_defaults_are_those_of_tf_layers():
    layer = BatchNormalization()
    spec = bnspec.BatchNorm(axis=-1, momentum=0.99, epsilon=0.001, convention=conventions.TF_LAYERS)
    assert layer.spec == spec
    assert layer.name == "batch_normalization"
    assert layer.trainable


def test_what_is_not_given_is_the_conventions():
    spec = BatchNormalization(convention="torch").spec
    assert (spec.axis, spec.momentum, spec.epsilon) == (1, 0.1, 1e-5)
    assert BatchNormalization(convention="torch", renorm=True).spec.renorm.momentum == 0.01
    assert BatchNormalization(renorm=True).spec.renorm.momentum == 0.99
    layer = BatchNormalization(convention="haiku", momentum=0.9)
    layer.build((None, 3), like=X)
    assert (values(layer)["moving_variance"] == layer.spec.convention.initial_variance).all()


def test_a_first_call_in_evaluation_changes_no_average(backend):
    layer = BatchNormalization()
    y = receive(backend, layer(backend.asarray(X)))
    assert y.shape == X.shape
    assert values(layer)["num_batches"] == 0
    assert not values(layer)["moving_mean"].any()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("arguments", [{}, {"renorm": True}], ids=str)
def test_an_array_says_whether_it_is_training(backend, training, arguments):
    layer, other = BatchNormalization(**arguments), BatchNormalization(**arguments)
    x = backend.asarray(X)
    seen = layer(x, training=backend.namespace().asarray(training))
    expected = other(x, training=training)
    np.testing.assert_array_equal(receive(backend, seen), receive(backend, expected))
    for name, value in values(layer).items():
        np.testing.assert_array_equal(value, values(other)[name])


@pytest.mark.parametrize("shape", [(6, 4), (6, 1, 1), (6, 4, 1), (1, 4, 3)], ids=str)
def test_a_mask_is_weights_of_0_and_1(backend, shape):
    mask = np.random.default_rng(2).integers(0, 2, shape).astype(bool)
    laid = mask[..., None] if mask.ndim == 2 else mask
    masked, weighted = BatchNormalization(), BatchNormalization()
    x = backend.asarray(X)
    seen = masked(x, training=True, mask=backend.namespace().asarray(mask))
    expected = weighted(x, training=True, weights=backend.asarray(laid.astype(np.float32)))
    assert bits(backend, seen) == bits(backend, expected)
    assert bits(backend, tuple(split(masked)[1])) == bits(backend, tuple(split(weighted)[1]))


def test_a_mask_without_the_feature_axis_is_laid_along_the_others():
    mask = np.asarray([[True, False, True]] * 6)
    masked, weighted = BatchNormalization(axis=1), BatchNormalization(axis=1)
    seen = masked(X, training=True, mask=mask)
    np.testing.assert_array_equal(seen, weighted(X, training=True, weights=mask[:, None].astype(np.float32)))
    assert values(masked)["moving_mean"].tobytes() == values(weighted)["moving_mean"].tobytes()


def adjust_by_shape(backend, seen):
    def adjustment(shape):
        seen.append(shape)
        assert tuple(shape[-1:]) == (3,)
        scale = np.asarray([0.93, 1.07, 1.5], np.float32)
        return backend.asarray(scale), backend.asarray(scale - 1)

    return adjustment


def test_an_adjustment_is_of_training_alone(backend):
    seen = []
    layer, plain = (BatchNormalization(adjustment=one) for one in (adjust_by_shape(backend, seen), None))
    x = backend.asarray(X)
    assert bits(backend, layer(x)) == bits(backend, plain(x))
    assert not seen
    params, state = split(layer)
    pair = adjust_by_shape(backend, [])(X.shape)
    expected, after = layer.spec.apply(params, state, x, training=True, adjustment=pair)
    assert bits(backend, layer(x, training=True)) == bits(backend, expected)
    assert bits(backend, tuple(split(layer)[1])) == bits(backend, tuple(after))
    assert seen == [X.shape]
    layer(x, training=backend.namespace().asarray(False))
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("convention", "averages"), [("tf-layers", True), ("tf-keras", False), ("torch", True)], ids=str
)
def test_what_trainable_false_does_is_the_conventions(convention, averages):
    x = X[:, :3]
    layer, other = BatchNormalization(convention=convention, trainable=False), BatchNormalization(convention=convention)
    y = layer(x, training=True)
    np.testing.assert_array_equal(y, other(x, training=averages))
    assert values(layer)["num_batches"] == averages
    assert layer.trainable_variables == []
    assert layer.non_trainable_variables == layer.variables
    layer.trainable = True
    assert [variable.name for variable in layer.trainable_variables] == ["gamma", "beta"]
    layer(x, training=True)
    assert values(layer)["num_batches"] == averages + 1


@pytest.mark.parametrize("defer", [False, True])
def test_averages_may_stand_still_while_the_batch_normalizes(backend, defer):
    x = backend.asarray(X)
    arguments = {"convention": "keras-2", "defer_updates": defer}
    layer, other = BatchNormalization(trainable=False, **arguments), BatchNormalization(**arguments)
    layer.build(X.shape, like=x)
    before = values(layer)
    assert bits(backend, layer(x, training=True)) == bits(backend, other(x, training=True))
    for update in layer.updates:
        update()
    y, after = layer.stateless_call([], [variable.value for variable in layer.variables], x, training=True)
    assert bits(backend, y) == bits(backend, other(x, training=True))
    assert bits(backend, tuple(after)) == [variable.numpy().tobytes() for variable in layer.variables]
    assert all((values(layer)[name] == value).all() for name, value in before.items())


def test_a_call_changes_no_array_of_the_caller(backend):
    layer = BatchNormalization()
    x, weights = backend.asarray(X), backend.asarray(W)
    before = bits(backend, (x, weights))
    layer(x, training=True, weights=weights)
    layer(x, training=True, weights=weights)
    assert bits(backend, (x, weights)) == before


def test_an_output_of_the_conventions_dtype():
    layer = BatchNormalization(convention="keras", dtype="float64")
    layer.build(X.shape, like=X)
    params, state = split(layer)
    seen, _ = layer.spec.apply(params, state, X, training=True)
    assert layer(X, training=True).dtype == seen.dtype
