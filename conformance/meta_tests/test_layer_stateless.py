"""The layer as a pure function: in compilers, in transformations, and where it must not change."""

import numpy as np
import pytest

import bnspec
from bnspec.layers import BatchNormalization
from bnspec_conformance.definition import paired, receive

from .layer_helpers import SECOND, W, X, assert_rounded, bits, split, values

ARGUMENTS = [{}, {"renorm": True}, {"virtual_batch_size": 2}]


def built(backend, **arguments):
    layer = BatchNormalization(momentum=0.7, **arguments)
    layer.build(X.shape, like=backend.asarray(X))
    layer.gamma.assign(np.asarray([1.5, -2.0, 0.5], np.float32))
    layer(backend.asarray(SECOND), training=True)
    return layer


def owned(layer):
    return tuple([v.value for v in group] for group in (layer.trainable_variables, layer.non_trainable_variables))


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_it_is_the_call_and_changes_nothing(backend, arguments, training):
    layer = built(backend, **arguments)
    x, weights = backend.asarray(X), backend.asarray(W)
    before = bits(backend, tuple(owned(layer)[0] + owned(layer)[1]))
    y, after = layer.stateless_call(*owned(layer), x, training=training, weights=weights)
    assert bits(backend, tuple(owned(layer)[0] + owned(layer)[1])) == before
    assert isinstance(after, list)
    assert bits(backend, y) == bits(backend, layer(x, training=training, weights=weights))
    assert bits(backend, tuple(after)) == bits(backend, tuple(owned(layer)[1]))


def test_tuples_give_tuples_and_masks_are_weights(backend):
    layer = built(backend)
    mask = backend.namespace().asarray(np.asarray(W > 0).reshape(6, 1, 1))
    trainable, others = map(tuple, owned(layer))
    y, after = layer.stateless_call(trainable, others, backend.asarray(X), training=True, mask=mask)
    assert isinstance(after, tuple)
    assert bits(backend, y) == bits(backend, layer(backend.asarray(X), training=True, mask=mask))


def test_a_frozen_layer_gives_its_parameters_back():
    layer = BatchNormalization(trainable=False)
    layer.build(X.shape, like=X)
    trainable, others = owned(layer)
    assert trainable == []
    _, after = layer.stateless_call(trainable, others, X, training=True)
    assert after[0] is others[0]
    assert after[1] is others[1]
    assert after[2] is not others[2]


@pytest.mark.parametrize("arguments", ARGUMENTS[:2], ids=str)
def test_it_can_be_compiled(backend, arguments):
    if "compile" in backend.gaps():
        pytest.skip("has no compiler")
    layer = built(backend, **arguments)

    def step(trainable, others, x, training):
        return layer.stateless_call(trainable, others, x, training=training)

    xp = backend.namespace()
    trainable, others = map(tuple, owned(layer))
    before = bits(backend, (*trainable, *others))
    compiled = backend.compile(step)
    for training in (True, False):
        y, after = compiled(trainable, others, backend.asarray(X), xp.asarray(training))
        expected, state = layer.stateless_call(trainable, others, backend.asarray(X), training=training)
        # A compiler may round otherwise; the laws hold the definition to its bounds in every compiler.
        assert receive(backend, y).shape == receive(backend, expected).shape
        assert receive(backend, after[-1]) == receive(backend, state[-1])
        moved = [a.tobytes() != b for a, b in zip(receive(backend, tuple(after)), before[2:], strict=True)]
        assert all(moved) == any(moved) == training
    assert bits(backend, (*trainable, *others)) == before


