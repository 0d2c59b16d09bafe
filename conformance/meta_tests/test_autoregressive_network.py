"""The masked network: who sees whom, its variables, and the template with the clipped logarithm of a scale."""

from functools import partial

import numpy as np
import pytest

import bnspec
from bnspec.bijectors import AutoregressiveNetwork, MaskedAutoregressiveFlow, masked_autoregressive_default_template
from bnspec.bijectors._degrees import degrees_of, masks_of
from bnspec.layers import L2, RandomNormal
from bnspec_conformance import oracle
from bnspec_conformance.definition import receive

X = np.asarray([[0.5, -1.0, 2.0, 0.25, -3.0], [1.5, 0.75, -0.5, 4.0, 1.0]], np.float32)
CONDITION = np.asarray([[1.0, -0.5], [0.25, 2.0]], np.float32)
SHAPES = [(1, ()), (1, (3,)), (2, (1,)), (3, (4,)), (5, ()), (5, (7, 4)), (7, (3, 6)), (9, (2, 2, 5)), (6, (12, 30))]


def filled(network, value=0.5):
    """Give every variable one value, masked entries included."""
    network.set_weights([np.full(one.shape, value, one.numpy().dtype) for one in network.variables])
    return network


def dependence(network, x, **condition):
    """Tell which outputs move with which inputs, shape (D, D): large steps, so that nothing is lost in rounding."""
    still = np.asarray(network(x, **condition))
    found = []
    for unit in range(x.shape[-1]):
        moved = x.copy()
        moved[..., unit] += 8.0
        found.append((np.asarray(network(moved, **condition)) != still).any(axis=(0, -1)))
    return np.asarray(found)


@pytest.mark.parametrize(("size", "hidden"), SHAPES)
@pytest.mark.parametrize("order", ["left-to-right", "right-to-left", "listed"])
def test_the_masks_are_those_of_sets(size, hidden, order):
    given = tuple(np.random.default_rng(size).permutation(size) + 1) if order == "listed" else order
    places = oracle.places(given, size)
    found = masks_of(degrees_of(size, hidden, given, "equal", 0), 3)
    for mask, wanted in zip(found, oracle.autoregressive_masks(places, hidden, 3), strict=True):
        np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize("order", ["left-to-right", "right-to-left", "random", [3, 1, 5, 2, 4]])
@pytest.mark.parametrize("degrees", ["equal", "random", "blocks"])
@pytest.mark.parametrize("hidden", [[], [12], [11, 24]])
def test_an_output_sees_the_inputs_before_it_whatever_the_weights(order, degrees, hidden):
    network = AutoregressiveNetwork(2, hidden_units=hidden, input_order=order, hidden_degrees=degrees, seed=3)
    network.build(5, like=X)
    places = np.asarray(network.input_order)
    assert sorted(places) == [1, 2, 3, 4, 5]
    before = places[:, None] < places[None, :]
    found = dependence(filled(network), X)
    assert not (found & ~before).any()
    if degrees != "random":
        assert (found == before).all()  # wide enough for all of them
    # Not even what is not finite is seen through a mask.
    nothing = [np.where(one.numpy() == 0.0, np.nan, one.numpy()) for one in fresh(network).variables]
    network.set_weights(nothing)
    assert np.isfinite(network(X)).all()


def fresh(network):
    """Return a network of the same arguments, whose biases are not 0."""
    made = AutoregressiveNetwork(
        2, hidden_units=network.hidden_units, input_order=network.input_order, bias_initializer="ones",
        hidden_degrees=network._hidden_degrees, seed=3,
    )  # fmt: skip
    made.build(5, like=X)
    return made


def test_orders_of_a_seed():
    orders = {}
    for seed in (1, 1, 2, None):
        network = AutoregressiveNetwork(1, hidden_units=[20], input_order="random", hidden_degrees="random", seed=seed)
        assert network.input_order is None
        network.build(12, like=X)
        orders.setdefault(seed, set()).add((network.input_order, network.get_weights()[0].tobytes()))
    assert all(len(found) == 1 for found in orders.values())
    assert len(set.union(*orders.values())) == 3


def test_random_degrees_are_in_their_range():
    degrees = degrees_of(4, (400, 400), "left-to-right", "random", 7)
    assert [set(layer.tolist()) for layer in degrees] == [{1, 2, 3, 4}, {1, 2, 3}, {1, 2, 3}]
    assert degrees[1].tolist() != degrees[2].tolist()
    assert set(degrees_of(1, (9,), "left-to-right", "random", 7)[1].tolist()) == {0}


