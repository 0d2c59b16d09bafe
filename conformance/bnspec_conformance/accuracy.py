"""The error of the definition in float32, without any float64, against the exact result, as a table.

``python -m bnspec_conformance.accuracy [BACKEND ...]`` exits with 1 where a goal is missed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from bnspec import conventions

from . import oracle
from .bounds import accuracy_goal
from .cases import Case
from .subjects import backend_subject, present_backends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bnspec_conformance.adapter import Adapter

__all__ = ["LENGTHS", "RATIOS", "Measured", "measure"]

LENGTHS = (2, 5, 64, 4096, 100_000, 1_000_000)
RATIOS = (0.0, 1.0, 1e2, 1e4, 1e6)


class Measured(NamedTuple):
    """One cell of the table.

    Attributes
    ----------
    error : float
        The largest error of the output in units of eps max(1, |y|), eps = 2^-23.
    goal : float
        What it must not exceed.
    """

    error: float
    goal: float


def measure(adapter: Adapter, length: int, ratio: float) -> Measured:
    """Normalize one training batch and compare it with the exact result.

    Parameters
    ----------
    adapter : Adapter
        The definition on a backend.
    length : int
        N.
    ratio : float
        Mean over standard deviation.

    Returns
    -------
    Measured
    """
    case = Case(
        id=f"accuracy-{length}-{ratio}",
        shapes=((length, 2),),
        axis=(1,),
        epsilon=1e-3,
        center=False,
        scale=False,
        draw=lambda shape, _: ratio + np.random.default_rng([length, int(ratio)]).standard_normal(shape),
    )
    y = case.build(adapter)(case.training[0].copy(), True)
    exact = _exact(case)
    size = np.maximum(1.0, np.abs(exact.to_float()))
    return Measured(float((exact.error(y) / size).max()) / 2.0**-23, accuracy_goal(ratio))


_EXACT: dict[str, oracle.Exact] = {}


def _exact(case: Case) -> oracle.Exact:
    """Compute the exact output once, whatever the number of backends."""
    if case.id not in _EXACT:
        _EXACT[case.id] = oracle.trajectory(
            [(case.training[0], True)],
            axis=case.axis,
            epsilon=case.epsilon,
            momentum=0.5,
            convention=conventions.KERAS,
            gamma=None,
            beta=None,
            moving_mean=case.moving_mean,
            moving_variance=case.moving_variance,
        )[0].y
    return _EXACT[case.id]


def main(names: Iterable[str] = ()) -> int:
    """Print the table.

    Parameters
    ----------
    names : iterable of str
        Backends; by default all that are present.

    Returns
    -------
    int
        1 where a goal is missed, else 0.
    """
    chosen = list(names) or present_backends()[0]
    adapters: dict[str, Any] = {name: backend_subject(name).adapters[0] for name in chosen}
    table = Table("mean/std", "N", *adapters, "goal", box=box.SIMPLE_HEAD, pad_edge=False)
    missed = 0
    for ratio in RATIOS:
        for length in LENGTHS:
            cells = [measure(adapter, length, ratio) for adapter in adapters.values()]
            missed += sum(cell.error > cell.goal for cell in cells)
            shown = (f"{cell.error:.2f}{'!' if cell.error > cell.goal else ''}" for cell in cells)
            table.add_row(f"{ratio:g}", f"{length}", *shown, f"{cells[0].goal:g}")
    console = Console(highlight=False)
    console.print("float32, training, eager: the largest error of y in units of 2^-23 max(1, |y|)")
    console.print(table)
    console.print(f"{missed} above the goal")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
