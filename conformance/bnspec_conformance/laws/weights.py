"""Weights: in training each element counts as often as its frequency weight says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnspec_conformance import expectation
from bnspec_conformance.cases import WEIGHTED, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import law, weighted_call

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("weights", WEIGHTED, conventions=2)
def weighted_training(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Output and averages are those of elements that are repeated, or counted in part, as the weights say.

    Padding, masks and sample weights change the statistics of what is really there.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("weights", WEIGHTED)
def deleted_elements_are_not_seen(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """NaN and infinity under a weight of 0 reach no other element's output, and no average.

    Garbage in the padding of a batch becomes NaN everywhere.
    """
    layer = case.build(adapter)
    expected = expectation.trajectory(case, adapter.convention, grade)
    for number, (x, weights, step) in enumerate(zip(case.training, case.weights, expected, strict=False), 1):
        deleted = np.broadcast_to(weights == 0, x.shape)
        lost = x.copy()
        lost[deleted] = np.resize([np.nan, np.inf, -np.inf], int(deleted.sum())).astype(x.dtype)
        y = weighted_call(layer, lost, weights, checks)  # type: ignore[arg-type]
        checks.array(f"the output of training batch {number}", y, x.shape, case.output_dtype(adapter.convention))
        # What a deleted element itself becomes is left open.
        kept = np.where(deleted, step.y.exact.to_float().astype(y.dtype), y).astype(y.dtype)
        checks.close(f"the output of training batch {number}", kept, *step.y, case.output_dtype(adapter.convention))
        for name, seen, wanted in zip(("moving_mean", "moving_variance"), layer.read(), step[1:3], strict=True):
            checks.close(f"{name} of training batch {number}", seen, *wanted, case.parameter_dtype)


@law("weights", WEIGHTED, requires=("weighted_gradients",))
def gradients_with_weights(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradients run through weighted statistics, that of a weight too, also where the weight is 0.

    Masked training follows another gradient than the same batch without the padding.
    """
    given = (case.training[-1].copy(), case.cotangent.copy(), case.weights[-1].copy())  # type: ignore[union-attr]
    found = case.build(adapter).weighted_gradients(*given)  # type: ignore[attr-defined]
    require_gradients(found, adapter, case, True, grade, checks)
