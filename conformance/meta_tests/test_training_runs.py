"""Runs of training: batches by counter, checkpoints to the same bytes, and what stops a run."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import bnspec
from bnspec.bijectors import (
    AutoregressiveNetwork,
    BatchNormalization,
    Bijector,
    Chain,
    JointMap,
    RationalQuadraticSpline,
    RealNVP,
    Scale,
    Shift,
)
from bnspec.distributions import MultivariateNormalDiag, TransformedDistribution
from bnspec.flows import Levels, dequantized, masked_autoregressive_flow, real_nvp
from bnspec.training import Adam, NonFiniteError, batch_rows, first_non_finite, fit
from bnspec.training._architecture import described, difference
from bnspec.variables import Variable

X = np.random.default_rng(5).normal(1.0, 2.0, (40, 3))
RUN = {"batch_size": 12, "seed": 9}


@pytest.fixture
def torch_backend():
    pytest.importorskip("torch")
    return bnspec.backend("torch")


def small(make=real_nvp, **arguments):
    return make(3, **{"num_blocks": 1, "hidden_units": [4], "seed": 1, **arguments})


def weights(flow):
    return [weight.tobytes() for weight in flow.get_weights()]


def rows(seed, batch_size, steps):
    return [row for step in steps for row in batch_rows(seed, step, 40, batch_size)]


def test_every_event_comes_once_in_an_epoch():
    epochs = [rows(3, 10, range(4)), rows(3, 10, range(4, 8))]
    assert [sorted(epoch) for epoch in epochs] == [list(range(40))] * 2
    assert epochs[0] != epochs[1]
    assert epochs[0] != rows(4, 10, range(4))
    assert len(set(rows(3, 12, range(3)))) == 36  # the rest is left out


def test_a_run_is_its_steps(torch_backend):
    """The loop adds nothing of its own: batches by the rows, and the flow at the end."""
    from bnspec.training import negative_log_likelihood, training_step  # noqa: PLC0415

    x = torch_backend.asarray(X)
    flow, twin, seen = small(), small(like=x), []
    losses = fit(flow, x, steps=4, progress=seen.append, **RUN)
    assert [run.step for run in seen] == [1, 2, 3, 4]
    assert seen[-1].losses == losses
    optimizer = Adam()
    step = training_step(twin, partial(negative_log_likelihood, twin), optimizer, compiled=False)
    trainable = tuple(variable.value for variable in twin.trainable_variables)
    others = tuple(variable.value for variable in twin.non_trainable_variables)
    state, expected = optimizer.init(trainable), []
    for number in range(4):
        batch = torch_backend.asarray(X[batch_rows(9, number, 40, 12)])
        loss, trainable, others, state = step(trainable, others, state, batch)
        expected.append(float(loss))
    assert losses == tuple(expected)
    twin.set_weights([*(torch_backend.to_numpy(each) for each in _in_order(twin, trainable, others))])
    assert weights(flow) == weights(twin)


def _in_order(flow, trainable, others):
    values = dict(zip([*flow.trainable_variables, *flow.non_trainable_variables], [*trainable, *others], strict=True))
    return [values[variable] for variable in flow.variables]


@pytest.mark.parametrize("name", ["torch", "jax", "tensorflow"])
@pytest.mark.parametrize("make", [real_nvp, masked_autoregressive_flow])
def test_a_run_that_stopped_goes_on_to_the_same_bytes(name, make, tmp_path):
    pytest.importorskip(name)
    backend = bnspec.backend(name)
    with backend.context():
        x = backend.asarray(np.floor(np.abs(X) % 7.0).astype(np.float32))
        arguments = {"prepare": lambda x, key: dequantized(x, 8, key), "every": 2, "compiled": name != "torch", **RUN}
        flows = [Levels(8)(small(make)) for _ in range(2)]
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        losses = fit(flows[0], x, steps=6, checkpoint=whole, **arguments)
        fit(Levels(8)(small(make)), x, steps=4, checkpoint=parts, **arguments)
        assert fit(flows[1], x, steps=6, checkpoint=parts, **arguments) == losses
    assert len(losses) == 6
    assert weights(flows[0]) == weights(flows[1])
    assert whole.read_bytes() == parts.read_bytes()


KILLED = """
import os, signal, sys
import numpy as np
import bnspec
from bnspec.flows import real_nvp
from bnspec.training import fit

def stop(run):
    if run.step == 7:
        os.kill(os.getpid(), signal.SIGKILL)

