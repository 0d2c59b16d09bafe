"""Compiled: the framework's compiler changes no number beyond the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.cases import COMPILED, Case
from bnspec_conformance.laws._common import require_trajectory
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("compiled", COMPILED, requires=("compile",))
def compiled_equals_eager(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A compiled layer is within the same bound of the same exact values as an eager one.

    A model that was tuned eagerly behaves otherwise when it is compiled or exported.
    """
    layer = case.build(adapter)
    require_trajectory(layer.compile(), adapter, case, grade, checks)  # type: ignore[attr-defined]
