"""Steps of training: Adam, constraints, penalties, and the frameworks' own optimizers on the same flow."""

from functools import partial

import numpy as np
import pytest

import bnspec
from bnspec.bijectors import BatchNormalization
from bnspec.distributions import MultivariateNormalDiag
from bnspec.flows import masked_autoregressive_flow, real_nvp
from bnspec.training import Adam, AdamState, negative_log_likelihood, training_step
from bnspec_conformance import bounds
from bnspec_conformance.bounds import FORMATS
from bnspec_conformance.definition import receive

X = np.random.default_rng(5).normal(1.0, 2.0, (40, 3))
DIFFERENTIABLE = ["torch", "jax:x64", "tensorflow"]


@pytest.fixture(params=DIFFERENTIABLE)
def differentiable(request):
    pytest.importorskip(request.param.partition(":")[0])
    found = bnspec.backend(request.param)
    with found.context():
        yield found


def small(like, make=real_nvp, **arguments):
    return make(3, **{"num_blocks": 2, "hidden_units": [4], "activation": "tanh", "seed": 1, "like": like, **arguments})


def values(flow):
    trainable = tuple(variable.value for variable in flow.trainable_variables)
    return trainable, tuple(variable.value for variable in flow.non_trainable_variables)


def exact(gradients, first, arguments):
    """Adam in extended precision."""
    rate, b1, b2, e = (np.longdouble(arguments[k]) for k in ("learning_rate", "beta_1", "beta_2", "epsilon"))
    value, m, v, found = first.astype(np.longdouble), np.longdouble(0.0), np.longdouble(0.0), []
    for step, gradient in enumerate(gradients.astype(np.longdouble), start=1):
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        value = value - rate * (m / (1 - b1**step)) / (np.sqrt(v / (1 - b2**step)) + e)
        found.append(value)
    return np.asarray(found)


