"""The result as a file that is kept, and the section of the documentation that is made from it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bnspec.errors import message

from .checkout import URL
from .expected import parse
from .functions import NEEDED, VERSION
from .suite import NAMESPACES, OUTCOMES, ROWS, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["BEGIN", "END", "merge", "read", "replace", "section", "write"]

BEGIN, END = "<!-- array-api-tests: begin -->", "<!-- array-api-tests: end -->"
_LEGEND = (
    f"**needed**: the {len(NEEDED)} functions in `bnspec_conformance/standard/functions.py`, the bitwise functions, "
    "the constants, `__array_namespace_info__`, and everything of the array object. **exported**: every function "
    "besides that the main namespace has. A test whose function its name does not tell is kept. The suite itself "
    "skips its tests of `remainder` as flaky, and those of later versions of the standard; it has no test of the "
    "values of `tril`."
)
_TITLES = {"failed": "failed", "expected failure": "expected failures", "passed": "passed", "skipped": "skipped"}


def read(path: Path) -> list[dict[str, Any]]:
    """Read the rows that are kept.

    Parameters
    ----------
    path : pathlib.Path
        The file; one that is not there has no rows.

    Returns
    -------
    list of dict
        As of :func:`bnspec_conformance.standard.suite.run`, without the outcome of every test.
    """
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return rows


def write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write the rows.

    Parameters
    ----------
    path : pathlib.Path
        The file; its folder is made.
    rows : sequence of dict
        The rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


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


def replace(text: str, made: str) -> str:
    """Put the section into the text.

    Parameters
    ----------
    text : str
        A document with both markers.
    made : str
        As of :func:`section`.

    Returns
    -------
    str
        The document.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(message("The document must have both markers, each on its line", markers=f"{BEGIN} {END}"))
    return f"{before}{made}{after}"


def section(rows: Sequence[dict[str, Any]]) -> str:
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
    table = [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * 3 + "---:|" * (len(head) - 3),
        *(
            "| "
            + " | ".join([f"`{row['namespace']}`", row["mode"], row["functions"], *(str(row[n]) for n in numbers)])
            + " |"
            for row in rows
        ),
    ]
    parts = [
        BEGIN,
        "<!-- Made by `nox -s array_api -- PATH`; change nothing here by hand. -->",
        "\n".join(_commits(rows)),
        "\n".join(table),
        _LEGEND,
        "\n".join(_versions(rows)),
        *_failures(rows),
        *_expected(rows),
        END,
    ]
    return "\n\n".join(parts)


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
    for slug, row in {Row(*_key(row)).slug: row for row in rows}.items():
        path = Row(*_key(row)).expected
        if path is None:
            continue
        reasons: dict[str, list[str]] = {}
        for test, reason in parse(path.read_text(encoding="utf-8")).items():
            reasons.setdefault(reason, []).append(test)
        lines = [f"- {why}\n" + "\n".join(f"  - `{test}`" for test in tests) for why, tests in reasons.items()]
        title = ", ".join((f"`{row['namespace']}`", row["mode"]))
        parts += [f"### Expected failures: {title}", f"`expected/{slug}.txt`:", "\n".join(lines)]
    return parts


def _title(row: dict[str, Any]) -> str:
    return ", ".join((f"`{row['namespace']}`", row["mode"], row["functions"]))
