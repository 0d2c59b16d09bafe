"""The public surface: names, versions, docstrings and the README."""

import doctest
import inspect
import pkgutil
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import bnspec
from bnspec_conformance.mutants import MUTANTS
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
    assert set(bnspec.__all__) == public | {"conventions", "layers"}


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


def test_the_readme_adapter_passes_and_its_one_pass_variant_fails(pytester):
    adapter = blocks("python")[1]
    command = next(line for line in blocks("sh")[-1].splitlines() if "--bn-implementation" in line)
    arguments = command.removeprefix("python -m pytest ").split()
    pytester.makepyfile(my_adapter=adapter)
    pytester.syspathinsert()
    good = pytester.runpytest_subprocess(*arguments)
    assert good.ret == 0
    good.stdout.fnmatch_lines(["* passed, 0 failed, * skipped"])
    pytester.makepyfile(my_adapter=adapter.replace("x.var(axes)", "(x * x).mean(axes) - x.mean(axes) ** 2"))
    bad = pytester.runpytest_subprocess(*arguments)
    assert bad.ret == 1
    bad.stdout.re_match_lines([r".*LawBroken: .* times the bound\."])


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