def test_it_can_be_differentiated(backend):
    if "autodiff" in backend.gaps():
        pytest.skip("has no automatic differentiation")
    layer = built(backend)
    trainable, others = owned(layer)
    x, cotangent, xp = backend.asarray(X), backend.asarray(np.cos(X)), backend.namespace()

    def loss(values):
        y, _ = layer.stateless_call(values, others, x, training=True)
        return paired(y, cotangent, xp)

    params, state = split(layer)
    _, gradients = backend.value_and_grad(loss)(tuple(trainable))
    _, _, pullback = layer.spec.vjp(params, state, x, training=True)
    found = pullback(cotangent)
    for seen, expected in zip(gradients, (found.gamma, found.beta), strict=True):
        assert np.isfinite(receive(backend, seen)).all()
        assert (np.sign(receive(backend, seen)) == np.sign(receive(backend, expected))).all()


def test_torch_compiles_the_change_of_variables_too():
    backend = bnspec.backend("torch")
    layer, other = built(backend), built(backend)
    compiled = backend.compile(lambda x: layer(x, training=True))
    for batch in (X, SECOND, X):
        compiled(backend.asarray(batch))
        other(backend.asarray(batch), training=True)
        assert values(layer)["num_batches"] == values(other)["num_batches"]
        for name in ("moving_mean", "moving_variance"):
            assert_rounded(values(layer)[name] + 10, values(other)[name] + 10, 8)


def test_a_training_call_inside_torch_func_is_refused():
    backend = bnspec.backend("torch")
    layer, xp = built(backend), backend.namespace()
    before = layer.get_weights()
    with pytest.raises(TypeError, match=r"moving_mean must have values: inside a compiler.*call its stateless_call"):
        backend.value_and_grad(lambda arrays: xp.sum(layer(arrays[0], training=True)))((backend.asarray(X),))
    assert all((old == new).all() for old, new in zip(before, layer.get_weights(), strict=True))


def traced(backend, function):
    """Run a function on a traced array, by the compilers that say that their arrays are traced."""
    if backend.framework not in ("jax", "tensorflow"):
        pytest.skip("does not say that an array is traced, or traces none")
    return backend.compile(function)


@pytest.mark.parametrize("defer", [False, True])
def test_a_training_call_in_a_compiler_is_refused(backend, defer):
    layer = built(backend, defer_updates=defer)
    before, pending = layer.get_weights(), layer.updates
    train = traced(backend, lambda x: layer(x, training=True))
    with pytest.raises(TypeError, match=r"moving_mean must have values: inside a compiler.*call its stateless_call"):
        train(backend.asarray(X))
    assert [value.tobytes() for value in layer.get_weights()] == [value.tobytes() for value in before]
    assert layer.updates == pending
    assert backend.owns(layer.moving_mean.value)


@pytest.mark.parametrize("training", [True, False])
def test_a_first_call_in_a_compiler_is_refused(backend, training):
    layer = BatchNormalization()
    call = traced(backend, lambda x: layer(x, training=training))
    with pytest.raises(TypeError, match=r"gamma must have values: .*Build it before, and call its stateless_call"):
        call(backend.asarray(X))
    assert not layer.built


def test_a_call_in_evaluation_may_be_compiled(backend):
    layer = built(backend)
    y = traced(backend, layer)(backend.asarray(X))
    assert receive(backend, y).shape == X.shape


def test_an_assignment_in_a_compiler_is_refused(backend):
    layer = built(backend)

    def assign(value):
        layer.beta.assign(value + 1.0)
        return value

    with pytest.raises(TypeError, match="beta must have values"):
        traced(backend, assign)(layer.beta.value)
    assert not layer.beta.numpy().any()


