"""The suite: every law, on every case, for every subject. The plugin supplies the trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bnspec_conformance.checks import Checks, LawBroken

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec_conformance.check._attempt import Outcome
    from bnspec_conformance.laws import Trial


def test_law(
    trial: Trial,
    declare: Callable[[str], None],
    record_worst: Callable[[float | None, int], None],
    excuse: Callable[[Trial, Outcome], None],
) -> None:
    """Try one law; where the subject has declared that it cannot, skip with that reason."""
    if trial.missing:
        declare(trial.missing)
        pytest.skip(trial.missing)
    from bnspec_conformance.check import Remote  # noqa: PLC0415 - needs what a run of backends does not

    if isinstance(trial.adapter, Remote):
        outcome = trial.adapter.attempt(trial)
        record_worst(outcome.worst, outcome.unbounded)
        if outcome.outcome == "failed":
            excuse(trial, outcome)
            raise LawBroken(outcome.message)
        if outcome.outcome == "skipped":
            declare(outcome.message)
            pytest.skip(outcome.message)
        return
    checks = Checks()
    try:
        trial.run(checks)
    finally:
        record_worst(checks.worst, checks.unbounded)
    if checks.unbounded and checks.worst is None:
        reason = f"the {trial.subject.grade.name} grade promises nothing on this case"
        declare(reason)
        pytest.skip(reason)
