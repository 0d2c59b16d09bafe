"""Batch normalization as a bijector: which statistics, which log-det, and when the averages move."""

from dataclasses import replace

import numpy as np
import pytest

import bnspec
from bnspec import conventions
from bnspec.bijectors import BatchNorm, BatchNormalization, Bijector, Chain, Invert
from bnspec.layers import BatchNormalization as Layer
from bnspec_conformance.definition import receive

from .layer_helpers import SECOND, X, assert_rounded, bits, values

GAMMA = np.asarray([1.5, -2.0, 0.5], np.float32)
AXES = {"last": (-1, (3,)), "first": (0, (6,)), "inner": (1, (4,)), "several": ((0, 2), (6, 1, 3))}


def layer_of(backend, axis=-1, shape=(3,), **arguments):
    """A layer off every fixed point."""
    layer = Layer(axis=axis, momentum=0.75, epsilon=0.25, **arguments)
    layer.build(X.shape, like=backend.asarray(X))
    size = int(np.prod(shape))
    settings = {
        "gamma": np.resize(GAMMA, shape),
        "beta": np.linspace(-1, 1, size).reshape(shape),
        "moving_mean": np.linspace(2, 3, size).reshape(shape),
        "moving_variance": np.linspace(1, 4, size).reshape(shape),
    }
    for name, value in settings.items():
        if getattr(layer, name) is not None:
            getattr(layer, name).assign(np.asarray(value, np.float32))
    return layer


def slope_logs(layer, x, training, axis):
    """log |gamma| - log(variance + epsilon) / 2 of each element, in float64."""
    axes = tuple(each % x.ndim for each in (axis if isinstance(axis, tuple) else (axis,)))
    others = tuple(each for each in range(x.ndim) if each not in axes)
    shape = tuple(size if each in axes else 1 for each, size in enumerate(x.shape))
    kept = {name: value.astype(np.float64) for name, value in values(layer).items()}
    variance = x.astype(np.float64).var(others) if training else kept["moving_variance"]
    gamma = kept.get("gamma", np.ones(1))
    gamma = np.broadcast_to(gamma, variance.shape) if gamma.size == 1 else gamma
    found = np.log(np.abs(gamma.reshape(shape))) - np.log(variance.reshape(shape) + layer.spec.epsilon) / 2
    return np.broadcast_to(found, x.shape)


@pytest.mark.parametrize("event_ndims", [None, 2, 3])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("axis", AXES)
def test_the_log_det_is_that_of_the_statistics_that_normalize(backend, axis, training, event_ndims):
    axis, shape = AXES[axis]
    layer = layer_of(backend, axis, shape)
    bijector = BatchNormalization(layer, training=training)
    least = len(shape) - 1 if len(shape) > 1 else 1
    assert bijector.forward_min_event_ndims == bijector.inverse_min_event_ndims == least
    ndims = least if event_ndims is None else event_ndims
    logs = slope_logs(layer, X, training, axis)
    expected = logs.sum(axis=tuple(range(X.ndim - ndims, X.ndim)))
    size = np.abs(logs).sum(axis=tuple(range(X.ndim - ndims, X.ndim)))
    found = receive(backend, bijector.inverse_log_det_jacobian(backend.asarray(X), event_ndims))
    assert found.shape == expected.shape
    assert found.dtype == "float32"
    assert_rounded(found - expected + size, size, 40)


@pytest.mark.parametrize("scale", [True, False])
def test_value_and_log_det_of_each_direction_belong_together(backend, scale):
    layer = layer_of(backend, scale=scale)
    bijector, x = BatchNormalization(layer, training=False), backend.asarray(X)
    y, log_det = bijector.inverse_and_log_det(x, event_ndims=2)
    assert bits(backend, y) == bits(backend, layer(x, training=False)) == bits(backend, bijector.inverse(x))
    assert bits(backend, log_det) == bits(backend, bijector.inverse_log_det_jacobian(x, 2))
    back, undone = bijector.forward_and_log_det(y, event_ndims=2)
    assert_rounded(receive(backend, back) - X + 10, 10, 40)
    assert_rounded(receive(backend, undone) + receive(backend, log_det) + 10, 10, 40)
    assert bits(backend, undone) == bits(backend, bijector.forward_log_det_jacobian(y, 2))


