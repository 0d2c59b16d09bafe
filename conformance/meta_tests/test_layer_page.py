"""The page about the layer: its examples run, one after the other, and its names exist."""

import re
from pathlib import Path

from bnspec.layers import BatchNormalization

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/layers.md").read_text()


def test_the_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) >= 6
    names = {}
    for block in blocks:
        exec(block, names)  # noqa: S102 - the page is ours


def test_the_names_of_the_table_exist():
    layer = BatchNormalization()
    table = "\n".join(line for line in PAGE.splitlines() if line.startswith("| "))
    named = set(re.findall(r"`(?:layer\.|BatchNormalization\.)?(\w+)(?:\([^`]*\))?`", table))
    for name in named - {"Variable", "name", "value", "shape", "assign", "renorm", "defer_updates"}:
        assert hasattr(layer, name), name
    assert len(named) > 25


def test_the_page_is_linked():
    assert "(docs/layers.md)" in (ROOT / "README.md").read_text()
