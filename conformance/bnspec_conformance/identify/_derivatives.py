"""Findings about gradients: whether they flow through the statistics, at first and second order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import expectation
from bnspec_conformance.cases import to_rows

from ._cases import FromZero
from ._degenerate import NEEDED
from ._fit import LOOSEST
from ._probe import NotSeen, directed, predicted
from ._result import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bnspec_conformance.cases import Case

    from ._probe import Probe

    Array = np.ndarray[Any, Any]

__all__ = ["first_order", "second_order"]


def first_order(probe: Probe) -> Iterator[Finding]:
    """Find through which statistics the gradient of x flows in training."""
    probe.require(*NEEDED)
    case = probe.case(FromZero, "gradients", (5,))
    convention = probe.convention()
    for method in ("gradients", "autodiff"):
        topic = f"first-order gradient, {method}"
        if method in probe.gaps:
            yield Finding(topic, probe.dtype, "not measured", probe.gaps[method])
            continue
        try:
            found: Any = getattr(probe.build(case), method)(case.training[0].copy(), case.cotangent.copy(), True)
            seen = to_rows(np.asarray(found["x"]), case.axis)
        except Exception as error:  # noqa: BLE001 - it is reported
            yield Finding(topic, probe.dtype, "not measured", f"raised {type(error).__name__}: {str(error)[:120]}")
            continue
        asked = directed(case, convention)
        wanted = expectation.gradients(asked, convention, True, LOOSEST, chained=True)["x"]
        bound = to_rows(wanted.bound, case.axis)
        candidates = {"through mean and variance": to_rows(wanted.exact.to_float(), case.axis)}
        candidates |= _stopped(probe, asked)
        # The stopped ones are shorter sums of the same terms, and have no wider bound.
        ratios = {name: _ratio(seen, value, bound) for name, value in candidates.items()}
        yield _finding(topic, probe.dtype, ratios)


def _stopped(probe: Probe, case: Case) -> dict[str, Array]:
    """Return the gradients that stop at both statistics, or at one of them."""
    convention = probe.convention()
    x, dy = to_rows(case.training[0], case.axis), to_rows(case.cotangent, case.axis)
    assert case.gamma is not None  # noqa: S101 - narrows the type
    gamma = case.gamma.astype(np.float64).reshape(-1)
    if convention.statistics == "running":
        after = predicted(case, convention)[0].moving_variance.exact.to_float().reshape(-1)
        return {"through neither": gamma / np.sqrt(after + case.epsilon) * dy}
    free = len(x) - (convention.normalizing_variance == "bessel")
    unit = (x - x.mean(axis=0)) / np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=0) / free + case.epsilon)
    slope = gamma / np.sqrt(((x - x.mean(axis=0)) ** 2).sum(axis=0) / free + case.epsilon)
    by_mean, by_variance = dy.mean(axis=0), unit * (dy * unit).sum(axis=0) / free
    return {
        "through neither": slope * dy,
        "through the mean alone": slope * (dy - by_mean),
        "through the variance alone": slope * (dy - by_variance),
    }


def second_order(probe: Probe) -> Iterator[Finding]:
    """Find whether the second derivative has every term, or lacks that of the mean inside the variance."""
    topic = "second-order gradient"
    probe.require(*NEEDED, "normalizing_variance")
    if probe.known["statistics"] == "running" or probe.known["normalizing_variance"] != "population":
        raise NotSeen("the second derivative is known where the batch's population variance normalizes")
    if "hessian_vector_product" in probe.gaps:
        raise NotSeen(probe.gaps["hessian_vector_product"])
    case = probe.case(FromZero, "second", (5,))
    given = (case.training[0].copy(), case.cotangent.copy(), case.tangent.copy())
    layer: Any = probe.build(case)
    seen = to_rows(np.asarray(layer.hessian_vector_product(*given)), case.axis)
    wanted = expectation.hessian_vector_product(case, LOOSEST)
    exact, bound = (to_rows(part, case.axis) for part in (wanted.exact.to_float(), wanted.bound))
    x, dy, tangent = (to_rows(part, case.axis) for part in given)
    inverse = 1.0 / np.sqrt(x.var(axis=0) + case.epsilon)
    unit = (x - x.mean(axis=0)) * inverse
    assert case.gamma is not None  # noqa: S101 - narrows the type
    slope = case.gamma.astype(np.float64).reshape(-1) * inverse
    # The gradient of the variance is 2 (x - mean) / N; with a constant mean its derivative along t is 2 t / N.
    lacking = slope * inverse * tangent.mean(axis=0) * (dy * unit).mean(axis=0)
    ratios = {
        "through mean and variance": _ratio(seen, exact, bound),
        "not through the mean inside the variance": _ratio(seen, exact - lacking, bound),
        "zero": _ratio(seen, np.zeros_like(exact), bound),
    }
    yield _finding(topic, probe.dtype, ratios)


def _ratio(seen: Array, value: Array, bound: Array) -> float:
    if seen.shape != value.shape or not np.isfinite(seen).all():
        return float("inf")
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(seen == value, 0.0, np.abs(seen - value) / bound).max())


def _finding(topic: str, dtype: str, ratios: dict[str, float]) -> Finding:
    order = sorted(ratios, key=lambda name: ratios[name])
    best = order[0]
    evidence = f"{best}: {ratios[best]:.2g} of its bound; the next, {order[1]}: {ratios[order[1]]:.3g}"
    return Finding(topic, dtype, best if ratios[best] <= 1.0 else f"none of: {', '.join(ratios)}", evidence)
