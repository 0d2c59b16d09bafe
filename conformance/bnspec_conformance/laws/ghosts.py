"""Ghost batches: parts of a batch that are normalized each by itself, and share averages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import GHOSTS, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("ghosts", GHOSTS, conventions=None)
def ghost_batches(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Each ghost batch is normalized by its own statistics, and enters the averages as the convention says.

    The regularizing noise of small batches is lost, or evaluation uses statistics that no batch had.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("ghosts", (case for case in GHOSTS if not case.weighted), requires=("gradients",), conventions=None)
def gradients_of_ghost_batches(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradient of x stays within its ghost batch, those of the parameters sum over all of them.

    Samples of other ghost batches leak into the gradient: training is that of another batch size.
    """
    given = (case.training[-1].copy(), case.cotangent.copy())
    found = case.build(adapter).gradients(*given, True)  # type: ignore[attr-defined]
    require_gradients(found, adapter, case, True, grade, checks)


@law("ghosts", (case for case in GHOSTS if case.weighted), requires=("weighted_gradients",), conventions=None)
def gradients_of_weighted_ghost_batches(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A weight moves the statistics of its own ghost batch alone.

    The weight of a sample moves samples that it was never normalized with.
    """
    given = (case.training[-1].copy(), case.cotangent.copy(), case.weights[-1].copy())  # type: ignore[union-attr]
    found = case.build(adapter).weighted_gradients(*given)  # type: ignore[attr-defined]
    require_gradients(found, adapter, case, True, grade, checks)
