"""A JUnit report, drawn from a result."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_junit"]


# What XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def _text(text: str) -> str:
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def write_junit(found: dict[str, Any], path: Path) -> None:
    """Write the report, whole or not at all.

    Parameters
    ----------
    found : dict
        As of :func:`bnspec_conformance.report.results.summarize`.
    path : pathlib.Path
        The file; its folder is made.
    """
    suite = TestSuite("bnspec")
    for trial in found["trials"]:
        case = TestCase(trial["id"], f"{trial['subject']}.{trial['group']}", trial["seconds"])
        if trial["outcome"] == "failed":
            case.result = [Failure(_text(trial["message"]), "LawBroken")]
        elif trial["outcome"] != "passed":
            case.result = [Skipped(_text(f"{trial['outcome']}: {trial['reason']}"))]
        suite.add_testcase(case)
    for line in found.get("stale", ()):
        case = TestCase(_text(line), "known failures")
        case.result = [Failure(_text(line), "stale")]
        suite.add_testcase(case)
    xml = JUnitXml("bnspec")
    xml.add_testsuite(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.partial")
    xml.write(str(draft), pretty=True)
    draft.replace(path)