def test_forward_takes_the_averages_in_training_too(backend):
    layer = layer_of(backend)
    training, evaluation = BatchNormalization(layer), BatchNormalization(layer, training=False)
    x = backend.asarray(X)
    assert bits(backend, training.forward(x)) == bits(backend, evaluation.forward(x))
    assert bits(backend, training.forward_log_det_jacobian(x)) == bits(backend, evaluation.forward_log_det_jacobian(x))
    assert bits(backend, training.inverse(x)) != bits(backend, evaluation.inverse(x))


@pytest.mark.parametrize("composed", [lambda one: one, lambda one: Chain([one]), lambda one: Invert(Invert(one))])
def test_the_averages_move_once_with_each_inverse_and_at_no_other_time(backend, composed):
    layer, x = layer_of(backend), backend.asarray(X)
    bijector = composed(BatchNormalization(layer))
    start = values(layer)
    for call in (
        lambda: bijector.forward(x),
        lambda: bijector.forward_and_log_det(x),
        lambda: bijector.forward_log_det_jacobian(x),
        lambda: bijector.inverse_log_det_jacobian(x),
        lambda: bijector.inverse_event_shape((3,)),
        lambda: bijector.inverse(x, training=False),
        lambda: bijector.inverse_and_log_det(x, training=False),
    ):
        call()
        assert all((values(layer)[name] == value).all() for name, value in start.items())
    expected = layer_of(backend)
    for number, call in enumerate((bijector.inverse, bijector.inverse_and_log_det, bijector.inverse), 1):
        call(x)  # the same array again: there is no cache
        expected(x, training=True)
        assert {name: value.tobytes() for name, value in values(layer).items()} == {
            name: value.tobytes() for name, value in values(expected).items()
        }
        assert values(layer)["num_batches"] == number


