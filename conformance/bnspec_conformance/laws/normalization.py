"""Normalization: by given statistics, and by those of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.cases import NORMALIZATION, Case, from_rows, to_rows
from bnspec_conformance.laws._common import require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("normalization", NORMALIZATION)
def evaluation(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Evaluation normalizes by the running statistics as they were loaded, mean first."""
    y = case.build(adapter)(case.evaluation.copy(), False)
    checks.close("the output in evaluation", y, *_given(case), case.dtype)


@law("normalization", NORMALIZATION)
def training(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Training normalizes by the mean and the population variance of the batch."""
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("normalization", NORMALIZATION, requires=("batch_normalization",))
def function_of_given_statistics(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """batch_normalization takes statistics of the last axis's size, or of the input's rank."""
    exact, bound = _given(case)
    full = tuple(size if axis in case.axis else 1 for axis, size in enumerate(case.evaluation.shape))
    parameters = (case.moving_mean, case.moving_variance, case.beta, case.gamma)
    for shape in {case.parameter_shape, full}:
        shaped = (None if value is None else value.reshape(shape) for value in parameters)
        y = adapter.batch_normalization(case.evaluation.copy(), *shaped, case.epsilon)  # type: ignore[attr-defined]
        checks.close(f"batch_normalization with parameters of shape {shape}", y, exact, bound, case.dtype)


def _given(case: Case) -> tuple[oracle.Exact, np.ndarray]:
    """Expect the evaluation batch normalized by the loaded statistics."""
    x = case.evaluation
    exact = oracle.batch_normalization(x, case.moving_mean, case.moving_variance, case.beta, case.gamma, case.epsilon)
    values = [None if v is None else v.astype(np.float64).reshape(-1) for v in (case.gamma, case.beta)]
    bound = bounds.normalized(
        to_rows(x, case.axis),
        bounds.exact_statistics(*(v.astype(np.float64).reshape(-1) for v in (case.moving_mean, case.moving_variance))),
        case.epsilon,
        1.0 if values[0] is None else values[0],
        0.0 if values[1] is None else values[1],
        bounds.FORMATS[case.parameter_dtype],
        bounds.FORMATS[case.dtype],
    )
    return exact, from_rows(bound, x.shape, case.axis)
