"""Every method and argument of the documents on bijectors, on every backend; and the page that lists them."""

import re
from pathlib import Path

import pytest

from .surface_rows import ROWS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bijectors.md").read_text()
TITLES = {"000": "BatchNormalization", "002": "RealNVP, Bijector"}


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_the_documents_surface(backend, row):
    row.proof(backend)


def test_the_page_lists_every_row():
    lines = [
        f"| {TITLES[row.document]} | `{row.name}` | {f'`{row.argument}`' if row.argument else ''} | {row.here} |"
        for row in ROWS
    ]
    assert [
        line for line in PAGE.splitlines() if line.startswith(tuple(f"| {title} |" for title in TITLES.values()))
    ] == lines
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_the_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 6
    names = {}
    for block in blocks:
        exec(block, names)  # noqa: S102 - the page is ours


def test_the_page_is_linked():
    assert "(docs/bijectors.md)" in (ROOT / "README.md").read_text()
