"""No correct variant is accused: not on the cases of the suite, and not on cases that Hypothesis draws.

Each is tried here on one case of each law, another for each variant; on all of them in ``nox -s mutants``.
"""

import pytest
from hypothesis import given

from bnspec_conformance import expectation
from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.cases.strategies import cases
from bnspec_conformance.checks import Checks
from bnspec_conformance.laws import LAWS, Subject, Trial, adjustment, gradients, running, weights
from bnspec_conformance.mutants import Complete
from bnspec_conformance.variants import VARIANTS

DRAWN = (
    running.several_steps_then_evaluation,
    gradients.vector_jacobian_product,
    gradients.automatic_differentiation,
    gradients.hessian_vector_product,
)
# What a variant without parts does not offer, and what some conventions exclude.
LEFT_OUT = {"ghosts", "renorm", "adjusted", "adjusted_gradients", "adjusted_log_det", "hessian_vector_product"}


def test_there_are_enough_of_them():
    assert len(set(VARIANTS)) >= 15


@pytest.mark.parametrize(("number", "variant"), [*enumerate(VARIANTS)], ids=[variant.__name__ for variant in VARIANTS])
def test_no_law_of_the_suite_is_broken(number, variant):
    for law in LAWS:
        trial = Trial(law, law.cases[number % len(law.cases)], Subject("variant", (variant,), NAIVE), variant)
        if not trial.missing:
            trial.run(Checks())
        else:
            assert trial.missing.partition(": ")[0] in LEFT_OUT, trial.missing


@given(case=cases())
def test_no_law_is_broken_on_drawn_cases(case):
    try:
        for variant in VARIANTS:
            for law in DRAWN:
                if not Trial(law, case, Subject("variant", (variant,), NAIVE), variant).missing:
                    law.check(variant, case, NAIVE, Checks())
    finally:
        expectation.forget()


@given(case=cases(parts=True))
def test_no_law_is_broken_on_drawn_cases_of_every_part(case):
    laws = DRAWN[:3]
    if case.weighted:
        laws = (weights.weighted_training, weights.gradients_with_weights)
    elif case.adjusted:
        laws = (adjustment.adjusted_training, adjustment.gradients_with_adjustment)
    try:
        for variant in VARIANTS:
            for law in laws if issubclass(variant, Complete) else ():
                if not Trial(law, case, Subject("variant", (variant,), NAIVE), variant).missing:
                    law.check(variant, case, NAIVE, Checks())
    finally:
        expectation.forget()