x = bnspec.backend("torch").asarray(np.random.default_rng(5).normal(1.0, 2.0, (40, 3)))
flow = real_nvp(3, num_blocks=1, hidden_units=[4], seed=1)
fit(flow, x, steps=10, batch_size=12, seed=9, checkpoint=sys.argv[1], every=3, progress=stop)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="has no SIGKILL")
def test_a_killed_run_goes_on_to_the_same_bytes(torch_backend, tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    done = subprocess.run([sys.executable, "-c", KILLED, str(killed)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    x = torch_backend.asarray(X)
    steps = []
    fit(small(), x, steps=10, checkpoint=killed, every=3, progress=lambda run: steps.append(run.step), **RUN)
    assert steps == [7, 8, 9, 10]  # it goes on from the checkpoint of step 6
    fit(small(), x, steps=10, checkpoint=whole, every=3, **RUN)
    assert killed.read_bytes() == whole.read_bytes()


OTHERS = {
    "hidden units": ({"hidden_units": [5]}, {}, r"layers\[0\]\[0\]', ours='float64 \[2, 5\]', file='float64 \[2, 4\]'"),
    "activation": ({"activation": "tanh"}, {}, r"network\.activation', ours='_tanh', file='_relu'"),
    "blocks": ({"num_blocks": 2}, {}, r"the length of architecture\.bijector\.bijectors', ours=5, file=3"),
    "batch norm": ({"batch_norm": False}, {}, r"the length of architecture\.bijector\.bijectors', ours=2, file=3"),
    "epsilon": ({"epsilon": 1e-3}, {}, r"batchnorm_layer\.epsilon', ours='0\.001', file='1e-05'"),
    "order": ({"order": [2, 1, 0]}, {}, r"bijectors\[0\]\.permutation\[0\]', ours=2, file=0"),
    "masked": ({"num_masked": 1}, {}, r"bijectors\[1\]\.\S*', ours="),
    "seed": ({}, {"seed": 10}, r"settings\.seed', ours=10, file=9"),
    "batch size": ({}, {"batch_size": 13}, r"settings\.batch_size', ours=13, file=12"),
    "optimizer": ({}, {"optimizer": Adam(beta_1=0.8)}, r"settings\.optimizer\.beta_1', ours='0\.8', file='0\.9'"),
    "dtype": ({}, {"dtype": "float32"}, r"ours='float32 \[\d, \d\]', file='float64 \[\d, \d\]'"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_something_else_is_refused(torch_backend, tmp_path, what):
    path, x = tmp_path / "run", torch_backend.asarray(X)
    fit(small(), x, steps=1, checkpoint=path, **RUN)
    before = path.read_bytes()
    arguments, run, text = OTHERS[what]
    flow, run = small(**arguments), {**RUN, **run}
    x = torch_backend.asarray(X.astype(run.pop("dtype", "float64")))
    with pytest.raises(ValueError, match=r"of the same architecture and settings\. Got path=.*difference='.*" + text):
        fit(flow, x, steps=2, checkpoint=path, **run)
    assert path.read_bytes() == before


def test_what_does_not_matter_may_differ(torch_backend, tmp_path):
    """Names, and the seed that the values were drawn by: they are in the file."""
    path, x = tmp_path / "run", torch_backend.asarray(X)
    losses = fit(small(), x, steps=2, checkpoint=path, **RUN)
    other = small(seed=2, name="another")
    assert fit(other, x, steps=2, checkpoint=path, **RUN) == losses


def test_a_damaged_checkpoint_is_refused(torch_backend, tmp_path):
    path, x = tmp_path / "run", torch_backend.asarray(X)
    fit(small(), x, steps=1, checkpoint=path, **RUN)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="its checksum does not fit"):
        fit(small(), x, steps=2, checkpoint=path, **RUN)
    layer = bnspec.layers.BatchNormalization()
    layer.build((None, 3), like=X)
    layer.save(path)
    with pytest.raises(ValueError, match=r"must have the format 'bnspec\.training 1'"):
        fit(small(), x, steps=2, checkpoint=path, **RUN)


# What stops a run


class Breaking(Bijector):
    """The identity, until its counter has reached a number: then its output, or its log-det, is NaN."""

    def __init__(self, after, what="output", name="breaking"):
        self.count = Variable("count", np.zeros(()), trainable=False)
        self.after, self.what = after, what
        super().__init__(forward_min_event_ndims=1, parameters={"after": after, "what": what}, name=name)

    def _inverse_and_log_det(self, y):
        import torch  # noqa: PLC0415

        if isinstance(self.count.value, np.ndarray):
            self.count = Variable("count", torch.zeros((), dtype=y.dtype), trainable=False)
        self.count.assign(self.count.value + 1.0)
        broken = torch.where(self.count.value > self.after, torch.nan, 0.0)
        zero = torch.zeros(y.shape[:-1], dtype=y.dtype)
        return (y + broken, zero) if self.what == "output" else (y, zero + broken)


@pytest.mark.parametrize("what", ["output", "log-det"])
def test_a_loss_that_is_not_finite_names_step_and_part(torch_backend, tmp_path, what):
    path, x = tmp_path / "run", torch_backend.asarray(X)
    inner = small(like=x)
    breaking = Breaking(5.0, what)
    breaking.count = Variable("count", torch_backend.asarray(np.zeros(())), trainable=False)
    parts = inner.bijector.bijectors
    flow = TransformedDistribution(inner.distribution, Chain([*parts[:2], breaking, *parts[2:]]))
    before = weights(flow)
    text = rf"Got step=5, loss=nan, part='part 2, breaking: its {what}'\. The last good checkpoint is '.*run'\."
    with pytest.raises(NonFiniteError, match=text) as caught:
        fit(flow, x, steps=20, checkpoint=path, every=2, **RUN)
    assert (caught.value.step, caught.value.part) == (5, f"part 2, breaking: its {what}")
    assert weights(flow) == before
    seen = []
    with pytest.raises(NonFiniteError):  # what was kept is step 4, from which the fifth is taken again
        fit(flow, x, steps=20, checkpoint=path, every=2, progress=lambda run: seen.append(run.step), **RUN)
    assert seen == [5]


def test_a_learning_rate_that_is_too_large_is_found(torch_backend):
    x = torch_backend.asarray(X)
    text = r"Got step=\d, loss=(nan|inf), part='part \d, .*Nothing was kept; give a checkpoint, and try a smaller"
    with pytest.raises(NonFiniteError, match=text):
        fit(small(bounded_scale=False), x, steps=9, optimizer=Adam(learning_rate=1e150), **RUN)


def test_no_checkpoint_is_written_of_what_is_not_finite(torch_backend, tmp_path):
    """The loss is finite before the step, and the parameters are not after it."""
    path, x = tmp_path / "run", torch_backend.asarray(X)

    class Ruin:
        def init(self, values):
            return (values[0] * 0.0,)

        def step(self, values, gradients, state):
            return tuple(value / 0.0 for value in values), state

    text = (
        r"variables and the state .* must be finite .*step=1, .*part='part 1, coupling_0: its variable dense_0/kernel'"
    )
    with pytest.raises(NonFiniteError, match=text):
        fit(small(), x, steps=3, optimizer=Ruin(), checkpoint=path, every=1, **RUN)
    assert not path.exists()
    flow = small(like=x)
    before = weights(flow)
    with pytest.raises(NonFiniteError, match=text):  # at the end, without a checkpoint
        fit(flow, x, steps=1, optimizer=Ruin(), **RUN)
    assert weights(flow) == before


def test_no_checkpoint_is_written_of_a_state_that_is_not_finite(torch_backend, tmp_path):
    """As where the square of a gradient overflows: no step would be done any more."""
    path, x = tmp_path / "run", torch_backend.asarray(X)

    class Overflowing(Adam):
        def step(self, values, gradients, state):
            moved, state = super().step(values, gradients, state)
            return moved, state._replace(second=tuple(each / 0.0 for each in state.second))

    with pytest.raises(NonFiniteError, match=r"Got step=1, loss=[\d.]+, part='the state of the optimizer'"):
        fit(small(), x, steps=2, optimizer=Overflowing(), checkpoint=path, every=1, **RUN)
    assert not path.exists()


def test_variables_and_the_base_are_named(torch_backend):
    x = torch_backend.asarray(X)
    flow = small(like=x)
    assert first_non_finite(flow, x) == ""
    assert first_non_finite(flow, torch_backend.asarray(np.where(X > 0, X, np.inf))) == "the data"
    coupling = flow.bijector.bijectors[1]
    assert isinstance(coupling, RealNVP)
    bias = next(variable for variable in coupling.variables if variable.name == "dense_1/bias")
    bias.assign(bias.value * np.nan)
    assert first_non_finite(flow, x) == "part 1, coupling_0: its variable dense_1/bias"
    far = TransformedDistribution(MultivariateNormalDiag([0.0] * 3), Scale(1e-200))
    assert first_non_finite(far, x) == "the base, MultivariateNormalDiag: its density"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (np.where(X > 4.0, np.nan, X), "all data must have a finite density before training. Got first='the data'"),
        (np.where(X > 4.0, np.inf, X), "all data must have a finite density before training. Got first='the data'"),
    ],
)
def test_data_that_are_not_finite_are_refused_before_training(torch_backend, data, text):
    seen = []
    with pytest.raises(ValueError, match=text):
        fit(small(), torch_backend.asarray(data), steps=3, progress=seen.append, **RUN)
    assert seen == []


@pytest.mark.parametrize("prepared", [False, True])
def test_data_outside_the_levels_are_refused_before_training(torch_backend, prepared):
    """One event of forty, which the first batch has not."""
    first = batch_rows(9, 0, 40, 12)
    outside = next(row for row in range(40) if row not in first)
    data = np.floor(np.abs(X) % 7.0)
    data[outside, 1] = 9.0
    seen, prepare = [], (lambda x, key: dequantized(x, 8, key)) if prepared else None
    with pytest.raises(ValueError, match=r"must be (integers from 0 to 7|in \[0, 8\]).*Got failing=1\. Say how many"):
        fit(Levels(8)(small()), torch_backend.asarray(data), steps=3, prepare=prepare, progress=seen.append, **RUN)
    assert seen == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"batch_size": 41}, "batch_size must be at most the number of events"),
        ({"steps": 0}, "steps must"),
        ({"every": 0}, "every must"),
    ],
)
def test_what_is_no_run(torch_backend, arguments, text):
    with pytest.raises(ValueError, match=text):
        fit(small(), torch_backend.asarray(X), **{"steps": 3, **RUN, **arguments})


