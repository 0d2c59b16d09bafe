"""One original in a process of its own: ``python -m differential.worker NAME --count 500 --seed 1 --out FILE``."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import bnspec
from bnspec_conformance.bounds import DEFINITION
from bnspec_conformance.expectation import forget

from .arguments import given
from .draw import CHOICES, draw
from .job import job, parser
from .judge import Verdict, finite, judge
from .known import known
from .originals import load
from .ours import Ours
from .page import BACKENDS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from .draw import Draw
    from .originals import Original

__all__ = ["main"]

# Whose domains together have every argument; the others' draws are for the definition on NumPy alone.
_EVERYWHERE = ("tf_keras v2", "tf_keras v1", "keras on tensorflow", "torch")
# How many draws with an argument each other backend gets from one original; few originals have the first ones.
_RARE = {"virtual_batch_size": 15, "adjustment": 15, "axis (list)": 15, "fused": 15}
_USUAL = 10
_SLOW_SECONDS = 15.0


def _named(name: str, found: Draw) -> str:
    """Name the variant of a backend that has the draw's dtype."""
    return "jax:x64" if name == "jax" and found.dtype == "float64" else name


def _side(verdict: Verdict) -> dict[str, Any]:
    """Turn a verdict into plain data."""
    numbers = {"ratios": finite(verdict.ratios), "errors": finite(verdict.errors)}
    return {"agrees": verdict.agrees, **numbers, "silent": verdict.silent, "raised": verdict.raised}


class _Run:
    """The draws of one original."""

    def __init__(self, name: str, original: Original, seed: int, backends: Sequence[str]) -> None:
        self.name, self.original, self.seed = name, original, seed
        self.choices = {**CHOICES, **original.choices}
        self.failures = known(name)
        self.tried: dict[str, Counter[str]] = {backend: Counter() for backend in backends}

    def draw(self, number: int, forced: Any = None) -> Draw:
        """Draw a configuration of the original's domain."""
        original = self.original
        return draw(self.name, original.convention, self.choices, original.mend, self.seed, number, forced)

    def judged(self, found: Draw) -> Verdict:
        """Judge the original by its algorithm."""
        return judge(found, self.original, self.original.grade(found), chained=True)

    def result(self, number: int) -> dict[str, Any]:
        """Judge both sides, and the definition on other backends as long as their arguments are new to them."""
        found = self.draw(number)
        theirs = self.judged(found)
        arguments = given(found)
        ours = {"numpy": self._ours(found, "numpy")}
        for backend, tried in self.tried.items():
            if any(tried[name] < _RARE.get(name, _USUAL) for name in arguments):
                tried.update(arguments)
                ours[backend] = self._ours(found, backend)
        forget()
        return {
            "number": number,
            "options": dict(found.options),
            "arguments": arguments,
            "shapes": [list(shape) for shape in found.shapes],
            "epsilon": found.epsilon,
            "take": found.take,
            "mean": found.mean,
            "deviation": found.deviation,
            "original": _side(theirs),
            "ours": ours,
        }

    @staticmethod
    def _ours(found: Draw, name: str) -> dict[str, Any]:
        try:
            backend = bnspec.backend(_named(name, found))
        except ImportError as error:
            return {"missing": str(error)}
        return _side(judge(found, partial(Ours, backend=backend), DEFINITION, chained=False))

    def probes(self) -> list[dict[str, Any]]:
        """Try each known failure where it must appear."""
        found = []
        for number, failure in enumerate(self.failures):
            drawn = self.draw(10_000_000 + (number if failure.draw is None else failure.draw), failure.forced)
            verdict = self.judged(drawn)
            appears = not verdict.agrees and failure.explains(drawn.options, verdict)
            found.append(
                {
                    "name": failure.name,
                    "what": failure.what,
                    "reference": failure.reference,
                    "version": failure.version,
                    "appears": appears,
                    **_side(verdict),
                }
            )
            forget()
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one original.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        0: what was found is for another to judge.
    """
    told = parser("Run one original on random configurations.")
    told.add_argument("name")
    told.add_argument("--first", type=int, default=0)
    told.add_argument("--backends", nargs="*", help="where the definition is tried too, beside NumPy")
    return job(told, _found, arguments)


def _found(options: argparse.Namespace) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    original = load(options.name)
    backends = options.backends
    if backends is None:
        backends = BACKENDS[1:] if options.name in _EVERYWHERE else ()
    run = _Run(options.name, original, options.seed, backends)
    results = []
    told = time.perf_counter()
    for number in range(options.first, options.first + options.count):
        results.append(run.result(number))
        if time.perf_counter() - told > _SLOW_SECONDS:
            told = time.perf_counter()
            sys.stderr.write(f"{options.name}: {number + 1 - options.first} of {options.count}\n")
            sys.stderr.flush()
    return {
        "version": original.version,
        "algorithm": original.algorithm,
        "probes": run.probes(),
        "results": results,
    }


if __name__ == "__main__":
    sys.exit(main())
