"""The laws in every mode of a backend, and what changes where sizes are not known before the call runs."""

from pathlib import Path

import numpy as np
import pytest

import bnspec
import bnspec_conformance.modes as modes
from bnspec.arrays import blocked_sum, fits, sizes_of, to_rows
from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.checks import Checks
from bnspec_conformance.definition import OUTSIDE
from bnspec_conformance.flows import flow_trials
from bnspec_conformance.kept import Kept
from bnspec_conformance.laws import LAWS, Trial
from bnspec_conformance.modes import FLOWS, LAYERS, SECTION, Row, made, main, rows_of
from bnspec_conformance.report.document import kept, put
from bnspec_conformance.subjects import backend_subject

tf = pytest.importorskip("tensorflow")

DOCS = Path(__file__).parents[2] / "docs"
BACKEND = bnspec.backend("tensorflow")
MODES = tuple(BACKEND.modes())
UNKNOWN = "tf.function, unknown dimensions"
X = np.random.default_rng(5).normal(2.0, 3.0, (6, 3)).astype(np.float32)


def unknown(function):
    return BACKEND.modes()[UNKNOWN](function)


def tried():
    """One case of each law; ``nox -s modes`` tries all. A SavedModel takes a second to write: one law of a group."""
    for mode in MODES:
        for law in LAWS:
            first = next(other for other in LAWS if other.group == law.group)
            if "compile" not in law.requires and (law is first or "Saved" not in mode):
                yield pytest.param(mode, law, id=f"{mode}-{law.name}")
            if law.requires & {"autodiff", "hessian_vector_product"}:
                yield pytest.param(mode + OUTSIDE, law, id=f"{mode}{OUTSIDE}-{law.name}")


@pytest.mark.parametrize(("mode", "law"), list(tried()))
def test_a_law_holds_in_a_mode(mode, law):
    subject = backend_subject("tensorflow", mode)
    trials = (Trial(law, law.cases[0], subject, adapter) for adapter in reversed(subject.adapters[: law.conventions]))
    trial = next(trial for trial in trials if not trial.missing)
    checks = Checks()
    trial.run(checks)
    assert checks.worst is not None or law.group in ("purity", "degenerate")


def test_a_mode_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match=r"tensorflow must have the mode.*mode='XLB'.*XLA"):
        backend_subject("tensorflow", "XLB")
    with pytest.raises(ValueError, match="numpy must have the mode"):
        backend_subject("numpy", "XLA")


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 63, 64, 65, 511, 513, 4097])
def test_a_sum_over_an_unknown_number_is_complete(count):
    x = np.arange(3 * count, dtype=np.float32).reshape(count, 3) % 11

    def total(x):
        xp = BACKEND.namespace()
        assert not isinstance(sizes_of(x)[0], int)
        return blocked_sum(to_rows(x, (0,), xp), xp)

    assert np.array_equal(unknown(total)(tf.constant(x)).numpy(), x.sum(axis=0))


@pytest.mark.parametrize("convention", [KERAS, TORCH], ids=lambda convention: convention.name)
def test_an_empty_batch_of_unknown_size_keeps_the_averages(convention):
    spec = bnspec.BatchNorm(convention=convention)
    params, state = spec.init(X.shape, like=tf.constant(X))
    state = bnspec.State(state.moving_mean + 0.25, state.moving_variance * 3.0, state.num_batches)
    _, wanted = spec.apply(params, state, tf.constant(X[:0]), training=True)
    y, after = unknown(lambda p, s, x: spec.apply(p, s, x, training=True))(params, state, tf.constant(X[:0]))
    assert y.shape == (0, 3)
    for found, expected in zip(after[:3], wanted[:3], strict=True):
        assert found.numpy().tobytes() == expected.numpy().tobytes()


def test_a_parameter_that_does_not_fit_an_unknown_size_is_an_error_when_the_call_runs():
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=tf.constant(X))
    call = unknown(lambda p, s, x: spec.apply(p, s, x, training=True)[0])
    with pytest.raises(tf.errors.InvalidArgumentError):
        call(params, state, tf.constant(X[:, :2]))


def test_a_cotangent_or_a_statistic_that_does_not_fit_is_an_error_when_the_call_runs():
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=tf.constant(X))
    pull = unknown(lambda x, cotangent: spec.vjp(params, state, x, training=True)[2](cotangent).x)
    with pytest.raises(tf.errors.InvalidArgumentError):
        pull(tf.constant(X), tf.constant(X[:1]))
    normalize = unknown(lambda x, mean: bnspec.batch_normalization(x, mean, mean * mean, None, None, 0.5))
    for mean in (np.ones(5, np.float32), X[:2]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            normalize(tf.constant(X), tf.constant(mean))
    with pytest.raises(ValueError, match=r"axes must be in \[-2, 1\]. Got shape=\(None, None\), axes=5"):
        unknown(lambda x: bnspec.moments(x, 5))(tf.constant(X))


def test_what_does_not_fit_a_known_size_is_an_error_when_it_is_traced():
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=tf.constant(X))
    call = tf.function(lambda x: spec.apply(params, state, x, training=True), autograph=False)
    with pytest.raises(ValueError, match=r"gamma must have shape \(4,\).*shape=\(None, 4\)"):
        call.get_concrete_function(tf.TensorSpec((None, 4), tf.float32))
    with pytest.raises(ValueError, match=r"the rank must be known.*\[None, None\] for a matrix"):
        call.get_concrete_function(tf.TensorSpec(None, tf.float32))


