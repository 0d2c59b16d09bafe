"""Axes: the feature axes keep their own statistics, all others are averaged over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import AXES, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("axes", AXES)
def any_feature_axis(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Statistics are per element of the feature axes, at every rank, also where other sizes are equal."""
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("axes", AXES, requires=("gradients",))
def gradients_on_any_feature_axis(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradients run over the same elements as the statistics."""
    found = case.build(adapter).gradients(case.training[-1].copy(), case.cotangent.copy(), True)  # type: ignore[attr-defined]
    require_gradients(found, case, True, grade, checks)