@pytest.mark.parametrize(
    ("convention", "by_batch", "moves"),
    [
        (conventions.TF_LAYERS, True, True),
        (conventions.KERAS, False, False),
        (conventions.KERAS_2, True, False),
        (conventions.TORCH, True, True),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_frozen_layer_follows_its_convention(backend, convention, by_batch, moves):
    layer, x = layer_of(backend, convention=convention, trainable=False), backend.asarray(X)
    bijector, before = BatchNormalization(layer), values(layer)
    logs = slope_logs(layer, X, by_batch, -1).sum(-1)
    y, log_det = bijector.inverse_and_log_det(x)
    assert_rounded(receive(backend, log_det) - logs + 10, 10, 40)
    other = layer_of(backend, convention=convention)
    assert bits(backend, y) == bits(backend, other(x, training=by_batch))
    assert moves == any((values(layer)[name] != value).any() for name, value in before.items())


def test_an_adjustment_enters_the_log_det(backend):
    scale, x = np.asarray([0.5, -4.0, 2.0], np.float32), backend.asarray(X)
    pair = (backend.asarray(scale), backend.asarray(np.zeros(3, np.float32)))
    plain = BatchNormalization(layer_of(backend)).inverse_and_log_det(x)
    adjusted = BatchNormalization(layer_of(backend, adjustment=lambda shape: pair)).inverse_and_log_det(x)
    expected = receive(backend, plain[1]) + np.log(np.abs(scale)).sum(dtype=np.float64)
    assert_rounded(receive(backend, adjusted[1]) - expected + 10, 10, 40)
    still = BatchNormalization(layer_of(backend, adjustment=lambda shape: pair), training=False)
    assert bits(backend, still.inverse_log_det_jacobian(x)) == bits(
        backend, BatchNormalization(layer_of(backend), training=False).inverse_log_det_jacobian(x)
    )


def test_the_averages_that_normalize_are_those_of_the_log_det(backend):
    convention = replace(conventions.NFLOWS, name="averages", statistics="running")
    layer, x = layer_of(backend, convention=convention), backend.asarray(X)
    found = receive(backend, BatchNormalization(layer).inverse_and_log_det(x)[1])
    assert_rounded(found - slope_logs(layer, X, False, -1).sum(-1) + 10, 10, 40)  # after the batch has entered


@pytest.mark.parametrize("training", [True, False])
def test_it_can_be_compiled_as_a_pure_function(backend, training):
    if "compile" in backend.gaps():
        pytest.skip("has no compiler")
    bijector, x = Chain([BatchNormalization(layer_of(backend), training=training)]), backend.asarray(X)
    trainable = tuple(variable.value for variable in bijector.trainable_variables)
    others = tuple(variable.value for variable in bijector.non_trainable_variables)
    before = bits(backend, (*trainable, *others))

    def step(trainable, others, x):
        return bijector.stateless_call(trainable, others, x, 2, method="inverse_and_log_det")

    bijector.inverse_log_det_jacobian(x)
    (y, log_det), after = backend.compile(step)(trainable, others, x)
    assert bits(backend, (*trainable, *others)) == before
    (expected, wanted), moved = step(trainable, others, x)
    assert_rounded(receive(backend, y) - receive(backend, expected) + 10, 10, 40)
    assert_rounded(receive(backend, log_det) - receive(backend, wanted) + 10, 10, 40)
    for seen, value in zip(after, moved, strict=True):
        assert_rounded(receive(backend, seen), receive(backend, value), 8)
    assert (bits(backend, tuple(moved)) != before[2:]) == training


def test_the_log_det_has_the_gradient_of_the_batch(backend):
    """By the input: through the variance in training, and none in evaluation."""
    if "autodiff" in backend.gaps():
        pytest.skip("has no automatic differentiation")
    xp = backend.namespace()
    for training in (True, False):
        bijector = BatchNormalization(layer_of(backend), training=training)

        def loss(arrays, bijector=bijector):
            return xp.sum(bijector.inverse_log_det_jacobian(arrays[0], 3))

        bijector.inverse_log_det_jacobian(backend.asarray(X))
        _, (found,) = backend.value_and_grad(loss)((backend.asarray(X),))
        rows = X.astype(np.float64)
        centred = rows - rows.mean((0, 1))
        # The sum of 24 equal logs, each -log(variance + epsilon) / 2, and dv/dx = 2 (x - mean) / 24.
        expected = -centred / (rows.var((0, 1)) + 0.25) if training else np.zeros_like(rows)
        assert_rounded(receive(backend, found) - expected + 10, 10, 40)


def test_the_default_layer_keeps_gamma_positive_by_its_constraint():
    bijector = BatchNormalization()
    bijector.inverse(X)
    assert [variable.name for variable in bijector.trainable_variables] == ["gamma", "beta"]
    bijector.batchnorm.gamma.assign(np.asarray([-1.0, 0.0, 2.0], np.float32))
    bijector.apply_constraints()
    assert (bijector.batchnorm.gamma.value == np.asarray([1e-6, 1e-6, 2.000001], np.float32)).all()


def test_copies_share_the_layer_and_defaults_do_not():
    bijector = BatchNormalization()
    bijector.inverse(X)
    twin = bijector.copy(training=False)
    assert twin.batchnorm is bijector.batchnorm
    assert not twin.training
    assert bijector == bijector.copy(name="another")
    assert bijector != twin
    assert BatchNormalization() != BatchNormalization()
    assert BatchNorm is BatchNormalization
    assert isinstance(bijector, Bijector)
    assert bijector.name == "batch_normalization"
    assert not bijector.is_constant_jacobian
    assert bijector.dtype is None


def test_half_precision_goes_with_variables_of_float32(backend):
    if "float16" in backend.gaps():
        pytest.skip("has no float16")
    half = X.astype(np.float16)
    bijector = BatchNormalization(layer_of(backend))
    y, log_det = bijector.inverse_and_log_det(backend.asarray(half))
    assert receive(backend, y).dtype == receive(backend, log_det).dtype == "float16"
    assert values(bijector.batchnorm)["moving_mean"].dtype == "float32"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: BatchNormalization(object()), ValueError, r"batchnorm_layer must be a bnspec\.layers\.BatchNormal"),
        (lambda: BatchNormalization(bnspec.BatchNorm()), ValueError, r"batchnorm_layer must be .*type='bnspec\.batch"),
        (
            lambda: BatchNormalization(Layer(renorm=True)),
            ValueError,
            r"batchnorm_layer must have no renorm\. Got renorm=",
        ),
        (
            lambda: BatchNormalization(Layer(virtual_batch_size=2)),
            ValueError,
            r"batchnorm_layer must have no virtual_batch_size\. Got virtual_batch_size=2\.",
        ),
        (lambda: BatchNormalization(training=None), TypeError, r"training must be a bool\. Got training=None\."),
        (lambda: BatchNormalization(training=1), TypeError, r"training must be a bool\. Got training=1\."),
        (
            lambda: BatchNormalization().inverse(X, train=True),
            TypeError,
            r"condition='train'\. Did you mean 'training'",
        ),
        (lambda: BatchNormalization().inverse(X, training=1), TypeError, r"training must be"),
        (lambda: BatchNormalization().inverse_log_det_jacobian(X, 0), ValueError, r"event_ndims must be at least 1"),
        (lambda: BatchNormalization(Layer(axis=5)).inverse(X), ValueError, r"axis must be in \[-3, 2\]"),
        (lambda: BatchNormalization()(np.zeros((2, 3), np.int32)), TypeError, r"x must be real floating"),
    ],
)
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_another_size_and_another_precision_are_refused_before_anything_moves():
    bijector = BatchNormalization()
    bijector.inverse(X)
    before = values(bijector.batchnorm)
    with pytest.raises(ValueError, match=r"must have the shape|shape"):
        bijector.inverse(SECOND[..., :2])
    with pytest.raises(TypeError, match=r"one precision\. Got x='float64', variables='float32'"):
        bijector.inverse(X.astype(np.float64))
    with pytest.raises(TypeError, match=r"one precision\. Got x='float64', variables='float32'"):
        bijector.forward(X.astype(np.float64))
    assert all((values(bijector.batchnorm)[name] == value).all() for name, value in before.items())


