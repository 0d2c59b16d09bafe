"""The dense network of Real NVP: its variables, its values, its activations."""

import math

import numpy as np
import pytest

import bnspec
from bnspec.arrays import ACCUMULATES_IN
from bnspec.bijectors import DenseNetwork, real_nvp_default_template
from bnspec.bijectors._activations import ACTIVATIONS
from bnspec.layers import L2, Constant, GlorotUniform, RandomNormal, RandomUniform, Zeros
from bnspec.layers._initializers import INITIALIZERS, reseeded
from bnspec_conformance.bounds import FORMATS, accumulated, function_goal
from bnspec_conformance.definition import receive

X = np.asarray([[0.5, -1.0, 2.0], [1.5, 0.75, -0.5]], np.float32)
KERNEL = np.asarray([[1.0, -0.5, 2.0, 0.25], [0.5, 1.0, -1.0, 0.5], [-2.0, 0.25, 0.5, 1.0]], np.float32)
BIAS = np.asarray([0.5, -1.0, 0.25, 2.0], np.float32)
LAST = np.asarray(
    [[1.0, 2.0, -1.0, 0.5], [0.5, 0.25, 1.0, -2.0], [2.0, -1.0, 1.0, 0.5], [1.0, 1.0, 0.5, 4.0]], np.float32
)
OFFSET = np.asarray([0.5, 0.25, -1.0, 3.0], np.float32)


def values(network):
    return {variable.name: variable.numpy() for variable in network.variables}


def made(backend, **arguments):
    network = DenseNetwork([4], **arguments)
    network.build(3, 2, like=backend.asarray(X))
    network.set_weights([KERNEL, BIAS, LAST, OFFSET])
    return network


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_values_are_exact(backend, rank):
    x = {1: X[0], 2: X, 3: np.stack([X, X * 2.0, -X])}[rank]
    shift, log_scale = (receive(backend, part) for part in made(backend)(backend.asarray(x), 2))
    expected = np.maximum(x @ KERNEL + BIAS, 0.0) @ LAST + OFFSET
    np.testing.assert_array_equal(shift, expected[..., :2])
    np.testing.assert_array_equal(log_scale, expected[..., 2:])
    assert shift.shape == log_scale.shape == (*x.shape[:-1], 2)
    assert shift.dtype == log_scale.dtype == np.float32


def test_shift_only_and_no_hidden_layer(backend):
    network = real_nvp_default_template([], True, None, "nice", False)
    x = backend.asarray(X)
    network(x, 4)
    assert [variable.name for variable in network.variables] == ["dense_0/kernel"]
    network.set_weights([KERNEL])
    shift, log_scale = network(x, 4)
    assert log_scale is None
    np.testing.assert_array_equal(receive(backend, shift), X @ KERNEL)
    assert network.name == "nice"
    assert network.layers[0].bias is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_no_units_of_input_leave_the_biases(backend, compiled, batch):
    if compiled and "compile" in backend.gaps():
        pytest.skip("has no compiler")
    network = DenseNetwork([4])
    network.build(0, 2, like=backend.asarray(X))
    network.set_weights([np.zeros((0, 4), np.float32), BIAS, LAST, OFFSET])
    given = [variable.value for variable in network.variables]

    def call(given, x):
        return network.stateless_call(given, [], x, 2)[0]

    call = backend.compile(call) if compiled else call
    shift, log_scale = receive(backend, call(given, backend.asarray(np.zeros((*batch, 0), np.float32))))
    expected = np.maximum(BIAS, 0.0) @ LAST + OFFSET
    np.testing.assert_array_equal(shift, np.broadcast_to(expected[:2], (*batch, 2)))
    np.testing.assert_array_equal(log_scale, np.broadcast_to(expected[2:], (*batch, 2)))