def test_values_are_exact(backend):
    network = AutoregressiveNetwork(2, hidden_units=[4], activation="relu")
    network(backend.asarray(X[:, :3]))
    kernel, bias = np.arange(12, dtype=np.float32).reshape(3, 4) / 4 - 1, np.asarray([0.5, -0.25, 1, 2], np.float32)
    last, offset = np.arange(24, dtype=np.float32).reshape(4, 6) / 8 - 1, np.arange(6, dtype=np.float32)
    network.set_weights([kernel, bias, last, offset])
    degrees = np.asarray([1, 1, 2, 2])  # of the hidden units: ceil(k 2 / 5)
    inputs, outputs = np.asarray([1, 2, 3]), np.asarray([1, 1, 2, 2, 3, 3])
    hidden = np.maximum(X[:, :3] @ np.where(inputs[:, None] <= degrees, kernel, 0) + bias, 0)
    wanted = hidden @ np.where(degrees[:, None] < outputs, last, 0) + offset
    found = receive(backend, network(backend.asarray(X[:, :3])))
    np.testing.assert_array_equal(found, wanted.reshape(2, 3, 2))
    assert network.event_shape == (3,)
    alone = receive(backend, network(backend.asarray(X[0, :3])))
    np.testing.assert_array_equal(alone, found[0])


