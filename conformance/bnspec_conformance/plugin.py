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

    from bnspec_conformance.check import Isolation, Known
    from bnspec_conformance.check._attempt import Outcome
    from bnspec_conformance.flows import FlowTrial
    from bnspec_conformance.laws import Subject, Trial

_SUITE = Path(__file__).with_name("test_laws.py").resolve()
_SUBJECTS = pytest.StashKey["list[Subject]"]()
_COLLECTOR = pytest.StashKey[Collector]()
_DECLARED = pytest.StashKey[str]()
_ISOLATION: pytest.StashKey[Isolation] = pytest.StashKey()
_KNOWN: pytest.StashKey[tuple[Known, ...]] = pytest.StashKey()


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
        "--bn-convention", metavar="NAME", help="hold implementations to this convention, and not to their adapters'"
    )
    group.addoption(
        "--bn-grade",
        default="naive",
        choices=("naive", "two-pass", "definition"),
        help="how exact implementations must be: naive, the default, is what every sound one reaches",
    )
    group.addoption(
        "--bn-timeout", type=float, default=60.0, metavar="SECONDS", help="that a case of an implementation may take"
    )
    group.addoption(
        "--bn-known-failures", metavar="FILE", help="failures of implementations that are known: a strict list in TOML"
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
    from bnspec_conformance.flows import flow_trials  # noqa: PLC0415 - see the module's docstring
    from bnspec_conformance.laws import trials  # noqa: PLC0415

    subjects = _subjects(metafunc.config)
    found: list[Trial | FlowTrial] = []
    for subject in subjects:
        found += [*trials(subject), *flow_trials(subject)]
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


@pytest.fixture
def excuse(request: pytest.FixtureRequest) -> Callable[[Trial, Outcome], None]:
    """Expect a failure that is on the list."""

    def known(trial: Trial, outcome: Outcome) -> None:
        entry = next((each for each in request.config.stash[_KNOWN] if each.matches(outcome)), None)
        if entry is not None:
            reason = f"{entry.reason} ({entry.link})"
            request.node.user_properties.append(("bnspec.known", reason))
            request.node.stash[_DECLARED] = reason
            pytest.xfail(reason)

    return known


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


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the processes in which implementations ran."""
    if _ISOLATION in config.stash:
        config.stash[_ISOLATION].close()


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
    missing = [name for name in ("pebble", "rich", "sklearn") if find_spec(name) is None]
    if missing:
        raise pytest.UsageError(f"{', '.join(missing)} must be installed: pip install 'bnspec[conformance]'")
    from bnspec_conformance.check import Unloadable  # noqa: PLC0415 - see the module's docstring
    from bnspec_conformance.subjects import backend_subject, present_backends  # noqa: PLC0415

    backends: list[str] = config.getoption("bn_backend")
    absent: dict[str, str] = {}
    if not _asked(config):
        backends, absent = present_backends()
    try:
        modes: list[str] = config.getoption("bn_mode") or [""]
        subjects = [backend_subject(name, mode) for name in backends for mode in modes]
        subjects += _implementations(config)
    except (ImportError, OSError, RuntimeError, TypeError, Unloadable, ValueError) as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[_SUBJECTS] = subjects
    config.stash[_COLLECTOR].absent = absent
    return subjects


def _implementations(config: pytest.Config) -> list[Subject]:
    """Load implementations, each in a process of its own."""
    paths: list[str] = config.getoption("bn_implementation")
    if not paths:
        for option in ("bn_convention", "bn_known_failures"):
            if config.getoption(option) is not None:
                raise ValueError(f"--{option.replace('_', '-')} is about implementations: give --bn-implementation too")
        return []
    from bnspec import conventions  # noqa: PLC0415 - see the module's docstring
    from bnspec_conformance.check import Isolation, Request, read_known, remote_subject  # noqa: PLC0415

    name, listed = config.getoption("bn_convention"), config.getoption("bn_known_failures")
    convention = None if name is None else conventions.named(name)
    known = () if listed is None else read_known(Path(listed))
    isolation = Isolation()
    config.stash[_ISOLATION] = isolation
    config.stash[_KNOWN] = config.stash[_COLLECTOR].known = known
    requests = [Request(path, convention, config.getoption("bn_grade")) for path in paths]
    return [remote_subject(request, isolation, config.getoption("bn_timeout")) for request in requests]
