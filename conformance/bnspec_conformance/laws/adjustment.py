"""Adjustment: a scale and a bias between normalization and gamma, in training alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import ADJUSTED, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("adjustment", ADJUSTED)
def adjusted_training(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The adjustment follows the correction and precedes gamma; averages and evaluation do not know it.

    Stochastic scales that leak into the running statistics make evaluation depend on the noise of training.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("adjustment", ADJUSTED, requires=("adjusted_gradients",))
def gradients_with_adjustment(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The scale is in the gradient of x, scale and bias are in that of gamma.

    Gamma and the layers below learn from the unadjusted values: training converges elsewhere, without an error.
    """
    pair = case.adjustments[-1] or ()
    given = (case.training[-1].copy(), case.cotangent.copy(), *(part.copy() for part in pair))
    found = case.build(adapter).adjusted_gradients(*given)  # type: ignore[attr-defined]
    require_gradients(found, adapter, case, True, grade, checks)