def test_a_gamma_of_zero_is_refused_where_values_are_checked():
    bijector = BatchNormalization(validate_args=True)
    bijector.inverse(X)
    bijector.batchnorm.gamma.assign(np.asarray([1.0, 0.0, 2.0], np.float32))
    with pytest.raises(ValueError, match=r"gamma must not be 0"):
        bijector.forward(X)


def test_a_gamma_without_values_is_not_checked():
    jax = pytest.importorskip("jax")
    bijector = BatchNormalization(validate_args=True)
    x = jax.numpy.asarray(X)
    expected = bijector.inverse(x, training=False)
    others = [variable.value for variable in bijector.non_trainable_variables]

    def call(trainable):
        return bijector.stateless_call(trainable, others, x, training=False, method="inverse")[0]

    found = jax.vmap(call)([jax.numpy.stack([v.value, 2.0 * v.value]) for v in bijector.trainable_variables])
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], 2.0 * expected)


def test_the_pure_definition_has_the_same_form():
    spec = bnspec.BatchNorm(epsilon=0.25)
    params, state = spec.init(X.shape, like=X)
    y, log_det, after = spec.apply_and_log_det(params, state, X, training=True)
    expected, moved = spec.apply(params, state, X, training=True)
    assert (y == expected).all()
    assert (after.moving_variance == moved.moving_variance).all()
    assert log_det.shape == (1, 1, 3)
    x, undone = spec.invert_and_log_det(params, after, spec.apply(params, after, X, training=False)[0])
    assert_rounded(x - X + 10, 10, 40)
    assert undone.shape == (1, 1, 3)
    with pytest.raises(ValueError, match=r"renorm must be None for a log-det"):
        bnspec.BatchNorm(renorm=bnspec.Renorm()).apply_and_log_det(params, state, X, training=True)
