"""What normalizes a training batch: its own statistics or the averages, and which estimate of the variance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._averages import ESTIMATORS, KINDS, WEIGHS
from ._cases import FromZero
from ._fit import fit, judged, shown
from ._probe import predicted
from ._result import Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Probe

__all__ = ["normalization"]


def normalization(probe: Probe) -> Iterator[Observation]:
    """Observe statistics and normalizing_variance from the outputs in training."""
    seen = probe.from_zero.steps
    case = probe.case(FromZero, "steps")
    ratios: dict[Any, float] = {}

    def tried(**changes: Any) -> float:
        wanted = predicted(case, probe.convention(**changes))
        return fit(*((one.y, other.y) for one, other in zip(seen, wanted, strict=False)))

    for estimator in ESTIMATORS[:2]:
        ratios["batch", estimator] = tried(statistics="batch", normalizing_variance=estimator)
    if {"momentum_weighs", "average", "running_variance"} <= probe.known.keys():
        ratios["running", ""] = tried(statistics="running")
    else:
        names = ("momentum_weighs", "average", "running_variance")
        ratios["running", ""] = min(
            tried(statistics="running", **dict(zip(names, (weighs, kind, estimator), strict=True)))
            for weighs in WEIGHS
            for kind in KINDS
            for estimator in ESTIMATORS
        )
    what, values = "the first outputs of three training batches", shown([step.y.reshape(-1)[0] for step in seen])
    found = judged("statistics", ratios, what, values, lambda candidate: candidate[0])
    yield found
    if found.value == "running":
        reason = "the running averages normalize, so that no estimate of the batch does"
        yield Observation("normalizing_variance", (), "", reason)
        return
    own = {candidate: ratio for candidate, ratio in ratios.items() if candidate[0] == "batch"}
    yield judged("normalizing_variance", own, what, values, lambda candidate: candidate[1])
