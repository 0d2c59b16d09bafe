"""Dtypes: statistics are accumulated in float32 at least, and the output has the dtype of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import DTYPES, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("dtypes", DTYPES)
def accumulation_and_output(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Half-precision input has float32 statistics and state, and an output rounded once.

    With mixed precision the statistics overflow or stop moving, and evaluation drifts from training.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("dtypes", DTYPES, requires=("gradients",))
def gradients_of_each_dtype(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradient of the input has its dtype, those of the parameters have theirs.

    Mixed-precision training loses small gradients, or the optimizer meets a dtype that it does not expect.
    """
    for training in (True, False):
        layer = case.build(adapter)
        found = layer.gradients(case.training[-1].copy(), case.cotangent.copy(), training)  # type: ignore[attr-defined]
        require_gradients(found, adapter, case, training, grade, checks)
