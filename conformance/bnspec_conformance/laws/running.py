"""Running statistics: several training steps, then evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import ALIASED, RUNNING, Case
from bnspec_conformance.laws._common import require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("running", RUNNING, conventions=2)
def several_steps_then_evaluation(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Outputs and running statistics follow the recurrence, batch after batch, and evaluation uses them.

    Training looks right, and the evaluated or saved model is not the one that was trained.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("running", (case for case in RUNNING if not case.id.startswith("long")), conventions=2)
def evaluation_in_between(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """An evaluation between two training batches changes nothing, and counts for nothing.

    A validation run in the middle of the training changes its result.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks, between=case.evaluation)


@law("running", ALIASED)
def aliased_arrays(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Gamma may be the array of the running variance, and beta that of the running mean.

    Initializers that share one buffer let the running averages overwrite the parameters.
    """
    layer = adapter(case.config(adapter.convention))
    mean, variance = case.moving_mean.copy(), case.moving_variance.copy()
    layer.load(variance, mean, mean, variance)
    require_trajectory(layer, adapter, case, grade, checks)
