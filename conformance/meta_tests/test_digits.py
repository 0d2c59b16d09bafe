"""The training run: frameworks within the bound, and what is wrong far outside it."""

from pathlib import Path

import numpy as np
import pytest

import bnspec
from bnspec_conformance import digits
from bnspec_conformance.report import document

DOCS = Path(__file__).parents[2] / "docs"
RUNS = [(dtype, name) for dtype, names in digits.FRAMEWORKS.items() for name in names]


def fraction(run, dtype):
    distances = {name: np.abs(run.values[name] - value).max() for name, value in digits.reference().values.items()}
    return max(float(distance) / digits.bound(dtype)[name] for name, distance in distances.items())


@pytest.mark.parametrize(("dtype", "name"), RUNS)
def test_a_framework_trains_within_the_bound(dtype, name):
    pytest.importorskip(name.partition(":")[0])
    run = digits.trained(name, dtype)
    assert fraction(run, dtype) <= 1.0
    assert run.losses[-1] < run.losses[0] / 10


WRONG = {
    "the other estimator": {"convention": bnspec.conventions.TORCH, "momentum": 0.1},
    "another epsilon": {"epsilon": 1.1e-3},
    "another momentum": {"momentum": 0.91},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_far_outside(what, monkeypatch):
    right = digits.reference()
    settings = {"axis": 1, "momentum": 0.9, "epsilon": 1e-3, **WRONG[what]}
    monkeypatch.setattr(digits, "SPEC", bnspec.BatchNorm(**settings))
    wrong = digits.reference.__wrapped__()
    ratios = [np.abs(wrong.values[k] - right.values[k]).max() / digits.bound("float32")[k] for k in right.values]
    assert max(ratios) > 100


def test_the_page_shows_the_result():
    result = document.kept(DOCS / "results" / "digits.json")
    assert digits.made(result) in (DOCS / "training.md").read_text(encoding="utf-8")
    assert (DOCS / "digits.png").stat().st_size > 10_000
