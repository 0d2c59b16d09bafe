"""The runner of array-api-tests, without array-api-tests."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bnspec_conformance.report.document import keep, kept, put
from bnspec_conformance.standard import __main__ as program
from bnspec_conformance.standard import checkout, document, expected, suite
from bnspec_conformance.standard.functions import HELPERS, LATER, NEEDED, TOPICS
from bnspec_conformance.standard.items import about, is_needed, standard_names
from bnspec_conformance.standard.selection import choose, outcome

BEGIN, END = "<!-- array-api-tests: begin -->", "<!-- array-api-tests: end -->"
ROOT = Path(__file__).parents[2]
TESTS = "array_api_tests/"
LISTED = [
    f"{TESTS}test_has_names.py::test_has_names[{name}]"
    for name in (
        *("creation-asarray", "creation-empty", "creation-empty_like", "elementwise-abs", "elementwise-add"),
        *("elementwise-log", "elementwise-log1p", "data_type-finfo", "data_type-result_type", "statistical-max"),
        *("searching-searchsorted", "searching-where", "manipulation-expand_dims", "linear_algebra-matmul"),
        *("linear_algebra-vecdot", "linalg-matmul", "linalg-slogdet", "linalg-matrix_norm", "fft-fft", "fft-fftshift"),
        *("info-__array_namespace_info__", "array_method-__add__", "array_attribute-T"),
    )
]
ROW = {
    "namespace": "numpy",
    "mode": "eager",
    "functions": "needed",
    "examples": 3,
    "failed": 0,
    "expected failure": 2,
    "passed": 5,
    "skipped": 1,
    "seconds": 4,
    "deselected": 6,
    "undetermined": 0,
    "failures": {},
    "versions": {"numpy": "2.4.6"},
    "array-api-tests": "abc",
    "array-api": "def",
}


def test_the_topics_hold_67_functions():
    assert len(NEEDED) == sum(map(len, TOPICS.values())) == 67
    assert not NEEDED & HELPERS
    assert not NEEDED & LATER


def test_the_definition_needs_nothing_else():
    dtypes = {"float32", "float64", "int32", "__name__"}
    for path in (ROOT / "bnspec").rglob("*.py"):
        named = set(re.findall(r"\bxp\.([a-z_0-9]+(?:\.[a-z_0-9]+)?)", path.read_text(encoding="utf-8")))
        assert named - dtypes <= NEEDED | HELPERS, path


@pytest.mark.parametrize(
    ("test", "function"),
    [
        ("test_has_names.py::test_has_names[array_attribute-T]", "Array.T"),
        ("test_has_names.py::test_has_names[linalg-slogdet]", "linalg.slogdet"),
        ("test_has_names.py::test_has_names[creation-empty_like]", "empty_like"),
        ("test_signatures.py::test_func_signature[log1p]", "log1p"),
        ("test_signatures.py::test_func_signature[__array_namespace_info__]", "__array_namespace_info__"),
        ("test_signatures.py::test_extension_func_signature[fft.fft]", "fft.fft"),
        ("test_signatures.py::test_array_method_signature[to_device]", "Array.to_device"),
        ("test_signatures.py::test_info_func_signature[devices]", "__array_namespace_info__"),
        ("test_inspection_functions.py::TestInspection::test_devices", "__array_namespace_info__"),
        ("test_creation_functions.py::test_empty_like", "empty_like"),
        ("test_creation_functions.py::test_asarray_scalars", "asarray"),
        ("test_data_type_functions.py::test_finfo_dtype[float32]", "finfo"),
        ("test_data_type_functions.py::TestResultType::test_with_scalars", "result_type"),
        ("test_data_type_functions.py::TestBroadcastShapes::test_empty", "broadcast_shapes"),
        ("test_manipulation_functions.py::TestExpandDims::test_expand_dims_tuples", "expand_dims"),
        ("test_set_functions.py::TestIsin::test_isin_scalars", "isin"),
        ("test_searching_functions.py::test_searchsorted_with_scalars", "searchsorted"),
        ("test_linalg.py::test_matmul", "matmul"),
        ("test_linalg.py::test_linalg_matmul", "linalg.matmul"),
        ("test_linalg.py::test_matrix_norm", "linalg.matrix_norm"),
        ("test_linalg.py::test_eig", "linalg.eig"),
        ("test_linalg.py::test_vecdot_conj", "vecdot"),
        ("test_fft.py::test_fft", "fft.fft"),
        ("test_fft.py::test_shift_func[fftshift]", "fft.fftshift"),
        ("test_constants.py::test_irrational_numbers[e-2.718281828459045]", "e"),
        ("test_constants.py::test_nan", "nan"),
        ("test_array_object.py::test_getitem_arrays_and_ints_1[None]", "Array.__getitem__"),
        ("test_array_object.py::test_setitem_masking", "Array.__setitem__"),
        ("test_array_object.py::test_scalar_casting[__int__(uint8)]", "Array.__int__"),
        ("test_dlpack.py::test_dunder_dlpack", "Array.__dlpack__"),
        ("test_dlpack.py::test_dlpack_device", "Array.__dlpack_device__"),
        ("test_operators_and_elementwise_functions.py::test_add[add(x1, x2)]", "add"),
        ("test_operators_and_elementwise_functions.py::test_add[__iadd__(x, s)]", "Array.__iadd__"),
        ("test_operators_and_elementwise_functions.py::test_binary_with_scalars_real[add]", "add"),
        ("test_operators_and_elementwise_functions.py::test_where_with_scalars", "where"),
        ("test_special_cases.py::test_unary[abs(x_i is NaN) -> NaN]", "abs"),
        ("test_special_cases.py::test_iop[__iadd__(x1_i is NaN or x2_i is NaN) -> NaN]", "Array.__iadd__"),
        ("test_special_cases.py::test_nan_propagation[max]", "max"),
        ("test_novelties.py::test_something_else[1]", None),
        ("test_operators_and_elementwise_functions.py::test_logarithm", None),
    ],
)
def test_a_test_is_about(test, function):
    assert about(TESTS + test, standard_names(LISTED)) == function


def test_what_is_not_understood_is_kept():
    functions = {
        "a": None,
        "b": "Array.__add__",
        "c": "abs",
        "d": "add",
        "e": "nan",
        "f": "linalg.slogdet",
        "g": "isin",
    }
    assert choose(functions) == (["a", "b", "c", "e", "f"], {"d", "g"})
    assert choose(functions, frozenset({"add"}))[1] == {"g"}
    assert is_needed(None)


def test_an_expected_failure_has_a_reason_and_is_listed_once():
    text = "# Two\n# lines.\na::b\na::c\n# Another.\na::d\n\n# Last.\na::e\n"
    assert expected.parse(text) == {"a::b": "Two lines.", "a::c": "Two lines.", "a::d": "Another.", "a::e": "Last."}
    with pytest.raises(ValueError, match=r"must have its reason in a comment above it\. Got test='a::c'\."):
        expected.parse("# One.\na::b\n\na::c\n")
    with pytest.raises(ValueError, match=r"must be listed once\. Got test='a::b'\. Remove the second\."):
        expected.parse("# One.\na::b\na::b\n")


def test_an_expected_failure_is_a_whole_name():
    assert expected.unmatched(["a::b[1]", "a::b", "a"], ["a::b[1]", "a::b[2]"]) == ["a::b", "a"]


def test_the_lists_are_well_formed():
    slugs = {row.slug for row in suite.ROWS}
    for path in expected.FOLDER.glob("*.txt"):
        assert path.stem in slugs
        found = expected.parse(path.read_text(encoding="utf-8"))
        assert all(test.startswith(TESTS) and reason.endswith(".") for test, reason in found.items())
    assert not (expected.FOLDER / "tensorflow.txt").exists()
    assert not (expected.FOLDER / f"{suite.Row('tensorflow', suite.UNKNOWN_DIMENSIONS).slug}.txt").exists()


@pytest.mark.parametrize(
    ("report", "name"),
    [
        (SimpleNamespace(outcome="passed", skipped=False), "passed"),
        (SimpleNamespace(outcome="failed", skipped=False), "failed"),
        (SimpleNamespace(outcome="skipped", skipped=True), "skipped"),
        (SimpleNamespace(outcome="skipped", skipped=True, wasxfail=""), "expected failure"),
        (SimpleNamespace(outcome="passed", skipped=False, wasxfail=""), "passed"),
    ],
)
def test_an_outcome_has_a_name(report, name):
    assert outcome(report) == name


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A made-up checkout, of three tests: one fails, and one is not about a needed function; no lists."""
    folder = tmp_path / "checkout"
    monkeypatch.setattr(suite, "FOLDER", tmp_path)
    for made in ("array-api/spec/2024.12/API_specification", "array-api/src/array_api_stubs/_2024_12"):
        (folder / made).mkdir(parents=True)
    package = folder / "array_api_tests"
    package.mkdir()
    (package / "__init__.py").write_text("import math as xp\n")
    (package / "stubs.py").touch()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (package / "test_has_names.py").write_text(
        "import pytest\n@pytest.mark.parametrize('name', ['elementwise-exp', 'elementwise-exp2'])\n"
        "def test_has_names(name):\n    assert name == 'elementwise-exp2'\n"
    )
    (package / "test_constants.py").write_text("def test_nan(): pass\n")
    return folder