def test_a_run_is_not_shorter_than_its_checkpoint(torch_backend, tmp_path):
    path, x = tmp_path / "run", torch_backend.asarray(X)
    losses = fit(small(), x, steps=3, checkpoint=path, **RUN)
    with pytest.raises(ValueError, match=r"at least those of the checkpoint\. Got steps=2, path='.*run', file=3"):
        fit(small(), x, steps=2, checkpoint=path, **RUN)
    assert fit(small(), x, steps=3, checkpoint=path, **RUN) == losses


def test_a_folder_that_is_not_there_is_refused_before_training(torch_backend, tmp_path):
    seen = []
    with pytest.raises(ValueError, match="checkpoint must lie in a folder that is there"):
        fit(small(), torch_backend.asarray(X), steps=1, checkpoint=tmp_path / "no" / "run", progress=seen.append, **RUN)
    assert seen == []


def test_a_seed_of_numpy_is_a_seed(torch_backend, tmp_path):
    path, x = tmp_path / "run", torch_backend.asarray(X)
    losses = fit(small(), x, steps=2, checkpoint=path, **{**RUN, "seed": np.int64(9)})
    assert fit(small(), x, steps=2, checkpoint=path, **RUN) == losses


def test_the_page_runs():
    pytest.importorskip("torch")
    page = (Path(__file__).parents[2] / "docs" / "flows.md").read_text(encoding="utf-8")
    code = "\n".join(block.split("```")[0] for block in page.split("```python\n")[1:])
    names = {}
    exec(compile(code, "docs/flows.md", "exec"), names)  # noqa: S102 - our own page
    assert len(names["losses"]) == 20


