"""Bijection: batch normalization in a flow, with its log-det and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec_conformance import expectation
from bnspec_conformance.cases import BIJECTION, BIJECTION_ADJUSTED, Case
from bnspec_conformance.laws._law import law, pure_call, training_call

if TYPE_CHECKING:
    import numpy as np

    from bnspec_conformance.adapter import Adapter, Layer
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("bijection", BIJECTION, requires=("log_det",), conventions=None)
def log_det_in_training(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """In training, the log-det of each sample is that of the statistics that normalize, over all of the event.

    The likelihood that is maximized is of no density: a flow learns scales that the data do not have, and reports bits
    per dimension that cannot be compared.
    """
    layer = case.build(adapter)
    _train(layer, case, len(case.training) - 1, checks)
    before, x = layer.read(), case.training[-1]
    given = x.copy()
    seen = layer.log_det(given, True)  # type: ignore[attr-defined]
    checks.same("the input", given, x)
    expected = expectation.log_det(case, adapter.convention, grade, True)
    checks.close("the log-det of a training batch", seen, *expected, case.output_dtype(adapter.convention))
    _require_moved_once(before, layer, adapter, case, grade, checks)


@law("bijection", BIJECTION, requires=("log_det",), conventions=2)
def log_det_in_evaluation(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """In evaluation, the log-det is that of the running averages as training left them, and moves none.

    The likelihood of held-out data, and every comparison of models by it, is off by a constant that nobody sees.
    """
    layer = case.build(adapter)
    _train(layer, case, len(case.training), checks)
    before, given = layer.read(), case.evaluation.copy()
    seen = layer.log_det(given, False)  # type: ignore[attr-defined]
    checks.same("the input", given, case.evaluation)
    expected = expectation.log_det(case, adapter.convention, grade, False)
    checks.close("the log-det in evaluation", seen, *expected, case.output_dtype(adapter.convention))
    _require_kept(before, layer, checks)


@law("bijection", BIJECTION_ADJUSTED, requires=("adjusted_log_det",))
def log_det_with_adjustment(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The scale of an adjustment is in the log-det of each element, and its bias is not.

    What stretches the data on its way is not paid for, so that the likelihood can be raised by noise alone.
    """
    layer = case.build(adapter)
    _train(layer, case, len(case.training) - 1, checks)
    before, x, pair = layer.read(), case.training[-1], case.adjustments[-1] or ()
    given = [part.copy() for part in (x, *pair)]
    seen = layer.adjusted_log_det(*given)  # type: ignore[attr-defined]
    for name, kept, wanted in zip(("the input", "the scale", "the bias"), given, (x, *pair), strict=True):
        checks.same(name, kept, wanted)
    expected = expectation.log_det(case, adapter.convention, grade, True)
    checks.close("the log-det with an adjustment", seen, *expected, case.output_dtype(adapter.convention))
    _require_moved_once(before, layer, adapter, case, grade, checks)


@law("bijection", BIJECTION, requires=("invert",), conventions=2)
def invert_undoes_evaluation(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """After training, invert takes an output of evaluation back to its input, by the running averages.

    Samples of a trained flow are not those of the density that it reports.
    """
    layer = case.build(adapter)
    _train(layer, case, len(case.training), checks)
    y = pure_call(layer, case.evaluation, False, checks)
    wanted = expectation.trajectory(case, adapter.convention, grade)[-1].y
    checks.close("the output in evaluation", y, *wanted, case.output_dtype(adapter.convention))
    _require_inverted(layer, y, adapter, case, grade, checks)


@law("bijection", BIJECTION, requires=("invert",), conventions=2)
def invert_of_a_training_output(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Of an output of training too, invert goes back by the running averages, and so not to the batch.

    A round trip in training looks exact because a batch was remembered, and sampling, which has none, goes another way.
    """
    layer = case.build(adapter)
    _train(layer, case, len(case.training) - 1, checks)
    y = training_call(layer, case, len(case.training) - 1, checks)
    wanted = expectation.trajectory(case, adapter.convention, grade)[len(case.training) - 1].y
    checks.close("the output of a training batch", y, *wanted, case.output_dtype(adapter.convention))
    _require_inverted(layer, y, adapter, case, grade, checks)


def _train(layer: Layer, case: Case, count: int, checks: Checks) -> None:
    for number in range(count):
        training_call(layer, case, number, checks)


def _require_inverted(
    layer: Layer, y: np.ndarray[Any, Any], adapter: Adapter, case: Case, grade: Grade, checks: Checks
) -> None:
    """Require what invert makes of an output, which is handed back as it came."""
    before, kept = layer.read(), y.copy()
    x = layer.invert(y)  # type: ignore[attr-defined]
    checks.same("the output that is inverted", y, kept)
    expected = expectation.inverted(case, adapter.convention, grade, kept)
    checks.close("what invert returns", x, *expected, case.output_dtype(adapter.convention))
    _require_kept(before, layer, checks)


def _require_kept(before: tuple[np.ndarray[Any, Any], ...], layer: Layer, checks: Checks) -> None:
    for name, seen, wanted in zip(("moving_mean", "moving_variance"), layer.read(), before, strict=True):
        checks.same(name, seen, wanted)


def _require_moved_once(
    before: tuple[np.ndarray[Any, Any], ...], layer: Layer, adapter: Adapter, case: Case, grade: Grade, checks: Checks
) -> None:
    """Require averages that are kept, or moved as by one call on the last training batch."""
    after = layer.read()
    if all(old.tobytes() == new.tobytes() for old, new in zip(before, after, strict=True)):
        return
    step = expectation.trajectory(case, adapter.convention, grade)[len(case.training) - 1]
    for name, seen, wanted in zip(("moving_mean", "moving_variance"), after, step[1:3], strict=True):
        checks.close(f"{name}, if the log-det moves it,", seen, *wanted, case.parameter_dtype)