CONFTEST = """
import pytest
from hypothesis import settings

def pytest_addoption(parser):
    parser.addoption("--max-examples", type=int)
    parser.addoption("--disable-deadline", action="store_true")
    parser.addoption("--derandomize", action="store_true")
    parser.addoption("--xfails-file")

def pytest_configure(config):
    settings.register_profile("array-api-tests", max_examples=config.getoption("--max-examples"), derandomize=True)

def pytest_collection_modifyitems(config, items):
    path = config.getoption("--xfails-file")
    listed = open(path).read().splitlines() if path else []
    for item in items:
        if item.nodeid in listed:
            item.add_marker(pytest.mark.xfail(reason="listed"))
"""
FAILING = "array_api_tests/test_has_names.py::test_has_names[elementwise-exp]"


def listed(tmp_path, text):
    (tmp_path / "numpy.txt").write_text(text)


def test_a_run_counts(copy):
    found = suite.run(suite.Row("numpy", examples=1), checkout.find(str(copy)))
    assert [found[name] for name in (*suite.OUTCOMES, "deselected")] == [1, 0, 1, 0, 1]
    assert list(found["failures"]) == [FAILING]
    assert found["array-api-tests"] == found["array-api"] == checkout.UNKNOWN
    assert sorted(path.name for path in copy.iterdir()) == ["array-api", "array_api_tests", "conftest.py", "pytest.ini"]
    exported = suite.run(suite.Row("numpy", functions="exported", examples=1), checkout.find(str(copy)))
    assert exported["passed"] == 2  # this module has exp2


