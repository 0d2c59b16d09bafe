"""The section of the documentation that is made from the rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bnspec_conformance.report.document import section, table

from .checkout import URL
from .expected import parse
from .functions import NEEDED, VERSION
from .suite import NAMESPACES, OUTCOMES, ROWS, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["SECTION", "made", "merge"]

SECTION = "array-api-tests"
_LEGEND = (
    f"**needed**: the {len(NEEDED)} functions in `bnspec_conformance/standard/functions.py`, the bitwise functions, "
    "the constants, `__array_namespace_info__`, and everything of the array object. **exported**: every function "
    "besides that the main namespace has. A test whose function its name does not tell is kept. The suite itself "
    "skips its tests of `remainder` as flaky, and those of later versions of the standard; it has no test of the "
    "values of `tril`."
)
_TITLES = {"failed": "failed", "expected failure": "expected failures", "passed": "passed", "skipped": "skipped"}


def merge(kept: Iterable[dict[str, Any]], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a new row in the place of the old one; the others stay.

    Parameters
    ----------
    kept : iterable of dict
        The rows so far.
    new : dict
        The row that was run.

    Returns
    -------
    list of dict
        The rows, in the order of `ROWS`.
    """
    rows = {_key(row): row for row in kept}
    rows[_key(new)] = {name: value for name, value in new.items() if name != "tests"}
    order = [row.key for row in ROWS]
    return sorted(rows.values(), key=lambda row: order.index(_key(row)) if _key(row) in order else len(order))


def made(rows: Sequence[dict[str, Any]]) -> str:
    """Render the section.

    Parameters
    ----------
    rows : sequence of dict
        The rows.

    Returns
    -------
    str
        Markdown, from the first marker to the last.
    """
    head = ["namespace", "mode", "functions", "examples", *_TITLES.values(), "seconds"]
    numbers = ("examples", *OUTCOMES, "seconds")
    cells = [[f"`{row['namespace']}`", row["mode"], row["functions"], *(row[n] for n in numbers)] for row in rows]
    parts = [
        "\n".join(_commits(rows)),
        table(head, cells, names=3),
        _LEGEND,
        "\n".join(_versions(rows)),
        *_failures(rows),
        *_expected(rows),
    ]
    return section(SECTION, "nox -s array_api -- PATH", parts)


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["namespace"], row["mode"], row["functions"]


def _commits(rows: Sequence[dict[str, Any]]) -> list[str]:
    commits = dict.fromkeys((row["array-api-tests"], row["array-api"]) for row in rows)
    return [
        f"[array-api-tests]({URL}), unmodified, at `{suite}`, with array-api at `{standard}`, "
        f"for version {VERSION} of the standard:"
        for suite, standard in commits
    ]


def _versions(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = (
        f"- `{row['namespace']}` is `{NAMESPACES[row['namespace']].module}` with "
        + ", ".join(f"{name} {number}" for name, number in row["versions"].items())
        + "."
        for row in rows
    )
    return list(dict.fromkeys(lines))


def _failures(rows: Sequence[dict[str, Any]]) -> list[str]:
    parts = []
    for row in rows:
        if row["failures"]:
            lines = (f"- `{test}`: `{line.replace('`', chr(39))}`" for test, line in row["failures"].items())
            parts += [f"### Failed: {_title(row)}", "\n".join(lines)]
    return parts


def _expected(rows: Sequence[dict[str, Any]]) -> list[str]:
    parts = []
    for row in {Row(*_key(row)).slug: row for row in rows}.values():
        path = Row(*_key(row)).expected
        if path is None:
            continue
        reasons = Counter(parse(path.read_text(encoding="utf-8")).values())
        title = ", ".join((f"`{row['namespace']}`", row["mode"]))
        listed = f"[{path.name}](../conformance/bnspec_conformance/standard/expected/{path.name}) lists the tests."
        parts += [f"### Expected failures: {title}", listed, table(["reason", "tests"], reasons.items())]
    return parts


def _title(row: dict[str, Any]) -> str:
    return ", ".join((f"`{row['namespace']}`", row["mode"], row["functions"]))
