"""The one test of all released layers."""

import os
from pathlib import Path

import pytest

from bnspec_conformance.report.document import keep, kept

from .scenarios import SCENARIOS, differences

RECORD = Path(__file__).parents[3] / "docs/results/conventions.json"
"""What is kept of these tests, and is in the documentation."""

WRITE = os.environ.get("BNSPEC_RECORD")
"""With 1, what is seen is kept in place of what was."""


def released(*layers):
    """Make the test of a library's layers: each does what its convention says, or departs as is declared."""
    tried = [
        pytest.param(layer, name, id=f"{layer.convention.name}-{layer.library}-{name}")
        for layer in layers
        for name, (_, applies) in SCENARIOS.items()
        if applies(layer)
    ]

    @pytest.mark.parametrize(("layer", "name"), tried)
    def test(layer, name):
        seen, predicted = SCENARIOS[name][0](layer)
        departure = layer.departures.get(name)
        if departure is None:
            assert differences(seen, predicted) == []
        else:
            assert differences(seen, predicted) != []
            assert differences(seen, departure.instead(predicted)) == []
        _recorded(layer, name)

    return test


def _recorded(layer, name):
    rows = kept(RECORD) or []
    mine = {"convention": layer.convention.name, "library": layer.library}
    others = [row for row in rows if not mine.items() <= row.items()]
    (row,) = [row for row in rows if row not in others] or [mine]
    departures = {name: layer.departures[name].text for name in sorted(layer.departures)}
    found = mine | {
        "scenarios": [each for each in SCENARIOS if each == name or each in row.get("scenarios", ())],
        "departures": departures,
    }
    if WRITE:
        keep(RECORD, sorted([*others, found], key=lambda each: (each["convention"], each["library"])))
    else:
        assert row == found