def test_a_listed_failure_is_expected(copy, tmp_path):
    listed(tmp_path, f"# Because.\n{FAILING}\n")
    found = suite.run(suite.Row("numpy", examples=1), checkout.find(str(copy)))
    assert [found[name] for name in suite.OUTCOMES] == [0, 1, 1, 0]


def test_a_listed_failure_that_passes_fails(copy, tmp_path):
    listed(tmp_path, "# Because.\narray_api_tests/test_constants.py::test_nan\n")
    run = suite.run(suite.Row("numpy", examples=1), checkout.find(str(copy)))
    assert run["failed"] == 2
    assert suite.run(suite.Row("numpy", examples=1), checkout.find(str(copy)), strict=False)["failed"] == 1


def test_a_listed_failure_that_is_no_test_is_an_error(copy, tmp_path):
    listed(tmp_path, "# Because.\narray_api_tests/test_constants.py::test_nowhere\n")
    with pytest.raises(RuntimeError, match=r"(?s)must run to its end.*must be the name of a test.*test_nowhere"):
        suite.run(suite.Row("numpy", examples=1), checkout.find(str(copy)))


def test_an_unknown_namespace_is_an_error(copy):
    with pytest.raises(ValueError, match=r"namespace must be one .* Got namespace='nump'\. Did you mean 'numpy'\?"):
        suite.run(suite.Row("nump"), checkout.find(str(copy)))


def test_a_bad_path_is_an_error(tmp_path, copy, capsys):
    with pytest.raises(
        ValueError, match=r"PATH of a checkout .* must be given\. Got PATH=None\. Run git clone --recurse"
    ):
        checkout.find(None)
    with pytest.raises(
        ValueError, match=r"must be a checkout .* Got PATH='.*', missing='conftest\.py'\. Run git clone"
    ):
        checkout.find(str(tmp_path))
    (copy / "array-api/spec/2024.12/API_specification").rmdir()
    with pytest.raises(ValueError, match=r"with its submodule\. .* missing='array-api.spec.*checkout --recurse-submod"):
        checkout.find(str(copy))
    assert program.main([]) == 2
    assert "PATH of a checkout" in capsys.readouterr().out


