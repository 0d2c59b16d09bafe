"""The command line: measure accuracy and gradients of the functions, keep the result, and write the documentation.

``python -m bnspec_conformance.functions`` exits with 1 where TensorFlow misses a goal that is not
declared to be missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

import bnspec
from bnspec_conformance.report.document import keep, kept, rewrite
from bnspec_conformance.standard.suite import UNKNOWN_DIMENSIONS, XLA

from .accuracy import DTYPES, FUNCTIONS, measure
from .document import SECTION, failures, made
from .gradient_cases import CASES
from .gradients import compare, differences, gradient, weights_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .gradient_cases import GradientCase

__all__ = ["ACCURACY", "GRADIENTS", "main", "measured_accuracy", "measured_gradient"]

_TENSORFLOW = (("tensorflow", ""), ("tensorflow", UNKNOWN_DIMENSIONS), ("tensorflow", XLA))

ACCURACY = (*_TENSORFLOW, ("numpy", ""), ("torch", ""), ("jax:x64", ""))
GRADIENTS = (*_TENSORFLOW, ("jax:x64", ""), ("torch", ""))


def _number(value: float) -> float | str:
    """Keep three digits; JSON has neither infinity nor NaN."""
    return float(f"{value:.3g}") if np.isfinite(value) else str(value)


def _column(name: str, mode: str) -> str:
    return f"{name}, {mode}" if mode else name


def measured_accuracy(name: str, count: int) -> dict[str, Any]:
    """Measure a function in all columns.

    Parameters
    ----------
    name : str
        One of `FUNCTIONS`.
    count : int
        The number of points, about.

    Returns
    -------
    dict
        The name, and by column and dtype the error, where it is, and the number of points.
    """
    columns: dict[str, Any] = {}
    for backend, mode in ACCURACY:
        entry = columns[_column(backend, mode)] = {}
        for dtype in DTYPES:
            found = measure(bnspec.backend(backend), name, dtype, count, mode)
            entry[dtype] = {"error": _number(found.error), "at": list(found.at), "points": found.points}
    return {"function": name, "columns": columns}


def measured_gradient(case: GradientCase) -> dict[str, Any]:
    """Differentiate a function in all columns.

    Parameters
    ----------
    case : GradientCase
        The function and the point.

    Returns
    -------
    dict
        The case, and by column the error and its ratio to the tolerance; at a kink, the derivatives.
    """
    columns: dict[str, Any] = {}
    for name, mode in GRADIENTS:
        if mode and mode == case.absent:
            continue
        try:
            found = gradient(bnspec.backend(name), case, mode)
        except RuntimeError as error:
            if name == "tensorflow":
                raise
            columns[_column(name, mode)] = {"refused": str(error).partition("\n")[0]}
            continue
        columns[_column(name, mode)] = _kink(found, case) if case.kind == "kink" else _differing(found, case)
    return {"function": case.function, "at": case.at, "kind": case.kind, "columns": columns}


def _differing(found: list[Any], case: GradientCase) -> dict[str, Any]:
    compared = [compare(part, slope, case) for part, slope in zip(found, differences(case), strict=True)]
    return {
        "error": _number(max(each.error for each in compared)),
        "ratio": _number(max(each.ratio for each in compared)),
    }


def _kink(found: list[Any], case: GradientCase) -> dict[str, Any]:
    weights = weights_of(case)
    return {
        "derivatives": [
            None if part is None else [_number(float(x)) for x in np.atleast_1d(part / weights)] for part in found
        ]
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, keep and document.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        1 where a goal is missed, else 0.
    """
    parser = argparse.ArgumentParser(
        prog="bnspec_conformance.functions", description="Measure accuracy and gradients of functions."
    )
    parser.add_argument("--points", type=int, default=3000, metavar="N", help="for each function and dtype")
    parser.add_argument("--results", type=Path, default=Path("docs/results/functions.json"), help="what is kept")
    parser.add_argument("--document", type=Path, default=Path("docs/backends.md"), help="what has the section")
    parser.add_argument("--render", action="store_true", help="write the section from what is kept; measure nothing")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    if options.render:
        result = kept(options.results)
    else:
        result = {
            "versions": {name: bnspec.backend(name).version for name in dict(ACCURACY)},
            "points": options.points,
            "accuracy": [measured_accuracy(name, options.points) for name in FUNCTIONS],
            "gradients": [measured_gradient(case) for case in CASES],
        }
        keep(options.results, result)
    rewrite(options.document, SECTION, made(result))
    missed = failures(result)
    for line in missed:
        console.print(line, markup=False)
    console.print(f"{len(missed)} out of place")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