def test_statistics_of_unknown_sizes():
    x, weights = tf.constant(X), tf.constant(np.arange(6, dtype=np.float32)[:, None])
    for function, arguments in (
        (lambda x: bnspec.moments(x, 0, keepdims=True), (x,)),
        (lambda x, w: bnspec.weighted_moments(x, (0,), w), (x, weights)),
        (lambda x, m: bnspec.batch_normalization(x, m, m * m, None, m, 0.5), (x, x[0])),
    ):
        eager = tf.nest.flatten(function(*arguments))
        traced = tf.nest.flatten(unknown(function)(*arguments))
        # Six rows are one block, so that nothing is added in another order.
        assert [value.numpy().tobytes() for value in traced] == [value.numpy().tobytes() for value in eager]


@pytest.fixture(scope="module")
def rows():
    return kept(DOCS / "results/modes.json")


def test_the_table_of_the_modes_is_what_was_counted(rows):
    text = (DOCS / "backends.md").read_text(encoding="utf-8")
    assert put(text, SECTION, made(rows)) == text
    assert not any(row["failed"] or row["worst"] > 1 for row in rows)
    keys = [tuple(row[name] for name in Row._fields) for row in rows]
    assert len(set(keys)) == len(keys)
    assert set(keys) <= {row for backend in {row["backend"] for row in rows} for row in rows_of(backend)}


def test_all_modes_are_tried_on_the_same_laws_and_entries(rows):
    for row in rows:
        assert row["passed"] > 0
        if row["laws"] == FLOWS:
            assert row["passed"] + row["skipped"] == len(flow_trials(backend_subject("numpy")))
    compiled = [
        row for row in rows if row["mode"] != "eager" and (row["backend"], row["laws"]) == ("tensorflow", LAYERS)
    ]
    counts = {(row["tape"], row["passed"] + row["skipped"]) for row in compiled}
    assert {tape for tape, _ in counts} == {"inside", "outside"}
    assert len(counts) == 2


def test_a_run_replaces_its_own_rows_alone(tmp_path, monkeypatch):
    row = {"version": "1", "passed": 3, "failed": 0, "skipped": 0, "worst": 0.5, "reasons": {}, "broken": {}}
    counted = []

    def tried(one):
        counted.append(one)
        return {**one._asdict(), **row, "passed": len(counted)}

    monkeypatch.setattr(modes, "tried", tried)
    (tmp_path / "page.md").write_text(f"a\n<!-- {SECTION}: begin -->\n<!-- {SECTION}: end -->\nb\n")
    given = ["--results", str(tmp_path / "kept.json"), "--document", str(tmp_path / "page.md")]
    assert main(["--backend", "jax", "--laws", FLOWS, *given]) == 0
    assert main(["--backend", "tensorflow", "--mode", "XLA", *given]) == 0
    assert main(["--backend", "jax", "--mode", "jit", "--laws", FLOWS, *given]) == 0
    found = [tuple(one[name] for name in (*Row._fields, "passed")) for one in kept(tmp_path / "kept.json")]
    assert found == [
        ("tensorflow", "XLA", "inside", LAYERS, 3),
        ("tensorflow", "XLA", "outside", LAYERS, 4),
        ("tensorflow", "XLA", "inside", FLOWS, 5),
        ("jax", "eager", "inside", FLOWS, 1),
        ("jax", "jit", "inside", FLOWS, 6),
    ]
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("a\n")
    assert "| `jax` | jit | inside | flows | 6 | 0 | 0 | 0.5 |" in text
    row["failed"] = 1
    assert main(["--backend", "jax", "--mode", "jit", "--laws", FLOWS, *given]) == 1


def test_a_mode_makes_a_function_once_for_each_subject():
    made_of = []
    run = Kept(lambda function: made_of.append(function) or function)
    first, second = (lambda: 1), (lambda: 2)
    assert run(first, "one", "key") is run(second, "one", "key") is first
    assert run(second, "one", "other") is second
    assert run(second, "two", "key") is second
    assert run(second, "one", "key") is second  # what was made of the first is gone
    assert made_of == [first, second, second, second]


def test_shapes_fit_as_far_as_they_are_known():
    assert fits((None, 3), (6, 3))
    assert fits((tf.constant(6), 3), (5, 3))
    assert not fits((None, 3), (6, 4))
    assert not fits((3,), (3, 3))