# What a checkpoint is of


def frozen(which, x):
    flow = small(num_blocks=2, batch_norm=False, like=x)
    couplings = [part for part in flow.bijector.bijectors if isinstance(part, RealNVP)]
    for variable in couplings[which].variables:
        variable.trainable = False
    return flow


def test_a_checkpoint_in_which_others_were_trained_is_refused(torch_backend, tmp_path):
    """Both networks have arrays of the same names and shapes."""
    path, x = tmp_path / "run", torch_backend.asarray(X)
    first = frozen(0, x)
    fit(first, x, steps=2, checkpoint=path, **RUN)
    with pytest.raises(ValueError, match=r"difference='trainable\.0000 dense_0/kernel', ours=True, file=False"):
        fit(frozen(1, x), x, steps=3, checkpoint=path, **RUN)
    again = frozen(0, x)
    fit(again, x, steps=2, checkpoint=path, **RUN)
    assert weights(again) == weights(first)


def made(seed):
    network = AutoregressiveNetwork(2, event_shape=3, hidden_units=[8], hidden_degrees="random", seed=seed)
    network.build(3, like=X)
    return network


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x, units):
        return self.factor * x[..., :units], None


def enclosing(factor):
    return lambda x, units: (factor * x[..., :units], None)


UNLIKE = {
    "masks": (lambda: made(1), lambda: made(2), "masks"),
    "shift": (lambda: Shift(np.asarray([1.0, 2.0])), lambda: Shift(np.asarray([7.0, 9.0])), "shift"),
    "knots": (
        lambda: RationalQuadraticSpline(np.ones(2), np.ones(2), np.ones(1)),
        lambda: RationalQuadraticSpline(np.ones(2), np.ones(2), np.full(1, 2.0)),
        "knot_slopes",
    ),
    "a scalar of NumPy's": (
        lambda: partial(made, seed=np.int64(3)),
        lambda: partial(made, seed=np.int64(5)),
        "keywords.seed",
    ),
    "regularizer": (
        lambda: small(kernel_regularizer=bnspec.layers.L2(1e-6), like=X),
        lambda: small(kernel_regularizer=bnspec.layers.L2(1.0), like=X),
        "bijector.bijectors[1].shift_and_log_scale_fn.network.kernel_regularizer.l2",
    ),
    "the layer's regularizer": (
        lambda: built(gamma_regularizer="l2"),
        lambda: built(gamma_regularizer=None),
        "batchnorm_layer.variables.gamma",
    ),
    "the layer's constraint": (
        lambda: built(gamma_constraint=bnspec.layers.Positive(1e-6)),
        lambda: built(gamma_constraint=bnspec.layers.Positive(1e-3)),
        "batchnorm_layer.variables.gamma.constraint.minimum",
    ),
    "a field of the convention": (
        lambda: built(convention=bnspec.conventions.KERAS),
        lambda: built(convention=replace(bnspec.conventions.KERAS, running_variance="bessel")),
        "batchnorm_layer.convention.running_variance",
    ),
    "a callable object": (
        lambda: RealNVP(1, shift_and_log_scale_fn=Scaled(1.0)),
        lambda: RealNVP(1, shift_and_log_scale_fn=Scaled(2.0)),
        "shift_and_log_scale_fn.factor",
    ),
    "the enclosing function": (
        lambda: RealNVP(1, shift_and_log_scale_fn=enclosing(1.0)),
        lambda: RealNVP(1, shift_and_log_scale_fn=enclosing(2.0)),
        "shift_and_log_scale_fn.enclosing.factor",
    ),
    "a part called name": (
        lambda: JointMap({"name": Scale(1.0)}),
        lambda: JointMap({"name": Scale(2.0)}),
        "bijectors.name.scale",
    ),
}


