"""The named conventions: each is known by its own name, has a source, and is looked up however its name is written."""

import re
from pathlib import Path

import pytest

from bnspec import conventions
from bnspec.conventions import ALL, KERAS, TF_KERAS, TORCH, Convention, named
from bnspec_conformance.report.conventions import SECTION, described, made, main
from bnspec_conformance.report.document import kept, put

DOCS = Path(__file__).parents[2] / "docs"

VALUES = {name: value for name, value in vars(conventions).items() if isinstance(value, Convention)}


def test_every_convention_has_the_name_of_its_variable():
    assert {name: value.name for name, value in VALUES.items()} == {name: name for name in VALUES}


def test_all_are_listed_once():
    assert sorted(value.name for value in ALL) == sorted(VALUES)


def test_what_is_public_is_exported():
    public = {name for name in vars(conventions) if not name.startswith("_") and name != "annotations"}
    assert set(conventions.__all__) == public
    assert len(conventions.__all__) == len(set(conventions.__all__))


@pytest.mark.parametrize("value", ALL, ids=lambda value: value.name)
def test_every_source_names_a_version_or_a_commit(value):
    assert re.search(r"\d+\.\d+", value.source)
    assert re.search(r"/\w+\.\w+", value.source)


@pytest.mark.parametrize("name", ["TF_KERAS", "tf_keras", "tf-keras", "Tf Keras"])
def test_a_name_is_found_however_it_is_written(name):
    assert named(name) is TF_KERAS


@pytest.mark.parametrize("value", ALL, ids=lambda value: value.name)
def test_every_name_is_found(value):
    assert named(value.name) is value


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"Got name='tf-kears'\. Did you mean 'TF_KERAS'\?"):
        named("tf-kears")
    with pytest.raises(ValueError, match=r"Known are: BURN, CAFFE, "):
        named("?")


def test_a_name_must_be_a_string():
    with pytest.raises(TypeError, match=r"name must be a string\. Got name=None\."):
        named(None)


def test_what_two_of_them_are_known_for():
    assert (KERAS.running_variance, KERAS.momentum_weighs, KERAS.momentum) == ("population", "old", 0.99)
    assert (TORCH.running_variance, TORCH.momentum_weighs, TORCH.momentum) == ("bessel", "new", 0.1)


def test_every_value_is_described():
    assert described().keys() - {"ALL"} == VALUES.keys()


def test_the_page_is_made_from_the_records_and_the_result(tmp_path):
    text = (DOCS / "conventions.md").read_text(encoding="utf-8")
    result = DOCS / "results/conventions.json"
    assert put(text, SECTION, made(kept(result))) == text
    page = tmp_path / "page.md"
    page.write_text(re.sub(r"Made by.*TF_SLIM", "", text, flags=re.DOTALL), encoding="utf-8")
    assert main(["--results", str(result), "--document", str(page)]) == 0
    assert page.read_text(encoding="utf-8") == text


def test_what_was_measured_has_a_convention_of_that_version():
    rows = kept(DOCS / "results/conventions.json")
    assert len({(row["convention"], row["library"]) for row in rows}) == len(rows)
    for row in rows:
        name, version = re.match(r"(\S+) ([\d.]+)", row["library"]).groups()
        assert version in named(row["convention"]).source or name == "onnxruntime"
        assert set(row["departures"]) <= set(row["scenarios"])
