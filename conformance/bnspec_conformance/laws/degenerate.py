"""Degenerate batches: one element, none, or all elements equal. NaN never enters the state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import expectation, oracle
from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.cases import CONSTANT, EMPTY, EMPTY_BETWEEN, ONE_ELEMENT, RUNNING, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import REFUSALS, law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("degenerate", CONSTANT)
def constant_channels(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A channel whose elements are all equal has variance 0 and the output beta.

    Dead ReLU channels and padding become noise, infinities or NaN, which spread through the network.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("degenerate", ONE_ELEMENT, conventions=2)
def one_element(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """One element per channel in training has the output beta and variance 0, or is refused with the state kept.

    The last, short batch of an epoch writes NaN into the running statistics, or stops the training.
    """
    layer = case.build(adapter)
    if adapter.convention.one_element == "update":
        require_trajectory(layer, adapter, case, grade, checks)
        return
    try:
        y = layer(case.training[0].copy(), True)
    except REFUSALS:
        _require_kept(layer.read(), case, checks)
    else:
        if "refusal" in gaps_of(adapter):
            expected = expectation.trajectory(case, replace(adapter.convention, one_element="update"), grade)
            checks.close("the output of training batch 1", y, *expected[0].y, case.output_dtype(adapter.convention))
            return
        checks.true(f"{adapter.convention.name} must refuse one element per channel in training", condition=False)
    y = layer(case.evaluation.copy(), False)
    checks.array("the output in evaluation", y, case.evaluation.shape, case.output_dtype(adapter.convention))
    checks.true("the output in evaluation must be finite", bool(np.isfinite(y).all()))


@law("degenerate", EMPTY, conventions=2)
def empty_batch(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A batch without elements has an empty output, or is refused; either way the averages are kept.

    One empty shard or filtered batch turns the saved statistics into NaN, and every later evaluation with them.
    """
    layer = case.build(adapter)
    for training in (True, False):
        x = case.training[0] if training else case.evaluation
        try:
            y = layer(x.copy(), training)
        except REFUSALS:
            pass  # refused: what counts is that the state is kept
        else:
            checks.array("the output of an empty batch", y, x.shape, case.output_dtype(adapter.convention))
        _require_kept(layer.read(), case, checks)


@law("degenerate", EMPTY_BETWEEN, conventions=2)
def empty_batch_in_between(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """After an empty batch, the cumulative average goes on as the convention counts; or the batch is refused.

    A batch that had nothing in it pulls the averages, or shifts the count that weighs the next ones.
    """
    layer = case.build(adapter)
    try:
        layer(case.training[1].copy(), True)
    except REFUSALS:
        _require_kept(layer.read(), case, checks)
        return
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("degenerate", CONSTANT + EMPTY, requires=("gradients",))
def gradients_of_degenerate_batches(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradients of constant channels are exact, those of an empty batch are empty or zero.

    A single dead channel sends NaN or a huge step to every parameter below.
    """
    for training in (True, False):
        try:
            found = case.build(adapter).gradients(case.training[-1].copy(), case.cotangent.copy(), training)  # type: ignore[attr-defined]
        except REFUSALS:
            checks.true("only an empty batch may be refused", case.training[-1].size == 0)
        else:
            require_gradients(found, adapter, case, training, grade, checks)


@law("degenerate", RUNNING[:1])
def what_is_not_finite_stays_in_its_channel(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """NaN or an infinity in one channel is not hidden, and changes no other channel, neither output nor state.

    An overflow goes unnoticed, or one bad channel destroys the others.
    """
    expected = expectation.trajectory(case, adapter.convention, grade)
    for value in (np.nan, np.inf):
        layer = case.build(adapter)
        x = case.training[0].copy()
        x[0, 0] = value
        with np.errstate(invalid="ignore"):  # infinity less infinity is what is asked for
            y = layer(x.copy(), True)
        checks.true("a training batch with a value that is not finite must show it", not np.isfinite(y[0, 0]))
        _require_others("the output", y, expected[0].y, case.output_dtype(adapter.convention), checks)
        mean, variance = layer.read()
        _require_others("moving_mean", mean, expected[0].moving_mean, case.parameter_dtype, checks)
        _require_others("moving_variance", variance, expected[0].moving_variance, case.parameter_dtype, checks)
        y = case.build(adapter)(x.copy(), False)
        checks.true("evaluation must show a value that is not finite", not np.isfinite(y[0, 0]))
        checks.true("evaluation must keep the other elements finite", bool(np.isfinite(y[1:]).all()))


def _require_others(
    what: str, seen: np.ndarray[Any, Any], expected: expectation.Expected, dtype: str, checks: Checks
) -> None:
    """Compare all channels but the first, which are on the last axis."""
    exact = oracle.Exact(expected.exact.numerators[..., 1:], expected.exact.bits)
    checks.close(f"{what} of the other channels", seen[..., 1:], exact, expected.bound[..., 1:], dtype)


def _require_kept(state: tuple[np.ndarray, np.ndarray], case: Case, checks: Checks) -> None:
    checks.same("moving_mean", state[0], case.moving_mean)
    checks.same("moving_variance", state[1], case.moving_variance)
