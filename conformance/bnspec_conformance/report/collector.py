"""Collect the outcome of every trial during a pytest run, on the controller of a distributed run too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

__all__ = ["Collector"]


class Collector:
    """The results of one run.

    Parameters
    ----------
    config : pytest.Config
        Supplies ``--bn-report``.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.folder: str | None = config.getoption("bn_report")
        self.trials: list[dict[str, Any]] = []
        self.absent: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the call of a trial, or the setup or teardown that went wrong instead of it."""
        properties = dict(report.user_properties)
        if "law" not in properties or (report.when != "call" and not report.failed):
            return
        reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        self.trials.append(
            {
                "id": report.nodeid.partition("[")[2].removesuffix("]"),
                **{name: properties[name] for name in ("subject", "group", "law", "case", "convention")},
                "outcome": report.outcome,
                "reason": str(reason).removeprefix("Skipped: "),
                "worst": properties.get("worst"),
                "message": _last_line(report) if report.failed else "",
                "seconds": round(report.duration, 4),
            }
        )

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Draw the table, and write the file if one is asked for."""
        if not self.trials:
            return
        from bnspec_conformance.report import console, results  # noqa: PLC0415 - rich is an extra

        found = results.summarize(self.trials, self.absent)
        terminalreporter.section("bnspec conformance")
        terminalreporter.write(console.render(found))
        if self.folder is not None:
            terminalreporter.write_line(f"results: {results.write(found, self.folder)}")


def _last_line(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash is not None else report.longrepr)
