"""Purity: what is read is not written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnspec_conformance import expectation
from bnspec_conformance.cases import GRADIENTS, RUNNING, Case
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks

_CASES = RUNNING[:1] + RUNNING[3:4]


@law("purity", _CASES)
def inputs_are_unchanged(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Neither the input nor the arrays that were loaded change, to the byte.

    The caller's data change under its hands: residual connections and recomputation see other values.
    """
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
    """Evaluation leaves the running statistics as they are, and gives the same output again.

    The more often a model is evaluated, the more its predictions move.
    """
    layer = case.build(adapter)
    layer(case.training[0].copy(), True)
    before = [value.copy() for value in layer.read()]
    first = layer(case.evaluation.copy(), False).copy()
    for name, old, new in zip(("moving_mean", "moving_variance"), before, layer.read(), strict=True):
        checks.same(f"{name} in evaluation", new, old)
    checks.same("the output of the second evaluation", layer(case.evaluation.copy(), False), first)


@law("purity", _CASES)
def training_output_ignores_the_state(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The output of a training batch does not depend on the running statistics, unless these are to normalize it.

    Training depends on what the layer saw before, and is not what the paper describes.
    """
    layer = case.build(adapter)
    expected = expectation.trajectory(case, adapter.convention, grade)[0].y
    hows = ("", " again, under another state")
    for how in hows[: 1 if adapter.convention.statistics == "running" else 2]:
        y = layer(case.training[0].copy(), True)
        checks.close(f"the output of a training batch{how}", y, *expected, case.output_dtype(adapter.convention))


@law("purity", _CASES)
def outputs_are_kept(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """An output is neither a view of the input nor written by the next call.

    An output that is kept for a residual connection or for plotting changes later.
    """
    layer = case.build(adapter)
    for training in (True, False):
        x = case.training[0].copy()
        y = layer(x, training)
        before = y.copy()
        layer(case.training[0] + case.training[0].dtype.type(1), training)
        checks.same("an output after the next call", y, before)
        checks.true("the output must not share memory with the input", not np.shares_memory(x, y))


@law("purity", _CASES)
def layers_share_nothing(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Two layers of the same configuration have each its own state.

    Two layers, or two copies of a model, train each other's statistics.
    """
    first, second = case.build(adapter), case.build(adapter)
    before = [value.copy() for value in second.read()]
    first(case.training[0].copy(), True)
    for name, old, new in zip(("moving_mean", "moving_variance"), before, second.read(), strict=True):
        checks.same(f"{name} of the other layer", new, old)


@law("purity", GRADIENTS[:1], requires=("gradients",))
def gradients_change_nothing(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A gradient overwrites neither the input nor the cotangent, and in evaluation not the state either.

    A backward pass corrupts what the rest of the graph still needs, or moves the statistics again.
    """
    for training in (True, False):
        layer = case.build(adapter)
        before = [value.copy() for value in layer.read()]
        x, cotangent = case.training[-1].copy(), case.cotangent.copy()
        layer.gradients(x, cotangent, training)  # type: ignore[attr-defined]
        checks.same("the input", x, case.training[-1])
        checks.same("the cotangent", cotangent, case.cotangent)
        if not training:
            for name, old, new in zip(("moving_mean", "moving_variance"), before, layer.read(), strict=True):
                checks.same(f"{name} after a gradient in evaluation", new, old)