def built(**arguments):
    layer = bnspec.layers.BatchNormalization(**arguments)
    layer.build((None, 3), like=X)
    return BatchNormalization(layer)


@pytest.mark.parametrize("what", UNLIKE)
def test_what_computes_something_else_is_described_otherwise(what):
    one, other, where = UNLIKE[what]
    found = difference(described(one()), described(other()))
    assert found is not None
    assert found[0].startswith(where)
    assert difference(json.loads(json.dumps(described(one()))), described(one())) is None


def test_what_holds_itself_is_described():
    network = made(1)
    network.itself = network
    assert (
        described(network)["itself"] == "the bnspec.bijectors._autoregressive_network.AutoregressiveNetwork around it"
    )


class Plain:
    """An optimizer that is no dataclass."""

    def __init__(self, rate):
        self.rate = rate

    def init(self, values):
        return (values[0] * 0.0,)

    def step(self, values, gradients, state):
        return tuple(value - self.rate * slope for value, slope in zip(values, gradients, strict=True)), state


def test_a_checkpoint_of_another_rate_is_refused(torch_backend, tmp_path):
    path, x = tmp_path / "run", torch_backend.asarray(X)
    fit(small(), x, steps=1, optimizer=Plain(1e-3), checkpoint=path, **RUN)
    with pytest.raises(ValueError, match=r"settings\.optimizer\.rate', ours='0\.01', file='0\.001'"):
        fit(small(), x, steps=2, optimizer=Plain(1e-2), checkpoint=path, **RUN)
