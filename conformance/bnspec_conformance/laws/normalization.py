"""Normalization: by given statistics, and by those of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance import bounds, expectation
from bnspec_conformance.cases import EXACT_PAIRS, NORMALIZATION, Case, from_rows, to_rows
from bnspec_conformance.laws._common import bound_of_given, evaluated, require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("normalization", NORMALIZATION)
def evaluation(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Evaluation normalizes by the running statistics as they were loaded, mean first.

    A trained model predicts wrongly, always by the same factor and offset for each channel.
    """
    y = case.build(adapter)(case.evaluation.copy(), False)
    checks.close("the output in evaluation", y, *evaluated(case), case.dtype)


# The data that show a folded mean have a mean of a million deviations: sequential sums promise nothing in training.
@law("normalization", (case for case in NORMALIZATION if case.id != "folding"))
def training(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Training normalizes by the mean and the population variance of the batch.

    Activations leave with another scale than the next layer was tuned for, and the running averages learn it.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("normalization", EXACT_PAIRS)
def training_on_exact_pairs(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Where mean and variance are exact however they are formed, a training batch has no error but rounding.

    Data far from zero, such as dates, prices or raw sensor values, come out as noise.
    """
    layer = case.build(adapter)
    steps = expectation.trajectory(case, adapter.convention, grade)
    less = int(adapter.convention.normalizing_variance == "bessel")
    for x, step in zip(case.training, steps, strict=False):
        rows = to_rows(x, case.axis)
        given = bounds.exact_statistics(rows.mean(axis=0), rows.var(axis=0, ddof=less))
        bound = from_rows(bound_of_given(case, rows, given), x.shape, case.axis)
        if adapter.convention.statistics == "running":
            bound = step.y.bound  # the averages that normalize are rounded, whatever entered them
        checks.close("the output of a training batch", layer(x.copy(), True), step.y.exact, bound, case.dtype)


@law("normalization", NORMALIZATION, requires=("batch_normalization",))
def function_of_given_statistics(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """batch_normalization takes statistics of the last axis's size, or of the input's rank.

    Statistics that were computed elsewhere meet the wrong channels, or are refused.
    """
    exact, bound = evaluated(case)
    full = tuple(size if axis in case.axis else 1 for axis, size in enumerate(case.evaluation.shape))
    parameters = (case.moving_mean, case.moving_variance, case.beta, case.gamma)
    for shape in {case.parameter_shape, full}:
        shaped = (None if value is None else value.reshape(shape) for value in parameters)
        y = adapter.batch_normalization(case.evaluation.copy(), *shaped, case.epsilon)  # type: ignore[attr-defined]
        checks.close(f"batch_normalization with parameters of shape {shape}", y, exact, bound, case.dtype)
