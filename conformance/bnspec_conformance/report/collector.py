"""Collect the outcome of every trial during a pytest run, on the controller of a distributed run too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from bnspec_conformance.check import Known

__all__ = ["PROPERTIES", "Collector"]

# Under a prefix of our own: other people's tests record properties too.
PROPERTIES = tuple(f"bnspec.{name}" for name in ("subject", "group", "law", "case", "convention"))


class Collector:
    """The results of one run.

    Parameters
    ----------
    config : pytest.Config
        Supplies ``--bn-report``.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.unproven: list[str] = []
        self.folder: str | None = config.getoption("bn_report")
        self.trials: list[dict[str, Any]] = []
        self.absent: dict[str, str] = {}
        self.known: tuple[Known, ...] = ()
        self.stale: list[str] = []
        if self.folder is not None:
            # A run that ends before its report must not leave an older one behind.
            (Path(self.folder) / "results.json").unlink(missing_ok=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the call of a trial, or the setup or teardown that went wrong instead of it."""
        properties = dict(report.user_properties)
        if not properties.keys() >= set(PROPERTIES) or (report.when != "call" and not report.failed):
            return
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        self.trials.append(
            {
                "id": report.nodeid.partition("[")[2].removesuffix("]"),
                **{name.removeprefix("bnspec."): properties[name] for name in PROPERTIES},
                "outcome": "known" if "bnspec.known" in properties else report.outcome,
                "reason": properties.get("bnspec.known") or str(reason).removeprefix("Skipped: "),
                "worst": properties.get("bnspec.worst"),
                "unbounded": properties.get("bnspec.unbounded", 0),
                "message": _last_line(report) if report.failed else "",
                "seconds": round(report.duration, 4),
            }
        )

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run in which a subject has passed nothing: all that it skipped proves nothing."""
        passed = {trial["subject"] for trial in self.trials if trial["outcome"] == "passed"}
        self.unproven = sorted({trial["subject"] for trial in self.trials} - passed)
        self.stale = self._stale()
        if (self.unproven or self.stale) and exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Draw the table, and write the file if one is asked for."""
        if not self.trials:
            return
        from bnspec_conformance.report import console, results  # noqa: PLC0415 - rich is an extra

        if not self.absent and not (self.config.getoption("bn_backend") or self.config.getoption("bn_implementation")):
            # The workers of a distributed run have looked; the controller has not.
            from bnspec_conformance.subjects import present_backends  # noqa: PLC0415 - loads the frameworks

            self.absent = present_backends()[1]
        found = results.summarize(self.trials, self.absent)
        terminalreporter.section("bnspec conformance")
        terminalreporter.write(console.render(found))
        for subject in self.unproven:
            terminalreporter.write_line(f"{subject} has passed nothing, so nothing is proven about it: the run fails")
        for line in self.stale:
            terminalreporter.write_line(f"{line}: the run fails")
        if self.folder is not None:
            terminalreporter.write_line(f"results: {results.write(found, self.folder)}")

    def _stale(self) -> list[str]:
        """List the known failures that say what is not so."""
        if not self.known or not self.trials:
            return []
        from bnspec_conformance.check import stale  # noqa: PLC0415 - see the plugin's docstring
        from bnspec_conformance.check._attempt import Outcome  # noqa: PLC0415

        ends = {"known": "failed"}
        return stale(
            self.known,
            [
                Outcome(trial["group"], trial["law"], trial["case"], ends.get(trial["outcome"], trial["outcome"]))
                for trial in self.trials
            ],
        )


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longrepr)