@pytest.mark.parametrize("layers", ["all_layers", "first_layer"])
def test_a_condition_is_broadcast_and_seen_by_all_outputs(backend, layers):
    network = AutoregressiveNetwork(1, 3, True, [2], layers, [4], activation="tanh", seed=1)
    x, condition = X[:, None, :3], CONDITION
    found = receive(backend, network(backend.asarray(x), conditional_input=backend.asarray(condition)))
    assert found.shape == (2, 2, 3, 1)
    other = receive(backend, network(backend.asarray(x), conditional_input=backend.asarray(condition + 1.0)))
    assert (found != other)[..., 1:, :].all()
    assert (found != other)[..., 0, :].all() == (layers == "all_layers")  # the first has no hidden unit
    names = [variable.name for variable in network.variables]
    assert names == [
        "dense_0/kernel", "dense_0/bias", "dense_0/conditional_kernel", "dense_1/kernel", "dense_1/bias",
        *(["dense_1/conditional_kernel"] if layers == "all_layers" else []),
    ]  # fmt: skip
    assert network.condition_names == {"conditional_input"}
    assert network.layers[0].conditional_kernel.shape == (2, 4)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_dtypes(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip("not of this dtype")
    network = AutoregressiveNetwork(2, 5, True, 2, hidden_units=[4], activation="tanh", seed=1)
    x, condition = backend.asarray(X.astype(dtype)), backend.asarray(CONDITION.astype(dtype))
    found = receive(backend, network(x, condition))
    assert found.dtype == dtype
    wide = "float64" if dtype == "float64" else "float32"
    assert {str(variable.numpy().dtype) for variable in network.variables} == {wide}
    if dtype == "float64":  # all the way: float32 on the way would leave no digits of this step
        step = np.zeros_like(X, dtype=np.float64)
        step[..., 0] = 1e-12
        moved = receive(backend, network(backend.asarray(X + step), condition))
        assert (moved != found)[:, 1:].any()


def test_variables_begin_masked_and_have_seeds_of_their_own():
    network = AutoregressiveNetwork(
        2, 4, True, 3, hidden_units=[8, 8], kernel_initializer=RandomNormal(seed=5), kernel_regularizer=L2(0.5)
    )
    network.build(4, like=np.zeros((), np.float32))
    kernels = [one.numpy() for one in network.variables if one.name.endswith("kernel")]
    masks = oracle.autoregressive_masks((1, 2, 3, 4), (8, 8), 2)
    for kernel, mask in zip(kernels[::2], masks, strict=True):
        assert ((kernel != 0) == mask).all()
    drawn = [value for kernel in kernels for value in kernel[kernel != 0].tolist()]
    assert len(set(drawn)) == len(drawn)
    assert len(network.regularization_losses()) == 6


def test_masked_entries_have_no_gradient(backend):
    if "autodiff" in backend.gaps():
        pytest.skip("has no automatic differentiation")
    xp = backend.namespace()
    network = AutoregressiveNetwork(1, hidden_units=[6], activation="tanh")
    network.build(5, like=backend.asarray(X))
    filled(network)
    values = tuple(variable.value for variable in network.trainable_variables)

    def total(values):
        return xp.sum(network.stateless_call(values, (), backend.asarray(X))[0] ** 2)

    _, gradients = backend.value_and_grad(total)(values)
    masks = oracle.autoregressive_masks((1, 2, 3, 4, 5), (6,), 1)
    for gradient, mask in zip(gradients[::2], masks, strict=True):
        found = receive(backend, gradient)
        assert (found[~mask] == 0.0).all()
        assert (found[mask] != 0.0).any()


class TestTemplate:
    """What was the default."""

    def test_it_clips_the_logarithm_of_the_scale(self, backend):
        template = masked_autoregressive_default_template([10], log_scale_min_clip=-0.5, log_scale_max_clip=[2.0] * 5)
        template(backend.asarray(X))
        network = filled(template.network, 1.0)
        shift, log_scale = (receive(backend, part) for part in template(backend.asarray(X * 1e6)))
        raw = receive(backend, network(backend.asarray(X * 1e6)))
        np.testing.assert_array_equal(shift, raw[..., 0])
        np.testing.assert_array_equal(log_scale, np.clip(raw[..., 1], -0.5, 2.0))
        assert len(template.trainable_variables) == 4
        assert template.name == network.name == "masked_autoregressive_default_template"

    @pytest.mark.parametrize("clipped", [False, True])
    def test_the_gradient_passes_the_clip_unless_told(self, backend, clipped):
        if "autodiff" in backend.gaps():
            pytest.skip("has no automatic differentiation")
        xp = backend.namespace()
        template = masked_autoregressive_default_template([], log_scale_clip_gradient=clipped)
        template(backend.asarray(X))
        values = tuple(variable.value for variable in template.trainable_variables)

        def total(values, offset):
            moved = (values[0], values[1] + offset)
            return xp.sum(template.stateless_call(moved, (), backend.asarray(X))[0][1])

        inside, below = (
            receive(backend, backend.value_and_grad(partial(total, offset=offset))(values)[1][1])[1::2]
            for offset in (0.0, -100.0)
        )
        np.testing.assert_array_equal(inside, np.full(5, 2.0))
        np.testing.assert_array_equal(below, np.full(5, 0.0 if clipped else 2.0))

    def test_blocks_of_units(self):
        degrees = degrees_of(3, (3, 7), "left-to-right", "blocks", 0)
        assert [layer.tolist() for layer in degrees] == [[1, 2, 3], [0, 1, 2], [0, 0, 1, 1, 2, 2, 3]]
        with pytest.raises(
            ValueError, match=r"must have a unit for each unit of the event.* Got units=4, event_size=5"
        ):
            masked_autoregressive_default_template([4])(X)

    def test_shifts_alone(self):
        template = masked_autoregressive_default_template([5], True, "tanh", name="made", use_bias=False, seed=1)
        shift, log_scale = template(X)
        assert log_scale is None
        assert shift.shape == X.shape
        assert [variable.name for variable in template.variables] == ["dense_0/kernel", "dense_1/kernel"]
        assert template.name == "made"

    def test_a_condition(self):
        template = masked_autoregressive_default_template(
            [5], event_shape=5, conditional=True, conditional_event_shape=2, input_order="right-to-left", seed=1
        )
        flow = MaskedAutoregressiveFlow(template)
        assert flow.condition_names == {"conditional_input"}
        one, other = (
            flow.forward(X, conditional_input=CONDITION * factor) for factor in (np.float32(1), np.float32(2))
        )
        assert (one != other).any()
        assert template.network.input_order == (5, 4, 3, 2, 1)

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"shift_only": 1}, TypeError, r"shift_only must be a bool\. Got shift_only=1"),
            ({"log_scale_clip_gradient": 0}, TypeError, r"log_scale_clip_gradient must be a bool\. Got .*=0"),
            ({"log_scale_min_clip": 4.0}, ValueError, r"log_scale_min_clip must not be above.*=4\.0, .*=3\.0"),
            ({"log_scale_max_clip": "3"}, TypeError, r"log_scale_max_clip must be a number"),
            ({"hidden_layers": 5}, TypeError, r"hidden_layers must be a list of integers\. Got hidden_layers=5"),
        ],
    )
    def test_arguments_that_are_refused(self, arguments, error, text):
        with pytest.raises(error, match=text):
            masked_autoregressive_default_template(**{"hidden_layers": [5], **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"params": 0}, ValueError, r"params must be at least 1\. Got params=0"),
        ({"params": 2.0}, TypeError, r"params must be an integer\. Got params=2\.0"),
        ({"event_shape": (2, 3)}, ValueError, r"event_shape must have one axis\. Got event_shape=\(2, 3\)\. Reshape"),
        ({"event_shape": 0}, ValueError, r"event_shape must be at least 1"),
        ({"conditional": 1}, TypeError, r"conditional must be a bool\. Got conditional=1"),
        ({"validate_args": None}, TypeError, r"validate_args must be a bool"),
        (
            {"conditional": True, "conditional_event_shape": 2},
            ValueError,
            r"event_shape and conditional_event_shape must be given.*Got event_shape=None, conditional_event_shape=2",
        ),
        ({"conditional": True, "event_shape": 2}, ValueError, r"must be given.* Got event_shape=2, .*_shape=None"),
        (
            {"conditional": True, "event_shape": 2, "conditional_event_shape": (2, 1)},
            ValueError,
            r"conditional_event_shape must have one axis",
        ),
        (
            {"conditional_event_shape": 2},
            ValueError,
            r"to a conditional network alone\. Got .*=2\. Set conditional=True",
        ),
        ({"conditional_input_layers": "first_layers"}, ValueError, r"must name layers\..*Did you mean 'first_layer'\?"),
        ({"hidden_units": 4}, TypeError, r"hidden_units must be a list of integers\. Got hidden_units=4"),
        ({"hidden_units": [4, 0]}, ValueError, r"hidden_units must be at least 1\. Got hidden_units=0"),
        (
            {"input_order": "right-left"},
            ValueError,
            r"input_order must name an order, or list one\..*'right-to-left'\?",
        ),
        (
            {"input_order": [0, 1]},
            ValueError,
            r"input_order must hold each of 1, \.\.\., 2 once\. Got .*\(0, 1\)\. Say",
        ),
        ({"input_order": [1, 2], "event_shape": 3}, ValueError, r"must hold each of 1, \.\.\., 3 once"),
        ({"input_order": 3}, TypeError, r"input_order must be a list of integers\. Got input_order=3"),
        ({"hidden_degrees": "eqal"}, ValueError, r"hidden_degrees must name a method\..*Did you mean 'equal'\?"),
        ({"hidden_degrees": [[1, 2]]}, TypeError, r"hidden_degrees must be a name\. Got .*Known are: blocks, equal, r"),
        ({"use_bias": 1}, TypeError, r"use_bias must be a bool\. Got use_bias=1"),
        ({"name": 3}, TypeError, r"name must be a string or None\. Got name=3"),
        ({"seed": -1}, ValueError, r"seed must be in \[0, 2\^64\)"),
    ],
)
def test_arguments_that_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        AutoregressiveNetwork(**{"params": 2, **arguments})


