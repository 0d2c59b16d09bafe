"""What several topics check on cases of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec_conformance import expectation
from bnspec_conformance.laws._law import pure_call, weighted_call

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bnspec_conformance.adapter import Adapter, Layer
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.cases import Case
    from bnspec_conformance.checks import Checks

__all__ = ["require_gradients", "require_trajectory"]


def require_trajectory(
    layer: Layer,
    adapter: Adapter,
    case: Case,
    grade: Grade,
    checks: Checks,
    *,
    between: np.ndarray[Any, Any] | None = None,
) -> None:
    """Require every output and every state of the training batches, then the evaluation.

    A batch `between` is evaluated after each of them, for nothing.
    """
    expected = expectation.trajectory(case, adapter.convention, grade)
    calls = [*((x, weights, True) for x, weights in zip(case.training, case.weights, strict=True))]
    calls.append((case.evaluation, None, False))
    for number, ((x, weights, training), step) in enumerate(zip(calls, expected, strict=True), 1):
        at = f"of training batch {number}" if training else "in evaluation"
        y = pure_call(layer, x, training, checks) if weights is None else weighted_call(layer, x, weights, checks)
        checks.close(f"the output {at}", y, *step.y, case.dtype)
        mean, variance = layer.read()
        checks.close(f"moving_mean {at}", mean, *step.moving_mean, case.parameter_dtype)
        checks.close(f"moving_variance {at}", variance, *step.moving_variance, case.parameter_dtype)
        if between is not None:
            layer(between.copy(), False)


def require_gradients(
    found: Mapping[str, Any], case: Case, training: bool, grade: Grade, checks: Checks, *, chained: bool = False
) -> None:
    """Require the gradients that an adapter returns: those of x and of each parameter, and others if given."""
    mode = "in training" if training else "in evaluation"
    needed = {"x"} | ({"gamma"} if case.scale else set()) | ({"beta"} if case.center else set())
    checks.true(f"the gradients {mode} must include {sorted(needed)}. Got {sorted(found)}", needed <= found.keys())
    for name, expected in expectation.gradients(case, training, grade, chained).items():
        if name in found and (name in needed or name.startswith(("moving", "weights"))):
            dtype = case.dtype if name == "x" else case.parameter_dtype
            checks.close(f"the gradient of {name} {mode}", found[name], *expected, dtype)