def test_the_commits_are_gits(copy):
    def git(*arguments):
        command = ["git", "-C", str(copy), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    found = checkout.find(str(copy))
    assert (found.suite, found.standard) == (git("rev-parse", "HEAD"), checkout.UNKNOWN)
    assert checkout.find(str(copy), "given", "too") == checkout.Checkout(found.path, "given", "too")
    (copy / "conftest.py").write_text("")
    with pytest.raises(ValueError, match=r"must be unmodified\. .* status='M conftest\.py'\. Undo the changes"):
        checkout.find(str(copy))


def test_rows_are_chosen():
    assert program.chosen(None, None, None) == suite.ROWS
    assert [row.functions for row in program.chosen("tensorflow", "eager", None)] == ["needed", "exported"]
    assert program.chosen("numpy", None, "exported") == (suite.Row("numpy", functions="exported"),)
    with pytest.raises(ValueError, match=r"must be such a row\. Got only='nump', .* Did you mean 'numpy'\?"):
        program.chosen("nump", None, None)
    with pytest.raises(ValueError, match=r"Got only='tensorflow', mode='XLB', .* Did you mean 'XLA'\?"):
        program.chosen("tensorflow", "XLB", None)
    with pytest.raises(ValueError, match=r"Got only='numpy', mode='XLA', .* Known are: eager\."):
        program.chosen("numpy", "XLA", "needed")


def test_the_environment_names_the_mode():
    made = suite.environment(suite.Row("tensorflow", suite.UNKNOWN_DIMENSIONS))["ARRAY_API_TESTS_MODULE"]
    assert made.startswith("exec('")
    assert made.endswith("')")
    assert "MODES['tf.function, unknown dimensions']" in made
    assert "if None else None" in suite.environment(suite.Row("tensorflow"))["ARRAY_API_TESTS_MODULE"]


def test_a_row_that_is_not_run_stays():
    other = {**ROW, "namespace": "torch"}
    rows = document.merge([other, ROW], {**ROW, "passed": 6, "tests": []})
    assert rows == [{**ROW, "passed": 6}, other]


def test_the_document_needs_its_markers():
    made = document.made([ROW])
    assert "| `numpy` | eager | needed | 3 | 0 | 2 | 5 | 1 | 4 |" in made
    assert put(f"a\n{BEGIN}\nold\n{END}\nb", document.SECTION, made) == f"a\n{made}\nb"
    with pytest.raises(ValueError, match="must have both markers"):
        put("a", document.SECTION, made)


def test_failures_are_shown():
    made = document.made([{**ROW, "failed": 1, "failures": {"a::b": "no `x`"}}])
    assert "### Failed: `numpy`, eager, needed\n\n- `a::b`: `no 'x'`" in made


def test_a_run_alone_writes_its_row(copy, tmp_path, capsys):
    results, text = tmp_path / "results.json", tmp_path / "backends.md"
    keep(results, [{**ROW, "namespace": "torch"}])
    text.write_text(f"{BEGIN}\n{END}\n")
    files = ["--report", str(tmp_path / "report"), "--results", str(results), "--document", str(text)]
    run = ["--only", "numpy", "--functions", "exported", "--max-examples", "1"]
    assert program.main([str(copy), *run, *files]) == 1
    assert "numpy, eager, exported, 1 examples: 1 failed" in capsys.readouterr().out
    assert [row["namespace"] for row in kept(results)] == ["torch", "numpy"]
    made = text.read_text()
    assert "| `torch` | eager | needed | 3 |" in made
    text.write_text(f"{BEGIN}\n{END}\n")
    assert program.main(["--render", *files]) == 0
    assert text.read_text() == made
    (report,) = (tmp_path / "report").iterdir()
    assert {test["function"] for test in json.loads(report.read_text())[0]["tests"]} == {"exp", "exp2", "nan"}


def test_the_documentation_is_made_from_the_results():
    text = (ROOT / "docs/backends.md").read_text(encoding="utf-8")
    rows = kept(ROOT / "docs/results/array_api.json")
    assert rows
    assert put(text, document.SECTION, document.made(rows)) == text, "run nox -s array_api -- --render"


def test_the_plugin_is_not_loaded_in_our_own_runs():
    code = "import sys, bnspec_conformance.plugin; print('bnspec_conformance.standard' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
