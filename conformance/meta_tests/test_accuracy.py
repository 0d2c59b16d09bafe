"""The numeric goal of the definition, on every backend; the whole table is ``nox -s accuracy``."""

import numpy as np
import pytest

import bnspec
from bnspec.conventions import KERAS
from bnspec_conformance import oracle
from bnspec_conformance.accuracy import LENGTHS, RATIOS, main, measure
from bnspec_conformance.bounds import accuracy_goal
from bnspec_conformance.subjects import backend_subject


@pytest.mark.parametrize("length", [n for n in LENGTHS if n <= 4096])
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_goal_is_reached(backend, ratio, length):
    found = measure(backend_subject(backend.name).adapters[0], length, ratio)
    assert found.error <= found.goal


@pytest.mark.parametrize(("ratio", "name"), [(1e4, "numpy"), (1e6, "numpy"), (1e4, "tensorflow"), (1e4, "torch")])
def test_the_goal_is_reached_over_a_million_elements(ratio, name):
    found = measure(backend_subject(name).adapters[0], 1_000_000, ratio)
    assert found.error <= found.goal


@pytest.mark.parametrize("shape", [(37, 400), (33, 7, 7, 64), (5003, 64)])
@pytest.mark.parametrize("framework", ["jax", "tensorflow"])
def test_xla_does_not_lose_the_mean(framework, shape):
    # XLA contracts x - s * (1 / N) in one place and not in another, unless the mean is settled first.
    x = np.random.default_rng(3).normal(1e4, 1.0, shape).astype(np.float32)
    spec, backend = bnspec.BatchNorm(), bnspec.backend(framework)
    given = backend.asarray(x)
    params, state = spec.init(shape, like=given)

    def call(x):
        return spec.apply(params, state, x, training=True)[0]

    if framework == "jax":
        y = backend.compile(call)(given)
    else:
        tf = pytest.importorskip("tensorflow")
        y = tf.function(call, autograph=False, jit_compile=True)(given)
    rows = x.reshape(-1, shape[-1])
    exact = oracle.trajectory(
        [(rows, True)],
        axis=(1,),
        epsilon=1e-3,
        momentum=0.99,
        convention=KERAS,
        gamma=None,
        beta=None,
        moving_mean=np.zeros(shape[-1]),
        moving_variance=np.ones(shape[-1]),
    )[0].y
    error = exact.error(backend.to_numpy(y).reshape(rows.shape)) / np.maximum(1.0, np.abs(exact.to_float()))
    assert error.max() <= accuracy_goal(1e4) * 2.0**-23


def test_the_table_is_printed_and_a_missed_goal_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr("bnspec_conformance.accuracy.LENGTHS", (5,))
    assert main(["numpy"]) == 0
    assert "0 above the goal" in capsys.readouterr().out
    monkeypatch.setattr("bnspec_conformance.accuracy.accuracy_goal", lambda ratio: 0.0)
    assert main(["numpy"]) == 1
    assert "5 above the goal" in capsys.readouterr().out
