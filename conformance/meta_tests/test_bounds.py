"""The bounds from both sides, on fewer draws than ``nox -s bounds``; and what they are made of."""

import math

import numpy as np
import pytest

from bnspec_conformance import bounds, sweep
from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.subjects import backend_subject


@pytest.mark.parametrize("dtype", bounds.FORMATS)
def test_no_bound_is_exceeded_on_random_data(backend, dtype):
    adapter = backend_subject(backend.name).adapters[0]
    if dtype in gaps_of(adapter):
        pytest.skip(gaps_of(adapter)[dtype])
    for case in sweep.random_cases(dtype, 60):
        for name, ratio in sweep.ratios(adapter, case, bounds.DEFINITION).items():
            assert ratio <= 1.0, (name, case.id)


def test_no_bound_of_a_lesser_grade_is_exceeded_either():
    assert sweep.main(["--channels", "60", "two-pass", "naive"]) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("grade", bounds.GRADES)
def test_every_bound_is_attained_within_a_factor(dtype, grade):
    row = sweep.attained(dtype)[grade]
    assert row.keys() == set(sweep.QUANTITIES)
    assert all(1.0 / sweep.FACTOR <= ratio <= 1.0 for ratio in row.values()), row


def test_the_grades_are_ordered():
    random = np.random.default_rng(8)
    form = bounds.FORMATS["float32"]
    for count in (2, 5, 64, 1000):
        for mean in (0.0, 10.0, 1e4):
            rows = random.normal(mean, 1.0, (count, 3))
            given = [
                bounds.batch_statistics(rows, rows.mean(axis=0), rows.var(axis=0), grade, form)
                for grade in bounds.GRADES.values()
            ]
            if count >= 64:  # a sequential sum of few terms has fewer additions than a blocked one is granted
                assert (given[0].mean_error <= given[1].mean_error).all()
                assert (given[1].mean_error <= given[2].mean_error * 2).all()
                assert (given[0].variance_error <= given[1].variance_error).all()


def test_a_bound_is_proportional_to_the_roundoff():
    random = np.random.default_rng(9)
    rows = random.normal(3.0, 1.0, (20, 4))
    found = {}
    for name in ("float32", "float64"):
        form = bounds.FORMATS[name]
        given = bounds.batch_statistics(rows, rows.mean(axis=0), rows.var(axis=0), bounds.DEFINITION, form)
        found[name] = bounds.normalized(rows, given, 1e-3, 1.0, 0.0, form, form) / form.roundoff
    # Without cancellation in the bound itself, float64 has the same multiple of u as float32, to second order.
    assert np.abs(found["float32"] / found["float64"] - 1.0).max() < 1e-4


def test_sums_beyond_the_precision_promise_nothing():
    assert math.isinf(bounds.accumulated(2**24, 2.0**-24))
    assert bounds.accumulated(1, 2.0**-24) == pytest.approx(2.0**-24, rel=2.0**-20)


def test_the_tables_are_printed_and_what_is_out_of_place_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(sweep, "HARD", {})
    assert sweep.main(["--channels", "20", "numpy"]) == 0
    assert "0 out of place" in capsys.readouterr().out
    monkeypatch.setattr(sweep, "ratios", lambda *_, **__: dict.fromkeys(sweep.QUANTITIES, 1.5))
    assert sweep.main(["--channels", "20", "numpy"]) == 1
    assert "24 out of place" in capsys.readouterr().out
