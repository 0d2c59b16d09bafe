"""Conventions: each is what it says, in output, averages and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import CONVENTIONS, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("conventions", CONVENTIONS, conventions=None)
def what_the_convention_says(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Estimators, kind of average, its start and what normalizes are the convention's.

    A ported checkpoint evaluates differently, most after few batches or with small ones.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("conventions", (case for case in CONVENTIONS if not case.weighted), requires=("gradients",), conventions=None)
def gradients_of_the_convention(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradients run through whatever statistics normalize, the averages before included where they do.

    A port trains on another gradient than the original, with the same forward pass.
    """
    given = (case.training[-1].copy(), case.cotangent.copy())
    found = case.build(adapter).gradients(*given, True)  # type: ignore[attr-defined]
    require_gradients(found, adapter, case, True, grade, checks)
