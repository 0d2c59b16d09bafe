"""Degenerate batches: one element, none, or all elements equal. NaN never enters the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnspec_conformance.cases import CONSTANT, EMPTY, ONE_ELEMENT, RUNNING, Case
from bnspec_conformance.laws._common import require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("degenerate", CONSTANT)
def constant_channels(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A channel whose elements are all equal has variance 0 and the output beta."""
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("degenerate", ONE_ELEMENT, every_convention=True)
def one_element(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """One element per channel in training has the output beta and variance 0, or is refused with the state kept."""
    layer = case.build(adapter)
    if adapter.convention.one_element == "update":
        require_trajectory(layer, adapter, case, grade, checks)
        return
    try:
        layer(case.training[0].copy(), True)
    except (ValueError, TypeError, RuntimeError):
        _require_kept(layer.read(), case, checks)
    else:
        checks.true(f"{adapter.convention.name} must refuse one element per channel in training", condition=False)
    y = layer(case.evaluation.copy(), False)
    checks.array("the output in evaluation", y, case.evaluation.shape, case.dtype)
    checks.true("the output in evaluation must be finite", bool(np.isfinite(y).all()))


@law("degenerate", EMPTY, every_convention=True)
def empty_batch(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A batch without elements has an empty output, or is refused; either way the averages are kept."""
    layer = case.build(adapter)
    for training in (True, False):
        x = case.training[0] if training else case.evaluation
        try:
            y = layer(x.copy(), training)
        except (ValueError, TypeError, RuntimeError):
            pass  # refused: what counts is that the state is kept
        else:
            checks.array("the output of an empty batch", y, x.shape, case.dtype)
        _require_kept(layer.read(), case, checks)


@law("degenerate", RUNNING[:1])
def nan_stays_in_its_channel(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """NaN in one channel changes no other channel, neither output nor state."""
    clean, spoilt = case.build(adapter), case.build(adapter)
    x = case.training[0].copy()
    x[0, 0] = np.nan
    for training in (True, False):
        expected, seen = clean(case.training[0].copy(), training), spoilt(x.copy(), training)
        checks.true("a channel with NaN must not have a finite mean", bool(np.isnan(seen[0, 0])))
        checks.same("the output of the other channels", seen[:, 1:], expected[:, 1:])
        for name, good, bad in zip(("moving_mean", "moving_variance"), clean.read(), spoilt.read(), strict=True):
            checks.same(f"{name} of the other channels", bad[1:], good[1:])


def _require_kept(state: tuple[np.ndarray, np.ndarray], case: Case, checks: Checks) -> None:
    checks.same("moving_mean", state[0], case.moving_mean)
    checks.same("moving_variance", state[1], case.moving_variance)
