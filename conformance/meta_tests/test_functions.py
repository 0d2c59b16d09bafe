"""The functions of the TensorFlow namespace are accurate, their gradients are right, and the documentation says so."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import bnspec
from bnspec_conformance.bounds import function_goal
from bnspec_conformance.functions import __main__ as report
from bnspec_conformance.functions import document
from bnspec_conformance.functions.accuracy import DTYPES, FUNCTIONS, errors, measure
from bnspec_conformance.functions.document import MISSED, SECTION, failures, made
from bnspec_conformance.functions.gradient_cases import CASES
from bnspec_conformance.functions.gradients import compare, differences, gradient
from bnspec_conformance.functions.points import points
from bnspec_conformance.functions.reference import REFERENCES, exact
from bnspec_conformance.report.document import put
from bnspec_conformance.standard.suite import UNKNOWN_DIMENSIONS, XLA

DOCS = Path(__file__).parents[2] / "docs"
DIFFERENTIABLE = [case for case in CASES if case.kind != "kink"]
NAMES = [f"{case.id}, {number}" for number, case in enumerate(DIFFERENTIABLE)]
FEW = ["cumulative_prod, no, one and two zeros", "hypot", "logaddexp, equal arguments", "pow", "roll", "tanh", "var"]


@pytest.fixture(scope="module")
def tensorflow():
    pytest.importorskip("tensorflow")
    return bnspec.backend("tensorflow")


@pytest.fixture(scope="module")
def result():
    return json.loads((DOCS / "results/functions.json").read_text(encoding="utf-8"))


def test_the_documentation_is_made_from_the_result(result):
    text = (DOCS / "backends.md").read_text(encoding="utf-8")
    assert put(text, SECTION, made(result)) == text


def test_all_recorded_figures_are_within_the_goals(result):
    assert failures(result) == []
    assert [row["function"] for row in result["accuracy"]] == list(FUNCTIONS)
    assert len(result["gradients"]) == len(CASES)


def test_every_function_of_reals_is_measured(tensorflow):
    other = {"conj", "imag", "real", "signbit", "square"}
    module = tensorflow.namespace()
    known = set(FUNCTIONS)
    assert known <= {name for name in dir(module) if callable(getattr(module, name))}
    assert known - set(REFERENCES) == {"nextafter"}
    assert not {name for name in module.__all__ if name.startswith(("log", "a")) and name in dir(math)} - known - other


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy(tensorflow, name, dtype):
    found = measure(tensorflow, name, dtype, 300)
    assert found.error <= function_goal(name), found


@pytest.mark.parametrize("mode", ["tf.function", XLA])
@pytest.mark.parametrize("name", ["atanh", "log1p", "logaddexp", "pow", "reciprocal", "tanh"])
def test_accuracy_in_modes(tensorflow, name, mode):
    for dtype in DTYPES:
        found = measure(tensorflow, name, dtype, 300, mode)
        assert found.error <= function_goal(name), found


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=NAMES)
def test_gradients(tensorflow, case):
    for found, expected in zip(gradient(tensorflow, case), differences(case), strict=True):
        assert compare(found, expected, case).ratio <= 1.0


@pytest.mark.parametrize("mode", [UNKNOWN_DIMENSIONS, XLA])
@pytest.mark.parametrize("case", [case for case in DIFFERENTIABLE if case.id in FEW], ids=lambda case: case.id)
def test_gradients_in_modes(tensorflow, case, mode):
    for found, expected in zip(gradient(tensorflow, case, mode), differences(case), strict=True):
        assert compare(found, expected, case).ratio <= 1.0


@pytest.mark.parametrize("mode", ["", UNKNOWN_DIMENSIONS])
def test_the_second_derivative_of_a_product_with_zeros(tensorflow, mode):
    xp = tensorflow.namespace()
    x = np.asarray([2.0, 0.0, 3.0, 0.0])

    def total(arrays):
        return xp.sum(xp.cumulative_prod(arrays[0]))

    def slope(arrays):
        return xp.sum(
            tensorflow.value_and_grad(total)(arrays)[1][0] * tensorflow.asarray(np.asarray([1.0, 5.0, 7.0, 11.0]))
        )

    call = {"": lambda function: function, **tensorflow.modes()}[mode]
    found = call(lambda x: tensorflow.value_and_grad(slope)((x,))[1][0])(tensorflow.asarray(x))
    # sum x0 + x0 x1 + x0 x1 x2 + x0 x1 x2 x3, differentiated by hand along (1, 5, 7, 11).
    assert tensorflow.to_numpy(found).tolist() == [20.0, 84.0, 10.0, 30.0]


def test_powers_of_whole_numbers_are_exact(tensorflow):
    base, exponent = np.meshgrid(np.arange(-9.0, 10.0), np.arange(0.0, 9.0))
    found = tensorflow.namespace().pow(tensorflow.asarray(base), tensorflow.asarray(exponent))
    assert np.array_equal(tensorflow.to_numpy(found), base**exponent)


def test_an_error_is_counted_in_units_of_the_exact_result():
    one = exact("positive", [np.asarray([1.0, 1.0, -1.0, 3.0])])
    found = np.asarray([1.0, 1.0 + 2.0**-51, -1.0 - 2.0**-52, math.nan])
    assert errors("positive", found, one, "float64").tolist() == [0.0, 2.0, 1.0, math.inf]


def test_the_ends_of_the_format():
    largest, tiny = np.finfo(np.float64).max, np.finfo(np.float64).tiny
    over = exact("multiply", [np.asarray([largest, largest]), np.asarray([2.0, -2.0])])
    assert errors("multiply", np.asarray([math.inf, math.inf]), over, "float64").tolist() == [0.0, 2.0**54]
    assert errors("multiply", np.asarray([largest, -math.inf]), over, "float64").tolist() == [1.0, 0.0]
    under = exact("multiply", [np.asarray([tiny, tiny]), np.asarray([0.25, 0.25])])
    assert errors("multiply", np.asarray([0.0, 2.0 * tiny]), under, "float64").tolist() == [0.0, math.inf]


def test_points_are_the_same_in_every_run():
    assert all(
        np.array_equal(*pair) for pair in zip(points("pow", "float32", 50), points("pow", "float32", 50), strict=True)
    )
    with pytest.raises(ValueError, match=r"There must be points for the function.*'pow'"):
        points("pov", "float32", 50)


def test_a_wrong_function_is_found(tensorflow, monkeypatch):
    module = tensorflow.namespace()
    right = module.tanh
    monkeypatch.setattr(module, "tanh", lambda x: right(x) * (1.0 + 2.0**-20))
    assert measure(tensorflow, "tanh", "float32", 100).error > function_goal("tanh")
    case = next(case for case in CASES if case.id == "tanh")
    assert compare(gradient(tensorflow, case)[0], differences(case)[0], case).ratio > 1.0


def test_the_report_is_written_and_what_is_out_of_place_is_an_error(tmp_path, capsys, monkeypatch):
    chosen = [case for case in CASES if case.function in {"abs", "floor_divide"}]
    monkeypatch.setattr(report, "FUNCTIONS", ("abs",))
    monkeypatch.setattr(report, "CASES", chosen)
    monkeypatch.setattr(report, "ACCURACY", (("numpy", ""), ("tensorflow", "")))
    monkeypatch.setattr(report, "GRADIENTS", (("tensorflow", ""), ("tensorflow", XLA), ("jax:x64", ""), ("torch", "")))
    where = ["--results", str(tmp_path / "a/f.json"), "--document", str(tmp_path / "b.md")]
    (tmp_path / "b.md").write_text("# B\n\n<!-- functions: begin -->\n<!-- functions: end -->\n", encoding="utf-8")
    assert report.main(["--points", "20", *where]) == 0
    first = (tmp_path / "b.md").read_text(encoding="utf-8")
    assert first.startswith("# B\n\n<!-- functions: begin -->\n\n")
    assert "refused" in first
    assert report.main(["--render", *where]) == 0
    assert (tmp_path / "b.md").read_text(encoding="utf-8") == first
    monkeypatch.setattr(document, "function_goal", lambda name: -1.0)
    assert report.main(["--render", *where]) == 1
    assert "2 out of place" in capsys.readouterr().out


def test_what_is_declared_to_be_missed_has_a_reason():
    assert all(MISSED.values())
