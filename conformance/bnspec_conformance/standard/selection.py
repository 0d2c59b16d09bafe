"""A pytest plugin for the runs of array-api-tests: keeps the tests of needed functions, and writes each outcome.

It is loaded with ``-p`` beside an unmodified checkout, and changes nothing about the tests that it keeps.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from bnspec.errors import message

from .expected import parse, unmatched
from .items import about, is_needed, standard_names

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["Outcomes", "choose", "outcome"]

_FUNCTION = pytest.StashKey["str | None"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("bnspec-standard", "array-api-tests on the functions that we need")
    group.addoption("--bn-functions", choices=("needed", "exported"), default="needed", help="which tests are kept")
    group.addoption("--bn-outcomes", metavar="FILE", help="write the outcome of every test into this file")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let the examples depend on nothing but the test, and note every outcome."""
    # A failing example is not made smaller, which takes most of the time; a slow machine fails nothing.
    settings.register_profile(
        "bnspec-standard",
        parent=settings.get_profile("array-api-tests"),
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=(HealthCheck.too_slow,),
    )
    settings.load_profile("bnspec-standard")
    # Hypothesis also draws constants out of the source code that it finds loaded. Then a change of ours, or the
    # name of the folder of the checkout, would change the examples that a test sees.
    providers._get_local_constants = Constants  # noqa: SLF001
    config.pluginmanager.register(Outcomes(config), "bnspec-outcomes")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of needed functions; refuse an expected failure that is no test."""
    known = standard_names(item.nodeid for item in items)
    functions = {item.nodeid: about(item.nodeid, known) for item in items}
    wanted = _exported(known) if config.getoption("bn_functions") == "exported" else frozenset()
    kept, left = choose(functions, wanted)
    listed = config.getoption("--xfails-file")
    expected = parse(Path(listed).read_text(encoding="utf-8")) if listed else {}
    if missing := unmatched(expected, kept):
        raise pytest.UsageError(
            message(
                "An expected failure must be the name of a test that is run",
                "Remove it from the list, or correct the name.",
                list=listed,
                tests=", ".join(missing),
            )
        )
    for item in items:
        item.stash[_FUNCTION] = functions[item.nodeid]
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left])
    items[:] = [item for item in items if item.nodeid not in left]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the one example that a test of special cases takes be the same in every run."""
    random.seed(item.nodeid)


def choose(functions: dict[str, str | None], wanted: frozenset[str] = frozenset()) -> tuple[list[str], set[str]]:
    """Choose the tests that are run.

    Parameters
    ----------
    functions : dict
        Tests to what they are about.
    wanted : frozenset of str
        Functions beyond the needed ones.

    Returns
    -------
    kept : list of str
        The tests that are run.
    left : set of str
        The tests that concern only functions that are not wanted.
    """
    kept = [nodeid for nodeid, function in functions.items() if is_needed(function, wanted)]
    return kept, set(functions) - set(kept)


def _exported(known: frozenset[str]) -> frozenset[str]:
    """Those of the main namespace that the module under test has."""
    module = sys.modules["array_api_tests"].xp
    return frozenset(name for name in known if "." not in name and hasattr(module, name))


class Outcomes:
    """The outcome of every test, and the file of them."""

    def __init__(self, config: pytest.Config) -> None:
        self.path = config.getoption("--bn-outcomes")
        self.found: dict[str, dict[str, Any]] = {}
        self.deselected = 0

    @pytest.hookimpl
    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count what is not run."""
        self.deselected += len(items)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the outcome of each phase; what fails, fails."""
        report = yield
        row = self.found.setdefault(
            item.nodeid, {"test": item.nodeid, "function": item.stash[_FUNCTION], "outcome": "", "message": ""}
        )
        name = outcome(report)
        if name == "failed" or (row["outcome"] in ("", "passed") and (name != "passed" or call.when == "call")):
            row |= {"outcome": name, "message": "" if name == "passed" else _line(report)}
        return report

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the file."""
        if self.path and not session.config.option.collectonly:
            content = {"deselected": self.deselected, "tests": list(self.found.values())}
            Path(self.path).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def outcome(report: pytest.TestReport) -> str:
    """Name an outcome.

    Parameters
    ----------
    report : pytest.TestReport
        Of one phase of a test.

    Returns
    -------
    str
        passed, failed, skipped, or expected failure; an expected failure that passes has failed.
    """
    if hasattr(report, "wasxfail"):
        return "expected failure" if report.skipped else "passed"
    return str(report.outcome)


def _line(report: pytest.TestReport) -> str:
    """Shorten what went wrong to a line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        text = str(crash.message)
    elif isinstance(report.longrepr, tuple):
        text = str(report.longrepr[2])
    else:
        text = report.longreprtext
    # Without what the suite adds below, without a traceback inside the message, and without addresses.
    text = re.split("={10}|assert False|Failing test case", text)[0].strip() or text
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("File "))
    return shorten(re.sub("0x[0-9a-f]{6,}", "0x", text), 240)
