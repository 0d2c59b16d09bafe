"""Masked autoregressive flow: both directions, how often its function runs, and what that may return."""

from functools import partial

import numpy as np
import pytest

import bnspec
from bnspec.arrays import common_namespace
from bnspec.bijectors import (
    AbsoluteValue,
    AutoregressiveNetwork,
    Chain,
    Exp,
    Invert,
    MaskedAutoregressiveFlow,
    Permute,
    RealNVP,
    Scale,
    ScaleMatvecDiag,
    Shift,
    real_nvp_default_template,
)
from bnspec.distributions import MultivariateNormalDiag, TransformedDistribution
from bnspec_conformance.definition import receive

from .bijector_helpers import gradient, near, of
from .layer_helpers import bits

X = np.asarray([[0.5, -1.0, 2.0, 0.25], [1.5, 0.75, -0.5, 4.0], [-2.0, 0.125, 3.5, -1.25]], np.float32)
METHODS = {
    "forward": 4,
    "forward_and_log_det": 4,
    "forward_log_det_jacobian": 4,
    "inverse": 1,
    "inverse_and_log_det": 1,
    "inverse_log_det_jacobian": 1,
}


class Counting:
    """A function that counts its calls."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, y, *units):
        self.calls += 1
        return self.function(y, *units)


def ramp(y):
    """Half the sum of all units before, exact on few bits, and a log-scale of which no exponential is needed."""
    xp = common_namespace(y=y)
    own = getattr(y, "cumsum", None)  # array_api_compat's cannot be traced by torch.compile without a warning
    total = (xp.cumulative_sum(y, axis=-1) if own is None else own(-1)) - y
    return total * 0.5 + 1.0, None


def before(x):
    """What ramp adds, unit by unit."""
    y = np.zeros_like(x)
    for unit in range(x.shape[-1]):
        y[..., unit] = x[..., unit] + (y[..., :unit].sum(axis=-1) * 0.5 + 1.0)
    return y


def network(backend, seed=1, **more):
    made = AutoregressiveNetwork(2, hidden_units=[6], activation="tanh", seed=seed, **more)
    made.build(X.shape[-1], like=backend.asarray(X))
    return made


def shifts(made, y):
    return made(y)[..., 0], None


def through(function):
    def make(y):
        made = function(y)
        return Chain([Shift(made[..., 0]), Scale(log_scale=made[..., 1])])

    return make


def test_values_are_exact(backend):
    flow = MaskedAutoregressiveFlow(ramp, is_constant_jacobian=True)
    y, log_det = (receive(backend, part) for part in flow.forward_and_log_det(backend.asarray(X)))
    np.testing.assert_array_equal(y, before(X))
    np.testing.assert_array_equal(log_det, np.zeros(3))
    x, log_det = (receive(backend, part) for part in flow.inverse_and_log_det(backend.asarray(y)))
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(log_det, np.zeros(3))
    assert flow.is_constant_jacobian
    assert flow.name == "masked_autoregressive_flow"
    np.testing.assert_array_equal(receive(backend, flow.forward(backend.asarray(X[0]))), y[0])


def test_events_of_rank_2(backend):
    def rows(y):
        """Add half of the row above."""
        xp = common_namespace(y=y)
        return xp.concat([xp.zeros_like(y[..., :1, :]), y[..., :-1, :] * 0.5], axis=-2), None

    flow = MaskedAutoregressiveFlow(rows, event_ndims=2)
    x = np.stack([X[:, :2], X[:, 2:]])
    y = x.copy()
    for row in (1, 2):
        y[:, row] += y[:, row - 1] * 0.5
    found, log_det = flow.forward_and_log_det(backend.asarray(x))
    np.testing.assert_array_equal(receive(backend, found), y)
    assert receive(backend, log_det).shape == (2,)
    np.testing.assert_array_equal(receive(backend, flow.inverse(found)), x)
    assert flow.forward_min_event_ndims == flow.inverse_min_event_ndims == 2


def test_a_pair_and_an_array_and_a_bijector_are_the_same(backend):
    made, x = network(backend), backend.asarray(X)
    flows = [
        MaskedAutoregressiveFlow(made),
        MaskedAutoregressiveFlow(lambda y: (made(y)[..., 0], made(y)[..., 1]), unroll_loop=True),
        MaskedAutoregressiveFlow(bijector_fn=through(made)),
    ]
    for method in METHODS:
        first, *others = (bits(backend, getattr(flow, method)(x)) for flow in flows)
        assert all(other == first for other in others)
    assert [len(flow.trainable_variables) for flow in flows] == [4, 4, 4]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("which", ["shift_and_log_scale_fn", "bijector_fn"])
def test_how_often_the_function_runs(backend, method, which):
    made = network(backend)
    counting = Counting(made if which == "shift_and_log_scale_fn" else through(made))
    flow = MaskedAutoregressiveFlow(**{which: counting})
    getattr(flow, method)(backend.asarray(X))
    assert counting.calls == METHODS[method]
    counting.calls = 0
    other = method.replace("forward", "inverse") if "forward" in method else method.replace("inverse", "forward")
    getattr(Invert(flow), other)(backend.asarray(X))
    assert counting.calls == METHODS[method]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_small_events_take_as_many_passes_as_they_have_units(size):
    counting = Counting(ramp)
    MaskedAutoregressiveFlow(counting).forward_and_log_det(X[:, :size])
    assert counting.calls == size
    np.testing.assert_array_equal(MaskedAutoregressiveFlow(ramp).forward(X[:, :size]), before(X[:, :size]))
    assert MaskedAutoregressiveFlow(ramp).forward(X[:, :0]).shape == (3, 0)


def maf(counting):
    return MaskedAutoregressiveFlow(counting)


@pytest.mark.parametrize(
    ("make", "sampling", "density"),
    [
        (maf, 4, 1),
        (lambda counting: Invert(maf(counting)), 1, 4),
        (lambda counting: Chain([Permute([1, 0, 3, 2]), maf(counting), Scale(2.0)]), 4, 1),
        (lambda counting: RealNVP(2, shift_and_log_scale_fn=counting), 1, 1),
    ],
    ids=["maf", "iaf", "chain", "real nvp"],
)
def test_how_often_a_density_runs_the_network(backend, make, sampling, density):
    coupling = real_nvp_default_template([6], activation="tanh", seed=1)
    made = network(backend)
    counting = Counting(lambda y, *units: coupling(y, *units) if units else made(y))
    base = MultivariateNormalDiag(loc=backend.asarray(np.full(4, 0.5, np.float32)))
    flow = TransformedDistribution(base, make(counting))
    flow.bijector.inverse(backend.asarray(X))  # all variables are made
    for call, wanted in (
        (lambda: flow.sample_and_log_prob(3, seed=1), sampling),
        (lambda: flow.sample(3, seed=1), sampling),
        (lambda: flow.log_prob(backend.asarray(X)), density),
        (lambda: flow.prob(backend.asarray(X)), density),
    ):
        counting.calls = 0
        call()
        assert counting.calls == wanted


def test_conditions_reach_the_networks_of_a_chain(backend):
    sizes = {"event_shape": 4, "conditional": True, "conditional_event_shape": 2}
    flow = Chain(
        [
            MaskedAutoregressiveFlow(network(backend, 1, **sizes)),
            Permute([3, 2, 1, 0]),
            MaskedAutoregressiveFlow(network(backend, 2)),
            MaskedAutoregressiveFlow(network(backend, 3, **sizes)),
        ]
    )
    assert flow.condition_names >= {"conditional_input"}
    condition = backend.asarray(np.asarray([[[0.5, -1.0]], [[2.0, 0.25]]], np.float32))
    y, log_det = flow.forward_and_log_det(backend.asarray(X), conditional_input=condition)
    assert receive(backend, y).shape == (2, 3, 4)
    assert receive(backend, log_det).shape == (2, 3)
    assert (receive(backend, y)[0] != receive(backend, y)[1]).all(axis=-1).any()
    with pytest.raises(TypeError, match="context"):
        flow.forward(backend.asarray(X), context=condition)
    with pytest.raises(ValueError, match=r"must be given a conditional_input if it is conditional"):
        flow.forward(backend.asarray(X))


def overflowing(backend):
    """Two events whose last unit overflows in the second pass, before the first has reached it through the second."""
    net = AutoregressiveNetwork(2, event_shape=3, seed=1)
    net.build(3, like=of(backend, 0.0))
    kernel = np.zeros((3, 6))
    kernel[0, 3], kernel[1, 5] = -5.0, 1.0
    net.set_weights([of(backend, kernel), of(backend, np.zeros(6))])
    return MaskedAutoregressiveFlow(net)


def test_units_that_are_not_settled_may_overflow(backend):
    flow, y = overflowing(backend), of(backend, [[1.0, 0.75, 0.5], [1.0, 1.0, -0.25]])
    x = flow.inverse(y)
    assert receive(backend, x)[0, 1] > 100.0
    with np.errstate(over="ignore"):
        found, log_det = flow.forward_and_log_det(x)
    size = np.abs(receive(backend, y)) * 16.0
    near(backend, found, receive(backend, y), size=size)
    near(backend, log_det, [-5.0 + 0.75, -5.0 + 1.0], size=16.0)
    if "autodiff" not in backend.gaps():
        slopes = receive(backend, gradient(backend, flow.forward, x))
        assert np.isfinite(slopes).all()
    # What is not finite in truth reaches all that comes after it, and no other event.
    for bad in (np.inf, np.nan, 3e38):
        given = np.asarray([[-100.0, bad, 0.0], [1.0, 2.0, 3.0]])
        with np.errstate(over="ignore", invalid="ignore"):
            found, log_det = flow.forward_and_log_det(of(backend, given))
        assert not np.isfinite(receive(backend, found)[0, 1:]).any()
        assert np.isnan(receive(backend, log_det)[0])
        assert np.isfinite(receive(backend, found)[1]).all()
        assert np.isfinite(receive(backend, log_det)[1])


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_conditions_of_half_precision_are_widened_as_the_units_are(backend, half):
    net = partial(
        AutoregressiveNetwork, 2, event_shape=4, conditional=True, conditional_event_shape=2, hidden_units=[8], seed=1
    )
    flow = MaskedAutoregressiveFlow(net())
    x, label = of(backend, X, half), of(backend, [[1.0, 0.1]], half)
    wide = MaskedAutoregressiveFlow(net())
    for method in METHODS:
        found = getattr(flow, method)(x, conditional_input=label)
        with backend.context():
            xp = backend.namespace()
            exact = getattr(wide, method)(xp.astype(x, xp.float32), conditional_input=xp.astype(label, xp.float32))
            pairs = zip(found, exact, strict=True) if isinstance(found, tuple) else [(found, exact)]
            for one, other in pairs:
                assert bits(backend, one) == bits(backend, xp.astype(other, x.dtype))
    # Under the name of a part, and through a distribution.
    normal = MultivariateNormalDiag(loc=[0.0] * 4)
    log_prob = TransformedDistribution(normal, Chain([flow])).log_prob(
        x, bijector_kwargs={flow.name: {"conditional_input": label}}
    )
    assert log_prob.dtype == x.dtype
    assert np.isfinite(receive(backend, log_prob).astype(np.float64)).all()


@pytest.mark.parametrize("unroll_loop", [False, True])
@pytest.mark.parametrize("method", ["forward_and_log_det", "inverse_and_log_det"])
def test_it_can_be_compiled(backend, unroll_loop, method):
    if "compile" in backend.gaps():
        pytest.skip("has no compiler")
    flow = MaskedAutoregressiveFlow(ramp, unroll_loop=unroll_loop)
    y, log_det = backend.compile(getattr(flow, method))(backend.asarray(X))
    wanted = before(X) if method.startswith("forward") else receive(backend, flow.inverse(backend.asarray(X)))
    np.testing.assert_array_equal(receive(backend, y), wanted)
    np.testing.assert_array_equal(receive(backend, log_det), np.zeros(3))


def test_a_compiled_loop_runs_the_variables_that_it_is_given(backend):
    if {"compile", "autodiff"} & set(backend.gaps()):
        pytest.skip("has no compiler or no automatic differentiation")
    xp, made = backend.namespace(), AutoregressiveNetwork(1)
    made.build(4, like=backend.asarray(X))
    made.set_weights([np.full((4, 4), 0.5, np.float32), np.full(4, 0.25, np.float32)])
    flow = MaskedAutoregressiveFlow(partial(shifts, made))
    values, x = tuple(variable.value * 2.0 for variable in flow.trainable_variables), backend.asarray(X)

    def loss(values):
        y, _ = flow.stateless_call(values, (), x, method="forward")
        return xp.sum(y * y)

    # Few bits all the way, so that every order of the sums gives the same.
    found = backend.compile(backend.value_and_grad(loss))(values)
    wanted = backend.value_and_grad(loss)(values)
    assert bits(backend, found[1]) == bits(backend, wanted[1])
    y = X.copy()
    for unit in range(4):
        y[:, unit] += y[:, :unit].sum(axis=-1) + 0.5
    assert float(receive(backend, found[0])) == float((y * y).sum())


def test_sizes_that_are_not_known():
    tf, backend = pytest.importorskip("tensorflow"), bnspec.backend("tensorflow")
    flow = MaskedAutoregressiveFlow(ramp)

    def traced(*shape):
        return tf.function(flow.forward_and_log_det, input_signature=[tf.TensorSpec(shape, tf.float32)])

    y, log_det = traced(None, 4)(X)
    np.testing.assert_array_equal(y.numpy(), before(X))
    np.testing.assert_array_equal(log_det.numpy(), np.zeros(3))
    with pytest.raises(ValueError, match=r"the size of an event must be known\. Got shape=\(3, None\)\. Trace with"):
        traced(3, None)(X)
    found = tf.function(flow.inverse, input_signature=[tf.TensorSpec((None, None), tf.float32)])(y)
    np.testing.assert_array_equal(receive(backend, found), X)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, ValueError, r"exactly one of shift_and_log_scale_fn and bijector_fn must be given\. Got .*=None, .*=None"),
        ({"shift_and_log_scale_fn": ramp, "bijector_fn": ramp}, ValueError, r"exactly one of"),
        ({"bijector_fn": 3}, TypeError, r"bijector_fn must be callable\. Got bijector_fn=3"),
        ({"shift_and_log_scale_fn": ramp, "event_ndims": 0}, ValueError, r"event_ndims must be at least 1\. Got .*=0"),
        ({"shift_and_log_scale_fn": ramp, "event_ndims": 1.0}, TypeError, r"event_ndims must be an integer"),
        (
            {"shift_and_log_scale_fn": ramp, "unroll_loop": 1},
            TypeError,
            r"unroll_loop must be a bool\. Got unroll_loop=1",
        ),
        (
            {"shift_and_log_scale_fn": ramp, "is_constant_jacobian": 1},
            TypeError,
            r"is_constant_jacobian must be a bool",
        ),
    ],
)
def test_arguments_that_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        MaskedAutoregressiveFlow(**arguments)


@pytest.mark.parametrize(
    ("made", "error", "text"),
    [
        (
            lambda y: y,
            TypeError,
            r"a pair \(shift, log_scale\), or an array.*Got came='?numpy.ndarray of shape \(3, 4\)'?",
        ),
        (lambda y: y[..., None], TypeError, r"of shape \(3, 4, 1\)'?\. Take params=2 for a network"),
        (lambda y: 2.0, TypeError, r"or an array whose last axis holds both\. Got came='?builtins\.float"),
        (lambda y: (y, y, y), TypeError, r"must return a pair \(shift, log_scale\)\. Got came='builtins\.tuple of 3'"),
        (lambda y: ("1", None), TypeError, r"shift must be a number, a list of numbers, an array or a Variable"),
        (lambda y: (None, y[..., :3]), ValueError, r"log_scale must be broadcastable.*shape=\(3, 3\), units=\(3, 4\)"),
    ],
)
@pytest.mark.parametrize("method", ["forward", "inverse"])
def test_results_that_are_refused(made, error, text, method):
    with pytest.raises(error, match=text):
        getattr(MaskedAutoregressiveFlow(made), method)(X)


@pytest.mark.parametrize(
    ("made", "error", "text"),
    [
        (lambda y: (y, y), TypeError, r"bijector_fn must return a Bijector\. Got came='builtins\.tuple of 2'"),
        (
            lambda y: ScaleMatvecDiag([2.0] * 4),
            ValueError,
            r"bijector of scalars that keeps the rank, and is inject.*=1",
        ),
        (lambda y: AbsoluteValue(), ValueError, r"is injective\. Got .*is_injective=False"),
    ],
)
@pytest.mark.parametrize("method", ["forward", "inverse"])
@pytest.mark.parametrize("validate_args", [False, True])
def test_bijectors_that_are_refused(made, error, text, method, validate_args):
    with pytest.raises(error, match=text):
        getattr(MaskedAutoregressiveFlow(bijector_fn=made, validate_args=validate_args), method)(X)


def test_one_unit_does_not_become_several():
    flow = MaskedAutoregressiveFlow(bijector_fn=lambda y: Shift([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"keeps the number of units\. Got x=\(3, 1\), y=\(3, 2\)"):
        flow.forward(X[:, :1])
    with pytest.raises(ValueError, match=r"shift must be broadcastable to the units"):
        MaskedAutoregressiveFlow(lambda y: ([1.0, 2.0], None)).inverse(X[:, :1])


def test_it_is_what_its_parameters_say():
    flow = MaskedAutoregressiveFlow(bijector_fn=lambda y: Exp(), event_ndims=2, unroll_loop=True, name="flow")
    assert flow.copy(name="other").name == "other"
    assert flow.parameters["event_ndims"] == 2
    assert flow.parameters["unroll_loop"] is True
    assert flow == flow.copy()
    assert flow != flow.copy(unroll_loop=False)
    assert flow.forward_event_shape([None, 3]) == (None, 3)
