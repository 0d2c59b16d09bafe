"""No law sees a fixed point only: a value on which a wrong implementation gives the right answer."""

import numpy as np
import pytest

from bnspec_conformance.cases import to_rows
from bnspec_conformance.laws import LAWS

MEAN_NEAR_ZERO = 0.05  # in deviations


def statistics(case):
    rows = to_rows(case.training[0], case.axis)
    return rows.mean(axis=0), rows.var(axis=0)


def counts(case):
    return [len(to_rows(x, case.axis)) for x in case.training]


# Each is true of a case that lies off the fixed point.
OFF = {
    "mean 0": lambda c: (np.abs(statistics(c)[0]) > MEAN_NEAR_ZERO * np.sqrt(statistics(c)[1])).mean() > 0.5,
    "variance 1": lambda c: (np.abs(np.log(statistics(c)[1])) > 0.1).any(),
    "gamma 1": lambda c: c.gamma is not None and (c.gamma != 1).all() and (c.gamma < 0).any(),
    "beta 0": lambda c: c.beta is not None and (c.beta != 0).all(),
    "moving mean 0": lambda c: (c.moving_mean != 0).all(),
    "moving variance 1": lambda c: (c.moving_variance != 1).all(),
    "momentum 0.5": lambda c: c.take != 0.5,
    "N = C": lambda c: all(n != np.prod(c.parameter_shape) for n in counts(c)),
    "a cotangent of ones": lambda c: len(np.unique(c.cotangent)) > 2 and abs(c.cotangent.astype(float).mean()) > 0.01,
}
# A law about degenerate batches or parameters has them by definition.
EXEMPT = {
    ("running.aliased_arrays", "gamma 1"),  # gamma is the running variance there, and positive
    ("degenerate.gradients_of_degenerate_batches", "variance 1"),
    ("degenerate.constant_channels", "variance 1"),
    ("degenerate.one_element", "variance 1"),
    ("degenerate.empty_batch", "mean 0"),
    ("degenerate.empty_batch", "variance 1"),
    ("degenerate.empty_batch", "a cotangent of ones"),
}


@pytest.mark.parametrize("point", OFF)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.group}.{law.name}")
def test_some_case_of_each_law_lies_off_each_fixed_point(law, point):
    off = OFF[point]
    if (f"{law.group}.{law.name}", point) in EXEMPT:
        assert point.startswith(("mean", "variance", "a cotangent", "gamma"))
        return
    assert any(off(case) for case in law.cases)


def test_exemptions_name_laws_that_exist():
    assert {name for name, _ in EXEMPT} <= {f"{law.group}.{law.name}" for law in LAWS}


def test_the_suite_has_small_batches_large_means_and_an_epsilon_of_the_variance():
    cases = {case.id: case for law in LAWS for case in law.cases}.values()
    full = [case for case in cases if all(counts(case))]
    assert {2, 3, 5} <= {n for case in full for n in counts(case)}
    assert any((np.abs(statistics(c)[0]) > 1e5 * np.sqrt(statistics(c)[1])).all() for c in full)
    assert any((c.epsilon / statistics(c)[1] > 0.1).all() and (c.epsilon / statistics(c)[1] < 10).all() for c in full)
    assert any(len(case.training) > 2 for case in cases)
    assert any(len({*case.shapes}) > 1 for case in cases)


def test_axes_cases_have_distinct_sizes_and_some_equal_ones():
    cases = next(law for law in LAWS if law.name == "any_feature_axis").cases
    assert sum(len(set(case.shapes[0])) == len(case.shapes[0]) for case in cases) >= 8
    assert any(
        case.shapes[0][case.axis[0]] == case.shapes[0][-1] and case.axis[0] != len(case.shapes[0]) - 1 for case in cases
    )
