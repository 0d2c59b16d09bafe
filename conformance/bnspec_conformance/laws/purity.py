"""Purity: what is read is not written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import RUNNING, Case
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks

_CASES = RUNNING[:1] + RUNNING[3:4]


@law("purity", _CASES)
def inputs_are_unchanged(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Neither the input nor the arrays that were loaded change, to the byte."""
    layer = adapter(case.config(adapter.convention))
    loaded = [case.gamma, case.beta, case.moving_mean, case.moving_variance]
    given = [None if value is None else value.copy() for value in loaded]
    layer.load(*given)  # type: ignore[arg-type]
    for x, training in ((case.training[0], True), (case.training[-1], True), (case.evaluation, False)):
        before = x.copy()
        layer(before, training)
        checks.same("the input", before, x)
    for name, value, original in zip(("gamma", "beta", "moving_mean", "moving_variance"), given, loaded, strict=True):
        if original is not None:
            checks.same(f"the loaded {name}", value, original)


@law("purity", _CASES)
def evaluation_changes_no_state(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Evaluation leaves the running statistics as they are, and gives the same output again."""
    layer = case.build(adapter)
    layer(case.training[0].copy(), True)
    before = [value.copy() for value in layer.read()]
    first = layer(case.evaluation.copy(), False).copy()
    for name, old, new in zip(("moving_mean", "moving_variance"), before, layer.read(), strict=True):
        checks.same(f"{name} in evaluation", new, old)
    checks.same("the output of the second evaluation", layer(case.evaluation.copy(), False), first)


@law("purity", _CASES)
def training_output_ignores_the_state(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The output of a training batch does not depend on the running statistics."""
    layer = case.build(adapter)
    first = layer(case.training[0].copy(), True).copy()
    second = layer(case.training[0].copy(), True)
    checks.same("the output of the same training batch under another state", second, first)
