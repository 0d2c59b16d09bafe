"""What the session of mutants rests on: the required ones are rejected, and what they are mutants of passes.

That every mutant is rejected and every law rejects one is the session's: ``nox -s mutants``.
"""

import pytest

from bnspec_conformance import matrix
from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.laws import LAWS, Subject, trials
from bnspec_conformance.mutants import MUTANTS, Complete, Sound

REQUIRED = {
    "MomentumReversed",
    "RunningVarianceBiased",
    "EpsilonOutside",
    "OnePassVariance",
    "FoldedAffine",
    "GradientCutAtMean",
    "FeaturesAlwaysLast",
    "GammaIgnored",
    "StateNotUpdated",
    "StateUpdatedInEvaluation",
}


def test_the_required_mutants_are_there():
    assert {mutant.name for mutant in MUTANTS} >= REQUIRED
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40


@pytest.mark.parametrize("base", [Sound, Complete])
def test_what_the_mutants_are_mutants_of_breaks_no_law(base):
    conventions = {
        mutant.adapter.convention for mutant in MUTANTS if issubclass(mutant.adapter, Complete) == (base is Complete)
    }
    assert len(conventions) > 1
    for convention in conventions:
        assert not matrix.kills(base, convention), convention.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_is_described(mutant):
    assert mutant.defect.endswith(".")
    assert mutant.references


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.name in REQUIRED], ids=lambda m: m.name)
def test_the_required_mutants_are_rejected(mutant):
    assert matrix.kills(mutant.adapter)


def test_the_sound_implementation_is_tried_on_every_case_of_every_law():
    assert not [trial.id for trial in trials(Subject("sound", (Complete,), NAIVE)) if trial.missing]
    assert {trial.law for trial in trials(Subject("sound", (Complete,), NAIVE))} == set(LAWS)


def test_the_matrix_is_printed_and_a_hole_in_it_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr(matrix, "MUTANTS", MUTANTS[:1])
    monkeypatch.setattr(matrix, "VARIANTS", (Sound, MUTANTS[0].adapter))
    for name in ("FLOW_LAWS", "FLOW_MUTANTS", "FLOW_VARIANTS"):
        monkeypatch.setattr(matrix, name, ())
    assert matrix.main([]) == 1
    out = capsys.readouterr().out
    assert "1 of 1 mutants killed\n" in out
    assert f"of {len(LAWS)} laws kill a mutant moments.mean_and_variance" in out
    assert f"1 of 2 correct variants pass every law {MUTANTS[0].name}\n" in out
