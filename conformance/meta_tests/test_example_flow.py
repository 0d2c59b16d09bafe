"""The trained flows of the page: the same losses within the bound, and a page that shows the results."""

from pathlib import Path

import numpy as np
import pytest

from bnspec_conformance import bounds, example_flow
from bnspec_conformance.example_flow import _report
from bnspec_conformance.report import document

DOCS = Path(__file__).parents[2] / "docs"
DIGITS, WINE = example_flow.DATA["digits"], example_flow.DATA["wine"]


def test_the_data_are_divided_without_overlap():
    for data, count in ((DIGITS, 1797), (WINE, 178)):
        divided = data.divided()
        assert sum(map(len, divided)) == count
        whole = np.concatenate(divided)
        assert len(np.unique(whole, axis=0)) == len(whole)
    assert sorted(np.unique(np.concatenate(DIGITS.divided()))) == list(range(17))


def test_the_gaussian_is_that_of_its_formula():
    """In two ways: by a factor of the covariance, and by the logit written out."""
    found = example_flow.gaussian(DIGITS, 5)
    training, _, held_out = (DIGITS.density(part, 5 + number) for number, part in enumerate(DIGITS.divided()))
    p = [0.05 + 0.9 * part / 17.0 for part in (training, held_out)]
    y, z = (np.log(part / (1.0 - part)) for part in p)
    factor = np.linalg.cholesky(np.cov(y.T, bias=True))
    white = np.linalg.solve(factor, (z - y.mean(axis=0)).T)
    density = -0.5 * (white**2).sum(axis=0) - np.log(np.diag(factor)).sum() - 32.0 * np.log(2.0 * np.pi)
    density = density + np.log(0.9 / 17.0 / (p[1] * (1.0 - p[1]))).sum(axis=1)
    condition = np.linalg.cond(np.cov(y.T))
    assert abs(found.mean - density.mean()) <= condition * bounds.accumulated(256, 2.0**-53) * abs(density.mean())
    assert found.events == len(held_out) == 397


def test_neighbours_move_the_losses_and_wrong_losses_are_outside():
    pytest.importorskip("torch")
    model = example_flow.MODELS[0]
    losses, bound = example_flow.reference(model, WINE, "torch", steps=3)
    run = example_flow.trained(model, WINE, "torch", steps=3)
    assert (np.abs(np.asarray(run.losses) - losses) <= bound).all()
    assert (bound > 0).all()
    assert (bound < 1e-7 * np.abs(losses)).all()
    assert run.held_out.events == 54
    assert run.step in run.chosen


@pytest.fixture
def result():
    found = document.kept(DOCS / "results" / "flows.json")
    if found is None:
        pytest.skip("nox -s example_flow has kept no result yet")
    return found


def test_the_page_shows_the_result(result):
    assert _report.made(result) in (DOCS / "flows.md").read_text(encoding="utf-8")
    for name in ("flows-losses.png", "flows-samples.png"):
        assert (DOCS / name).stat().st_size > 10_000


def test_the_kept_losses_are_within_the_bound(result):
    assert _report.largest_share(result) <= 1.0
    runs = result["data"]["digits"]["runs"]
    assert {len(each) for each in runs.values()} == {3}
    for family in ("Real NVP", "MAF"):
        with_, without = (
            max(run["held_out"][0] for run in runs[f"{family}, {which} batch norm"].values())
            for which in ("with", "without")
        )
        assert with_ > without
