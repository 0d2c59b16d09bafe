"""Train flows on real data on every framework: ``python -m bnspec_conformance.example_flow``.

It prints the densities of held-out data, and how far the losses are from one another beside the bound. With ``--docs
FOLDER`` it writes the results, the pictures and the page's section.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import bnspec
from bnspec_conformance.report import document

from . import DATA, MODELS, gaussian, reference, trained
from ._report import draw, largest_share, made, text
from ._runs import NOISE

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = 48


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, compare and evaluate; with ``--docs``, write it too.

    Returns
    -------
    int
        1 where the losses of a framework are outside the bound, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m bnspec_conformance.example_flow", description=__doc__)
    parser.add_argument("--docs", type=Path, help="the folder of the documentation")
    parser.add_argument("--steps", type=int, help="how many steps each run has, rather than the usual number")
    options = parser.parse_args(arguments)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    samples: dict[str, Any] = {"data": DATA["digits"].divided()[2]}
    with Progress(*columns) as progress:
        found = {name: _data(name, options.steps, progress, samples) for name in DATA}
        known = {}
        for model in progress.track(MODELS, description="neighbours, digits"):
            losses, bound = reference(model, DATA["digits"])
            known[model.name] = {"losses": losses.tolist(), "bound": bound.tolist()}
    names = {name for data in DATA.values() for name in data.frameworks}
    versions = {name: bnspec.backend(name).version for name in sorted(names)}
    result = {"versions": versions, "data": found, "reference": known}
    print("\n\n".join(text(result)))  # noqa: T201 - it is a program
    if options.docs:
        document.keep(options.docs / "results" / "flows.json", result)
        draw(result, samples, options.docs)
        document.rewrite(options.docs / "flows.md", "flows", made(result))
    return 0 if largest_share(result) <= 1.0 else 1


def _data(name: str, steps: int | None, progress: Progress, samples: dict[str, Any]) -> dict[str, Any]:
    data = DATA[name]
    runs: dict[str, dict[str, Any]] = {}
    for model in MODELS:
        for framework in data.frameworks:
            task = progress.add_task(f"{name}, {model.name}, {framework}", total=steps or data.steps)
            wanted = SAMPLES if name == "digits" and framework == data.frameworks[-1] else 0
            advance = partial(progress.advance, task)
            run = trained(model, data, framework, steps=steps, samples=wanted, progress=advance)
            if wanted:
                samples[model.name] = run.samples
            runs.setdefault(model.name, {})[framework] = {
                "losses": run.losses,
                "chosen": run.chosen,
                "step": run.step,
                "held_out": run.held_out,
            }
    return {
        "levels": data.levels,
        "event_size": data.event_size,
        "events": [len(part) for part in data.divided()],
        "gaussian": gaussian(data, NOISE),
        "runs": runs,
    }


if __name__ == "__main__":
    raise SystemExit(main())
