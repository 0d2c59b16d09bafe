"""What several topics check on cases of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, expectation, oracle
from bnspec_conformance.cases import from_rows, to_rows
from bnspec_conformance.laws._law import pure_call, training_call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec_conformance.adapter import Adapter, Layer
    from bnspec_conformance.cases import Case
    from bnspec_conformance.checks import Checks

__all__ = ["bound_of_given", "evaluated", "require_gradients", "require_trajectory"]


def require_trajectory(
    layer: Layer,
    adapter: Adapter,
    case: Case,
    grade: bounds.Grade,
    checks: Checks,
    *,
    between: np.ndarray[Any, Any] | None = None,
) -> None:
    """Require every output and every state of the training batches, then the evaluation.

    A batch `between` is evaluated after each of them, for nothing.
    """
    expected = expectation.trajectory(case, adapter.convention, grade)
    out = case.output_dtype(adapter.convention)
    for number, step in enumerate(expected):
        training = number < len(case.training)
        at = f"of training batch {number + 1}" if training else "in evaluation"
        y = training_call(layer, case, number, checks) if training else pure_call(layer, case.evaluation, False, checks)
        checks.close(f"the output {at}", y, *step.y, out)
        mean, variance = layer.read()
        checks.close(f"moving_mean {at}", mean, *step.moving_mean, case.parameter_dtype)
        checks.close(f"moving_variance {at}", variance, *step.moving_variance, case.parameter_dtype)
        if step.renorm:
            kept = layer.read_renorm()  # type: ignore[attr-defined]
            for (name, wanted), seen in zip(step.renorm.items(), kept, strict=True):
                checks.close(f"{name} {at}", seen, *wanted, case.parameter_dtype)
        if between is not None:
            layer(between.copy(), False)


def require_gradients(
    found: Mapping[str, Any],
    adapter: Adapter,
    case: Case,
    training: bool,
    grade: bounds.Grade,
    checks: Checks,
    *,
    chained: bool = False,
) -> None:
    """Require the gradients that an adapter returns: those of x and of each parameter, and others if given."""
    mode = "in training" if training else "in evaluation"
    needed = {"x"} | ({"gamma"} if case.scale else set()) | ({"beta"} if case.center else set())
    checks.true(f"the gradients {mode} must include {sorted(needed)}. Got {sorted(found)}", needed <= found.keys())
    for name, expected in expectation.gradients(case, adapter.convention, training, grade, chained).items():
        if name in found and (name in needed or name.startswith(("moving", "weights"))):
            dtype = case.dtype if name == "x" else case.parameter_dtype
            checks.close(f"the gradient of {name} {mode}", found[name], *expected, dtype)


def evaluated(case: Case) -> tuple[oracle.Exact, np.ndarray[Any, Any]]:
    """Expect the evaluation batch normalized by the loaded statistics."""
    x = case.evaluation
    exact = oracle.batch_normalization(x, case.moving_mean, case.moving_variance, case.beta, case.gamma, case.epsilon)
    given = bounds.exact_statistics(
        *(value.astype(np.float64).reshape(-1) for value in (case.moving_mean, case.moving_variance))
    )
    return exact, from_rows(bound_of_given(case, to_rows(x, case.axis), given), x.shape, case.axis)


def bound_of_given(case: Case, rows: np.ndarray[Any, Any], given: bounds.Statistics) -> np.ndarray[Any, Any]:
    """Bound a normalization by statistics that are exact."""
    gamma, beta = (None if v is None else v.astype(np.float64).reshape(-1) for v in (case.gamma, case.beta))
    return bounds.normalized(
        rows,
        given,
        case.epsilon,
        1.0 if gamma is None else gamma,
        0.0 if beta is None else beta,
        bounds.FORMATS[case.parameter_dtype],
        bounds.FORMATS[case.dtype],
    )
