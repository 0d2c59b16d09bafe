"""No correct variant is accused: not on the cases of the suite, and not on cases that Hypothesis draws."""

import pytest
from hypothesis import given

from bnspec_conformance import expectation
from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.cases.strategies import cases
from bnspec_conformance.checks import Checks
from bnspec_conformance.laws import Subject, gradients, running, trials
from bnspec_conformance.variants import VARIANTS

DRAWN = (
    running.several_steps_then_evaluation,
    gradients.vector_jacobian_product,
    gradients.automatic_differentiation,
    gradients.hessian_vector_product,
)


def test_there_are_enough_of_them():
    assert len(set(VARIANTS)) >= 15


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_no_law_of_the_suite_is_broken(variant):
    for trial in trials(Subject("variant", (variant,), NAIVE)):
        assert not trial.missing
        trial.run(Checks())


@given(case=cases())
def test_no_law_is_broken_on_drawn_cases(case):
    try:
        for variant in VARIANTS:
            for law in DRAWN:
                law.check(variant, case, NAIVE, Checks())
    finally:
        for cached in (expectation.trajectory, expectation.gradients, expectation.hessian_vector_product):
            cached.cache_clear()
