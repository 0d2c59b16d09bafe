"""Run the originals, each in a process of its own, and print, keep and document what is found."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bnspec_conformance.report.document import keep, kept, rewrite

from .bijectors.document import PAGE as BIJECTORS
from .bijectors.families import FAMILIES
from .bijectors.gather import merged
from .document import PAGE as LAYERS
from .known import known
from .originals import PLACES
from .summary import arguments as by_argument
from .summary import summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .page import Page

__all__ = ["main"]

_DOCS = Path(__file__).parents[2] / "docs"
_BIJECTORS = "bijectors"
_LEGACY = {"TF_USE_LEGACY_KERAS": "1"}  # for TFP, which takes layers of tf_keras only


def _worked(
    module: str, names: Sequence[str], environment: Mapping[str, str], options: argparse.Namespace, raw: Path
) -> Any:
    """Run a worker, or take what it left; its progress goes to our stderr."""
    out = raw / f"{'_'.join(names or [module.rpartition('.')[2]]).replace(' ', '_')}.json"
    if not out.exists():
        given = ["--count", str(options.count), "--seed", str(options.seed), "--out", str(out)]
        command = [sys.executable, "-m", module, *names, *given]
        subprocess.run(command, check=True, env={**os.environ, **environment})  # noqa: S603 - ourselves
    return json.loads(out.read_text(encoding="utf-8"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run everything.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        1 where anything is out of place, else 0.
    """
    names = [*PLACES, _BIJECTORS]
    parser = argparse.ArgumentParser(prog="differential", description="Compare with released libraries.")
    parser.add_argument("names", nargs="*", metavar="ORIGINAL", help=f"by default all: {', '.join(names)}")
    parser.add_argument("--count", type=int, default=500, metavar="N", help="draws for each original")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--raw", type=Path, help="where workers leave what they find; what is there is taken")
    parser.add_argument("--keep", action="store_true", help="write docs/results and the sections of the pages")
    parser.add_argument("--render", action="store_true", help="write the sections from what is kept; run nothing")
    several = f"of bijectors, run this one alone, and keep the rows of the others: {', '.join(FAMILIES)}"
    parser.add_argument("--family", action="append", default=[], metavar="FAMILY", help=several)
    options = parser.parse_args(arguments)
    if options.render:
        for page in (LAYERS, BIJECTORS):
            _write(page, kept(_DOCS / f"results/{page.name}.json"))
        return 0
    unknown = [*(set(options.names) - set(names)), *(set(options.family) - set(FAMILIES))]
    if unknown:
        parser.error(f"no such original: {', '.join(sorted(unknown))}")
    if options.family and options.names != [_BIJECTORS]:
        parser.error("--family is for bijectors alone")
    begin = time.perf_counter()
    console = Console(highlight=False, soft_wrap=True, markup=False)
    results = _run(options)
    wrong = []
    for page, result in results.items():
        for line in page.lines(result):
            console.print(line)
        wrong += page.out_of_place(result)
    for line in wrong:
        console.print(line)
    console.print(f"seed {options.seed}, {time.perf_counter() - begin:.0f} s: {len(wrong)} out of place")
    if options.keep:
        for page, result in results.items():
            keep(_DOCS / f"results/{page.name}.json", result)
            _write(page, result)
    return 1 if wrong else 0


def _run(options: argparse.Namespace) -> dict[Page, Any]:
    """Run the workers, and return what is to be kept for each page."""
    names = options.names or [*PLACES, _BIJECTORS]
    layers = [name for name in names if name in PLACES]
    legacy = {**PLACES["keras on tensorflow"].environment, **_LEGACY}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as pool:
        raw = options.raw or Path(scratch)
        raw.mkdir(parents=True, exist_ok=True)
        jobs = {
            name: pool.submit(_worked, "differential.worker", [name], PLACES[name].environment, options, raw)
            for name in layers
        }
        variables = None
        if not options.names:
            variables = pool.submit(_worked, "differential.variables", [], legacy, options, raw)
        families = [
            pool.submit(_worked, "differential.bijectors", [name], legacy, options, raw)
            for name in (options.family or FAMILIES if _BIJECTORS in names else ())
        ]
        runs = {name: job.result() for name, job in jobs.items()}
        found = [job.result() for job in families]
    results: dict[Page, Any] = {}
    if layers:
        results[LAYERS] = {
            "seed": options.seed,
            "count": options.count,
            "originals": {name: summary(run, known(name)) for name, run in runs.items()},
            "arguments": by_argument(runs),
            "variables": variables.result() if variables else None,
        }
    if found:
        before = kept(_DOCS / f"results/{BIJECTORS.name}.json") if options.family else None
        results[BIJECTORS] = merged([*([before] if before else []), *found], FAMILIES)
    return results


def _write(page: Page, result: Mapping[str, Any]) -> None:
    """Put the section into the page."""
    rewrite(_DOCS / f"{page.name}.md", page.section, page.made(result))


if __name__ == "__main__":
    sys.exit(main())
