"""Real data: activations of the digits images, in mini-batches, training then evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import DATA, Case
from bnspec_conformance.laws._common import require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("data", DATA, conventions=2)
def digits(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """An epoch over real activations gives the exact running statistics, and evaluation uses them.

    Evaluation on real data is off after an epoch, however the single steps looked.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)
