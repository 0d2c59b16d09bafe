"""Moments: mean and population variance over any axes, with and without weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.cases import MOMENTS, Case, to_rows
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.checks import Checks

    Grade = bounds.Grade
    Array = np.ndarray[Any, Any]


@law("moments", MOMENTS, requires=("moments",))
def mean_and_variance(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The mean and the variance over N elements, divided by N, are exact within the bound of the grade.

    All that is built on these moments is off, and normalized values have another scale.
    """
    x, reduced = case.training[0], _reduced(case)
    rows = to_rows(x, case.axis)
    for keepdims in (False, True):
        exact = oracle.moments(x, reduced, keepdims=keepdims)
        seen = adapter.moments(x.copy(), reduced, keepdims)  # type: ignore[attr-defined]
        _require(seen, exact, rows, np.ones_like(rows), case, grade, checks)


@law("moments", MOMENTS, requires=("weighted_moments",))
def weights_are_frequencies(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A weight of 2 counts twice, a fraction counts as a fraction, and 0 deletes the element, NaN included.

    Padded and masked elements move the statistics: results depend on how a batch is padded.
    """
    x, reduced = case.training[0].copy(), _reduced(case)
    random = np.random.default_rng(len(x))
    weights = random.choice([0.0, 0.25, 1.0, 2.0, 3.5], x.shape).astype(x.dtype)
    weights[0] = 2.0  # no channel is without weight
    for name, values in (
        ("a weight for each element", weights),
        ("a weight for each row", weights[:, *(slice(1),) * (x.ndim - 1)]),
    ):
        full = np.broadcast_to(values, x.shape)
        x[full == 0] = np.nan
        exact = oracle.moments(x, reduced, values)
        seen = adapter.weighted_moments(x.copy(), reduced, values.copy(), False)  # type: ignore[attr-defined]
        rows = np.nan_to_num(to_rows(x, case.axis))
        _require(seen, exact, rows, to_rows(full, case.axis), case, grade, checks, f" with {name}")
        x = case.training[0].copy()


def _require(
    seen: Sequence[Array],
    exact: oracle.Moments,
    rows: Array,
    weights: Array,
    case: Case,
    grade: Grade,
    checks: Checks,
    how: str = "",
) -> None:
    form = bounds.FORMATS[case.parameter_dtype]
    mean, variance = (np.asarray(value.to_float()).reshape(-1) for value in (exact.mean, exact.variance))
    limit = bounds.weighted_statistics(rows, weights, mean, variance, grade, form)
    checks.true("moments must return a mean and a variance", len(seen) == 2)
    for name, value, expected, bound in (
        ("the mean", seen[0], exact.mean, bounds.rounded(limit.mean_error, mean, form)),
        ("the variance", seen[1], exact.variance, bounds.rounded(limit.variance_error, variance, form)),
    ):
        checks.close(name + how, value, expected, bound.reshape(expected.shape), case.parameter_dtype)


def _reduced(case: Case) -> tuple[int, ...]:
    return tuple(axis for axis in range(len(case.shapes[0])) if axis not in case.axis)
