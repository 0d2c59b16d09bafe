"""The page on the mutants says what the classes say, and a defect is either repeated or left out."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bnspec_conformance.mutants import FLOW_MUTANTS, LEFT_OUT, MUTANTS
from bnspec_conformance.report.document import put
from bnspec_conformance.report.mutants import SECTION, cited, linked, made, main

PAGE = Path(__file__).parents[2] / "docs/mutants.md"
REPEATED = [reference for mutant in MUTANTS for reference in mutant.references]
OF_FLOWS = sorted({reference for mutant in FLOW_MUTANTS for reference in mutant.references})
OTHERS = [reference for group in LEFT_OUT for reference in group.references]


def test_the_page_is_made_from_the_classes(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    assert put(text, SECTION, made()) == text
    page = tmp_path / "page.md"
    page.write_text(re.sub(r"Made by.*GammaIgnored", "", text, flags=re.DOTALL), encoding="utf-8")
    assert main(["--document", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_every_mutant_is_on_the_page_once():
    text = PAGE.read_text(encoding="utf-8")
    assert Counter(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) == dict.fromkeys(
        (mutant.name for mutant in (*MUTANTS, *FLOW_MUTANTS)), 1
    )


def test_no_reference_is_given_twice_in_the_same_words():
    assert not [reference for reference, times in Counter(REPEATED + OTHERS).items() if times > 1]


def test_what_is_left_out_is_repeated_nowhere():
    assert not {cited(reference) for reference in OTHERS} & {cited(reference) for reference in (*REPEATED, *OF_FLOWS)}
    assert all(group.references and group.reason.endswith(".") for group in LEFT_OUT)


@pytest.mark.parametrize("reference", REPEATED + OTHERS + OF_FLOWS)
def test_a_reference_is_an_issue_a_commit_or_a_release(reference):
    first = reference.partition(",")[0]
    issue_or_commit = re.fullmatch(r"([\w.-]+/)?[\w.-]+(#\d+|@[0-9a-f]{7,40})", first)
    assert bool(issue_or_commit) == ("#" in first or "@" in first)
    assert issue_or_commit or "," in reference or re.search(r"\d", reference)
    assert "|" not in reference
    assert ";" not in reference
    assert ("](https://github.com/" in linked(reference)) == bool(issue_or_commit and "/" in first)


@pytest.mark.parametrize(
    ("reference", "name", "text"),
    [
        ("a/b#12", "a/b#12", "[a/b#12](https://github.com/a/b/issues/12)"),
        ("a/b.jl@0123abc", "a/b.jl@0123abc", "[a/b.jl@0123abc](https://github.com/a/b.jl/commit/0123abc)"),
        ("a/b#12, inverted", "a/b#12", "[a/b#12](https://github.com/a/b/issues/12), inverted"),
        ("b#12, inverted", "b#12", "b#12, inverted"),
        ("a/b 1.2.3, a layer", "a/b 1.2.3, a layer", "a/b 1.2.3, a layer"),
    ],
)
def test_a_reference_is_linked_where_its_owner_is_known(reference, name, text):
    assert cited(reference) == name
    assert linked(reference) == text
