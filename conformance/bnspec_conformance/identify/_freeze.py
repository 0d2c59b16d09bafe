"""What freezing does to a layer in training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ._cases import FromZero
from ._degenerate import NEEDED
from ._fit import fit, judged, shown
from ._probe import NotSeen, predicted, step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Probe
    from ._result import Observation

__all__ = ["freeze"]


def freeze(probe: Probe) -> Iterator[Observation]:
    """Observe freeze from a training batch after `freeze`."""
    probe.require(*NEEDED, "normalizing_variance")
    case = probe.case(FromZero, "freeze", (4, 5))
    layer = probe.build(case)
    if not hasattr(layer, "freeze"):
        raise NotSeen("the adapter has no freeze()")
    layer(case.training[0].copy(), True)
    layer.freeze()
    seen = step(layer, case.training[1])
    before, after, _ = predicted(case, probe.convention())
    # The same two batches, the second in evaluation.
    evaluated = replace(case, shapes=case.shapes[:1], evaluation_shape=case.shapes[1])
    evaluation = predicted(evaluated, probe.convention())[1]
    candidates = {
        "parameters": (after.y, after.moving_mean, after.moving_variance),
        "averages": (after.y, before.moving_mean, before.moving_variance),
        "evaluation": (evaluation.y, before.moving_mean, before.moving_variance),
    }
    ratios = {value: fit(*zip(seen, wanted, strict=True)) for value, wanted in candidates.items()}
    values = f"y {shown(seen.y.reshape(-1)[:1])} and moving_mean {shown(seen.moving_mean)}"
    yield judged("freeze", ratios, "training after freeze()", values)