def test_sizes_that_are_not_known_reach_the_adjustment():
    backend = bnspec.backend("tensorflow")
    tf = pytest.importorskip("tensorflow")
    seen = []

    def adjustment(shape):
        seen.append(shape)
        return (
            tf.random.stateless_uniform(shape[-1:], (1, 2), 0.5, 1.5),
            tf.random.uniform(shape[:1] + (1,) * (len(shape) - 1), 0.0, 0.0),
        )

    layer = BatchNormalization(adjustment=adjustment)
    layer.build((None, None, 3), like=backend.asarray(X))
    values = owned(layer)

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3))], autograph=False)
    def step(x):
        return layer.stateless_call(*values, x, training=True)

    y, after = step(backend.asarray(X))
    expected, state = layer.stateless_call(*values, backend.asarray(X), training=True)
    assert y.shape == X.shape
    # XLA is off and the batch is small: the same numbers, up to the padding of the sums, which adds zeros.
    np.testing.assert_array_equal(receive(backend, after[-1]), receive(backend, state[-1]))
    assert np.isfinite(y.numpy()).all()
    assert (np.sign(y.numpy()) == np.sign(expected.numpy())).all()
    assert [len(shape) for shape in seen] == [3, 3]
    assert seen[0][-1] == 3


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda layer, t, n: layer.stateless_call(t[:1], n, X),
            r"trainable must be 2 arrays: gamma, beta\. Got count=1",
        ),
        (lambda layer, t, n: layer.stateless_call(t, [], X), r"non_trainable must be 3 arrays: moving_mean, .*count=0"),
        (lambda layer, t, n: BatchNormalization().stateless_call(t, n, X), r"must have its variables\. Build it"),
        (
            lambda layer, t, n: layer.stateless_call(t, n, X, weights=W, mask=W > 0),
            r"weights and mask must not be given together\. Multiply them\.",
        ),
    ],
)
def test_what_is_refused(call, text):
    layer = built(bnspec.backend("numpy"))
    with pytest.raises(ValueError, match=text):
        call(layer, *owned(layer))


def test_a_frozen_layer_without_trainable_variables_says_so():
    layer = BatchNormalization(trainable=False)
    layer.build(X.shape, like=X)
    with pytest.raises(ValueError, match=r"trainable must be 0 arrays: none\. Got count=1\."):
        layer.stateless_call([X], [v.value for v in layer.variables], X)


def test_pytorch_compiles_a_training_call_with_its_update():
    torch, backend = pytest.importorskip("torch"), bnspec.backend("torch")
    layer, other = built(backend), built(backend)
    x = backend.asarray(X)
    y = backend.compile(lambda x: layer(x, training=True))(x)
    other(x, training=True)
    assert type(layer.moving_mean.value) is torch.Tensor
    assert receive(backend, layer.num_batches.value) == receive(backend, other.num_batches.value) == 2
    assert (layer.get_weights()[2] != built(backend).get_weights()[2]).all()
    assert receive(backend, y).shape == X.shape


def test_pytorch_differentiates_a_call_and_not_the_averages():
    torch, backend = pytest.importorskip("torch"), bnspec.backend("torch")
    layer = built(backend)
    params, state = split(layer)
    x, cotangent = backend.asarray(X), backend.asarray(np.cos(X))
    layer.gamma.value.requires_grad_()
    (layer(x, training=True) * cotangent).sum().backward()
    _, _, pullback = layer.spec.vjp(params, state, x, training=True)
    seen, expected = layer.gamma.value.grad, pullback(cotangent).gamma
    assert (torch.sign(seen) == torch.sign(expected)).all()
    assert not layer.moving_mean.value.requires_grad
    assert layer.gamma.numpy().tolist() == [1.5, -2.0, 0.5]


def test_tensorflow_differentiates_a_call_on_its_tape():
    tf, backend = pytest.importorskip("tensorflow"), bnspec.backend("tensorflow")
    layer = built(backend)
    params, state = split(layer)
    x, cotangent = backend.asarray(X), backend.asarray(np.cos(X))
    with tf.GradientTape() as tape:
        tape.watch(layer.gamma.value)
        loss = tf.reduce_sum(layer(x, training=True) * cotangent)
    seen = tape.gradient(loss, layer.gamma.value)
    _, _, pullback = layer.spec.vjp(params, state, x, training=True)
    assert (np.sign(seen.numpy()) == np.sign(pullback(cotangent).gamma.numpy())).all()
