"""Training batches with one element per channel, and with none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._cases import FromZero
from ._fit import fit, judged
from ._probe import predicted, step
from ._result import Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bnspec_conformance.expectation import Step

    from ._probe import Probe, Seen

__all__ = ["NEEDED", "empty_batch", "one_element"]

NEEDED = ("momentum_weighs", "average", "running_variance", "statistics")


def one_element(probe: Probe) -> Iterator[Observation]:
    """Observe one_element from a batch of one after a batch of four."""
    probe.require(*NEEDED)
    case = probe.case(FromZero, "one", (4, 1))
    layer = probe.build(case)
    layer(case.training[0].copy(), True)
    try:
        seen = step(layer, case.training[1])
    except Exception as error:  # noqa: BLE001 - whichever it is, it refuses
        yield Observation(
            "one_element", ("raise",), f"a batch of one raises {type(error).__name__}: {str(error)[:120]}"
        )
        return
    ratio = _fits(seen, predicted(case, probe.convention())[1])
    yield judged("one_element", {"update": ratio}, "a batch of one", _described(seen))


def empty_batch(probe: Probe) -> Iterator[Observation]:
    """Observe empty_batch from an empty batch between two others; a count shows in the share of the second."""
    probe.require(*NEEDED)
    cumulative = "momentum=None" not in probe.gaps
    case = probe.case(FromZero, "empty", (4, 0, 5), **({"take": None} if cumulative else {}))
    seen = probe.train(case, None).steps if cumulative else probe.train(case).steps
    ratios = {}
    for value in ("keep", "count"):
        wanted = predicted(case, probe.convention(empty_batch=value))
        ratios[value] = max(_fits(one, other) for one, other in zip(seen, wanted, strict=False))
    kind = "equal weights" if cumulative else "its average"
    yield judged("empty_batch", ratios, f"after batches of four, none and five, with {kind}", _described(seen[2]))


def _fits(seen: Seen, wanted: Step) -> float:
    return fit(
        (seen.y, wanted.y), (seen.moving_mean, wanted.moving_mean), (seen.moving_variance, wanted.moving_variance)
    )


def _described(seen: Seen) -> str:
    """Say what came out, NaN in the first place."""
    lost = [name for name in seen._fields if not np.isfinite(np.asarray(getattr(seen, name), np.float64)).all()]
    if lost:
        return f"not finite in {', '.join(lost)}"
    first = (
        f"{name}[0] {np.asarray(part, np.float64).reshape(-1)[0]:.5g}"
        for name, part in seen._asdict().items()
        if part.size
    )
    return ", ".join(first)
