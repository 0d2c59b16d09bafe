"""The numeric goal of the definition, on every backend; the whole table is ``nox -s accuracy``."""

import pytest

from bnspec_conformance.accuracy import LENGTHS, RATIOS, main, measure
from bnspec_conformance.subjects import backend_subject


@pytest.mark.parametrize("length", [n for n in LENGTHS if n <= 4096])
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_goal_is_reached(backend, ratio, length):
    found = measure(backend_subject(backend.name).adapters[0], length, ratio)
    assert found.error <= found.goal


@pytest.mark.parametrize(("ratio", "name"), [(1e4, "numpy"), (1e6, "numpy"), (1e4, "tensorflow"), (1e4, "torch")])
def test_the_goal_is_reached_over_a_million_elements(ratio, name):
    found = measure(backend_subject(name).adapters[0], 1_000_000, ratio)
    assert found.error <= found.goal


def test_the_table_is_printed_and_a_missed_goal_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr("bnspec_conformance.accuracy.LENGTHS", (5,))
    assert main(["numpy"]) == 0
    assert "0 above the goal" in capsys.readouterr().out
    monkeypatch.setattr("bnspec_conformance.accuracy.accuracy_goal", lambda ratio: 0.0)
    assert main(["numpy"]) == 1
    assert "5 above the goal" in capsys.readouterr().out
