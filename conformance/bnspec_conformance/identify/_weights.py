"""What parts of a batch do: weights of elements, and ghost batches."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ._cases import BooleanMask, FromZero
from ._degenerate import NEEDED
from ._fit import fit, judged, shown
from ._probe import NotSeen, Seen, predicted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Probe
    from ._result import Observation

__all__ = ["ghosts", "mask"]


def mask(probe: Probe) -> Iterator[Observation]:
    """Observe mask from weights of which some are fractions; one that takes booleans has a gap, and is tried."""
    probe.require(*NEEDED, "normalizing_variance")
    case = probe.case(FromZero, "weights", (6,), weighted="rows")
    layer = probe.build(case)
    if not hasattr(layer, "weighted"):
        raise NotSeen("the adapter has no weighted")
    x, weights = case.training[0], case.weights[0]
    assert weights is not None  # noqa: S101 - narrows the type
    y = np.asarray(layer.weighted(x.copy(), weights.copy()))
    seen = Seen(y, *(np.array(part) for part in layer.read()))
    rank, axis = probe.layout
    masked = BooleanMask(**{name: getattr(case, name) for name in case.__dataclass_fields__})
    cases = {"none": replace(case, weighted=""), "boolean": masked, "frequency": case}
    ratios = {}
    for value, each in cases.items():
        wanted = predicted(each, probe.convention())[0]
        ratios[value] = fit((seen.y, wanted.y), (seen.moving_mean, wanted.moving_mean))
    what = f"moving_mean with the weights {shown(np.moveaxis(weights, axis, -1)[..., 0] if rank > 1 else weights)}"
    found = judged("mask", ratios, what, shown(seen.moving_mean))
    if found.fits == ("none",):
        found = replace(found, fits=(), reason="weights are taken and ignored")
    yield found


def ghosts(probe: Probe) -> Iterator[Observation]:
    """Observe ghost_grouping from the output, and ghost_update from the averages."""
    probe.require_capability("ghosts")
    probe.require(*NEEDED, "normalizing_variance")
    case = probe.case(FromZero, "ghosts", (6,), ghosts=2)
    seen = probe.train(case).steps[0]
    of_output: dict[Any, float] = {}
    of_averages: dict[Any, float] = {}
    for cut, update in product(("contiguous", "strided"), ("mean", "merged", "each")):
        wanted = predicted(case, probe.convention(ghost_grouping=cut, ghost_update=update))[0]
        of_output[cut, update] = fit((seen.y, wanted.y))
        pairs = (seen.moving_mean, wanted.moving_mean), (seen.moving_variance, wanted.moving_variance)
        of_averages[cut, update] = fit(*pairs)
    what = "the first outputs of three ghost batches of two"
    grouping = judged("ghost_grouping", of_output, what, shown(seen.y), lambda candidate: candidate[0])
    yield grouping
    there = {key: ratio for key, ratio in of_averages.items() if not grouping.known or key[0] == grouping.value}
    what = "moving_variance after three ghost batches of two"
    yield judged("ghost_update", there, what, shown(seen.moving_variance), lambda candidate: candidate[1])
