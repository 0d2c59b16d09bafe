"""Batch renormalization: corrections r and d towards averages of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import RENORM, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("renorm", RENORM, conventions=3)
def renormalization(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """R and d come from the averages before the batch, clipped; all five averages follow their recurrences.

    Training and evaluation drift apart, which renormalization is there to prevent.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("renorm", (case for case in RENORM if not case.weighted), requires=("gradients",))
def gradients_of_renormalization(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """No gradient passes r and d, and those of gamma and beta are of what gamma multiplies.

    The correction is trained on: the network learns to please its own running averages.
    """
    given = (case.training[-1].copy(), case.cotangent.copy())
    found = case.build(adapter).gradients(*given, True)  # type: ignore[attr-defined]
    require_gradients(found, adapter, case, True, grade, checks)


@law("renorm", (case for case in RENORM if not case.weighted), requires=("autodiff",))
def automatic_differentiation_of_renormalization(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A framework's own differentiation passes r and d as little.

    Whoever differentiates the forward pass trains on the correction.
    """
    given = (case.training[-1].copy(), case.cotangent.copy())
    found = case.build(adapter).autodiff(*given, True)  # type: ignore[attr-defined]
    require_gradients(found, adapter, case, True, grade, checks, chained=True)