def test_no_batch(backend):
    network, x = made(backend), backend.asarray(np.zeros((0, 3), np.float32))
    given = [variable.value for variable in network.variables]
    calls = [lambda given, x: network.stateless_call(given, [], x, 2)[0]]
    if "compile" not in backend.gaps():
        calls.append(backend.compile(calls[0]))
    for call in calls:
        assert [part.shape for part in receive(backend, call(given, x))] == [(0, 2), (0, 2)]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtypes(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip("not of this dtype")
    network = DenseNetwork([4], seed=3)
    x = backend.asarray(X.astype(dtype))
    shift, log_scale = network(x, 2)
    assert receive(backend, shift).dtype == receive(backend, log_scale).dtype == dtype
    assert {str(value.dtype) for value in values(network).values()} == {ACCUMULATES_IN[dtype]}
    network.set_weights([w.astype(ACCUMULATES_IN[dtype]) for w in (KERNEL, BIAS, LAST, OFFSET)])
    expected = np.maximum(X @ KERNEL + BIAS, 0.0) @ LAST + OFFSET
    np.testing.assert_array_equal(receive(backend, network(x, 2)[0]), expected[:, :2].astype(dtype))
    other = "float64" if dtype == "float16" else "float32"
    if other not in backend.gaps():
        with pytest.raises(TypeError, match=r"all arrays must have one dtype\. Got x='float"):
            network(backend.asarray(X.astype(other)), 2)


def test_the_variables(backend):
    network = real_nvp_default_template(hidden_layers=[8, 5], seed=7)
    assert (network.built, network.variables, network.layers) == (False, [], ())
    network(backend.asarray(X), 2)
    assert network.built
    assert [(variable.name, variable.shape) for variable in network.trainable_variables] == [
        ("dense_0/kernel", (3, 8)),
        ("dense_0/bias", (8,)),
        ("dense_1/kernel", (8, 5)),
        ("dense_1/bias", (5,)),
        ("dense_2/kernel", (5, 4)),
        ("dense_2/bias", (4,)),
    ]
    assert [layer.kernel for layer in network.layers] == network.variables[::2]
    assert all(backend.owns(variable.value) for variable in network.variables)
    for name, value in values(network).items():
        assert value.any() == name.endswith("kernel")
    reference = DenseNetwork([8, 5], seed=7)
    reference.build(3, 2, like=X)
    for found, expected in zip(network.get_weights(), reference.get_weights(), strict=True):
        assert found.tobytes() == expected.tobytes()


def drawn(**arguments):
    network = DenseNetwork([4, 4, 4], **arguments)
    network.build(4, 2, like=np.zeros((), np.float32))
    return values(network)


@pytest.mark.parametrize("kernel", ["glorot_uniform", RandomNormal(seed=5), {"class_name": "RandomUniform"}], ids=str)
def test_each_variable_draws_numbers_of_its_own(kernel):
    found = drawn(kernel_initializer=kernel, bias_initializer=RandomNormal(seed=5), seed=3)
    parts = [value.ravel()[:4] / np.abs(value).max() for value in found.values()]
    assert len({part.tobytes() for part in parts}) == len(parts) == 8
    assert drawn(kernel_initializer="glorot_uniform", seed=3)["dense_1/kernel"].tobytes() == (
        reseeded(GlorotUniform(), 2, 3)((4, 4), like=np.zeros(0, np.float32)).tobytes()
    )


def test_seeds():
    assert drawn()["dense_0/kernel"].tobytes() != drawn()["dense_0/kernel"].tobytes()
    assert drawn(seed=4)["dense_0/kernel"].tobytes() != drawn(seed=5)["dense_0/kernel"].tobytes()
    own = [drawn(kernel_initializer=GlorotUniform(seed=9))["dense_2/kernel"] for _ in range(2)]
    assert own[0].tobytes() == own[1].tobytes()
    assert reseeded(RandomUniform(1.0, 2.0, 5), 3).get_config().items() > {"minval": 1.0, "maxval": 2.0}.items()
    for plain in (Zeros(), Constant(2.0), max):
        assert reseeded(plain, 3, 4) is plain


@pytest.mark.parametrize(
    ("shape", "fans"), [((30, 20), 50), ((3, 5, 10, 20), 450), ((50,), 100), ((1, 1), 2), ((), 2), ((0, 4), 4)]
)
def test_glorot_uniform(shape, fans):
    found = GlorotUniform(seed=1)(shape, like=np.zeros(0))
    limit = math.sqrt(6.0 / max(fans, 2))
    assert found.shape == shape
    assert (np.abs(found) <= limit).all()
    if found.size > 40:
        assert np.abs(found).max() > 0.9 * limit
        assert found.min() < 0 < found.max()
    assert INITIALIZERS.get("kernel_initializer", "glorot_uniform").fields == ("seed",)
    again = INITIALIZERS.get("k", INITIALIZERS.serialize("k", GlorotUniform(seed=1)))
    assert again(shape, like=np.zeros(0)).tobytes() == found.tobytes()


def test_regularizers_and_constraints_reach_their_variables(backend):
    network = made(backend, kernel_regularizer=L2(0.5), bias_regularizer="l1", kernel_constraint="non_neg")
    found = [receive(backend, loss) for loss in network.regularization_losses()]
    assert found[0] == 0.5 * (KERNEL**2).sum()
    assert found[2] == 0.5 * (LAST**2).sum()
    assert len(found) == 4
    network.apply_constraints()
    np.testing.assert_array_equal(values(network)["dense_1/kernel"], np.maximum(LAST, 0.0))
    np.testing.assert_array_equal(values(network)["dense_1/bias"], OFFSET)
    network = made(backend, bias_constraint="non_neg")
    network.apply_constraints()
    np.testing.assert_array_equal(values(network)["dense_1/bias"], np.maximum(OFFSET, 0.0))
    assert network.regularization_losses() == []


def test_an_activation_of_somebody_else(backend):
    network = made(backend, activation=lambda x: x * x)
    expected = (X @ KERNEL + BIAS) ** 2 @ LAST + OFFSET
    np.testing.assert_array_equal(receive(backend, network(backend.asarray(X), 2)[1]), expected[:, 2:])


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


# Value, slope, the roundings that follow the function, and which function: its goal is in units of the last place.
REFERENCES = {
    "linear": (lambda x: x, lambda x: 1.0, 0.0),
    "relu": (lambda x: max(x, 0.0), lambda x: float(x > 0), 0.0),
    "tanh": (math.tanh, lambda x: 1.0 / math.cosh(x) ** 2, 2.0 * function_goal("tanh")),
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x), 4.0 * function_goal("exp") + 3.0),
    "softplus": (softplus, sigmoid, 2.0 * (function_goal("exp") + function_goal("log1p")) + 1.0),
    "elu": (
        lambda x: x if x > 0 else math.expm1(x),
        lambda x: 1.0 if x > 0 else math.exp(x),
        2.0 * function_goal("expm1"),
    ),
}
POINTS = np.asarray([-80.0, -20.0, -3.0, -0.5, -0.0, 0.0, 0.25, 1.0, 4.0, 30.0, 80.0], np.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(backend, name):
    value, _, roundings = REFERENCES[name]
    expected = np.asarray([value(x) for x in POINTS.tolist()])
    found = receive(backend, ACTIVATIONS[name](backend.asarray(POINTS)))
    bound = accumulated(roundings, FORMATS["float32"].roundoff) * np.abs(expected)
    assert (np.abs(found - expected) <= bound).all()
    extreme = receive(backend, ACTIVATIONS[name](backend.asarray(np.asarray([np.nan, 200.0, -200.0], np.float32))))
    assert np.isnan(extreme[0])
    assert np.isfinite(extreme[1:]).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_of_activations(backend, name):
    if "autodiff" in backend.gaps():
        pytest.skip("has no automatic differentiation")
    xp, slope = backend.namespace(), REFERENCES[name][1]
    points = np.append(POINTS, np.asarray([-200.0, 200.0], np.float32))

    def total(arrays):
        return xp.sum(ACTIVATIONS[name](arrays[0]))

    _, (found,) = backend.value_and_grad(total)((backend.asarray(points),))
    expected = np.asarray([slope(x) if abs(x) < 200.0 else slope(math.copysign(100.0, x)) for x in points.tolist()])
    # Each is a product and a sum of few kernels, none of which is larger than 1.
    assert (np.abs(receive(backend, found) - expected) <= accumulated(32.0, FORMATS["float32"].roundoff)).all()


def test_a_call_on_another_library_or_size():
    network = DenseNetwork([4], name="net")
    network(X, 2)
    torch = bnspec.backend("torch")
    with pytest.raises(TypeError, match=r"All arrays must be of one array library"):
        network(torch.asarray(X), 2)
    for x, units in ((X[:, :2], 2), (X, 3), (X, 1)):
        text = (
            rf"net is made for 3 units of input and 2 of output\. Got input_units={x.shape[1]}, output_units={units}\."
        )
        with pytest.raises(ValueError, match=text):
            network(x, units)


def test_a_build_in_a_compiler_is_refused(backend):
    if backend.framework not in ("jax", "tensorflow"):
        pytest.skip("does not say that an array is traced, or traces none")
    network = DenseNetwork([4])
    with pytest.raises(TypeError, match=r"kernel must have values: inside a compiler.*Build it before"):
        backend.compile(lambda x: network(x, 2)[0])(backend.asarray(X))
    assert not network.built


def test_a_build_in_a_transformation_of_pytorch_is_refused():
    torch, backend = pytest.importorskip("torch"), bnspec.backend("torch")
    network = DenseNetwork([4])
    with pytest.raises(TypeError, match=r"kernel must have values: inside a compiler or a transformation.*Build it"):
        torch.func.grad(lambda x: network(x, 2)[0].sum())(backend.asarray(X))
    assert not network.built
    network(backend.asarray(X), 2)
    assert torch.func.grad(lambda x: network(x, 2)[0].sum())(backend.asarray(X)).shape == X.shape


def test_an_unknown_number_of_units():
    tf, backend = pytest.importorskip("tensorflow"), bnspec.backend("tensorflow")
    network = DenseNetwork([4], name="net")

    @tf.function(input_signature=[tf.TensorSpec((2, None))], autograph=False)
    def call(x):
        return network(x, 2)

    with pytest.raises(
        ValueError, match=r"net must know the number of units\. Got shape=\(2, None\)\. Build it before"
    ):
        call(backend.asarray(X))
    network.build(3, 2, like=backend.asarray(X))
    network.set_weights([KERNEL, BIAS, LAST, OFFSET])
    np.testing.assert_array_equal(
        call(backend.asarray(X))[0].numpy(), receive(backend, network(backend.asarray(X), 2)[0])
    )


def test_a_failed_build_leaves_nothing():
    network = DenseNetwork([4], bias_initializer=lambda shape, like: np.zeros((7,), np.float32))
    with pytest.raises(ValueError, match=r"dense_0/bias must have shape \(4,\) and dtype float32\. Got shape=\(7,\)"):
        network(X, 2)
    assert not network.built
    assert network.variables == []


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"hidden_layers": 512}, TypeError, r"hidden_layers must be a list of integers\. Got hidden_layers=512"),
        ({"hidden_layers": "512"}, TypeError, r"hidden_layers must be a list of integers\. Got hidden_layers='512'"),
        ({"hidden_layers": [2.0]}, TypeError, r"hidden_layers must be an integer\. Got hidden_layers=2\.0"),
        ({"hidden_layers": [4, 0]}, ValueError, r"hidden_layers must be at least 1\. Got hidden_layers=0"),
        ({"shift_only": 1}, TypeError, r"shift_only must be a bool\. Got shift_only=1"),
        ({"use_bias": None}, TypeError, r"use_bias must be a bool\. Got use_bias=None"),
        ({"name": 3}, TypeError, r"name must be a string or None\. Got name=3"),
        ({"activation": "rleu"}, ValueError, r"activation must name an activation\. Got .*Did you mean 'relu'\?"),
        ({"activation": 3}, TypeError, r"activation must be the name of an activation, or callable\. Got activation=3"),
        ({"kernel_initializer": "glorot"}, ValueError, r"kernel_initializer must name an initializer.*glorot_uniform"),
        ({"bias_regularizer": 1.0}, TypeError, r"bias_regularizer must be the name of a regularizer, or callable"),
        ({"bias_constraint": "non"}, ValueError, r"bias_constraint must name a constraint\. Got bias_constraint='non'"),
        ({"seed": -1}, ValueError, r"seed must be in \[0, 2\^64\)\. Got seed=-1"),
        ({"seed": 0.5}, TypeError, r"seed must be an integer\. Got seed=0\.5"),
        ({"activity_regularizer": "l2"}, TypeError, r"unexpected keyword argument 'activity_regularizer'"),
    ],
)
def test_arguments_that_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        real_nvp_default_template(**{"hidden_layers": [4], **arguments})


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda n: n(X.astype(np.int64), 2), TypeError, r"x must be real floating.*dtype='int64'"),
        (lambda n: n(X[0, 0], 2), ValueError, r"x must have an axis of units\. Got shape=\(\)"),
        (lambda n: n(X, 2.0), TypeError, r"output_units must be an integer\. Got output_units=2\.0"),
        (lambda n: n(X, 0), ValueError, r"output_units must be at least 1\. Got output_units=0"),
        (lambda n: n(X, 2, context=X), TypeError, r"unexpected keyword argument 'context'"),
        (lambda n: n.build(-1, 2, like=X), ValueError, r"input_units must be at least 0\. Got input_units=-1"),
        (lambda n: n.build(1, 2, like=np.zeros(1, np.int64)), TypeError, r"like must be real floating"),
        (lambda n: (n(X, 2), n.build(3, 2, like=X)), ValueError, r"must be built once\. Got layers=2\. Make another"),
        (lambda n: n.get_weights() or n.count_params(), ValueError, r"net must have its variables\. Build it, or call"),
    ],
)
def test_calls_that_are_refused(call, error, text):
    with pytest.raises(error, match=text):
        call(DenseNetwork([4], name="net"))
