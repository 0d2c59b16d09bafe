"""The bounds from both sides: never exceeded on random data, and attained within a factor on hard data.

``python -m bnspec_conformance.sweep [--channels N] [BACKEND ...]`` prints both tables, and exits with 1 where a
bound is exceeded or far from attained. Every channel is one draw: its own mean, deviation and data.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from . import expectation
from .adapter import gaps_of
from .bounds import DEFINITION, FORMATS, GRADES, NAIVE, TWO_PASS, Grade
from .cases import Case
from .cases.hard import HARD
from .subjects import backend_subject, present_backends
from .variants import BlockedSums, SequentialSums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .adapter import Adapter, Layer

    Array = np.ndarray[Any, Any]

__all__ = ["FACTOR", "QUANTITIES", "attained", "main", "random_cases", "ratios"]

QUANTITIES = ("y", "moving_mean", "moving_variance", "dx", "dgamma", "dbeta")

# The share of the channels that has each length; a million elements for two channels in ten thousand.
_SHARES = {2: 0.3, 3: 0.2, 5: 0.2, 16: 0.15, 64: 0.1, 513: 0.04, 4096: 0.009, 65_536: 0.0008, 1_000_000: 0.0002}
_EPSILONS = (1e-3, 1e-12, 1.0)
# Powers of ten of the deviations, and the largest mean over deviation; float16 ends at 65504.
_RANGES = {"float16": ((-3.0, 1.5), 1e3), "bfloat16": ((-6.0, 6.0), 1e7), "float32": ((-6.0, 6.0), 1e7)}


def random_cases(dtype: str, channels: int) -> Iterator[Case]:
    """Make the random cases.

    Parameters
    ----------
    dtype : str
        The dtype of the input.
    channels : int
        How many draws in all, about.

    Returns
    -------
    iterator of Case
        One for each length: N from 2 to a million, mean over deviation from 0 to 1e7, variances from 1e-12 to
        1e12, as far as the dtype holds them.
    """
    powers, largest = _RANGES.get(dtype, _RANGES["float32"])

    def draw(shape: tuple[int, ...], number: int) -> Array:
        random = np.random.default_rng([*shape, number])
        deviation = 10.0 ** random.uniform(*powers, shape[-1])
        ratio = np.where(
            random.random(shape[-1]) < 0.2, 0.0, 10.0 ** random.uniform(-1.0, np.log10(largest), shape[-1])
        )
        noise = random.standard_normal(shape) if number == 0 else random.gamma(0.5, 1.0, shape)
        values: Array = deviation * (noise + ratio * random.choice([-1.0, 1.0], shape[-1]))
        return values

    for number, (length, share) in enumerate(_SHARES.items()):
        count = round(share * channels)
        if count:
            yield Case(
                id=f"sweep-{dtype}-{length}",
                shapes=((length, count),),
                axis=(1,),
                dtype=dtype,
                epsilon=_EPSILONS[number % len(_EPSILONS)],
                take=0.7,
                draw=draw,
            )


def ratios(adapter: Adapter, case: Case, grade: Grade, *, compiled: bool = False) -> dict[str, float]:
    """Measure the largest error of each quantity as a fraction of its bound, over all channels.

    Parameters
    ----------
    adapter : Adapter
        What is measured.
    case : Case
        The data.
    grade : Grade
        The bounds.
    compiled : bool
        Whether the forward pass is compiled; gradients are not, and left out.

    Returns
    -------
    dict
        By the names of `QUANTITIES`.
    """
    step = expectation.trajectory(case, adapter.convention, grade)[0]
    layer: Layer = case.build(adapter)
    runner = layer.compile() if compiled else layer  # type: ignore[attr-defined]
    y = runner(case.training[0].copy(), True)
    mean, variance = runner.read()
    found = {
        "y": (y, step.y),
        "moving_mean": (mean, step.moving_mean),
        "moving_variance": (variance, step.moving_variance),
    }
    if not compiled:
        given = case.training[0].copy(), case.cotangent.copy()
        gradients = case.build(adapter).gradients(*given, True)  # type: ignore[attr-defined]
        expected = expectation.gradients(case, adapter.convention, True, grade)
        found |= {f"d{name}": (gradients[name], expected[name]) for name in ("x", "gamma", "beta")}
    return {name: _ratio(seen, expected) for name, (seen, expected) in found.items()}


def _ratio(seen: Array, expected: expectation.Expected) -> float:
    error = expected.exact.error(seen)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((error == 0) | ~np.isfinite(expected.bound), 0.0, error / expected.bound)
    return float(ratio.max())


# The hard side: the error on hard data is at least the bound divided by this, so that no bound is idle. What is
# left is the distance from the data found to the worst data there is: every rounding would have to go one way.
FACTOR = 25.0

# An implementation that is no better than its grade.
_GRADED: dict[Grade, Any] = {
    DEFINITION: backend_subject("numpy").adapters[0],
    TWO_PASS: BlockedSums,
    NAIVE: SequentialSums,
}


@cache
def attained(dtype: str) -> dict[str, dict[str, float]]:
    """Measure how much of each bound is attained on hard data by an implementation of its grade.

    Parameters
    ----------
    dtype : str
        float32 or float64.

    Returns
    -------
    dict of dict
        Grade, then quantity, to the largest error as a fraction of its bound.
    """
    found: dict[str, dict[str, float]] = {}
    for grade, adapter in _GRADED.items():
        row = dict.fromkeys(QUANTITIES, 0.0)
        for case in HARD[dtype]:
            for name, ratio in ratios(adapter, case, grade).items():
                row[name] = max(row[name], ratio)
        found[grade.name] = row
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        1 where a bound is exceeded, or not attained within its factor; else 0.
    """
    parser = argparse.ArgumentParser(description="Test the bounds from both sides.")
    parser.add_argument(
        "names", nargs="*", help="backends or grades; by default the backends that are present, and all"
    )
    parser.add_argument("--channels", type=int, default=10_000, help="draws for each dtype")
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    wrong = 0

    table = Table("backend or grade", "dtype", "mode", *QUANTITIES, box=box.SIMPLE_HEAD, pad_edge=False)
    for name in options.names or (*present_backends()[0], TWO_PASS.name, NAIVE.name):
        grade = GRADES.get(name, DEFINITION)
        adapter: Any = _GRADED[grade] if name in GRADES else backend_subject(name).adapters[0]
        gaps = gaps_of(adapter)
        for dtype in FORMATS:
            if dtype in gaps:
                table.add_row(name, dtype, "-", gaps[dtype])
                continue
            for mode in ("eager", "compiled"):
                if mode == "compiled" and ("compile" in gaps or name in GRADES):
                    continue
                worst = dict.fromkeys(QUANTITIES, 0.0)
                for case in _cached_cases(dtype, options.channels):
                    for quantity, ratio in ratios(adapter, case, grade, compiled=mode == "compiled").items():
                        worst[quantity] = max(worst[quantity], ratio)
                wrong += sum(ratio > 1.0 for ratio in worst.values())
                shown = (
                    f"{worst[q]:.2f}" if q in ("y", *QUANTITIES[1:3]) or mode == "eager" else "" for q in QUANTITIES
                )
                table.add_row(name, dtype, mode, *shown)
                console.print(f"{name} {dtype} {mode}: done")
    console.print(f"\nAt most 1: the largest error over {options.channels} random draws as a fraction of the bound")
    console.print(table)

    table = Table("grade", "dtype", *QUANTITIES, box=box.SIMPLE_HEAD, pad_edge=False)
    for dtype in HARD:
        for graded, row in attained(dtype).items():
            wrong += sum(not 1.0 / FACTOR <= row[q] <= 1.0 for q in QUANTITIES)
            table.add_row(graded, dtype, *(f"{row[q]:.3f}" for q in QUANTITIES))
    console.print(f"At least {1.0 / FACTOR}: the largest error on hard data as a fraction of the bound of the grade")
    console.print(table)
    console.print(f"{wrong} out of place")
    return 1 if wrong else 0


@cache
def _cached_cases(dtype: str, channels: int) -> tuple[Case, ...]:
    """Keep the cases, so that their exact results are computed once for all backends."""
    return tuple(random_cases(dtype, channels))


if __name__ == "__main__":
    sys.exit(main())
