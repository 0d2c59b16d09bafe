"""Axes: the feature axes keep their own statistics, all others are averaged over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import expectation
from bnspec_conformance.cases import AXES, Case
from bnspec_conformance.laws._common import require_gradients, require_trajectory
from bnspec_conformance.laws._law import REFUSALS, law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("axes", AXES)
def any_feature_axis(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Statistics are per element of the feature axes, at every rank, also where other sizes are equal.

    Values of different channels are averaged together: accuracy falls, and more where spatial and channel sizes
    differ.
    """
    require_trajectory(case.build(adapter), adapter, case, grade, checks)


@law("axes", AXES[4:7])
def memory_layout(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The same values in Fortran order, with a step, backwards, behind others or read-only give the same results.

    The same model gives other numbers after a transpose or in channels-last memory.
    """
    # A library that cannot take an array with negative steps may refuse it; what it takes it must read rightly.
    for layout in _LAYOUTS:
        layer = case.build(adapter)
        expected = expectation.trajectory(case, adapter.convention, grade)
        for number, (x, step) in enumerate(zip((*case.training, case.evaluation), expected, strict=True)):
            what = f"the output of a {layout.__name__[1:]} input"
            try:
                y = layer(layout(x), number < len(case.training))
            except REFUSALS:
                checks.true(f"{what} must not be refused", layout is _backwards)
                break
            checks.close(what, y, *step.y, case.output_dtype(adapter.convention))
            mean, variance = layer.read()
            checks.close("moving_mean", mean, *step.moving_mean, case.parameter_dtype)
            checks.close("moving_variance", variance, *step.moving_variance, case.parameter_dtype)


def _fortran(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asfortranarray(x)


def _sliced(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Lay the values at every second place of an array that holds others between them."""
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), 77.0, dtype=x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def _offset(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Lay the values behind others, so that the view does not begin where its memory does."""
    wide = np.full((x.shape[0] + 1, *x.shape[1:]), 77.0, dtype=x.dtype)
    wide[1:] = x
    return wide[1:]


def _backwards(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Lay the values out from the last to the first, so that every step is negative."""
    return np.flip(np.flip(x).copy())


def _read_only(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    kept = x.copy()
    kept.flags.writeable = False
    return kept


_LAYOUTS = (_fortran, _sliced, _offset, _backwards, _read_only)


@law("axes", AXES[4:7], requires=("gradients",))
def gradients_of_any_layout(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradients do not depend on the memory layout of the input or of the cotangent.

    Training differs between memory formats, though the forward pass agrees.
    """
    for layout in _LAYOUTS:
        given = layout(case.training[-1]), layout(case.cotangent)
        try:
            found = case.build(adapter).gradients(*given, True)  # type: ignore[attr-defined]
        except REFUSALS:
            checks.true(f"the gradients of {layout.__name__[1:]} arrays must not be refused", layout is _backwards)
            continue
        require_gradients(found, adapter, case, True, grade, checks)


@law("axes", AXES, requires=("gradients",))
def gradients_on_any_feature_axis(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradients run over the same elements as the statistics.

    The layers below train on a gradient of other elements than were normalized.
    """
    for training in (True, False):
        layer = case.build(adapter)
        found = layer.gradients(case.training[-1].copy(), case.cotangent.copy(), training)  # type: ignore[attr-defined]
        require_gradients(found, adapter, case, training, grade, checks)
