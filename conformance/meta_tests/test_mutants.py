"""Every mutant is rejected, and the implementation that they are mutants of is not."""

import pytest

from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.laws import LAWS, Subject, trials
from bnspec_conformance.mutants import MUTANTS, Sound

REQUIRED = {
    "MomentumReversed",
    "RunningVarianceBiased",
    "EpsilonOutside",
    "OnePassVariance",
    "FoldedAffine",
    "GradientCutAtMean",
    "WrongAxis",
    "GammaIgnored",
    "StateNotUpdated",
    "StateUpdatedInEvaluation",
}


def broken(adapter):
    """Names of the laws that an adapter breaks. Anything but LawBroken is a refusal, which breaks no law."""
    found = set()
    for trial in trials(Subject("mutant", (adapter,), NAIVE)):
        if not trial.missing:
            try:
                trial.run(Checks())
            except LawBroken:
                found.add(f"{trial.law.group}.{trial.law.name}")
            except ValueError:
                assert adapter is not Sound
    return found


def test_the_required_mutants_are_there():
    assert {mutant.name for mutant in MUTANTS} >= REQUIRED


def test_the_sound_implementation_breaks_no_law():
    assert broken(Sound) == set()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_is_rejected(mutant):
    assert broken(mutant.adapter)
    assert mutant.defect.endswith(".")
    assert mutant.reference


def test_the_sound_implementation_is_tried_on_every_law_that_needs_no_framework():
    tried = {trial.law for trial in trials(Subject("sound", (Sound,), NAIVE)) if not trial.missing}
    assert {law.group for law in LAWS} - {law.group for law in tried} == {"moments", "compiled"}
