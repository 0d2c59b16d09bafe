"""The public surface: names, versions, docstrings and the README."""

import doctest
import inspect
import pkgutil
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import bnspec
from bnspec_conformance.check import Isolation, Request, check
from bnspec_conformance.command import template
from bnspec_conformance.mutants import MUTANTS
from bnspec_conformance.report.explained import render
from bnspec_conformance.variants import VARIANTS

ROOT = Path(__file__).parents[2]
PACKAGES = ("bnspec", "bnspec_backends", "bnspec_conformance")
NEEDS_A_GPU = {"bnspec_backends._cupy"}


def modules():
    for package in PACKAGES:
        yield package
        for info in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
            if info.name not in NEEDS_A_GPU:
                yield info.name


def test_all_is_exactly_the_public_names():
    public = {name for name in vars(bnspec) if not name.startswith("_") and not inspect.ismodule(vars(bnspec)[name])}
    rooms = {"bijectors", "conventions", "distributions", "flows", "layers", "training", "variables"}
    assert set(bnspec.__all__) == public | rooms


def test_the_version_is_that_of_the_metadata():
    assert bnspec.__version__ == version("bnspec")
    assert f"## {bnspec.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("name", list(modules()))
def test_all_names_exist_and_are_described(name):
    module = import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, public


@pytest.mark.parametrize("name", [n for n in modules() if n.startswith("bnspec.") or n == "bnspec"])
def test_examples_in_docstrings_are_right(name):
    results = doctest.testmod(import_module(name))
    assert results.failed == 0


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readme_example_of_the_library_runs():
    names = {}
    exec(blocks("python")[0], names)  # noqa: S102 - the README is ours
    assert abs(float(names["y"].mean())) < 1
    assert abs(float(names["z"].mean())) > 1
    assert names["gradients"].x.shape == (64, 3)


def test_the_readme_example_of_a_flow_runs():
    names = {"np": np}
    exec(blocks("python")[1], names)  # noqa: S102 - the README is ours
    flow, data = names["flow"], names["data"]
    assert names["log_density"].shape == (64,)
    assert names["samples"].shape == (10, 3)
    assert (flow.sample(10, seed=1) == names["samples"]).all()
    counts = [variable for variable in flow.variables if variable.name == "num_batches"]
    assert [int(count.value) for count in counts] == [1]
    flow.log_prob(data)
    assert [int(count.value) for count in counts] == [2]


def test_the_readme_adapter_is_the_template_and_passes_through_pytest(pytester):
    adapter = blocks("python")[-1]
    assert adapter == Path(template.__file__).read_text(encoding="utf-8")
    assert len([line for line in adapter.splitlines() if line]) < 60
    command = next(line for line in blocks("sh")[-1].splitlines() if "--bn-implementation" in line)
    arguments = command.partition("#")[0].removeprefix("python -m pytest ").split()
    pytester.makepyfile(my_adapter=adapter)
    pytester.syspathinsert()
    good = pytester.runpytest_subprocess(*arguments, "-k", "running or purity")
    assert good.ret == 0
    good.stdout.fnmatch_lines(["* passed, 0 failed, * skipped"])


def test_the_readme_shows_what_a_failing_check_prints(tmp_path, monkeypatch):
    text = (ROOT / "README.md").read_text()
    old, new = re.search(r"Change `(.+?)` to `(.+?)`", text).groups()
    select = re.search(r'check my_adapter:MyBatchNorm --select "(.+?)"', text)[1]
    adapter = blocks("python")[-1]
    assert old in adapter
    (tmp_path / "my_adapter.py").write_text(adapter.replace(old, new))
    monkeypatch.syspath_prepend(tmp_path)
    with Isolation() as isolation:
        found = check(Request("my_adapter:MyBatchNorm", None, "naive"), isolation, select=[select])

    def essence(text):
        """The text without numbers, which the processor's order of summing decides, and where they break its lines."""
        return re.sub(r"[-+]?\d[\d.e+-]*", "#", " ".join(text.split()))

    shown, printed = essence(blocks("text")[0]), essence(render(found))
    assert shown.partition("smallest input")[0] == printed.partition("smallest input")[0]
    assert shown.partition("Known defects")[2] == printed.partition("Known defects")[2] != ""
    assert "times the bound" in shown
    assert "print(" in shown


def test_the_readme_commands_are_those_of_ci():
    commands = [line for block in blocks("sh") for line in block.splitlines() if "nox -s" in line]
    assert len(commands) == 2
    script = (ROOT / ".ci/run").read_text()
    for command in commands:
        assert all(part.strip().removesuffix("nox") in script for part in command.split("&&")[::2]), command


def test_every_session_has_a_description():
    text = (ROOT / "noxfile.py").read_text()
    named = re.findall(r"@nox\.session.*\ndef (\w+)\(.*\n    \"\"\"", text)
    assert set(re.findall(r"def (\w+)\(session", text)) - {"shared"} == set(named)
    for session in re.findall(r"nox -s (\w+)", (ROOT / "README.md").read_text()):
        assert session in named


def test_the_changelog_counts_right():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"{len(MUTANTS)} mutants, {len(VARIANTS)} correct variants" in text


def test_every_session_that_the_docs_name_exists():
    sessions = set(re.findall(r"def (\w+)\(session", (ROOT / "noxfile.py").read_text()))
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert set(re.findall(r"nox -s (\w+)", page.read_text())) <= sessions
