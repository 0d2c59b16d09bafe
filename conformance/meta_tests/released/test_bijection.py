"""Released normalizing flows at the laws of bijections, and the known defects that give the same wrong numbers."""

import numpy as np
import pytest

from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.check._likeness import _alike, _record
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.identify import Following
from bnspec_conformance.laws import Subject, trials
from bnspec_conformance.mutants import Complete
from bnspec_conformance.mutants import _bijection as mutants
from bnspec_conformance.peers import peer

from .layer import module


class OneAxis(mutants.LogVarianceOfEachChannelForAll, mutants.LogDetTimesLeadingAxes):
    """Both of what TFP does where one feature axis is not the last."""


class ShareInFloat32(Complete):
    """The share of a new batch is rounded to float32, as tf_keras does in float64 too."""

    def share(self):
        return float(np.float32(super().share()))


LOG_DETS = ("log_det_in_training", "log_det_in_evaluation")
AVERAGED = ("log_det_in_evaluation", "invert_undoes_evaluation", "invert_of_a_training_output")
# What a release breaks: law and case, to the defect that gives the same numbers.
BROKEN = {
    "nflows": {},
    "tfp": {
        **{
            (law, case): defect
            for law in LOG_DETS
            for case, defect in (
                ("channels-first", OneAxis),
                ("inner-axis", OneAxis),
                ("several-axes", mutants.LogDetTimesLeadingAxes),
                ("signed-gamma", mutants.LogDetOfSignedGamma),
                ("no-gamma", mutants.LogDetNeedsGamma),
            )
        },
        **{(law, "float64"): ShareInFloat32 for law in AVERAGED},
    },
}
NEEDS = {"nflows": ("torch", "nflows.transforms"), "tfp": ("tensorflow", "tf_keras", "tensorflow_probability")}


def tried(name):
    adapter = peer(name)
    return [trial for trial in trials(Subject(name, (adapter,), NAIVE)) if trial.law.group == "bijection"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_flow_breaks_what_is_known_and_no_more(name):
    for each in NEEDS[name]:
        module(each)
    broken = set()
    for trial in tried(name):
        if trial.missing:
            continue
        try:
            trial.run(Checks())
        except (LawBroken, ValueError):
            broken.add((trial.law.name, trial.case.id))
    assert broken == BROKEN[name].keys()


@pytest.mark.parametrize(("name", "place"), [(name, place) for name, found in BROKEN.items() for place in found])
def test_the_wrong_numbers_are_those_of_a_known_defect(name, place):
    for each in NEEDS[name]:
        module(each)
    (trial,) = (each for each in tried(name) if (each.law.name, each.case.id) == place)
    mutant = Following(BROKEN[name][place], trial.adapter.convention)
    seen, known = (_record(adapter, trial.law, trial.case, NAIVE) for adapter in (trial.adapter, mutant))
    sound = _record(Following(Complete, trial.adapter.convention), trial.law, trial.case, NAIVE)
    assert _alike(seen, known)
    assert not _alike(seen, sound)
