"""How the running averages move: what momentum weighs, the kind of average, and the estimator of the variance."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from ._cases import FromZero, Loaded
from ._fit import fit, judged, shown
from ._probe import predicted
from ._result import Finding, Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Probe

__all__ = ["averages", "loaded_state"]

WEIGHS = ("old", "new")
KINDS = ("exponential", "debiased", "first")
ESTIMATORS = ("population", "bessel", "bessel_epsilon")


def averages(probe: Probe) -> Iterator[Observation]:
    """Observe momentum_weighs and average from the mean, and running_variance from the variance.

    The averages start at 0, so that a debiased one, one that starts from the first batch, and an exponential one give
    a batch shares that differ in both directions of momentum, at the second step if not at the first.
    """
    seen = probe.from_zero.steps
    case = probe.case(FromZero, "steps")
    of_mean: dict[Any, float] = {}
    of_variance: dict[Any, float] = {}
    for what_weighs, kind, estimator in product(WEIGHS, KINDS, ESTIMATORS):
        given = probe.convention(momentum_weighs=what_weighs, average=kind, running_variance=estimator)
        wanted = predicted(case, given)
        pairs = list(zip(seen, wanted, strict=False))
        of_mean[what_weighs, kind] = fit(*((one.moving_mean, other.moving_mean) for one, other in pairs))
        variances = ((one.moving_variance, other.moving_variance) for one, other in pairs)
        of_variance[what_weighs, kind, estimator] = fit(*variances)
    means = shown([step.moving_mean.reshape(-1)[0] for step in seen])
    variances_seen = shown([step.moving_variance.reshape(-1)[0] for step in seen])
    what = "moving_mean[0] of three batches from 0"
    weighs = judged("momentum_weighs", of_mean, what, means, lambda candidate: candidate[0])
    yield weighs
    kind_of_mean = judged("average", of_mean, what, means, lambda candidate: candidate[1])
    what = "moving_variance[0] of three batches from 0"
    kind_of_variance = judged("average", of_variance, what, variances_seen, lambda candidate: candidate[1])
    yield _average(kind_of_mean, kind_of_variance)
    matching = {c: ratio for c, ratio in of_variance.items() if not weighs.known or c[0] == weighs.value}
    yield judged("running_variance", matching, what, variances_seen, lambda candidate: candidate[2])


def _average(mean: Observation, variance: Observation) -> Observation:
    """Put the kinds of the two averages together."""
    evidence = f"{mean.evidence}; {variance.evidence}"
    if not mean.known:
        return Observation("average", mean.fits, evidence, mean.reason)
    if not variance.fits:
        # The mean alone says as much: what happens to the variance is no kind of average.
        kinds = ("debiased", "debiased_mean") if mean.value == "debiased" else (mean.value,)
        reason = "the variance moves as no average does" if len(kinds) > 1 else ""
        return Observation("average", kinds, evidence, reason)
    if mean.value in variance.fits:
        return Observation("average", (mean.value,), evidence)
    if (mean.value, variance.value) == ("debiased", "exponential"):
        return Observation("average", ("debiased_mean",), evidence)
    return Observation("average", (), evidence, "the mean and the variance move differently, in no way that has a name")


def loaded_state(probe: Probe) -> Iterator[Finding]:
    """Find whether averages that are not 0 enter as the convention says."""
    probe.require("momentum_weighs", "average", "running_variance")
    seen, wanted = probe.from_loaded.steps, predicted(probe.case(Loaded, "steps"), probe.convention())
    for name in ("moving_mean", "moving_variance"):
        ratios = [fit((getattr(a, name), getattr(b, name))) for a, b in zip(seen, wanted, strict=False)]
        good = max(ratios) <= 1.0
        values = [getattr(step, name).reshape(-1)[0] for step in seen]
        exact = [getattr(step, name).exact.to_float().reshape(-1)[0] for step in wanted[:-1]]
        yield Finding(
            f"{name} from a loaded state",
            probe.dtype,
            "as the convention says" if good else "not as the convention says",
            f"{name}[0] is {shown(values)}, and should be {shown(exact)}: {max(ratios):.2g} of the bound",
        )