ADAMS = {
    "defaults": {"learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    "others": {"learning_rate": 0.25, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 0.125},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("which", ADAMS)
def test_adam_is_the_algorithm_of_the_paper(backend, which, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    gradients = np.random.default_rng(3).normal(0.5, 2.0, (30, 4)).astype(dtype)
    gradients[:, 3] = 0.0
    first = np.asarray([1.0, -2.0, 0.5, 3.0], dtype)
    optimizer, state = Adam(**ADAMS[which]), None
    now, seen = (backend.asarray(first),), []
    state = optimizer.init(now)
    for gradient in gradients:
        now, state = optimizer.step(now, (backend.asarray(gradient),), state)
        seen.append(receive(backend, now[0]))
    expected = exact(gradients, first, ADAMS[which])
    before = np.concatenate([first[None].astype(np.float64), expected[:-1].astype(np.float64)])
    bound = bounds.adam(gradients, before, FORMATS[dtype], **ADAMS[which])
    assert seen[-1].dtype.name == dtype
    assert (np.abs(np.asarray(seen) - expected) <= bound).all()
    assert (seen[-1][3], int(state.count)) == (3.0, 30)  # no gradient, no step
    assert (bound < 1e-3 * np.abs(expected - first)[-1, :3].max()).all()


WRONG = {
    "no correction of the first average": lambda m, v, t, e: (m, np.sqrt(v / (1 - 0.999**t)) + e),
    "no correction of the second average": lambda m, v, t, e: (m / (1 - 0.9**t), np.sqrt(v) + e),
    "epsilon inside the root": lambda m, v, t, e: (m / (1 - 0.9**t), np.sqrt(v / (1 - 0.999**t) + e)),
    "the step counted from 0": lambda m, v, t, e: (m / (1 - 0.9 ** (t + 1)), np.sqrt(v / (1 - 0.999 ** (t + 1))) + e),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_outside_the_bound(what):
    gradients = np.random.default_rng(3).normal(0.5, 2.0, (30, 4)).astype(np.float32)
    expected, value = exact(gradients, np.zeros(4, np.float32), ADAMS["defaults"]), np.zeros(4)
    m, v, seen = 0.0, 0.0, []
    for step, gradient in enumerate(gradients.astype(np.float64), start=1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        above, below = WRONG[what](m, v, step, 1e-8)
        value = value - 1e-3 * above / below
        seen.append(value)
    before = np.concatenate([np.zeros((1, 4)), expected[:-1].astype(np.float64)])
    bound = bounds.adam(gradients, before, FORMATS["float64"])
    assert (np.abs(np.asarray(seen) - expected) > bound).any()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"learning_rate": 0.0}, ValueError, r"learning_rate must be positive and finite\. Got learning_rate=0\.0"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a real number"),
        ({"beta_1": 1.0}, ValueError, r"beta_1 must be in \(0, 1\)\. Got beta_1=1\.0"),
        ({"beta_2": 0.0}, ValueError, r"beta_2 must be in \(0, 1\)"),
        ({"learning_rate": float("inf")}, ValueError, "learning_rate must be positive and finite"),
        ({"epsilon": 0.0}, ValueError, r"epsilon must be positive and finite\. Got epsilon=0\.0"),
        ({"epsilon": float("inf")}, ValueError, "epsilon must be positive and finite"),
    ],
)
def test_what_adam_refuses(arguments, error, text):
    with pytest.raises(error, match=text):
        Adam(**arguments)


def test_adam_keeps_numbers_of_python():
    adam = Adam(learning_rate=np.float64(1e-3))
    assert repr(adam) == repr(Adam(learning_rate=1e-3))
    assert type(adam.learning_rate) is float


def test_adam_needs_as_many_of_all():
    adam = Adam()
    with pytest.raises(ValueError, match="values must have an array"):
        adam.init(())
    with pytest.raises(ValueError, match=r"Got values=2, gradients=1, state=1"):
        adam.step((X, X), (X,), adam.init((X,)))


class Descent:
    """The plainest optimizer: what it returns shows the gradient, and not its size against itself."""

    def init(self, values):
        return ()

    def step(self, values, gradients, state):
        return tuple(value - gradient for value, gradient in zip(values, gradients, strict=True)), state


@pytest.mark.parametrize("make", [real_nvp, masked_autoregressive_flow])
def test_a_step_is_loss_gradient_optimizer_and_averages(differentiable, make):
    """Each part of it is what its own function returns, but for the order of sums; the flow itself does not change."""
    x = differentiable.asarray(X)
    flow = small(x, make)
    trainable, others = values(flow)
    before = flow.get_weights()
    optimizer = Descent()
    step = training_step(flow, partial(negative_log_likelihood, flow), optimizer, compiled=False)
    found = step(trainable, others, optimizer.init(trainable), x)
    assert all((one == two).all() for one, two in zip(before, flow.get_weights(), strict=True))
    density, after = flow.stateless_call(trainable, others, x, training=True, method="log_prob")
    share = bounds.accumulated(1000, 2.0**-53)

    def assert_alike(one, two, size):
        seen, wanted = (np.asarray(receive(differentiable, each), np.float64) for each in (one, two))
        assert (np.abs(seen - wanted) <= share * size).all()

    size = np.abs(receive(differentiable, density)).max()
    assert_alike(found.loss, -differentiable.namespace().mean(density), size)
    for one, two in zip(found.non_trainable, after, strict=True):
        assert_alike(one, two, size)
    assert [int(receive(differentiable, each)) for each in found.non_trainable if each.shape == ()] == [1, 1]

    def loss(given):
        density, _ = flow.stateless_call(given, others, x, training=True, method="log_prob")
        return -differentiable.namespace().mean(density)

    _, gradients = differentiable.value_and_grad(loss)(trainable)
    moved, _ = optimizer.step(trainable, gradients, ())
    for one, two in zip(found.trainable, flow.constrained(moved), strict=True):
        assert_alike(one, two, size)


def test_the_compiled_step_trains(differentiable):
    if differentiable.framework == "torch":
        pytest.skip("its compiler takes minutes; test_torch_traces_a_step has its tracer")
    x = differentiable.asarray(X)
    flow = small(x)
    trainable, others = values(flow)
    optimizer = Adam(learning_rate=1e-2)
    step = training_step(flow, partial(negative_log_likelihood, flow), optimizer)
    state, losses = optimizer.init(trainable), []
    for _ in range(40):
        loss, trainable, others, state = step(trainable, others, state, x)
        losses.append(float(loss))
    assert losses[-1] < losses[0] - 0.3
    assert int(receive(differentiable, state.count)) == 40
    assert isinstance(state, AdamState)


def test_torch_traces_a_step():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    flow = small(x, num_blocks=1)
    trainable, others = values(flow)
    optimizer = Adam()
    step = training_step(flow, partial(negative_log_likelihood, flow), optimizer, compiled=False)
    torch.compiler.reset()
    compiled = torch.compile(step, fullgraph=True, backend="eager")
    eager, found = (each(trainable, others, optimizer.init(trainable), x) for each in (step, compiled))
    torch.compiler.reset()
    assert float(eager.loss) == float(found.loss)
    for one, two in zip(eager.trainable, found.trainable, strict=True):
        assert torch.equal(one, two)


def test_constraints_are_applied_after_the_step(differentiable):
    x = differentiable.asarray(X)
    flow = small(x, num_blocks=1)
    (gamma,) = [part.batchnorm.gamma for part in flow.bijector.bijectors if isinstance(part, BatchNormalization)]
    trainable, others = values(flow)
    place = flow.trainable_variables.index(gamma)
    # Every parameter moves by about the learning rate: gamma would be near -9.
    optimizer = Adam(learning_rate=10.0)
    step = training_step(
        flow, lambda x: differentiable.namespace().sum(gamma.value) + 0.0 * x[0, 0], optimizer, compiled=False
    )
    found = step(trainable, others, optimizer.init(trainable), x)
    np.testing.assert_array_equal(receive(differentiable, found.trainable[place]), np.full(3, 1e-6))


def test_penalties_are_added(differentiable):
    x = differentiable.asarray(X)
    plain, heavy = small(x), small(x, kernel_regularizer=bnspec.layers.L2(0.5))
    losses = []
    for flow in (plain, heavy):
        trainable, others = values(flow)
        optimizer = Adam()
        step = training_step(flow, partial(negative_log_likelihood, flow), optimizer, compiled=False)
        losses.append(float(receive(differentiable, step(trainable, others, optimizer.init(trainable), x).loss)))
    kernels = [weight for weight in plain.get_weights() if weight.ndim == 2]
    penalty = 0.5 * sum(float((kernel**2).sum()) for kernel in kernels)
    assert abs(losses[1] - losses[0] - penalty) <= bounds.accumulated(200, 2.0**-53) * sum(map(abs, losses))


def test_a_step_needs_variables_and_derivatives():
    with pytest.raises(ValueError, match=r"module must have trainable variables\. Call it once"):
        training_step(MultivariateNormalDiag([0.0]), lambda x: x, Adam())
    with pytest.raises(NotImplementedError, match="numpy must have automatic differentiation"):
        training_step(small(X), lambda x: x, Adam())


def test_what_comes_beside_the_loss_is_not_differentiated(differentiable):
    x, xp = differentiable.asarray(X), differentiable.namespace()
    both = differentiable.value_and_grad(lambda arrays: (xp.sum(arrays[0] ** 2), (3.0 * arrays[0],)), has_aux=True)
    (value, (beside,)), (slope,) = both((x,))
    np.testing.assert_array_equal(receive(differentiable, slope), 2.0 * X)
    np.testing.assert_array_equal(receive(differentiable, beside), 3.0 * X)
    assert abs(float(value) - (X**2).sum()) <= bounds.accumulated(200, 2.0**-53) * (X**2).sum()


# The frameworks' own optimizers


class Torch:
    """In place, on the values of the variables."""

    name = "torch"

    def __init__(self, flow, x, arguments):
        import torch  # noqa: PLC0415

        self.flow, self.x, self.torch = flow, x, torch
        self.parameters = [variable.value.requires_grad_() for variable in flow.trainable_variables]
        betas = (arguments["beta_1"], arguments["beta_2"])
        self.adam = torch.optim.Adam(self.parameters, arguments["learning_rate"], betas, arguments["epsilon"])

    def step(self):
        self.adam.zero_grad()
        loss = negative_log_likelihood(self.flow, self.x)
        loss.backward()
        gradients = [parameter.grad.clone() for parameter in self.parameters]
        self.adam.step()
        moved = [parameter.detach().numpy().copy() for parameter in self.parameters]
        with self.torch.no_grad():
            for parameter, allowed in zip(self.parameters, self.flow.constrained(self.parameters), strict=True):
                parameter.copy_(allowed)
        return float(loss.detach()), gradients, moved


class Stateless:
    """By values that come and go."""

    def __init__(self, flow, x, arguments):
        self.flow, self.x = flow, x
        self.trainable, self.others = values(flow)
        self.backend = bnspec.backend(self.name)
        self.differentiated = self.backend.value_and_grad(self.loss, has_aux=True)
        self.start(arguments)

    def loss(self, trainable):
        return self.flow.stateless_call(
            trainable, self.others, self.x, method=partial(negative_log_likelihood, self.flow)
        )

    def step(self):
        (loss, self.others), gradients = self.differentiated(self.trainable)
        moved = self.moved(gradients)
        self.trainable = tuple(self.flow.constrained(moved))
        return float(loss), gradients, [np.asarray(each) for each in moved]


class Optax(Stateless):
    name = "jax:x64"

    def start(self, arguments):
        import optax  # noqa: PLC0415

        named = (arguments["learning_rate"], arguments["beta_1"], arguments["beta_2"], arguments["epsilon"])
        self.apply, self.adam = optax.apply_updates, optax.adam(*named)
        self.state = self.adam.init(self.trainable)

    def moved(self, gradients):
        updates, self.state = self.adam.update(gradients, self.state, self.trainable)
        return self.apply(self.trainable, updates)


class Keras(Stateless):
    name = "tensorflow"

    def start(self, arguments):
        import keras  # noqa: PLC0415

        self.own = [keras.Variable(value, dtype="float64") for value in self.trainable]
        self.adam = keras.optimizers.Adam(**arguments)
        self.adam.build(self.own)

    def moved(self, gradients):
        for variable, value in zip(self.own, self.trainable, strict=True):
            variable.assign(value)
        self.adam.apply(gradients, self.own)  # its stateless form is not there on TensorFlow
        return [self.backend.asarray(np.asarray(variable)) for variable in self.own]


OWN = {"torch": Torch, "optax": Optax, "keras": Keras}


@pytest.mark.parametrize("library", OWN)
def test_the_frameworks_own_adam_trains_the_same_flow(library):
    """From each value that it reaches and the same gradients, ours reaches the same, within both bounds."""
    pytest.importorskip(library)
    # Keras adds epsilon before the correction: it must have no weight. It keeps the learning rate in float32, and takes
    # the powers of what beta_1 and beta_2 are in float32: numbers that it has exactly.
    arguments = {"learning_rate": 2.0**-7, "beta_1": 0.875, "beta_2": 1.0 - 2.0**-10, "epsilon": 1e-8}
    if library == "keras":
        arguments["epsilon"] = 1e-37
    backend = bnspec.backend(OWN[library].name)
    with backend.context():
        x = backend.asarray(X)
        flow = small(x)
        own = OWN[library](flow, x, arguments)
        ours = Adam(**arguments)
        first = [np.asarray(receive(backend, value)) for value in values(flow)[0]]
        state, losses, sizes = ours.init(tuple(backend.asarray(value) for value in first)), [], []
        before = first
        for _ in range(15):
            loss, gradients, moved = own.step()
            losses.append(loss)
            seen, state = ours.step(tuple(map(backend.asarray, before)), tuple(gradients), state)
            sizes.append([np.asarray(receive(backend, gradient)) for gradient in gradients])
            for number, (one, two) in enumerate(zip(moved, seen, strict=True)):
                history = np.stack([each[number] for each in sizes])
                last = np.stack([before[number]] * len(sizes))
                bound = bounds.adam(history, last, FORMATS["float64"], **arguments)[-1]
                assert (np.abs(one - receive(backend, two)) <= 2.0 * bound).all(), flow.trainable_variables[number]
            before = [np.asarray(each) for each in flow.constrained(moved)]
        assert losses[-1] < losses[0] - 0.1