def conditional():
    return AutoregressiveNetwork(2, 5, True, 2, name="made")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: AutoregressiveNetwork(2)(X[0, 0]), ValueError, r"must know the number of units\. Got shape=\(\)"),
        (lambda: AutoregressiveNetwork(2)(X.astype(int)), TypeError, r"x must be real floating"),
        (
            lambda: AutoregressiveNetwork(2, 4)(X),
            ValueError,
            r"for events of 4 units\. Got event_size=5\. Make another",
        ),
        (
            lambda: AutoregressiveNetwork(2, input_order=[2, 1])(X),
            ValueError,
            r"each of 1, \.\.\., 5 once\. Got .*\(2, 1\)",
        ),
        (
            lambda: conditional()(X),
            ValueError,
            r"made must be given a conditional_input if.*conditional_input=None\. Pass",
        ),
        (lambda: AutoregressiveNetwork(2)(X, CONDITION), ValueError, r"conditional=False, conditional_input=\(2, 2\)"),
        (
            lambda: conditional()(X, CONDITION[:, :1]),
            ValueError,
            r"must have the size 2\. Got conditional_input=\(2, 1\)",
        ),
        (
            lambda: conditional()(X, CONDITION.astype(float)),
            TypeError,
            r"all arrays must have one dtype\. Got x='float32'",
        ),
        (lambda: conditional().build(4, like=X), ValueError, r"made is made for events of 5 units\. Got event_size=4"),
        (lambda: conditional().build(5, like=X.astype(int)), TypeError, r"like must be real floating"),
    ],
)
def test_calls_that_are_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_it_is_built_once():
    network = AutoregressiveNetwork(2)
    network(X)
    with pytest.raises(ValueError, match=r"must be built once\. Got layers=1\. Make another"):
        network.build(5, like=X)
    with pytest.raises(ValueError, match=r"is made for events of 5 units\. Got event_size=4"):
        network(X[:, :4])


def test_a_build_in_a_compiler_is_refused(backend):
    if backend.framework not in ("jax", "tensorflow"):
        pytest.skip("does not say that an array is traced, or traces none")
    network = AutoregressiveNetwork(2, hidden_units=[4])
    with pytest.raises(TypeError, match=r"kernel must have values: inside a compiler.*Build it before"):
        backend.compile(network)(backend.asarray(X))
    assert not network.built


def test_an_unknown_number_of_units():
    tf, backend = pytest.importorskip("tensorflow"), bnspec.backend("tensorflow")
    network = AutoregressiveNetwork(2, hidden_units=[4])

    @tf.function(input_signature=[tf.TensorSpec((None, None))], autograph=False)
    def call(x):
        return network(x)

    with pytest.raises(ValueError, match=r"must know the number of units\. Got shape=\(None, None\)\. Build it before"):
        call(backend.asarray(X))
    wanted = network(backend.asarray(X))
    np.testing.assert_array_equal(call(backend.asarray(X)).numpy(), wanted.numpy())
