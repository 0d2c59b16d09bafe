"""The pytest plugin: options, trials, the rule about skips, and the reports.

It loads in every pytest run of its environment, so it imports only pytest and the standard library at its
top, and touches no test but its own.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from bnspec_conformance.report.collector import PROPERTIES, Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bnspec_conformance.laws import Subject, Trial

_SUITE = Path(__file__).with_name("test_laws.py").resolve()
_SUBJECTS = pytest.StashKey["list[Subject]"]()
_COLLECTOR = pytest.StashKey[Collector]()
_DECLARED = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("bnspec", "batch normalization conformance")
    group.addoption(
        "--bn-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="try bnspec on this backend, for example torch or jax:x64; an error if it cannot be loaded "
        "(default: all that can)",
    )
    group.addoption(
        "--bn-implementation",
        action="append",
        default=[],
        metavar="MODULE:ATTR",
        help="try an implementation of your own, through its adapter, instead of the backends",
    )
    group.addoption(
        "--bn-mode",
        action="append",
        default=[],
        metavar="MODE",
        help="run the backends in this mode of theirs, for example XLA, instead of at once",
    )
    group.addoption("--bn-report", metavar="DIR", help="write results.json into this folder")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn every trial into a test."""
    if metafunc.definition.path.resolve() != _SUITE:
        return
    from bnspec_conformance.laws import trials  # noqa: PLC0415 - see the module's docstring

    found = [trial for subject in _subjects(metafunc.config) for trial in trials(subject)]
    metafunc.parametrize("trial", found, ids=[trial.id for trial in found])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Label the items of the suite, and set their warning filters, whatever configuration is in force.

    A warning on a backend is an error. An implementation of somebody else is judged by its numbers alone.
    """
    for item in items:
        if (trial := _trial(item)) is not None:
            ours = trial.subject.grade.name == "definition"
            item.add_marker(pytest.mark.filterwarnings("error" if ours else "default"))
            names = (trial.subject.name, trial.law.group, trial.law.name, trial.case.id, trial.adapter.convention.name)
            item.user_properties.extend(zip(PROPERTIES, names, strict=True))


@pytest.fixture
def declare(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Declare the reason of the skip that follows."""

    def note(reason: str) -> None:
        request.node.stash[_DECLARED] = reason

    return note


@pytest.fixture
def record_worst(request: pytest.FixtureRequest) -> Callable[[float | None, int], None]:
    """Record the worst error of a trial as a fraction of its bound, and how much had no bound."""

    def note(worst: float | None, unbounded: int) -> None:
        # pytest's own record_property warns under its default JUnit family.
        request.node.user_properties.extend([("bnspec.worst", worst), ("bnspec.unbounded", unbounded)])

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip without a declared reason into a failure."""
    report = yield
    if report.skipped and _trial(item) is not None and not item.stash.get(_DECLARED, ""):
        report.outcome = "failed"
        report.longrepr = f"A skip must have a declared reason. Got {report.longreprtext or report.longrepr}."
    return report


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say who is tried, and who is not and why."""
    if _SUBJECTS not in config.stash and not _asked(config):
        return []
    names = ", ".join(subject.name for subject in _subjects(config))
    absent = [f"bnspec: not present: {name}: {reason}" for name, reason in config.stash[_COLLECTOR].absent.items()]
    return [f"bnspec: subjects: {names}", *absent]


def pytest_configure(config: pytest.Config) -> None:
    """Collect the results of the suite."""
    config.stash[_COLLECTOR] = Collector(config)
    config.pluginmanager.register(config.stash[_COLLECTOR], "bnspec-collector")
    if _asked(config):
        _subjects(config)  # what is named and cannot be tried is an error before anything is collected


def _trial(item: pytest.Item) -> Trial | None:
    """Return the trial of an item of the suite, and None for anybody else's item."""
    if item.path.resolve() != _SUITE or not isinstance(item, pytest.Function):
        return None
    return cast("Trial", item.callspec.params["trial"])


def _asked(config: pytest.Config) -> bool:
    return bool(config.getoption("bn_backend") or config.getoption("bn_implementation"))


def _subjects(config: pytest.Config) -> list[Subject]:
    if _SUBJECTS in config.stash:
        return config.stash[_SUBJECTS]
    missing = [name for name in ("rich", "sklearn") if find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"{', '.join(missing)} must be installed: pip install 'bnspec[conformance]'")
    from bnspec_conformance.subjects import (  # noqa: PLC0415 - see the module's docstring
        backend_subject,
        implementation_subject,
        present_backends,
    )

    backends: list[str] = config.getoption("bn_backend")
    absent: dict[str, str] = {}
    if not _asked(config):
        backends, absent = present_backends()
    try:
        modes: list[str] = config.getoption("bn_mode") or [""]
        subjects = [backend_subject(name, mode) for name in backends for mode in modes]
        subjects += [implementation_subject(path) for path in config.getoption("bn_implementation")]
    except (ImportError, RuntimeError, TypeError, ValueError) as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[_SUBJECTS] = subjects
    config.stash[_COLLECTOR].absent = absent
    return subjects
