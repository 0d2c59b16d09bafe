"""torch.compile as users call it: the whole graph, and sizes and numbers that become symbols when they change."""

import subprocess
import sys

import numpy as np
import pytest

import bnspec
from bnspec.bijectors import (
    AbsoluteValue,
    BatchNormalization,
    Chain,
    Inline,
    Permute,
    RealNVP,
    Scale,
    Shift,
    Sigmoid,
    Softplus,
    real_nvp_default_template,
)
from bnspec.distributions import MultivariateNormalDiag, Normal, TransformedDistribution

torch = pytest.importorskip("torch")

SIZES = (3, 4, 7, 1000)


@pytest.fixture(autouse=True)
def fresh():
    """Forget what was compiled before, which counts against a limit and makes sizes dynamic."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(function):
    """Trace all of it, and leave the operations as they are: then the numbers are the same, too."""
    return torch.compile(function, fullgraph=True, backend="eager")


def data(count):
    return torch.tensor(np.random.default_rng(count).uniform(0.1, 2.0, (count, 2)).astype(np.float32))


def same(seen, expected):
    if isinstance(expected, tuple):
        assert len(seen) == len(expected)
        for each in zip(seen, expected, strict=True):
            same(*each)
        return
    assert seen.dtype == expected.dtype
    assert seen.detach().numpy().tobytes() == expected.detach().numpy().tobytes()


def normalization():
    bijector = BatchNormalization()
    bijector.inverse(data(5))
    return bijector


def flow():
    """Return a flow whose weights are always the same."""
    coupling = RealNVP(1, None, real_nvp_default_template([4]))
    coupling.forward(data(5))
    for variable in coupling.variables:
        size = variable.value.numel()
        variable.assign(torch.linspace(-1.0, 1.0, size).reshape(variable.shape))
    return Chain([coupling, normalization(), Permute([1, 0]), coupling])


def layer():
    found = bnspec.layers.BatchNormalization()
    found.build((None, 2), like=data(1))
    return found


def density():
    return TransformedDistribution(MultivariateNormalDiag(torch.zeros(2)), flow())


CALLS = {
    "layer in training": (layer, lambda subject, x: subject(x, training=True)),
    "layer with a mask": (layer, lambda subject, x: subject(x, training=True, mask=x[:, 0] > 0.3)),
    "bijector": (normalization, lambda subject, x: subject.inverse_and_log_det(x, training=False)),
    "bijector in training": (normalization, lambda subject, x: subject.inverse_and_log_det(x, training=True)),
    "flow": (flow, lambda subject, x: subject.forward_and_log_det(x)),
    "density in training": (density, lambda subject, x: subject.log_prob(x, training=True)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_size_of_the_batch_may_change(name):
    make, call = CALLS[name]
    eager, traced = make(), make()
    function = compiled(lambda x: call(traced, x))
    for size in SIZES:
        same(function(data(size)), call(eager, data(size)))


NUMBERS = {
    "Scale": lambda number: Scale(number).forward_and_log_det,
    "Scale of a list": lambda number: Scale([number, 1.5]).forward_and_log_det,
    "Shift": lambda number: Shift(number).inverse_and_log_det,
    "Sigmoid": lambda number: Sigmoid(number, 4.0).forward_and_log_det,
    "Softplus": lambda number: Softplus(number).forward_and_log_det,
    "Normal": lambda number: Normal(number, 1.0).log_prob,
    "transformed": lambda number: TransformedDistribution(Normal(number, 1.0), Scale(number)).log_prob,
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_may_change(name):
    call = compiled(lambda method, x: method(x))
    build = compiled(lambda number, x: NUMBERS[name](number)(x))
    for number in (1.0, 0.5, 0.75):
        expected = NUMBERS[name](number)(data(3))
        same(call(NUMBERS[name](number), data(3)), expected)
        same(build(number, data(3)), expected)


def built_inside(x):
    return Inline(lambda x: 2.0 * x, lambda y: y / 2.0, lambda x: 0.75).forward_and_log_det(x)


def built_inside_a_chain(x):
    def stretched(x, /, *, factor):
        return factor * x

    return Chain([Inline(stretched), Inline(lambda x, shift=0.5: x + shift)]).forward(x, factor=3.0, shift=0.25)


def built_with_any_condition(x):
    return Inline(lambda x, **conditions: conditions["factor"] * x).forward(x, factor=3.0)


def built_inside_a_coupling(x):
    return RealNVP(1, None, lambda x0, units, /, factor, *, shift: (factor * x0 + shift, x0)).forward_and_log_det(
        x, factor=3.0, shift=0.5
    )


@pytest.mark.parametrize(
    "function", [built_inside, built_inside_a_chain, built_with_any_condition, built_inside_a_coupling]
)
def test_functions_that_are_made_inside_are_asked_for_their_conditions(function):
    same(compiled(function)(data(3)), function(data(3)))


FIRST = """
import torch
import bnspec
from bnspec.bijectors import Chain, Scale, Softplus, Tanh
{before}
call = torch.compile({call}, fullgraph=True, backend="eager")
assert call(torch.tensor([0.5, 2.0])).shape == (2,)
"""


@pytest.mark.parametrize(
    ("before", "call"),
    [
        ("", "Chain([Scale(2.0), Tanh()]).inverse_log_det_jacobian"),
        ("", "lambda x: bnspec.moments(x, 0)[0] + x"),
        ("bnspec.backend('torch')", "Softplus(validate_args=True).inverse"),
    ],
)
def test_the_first_call_of_all_may_be_compiled(before, call):
    """Warnings are errors: there is no cache of anybody's that has to be filled before."""
    code = FIRST.format(before=before, call=call)
    found = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_an_error_of_a_traced_function_is_its_own():
    backend, x = bnspec.backend("torch"), data(3)
    for run in (backend.compile, *backend.modes().values()):
        with pytest.raises(NotImplementedError, match="must be injective to have a forward log-det"):
            run(lambda x: AbsoluteValue().forward_log_det_jacobian(x, event_ndims=0))(x)
        with pytest.raises(ValueError, match="event_ndims"):
            run(lambda x: Sigmoid().forward_log_det_jacobian(x, event_ndims=-1))(x)


def test_what_raises_only_where_it_is_traced_and_what_cannot_be_traced_are_errors_of_torch():
    def traced_only(x):
        if torch.compiler.is_compiling():
            raise NotImplementedError("traced")
        return x

    run = bnspec.backend("torch").modes()["aot_eager"]
    with pytest.raises(torch._dynamo.exc.Unsupported, match="traced"):
        run(traced_only)(data(3))
    with pytest.raises(torch._dynamo.exc.Unsupported):
        run(lambda x: torch._dynamo.graph_break())(data(3))
