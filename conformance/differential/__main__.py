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

from .bijectors.document import SECTION as BIJECTORS
from .bijectors.document import made as made_of_bijectors
from .bijectors.gather import out_of_place as bijectors_out_of_place
from .document import SECTION, made
from .known import known
from .originals import PLACES
from .summary import arguments as by_argument
from .summary import out_of_place, summary
from .variables.gather import out_of_place as variables_out_of_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["main"]

_DOCS = Path(__file__).parents[2] / "docs"
_BIJECTORS = "bijectors"
_LEGACY = {"TF_USE_LEGACY_KERAS": "1"}  # for TFP, which takes layers of tf_keras only
# Name of the page and of its result to its section.
_PAGES = {"differential": (SECTION, made), "differential-bijectors": (BIJECTORS, made_of_bijectors)}


def _worked(module: str, name: str, environment: Mapping[str, str], options: argparse.Namespace, raw: Path) -> Any:
    """Run a worker, or take what it left; its progress goes to our stderr."""
    out = raw / f"{(name or module.rpartition('.')[2]).replace(' ', '_')}.json"
    if not out.exists():
        given = ["--count", str(options.count), "--seed", str(options.seed), "--out", str(out)]
        command = [sys.executable, "-m", module, *([name] if name else []), *given]
        subprocess.run(command, check=True, env={**os.environ, **environment})  # noqa: S603 - ourselves
    return json.loads(out.read_text(encoding="utf-8"))


def _show(console: Console, name: str, each: dict[str, Any]) -> None:
    """Print one original's counts, and every failure that is not listed."""
    console.print(
        f"{name} ({each['version']}): {each['configurations']} draws, {each['agree']} agree "
        f"({each['silent']} of them with a bound that promises nothing somewhere), {each['missed_count']} miss, "
        f"{each['known']} known; bnspec misses {each['ours_missed_count']}; {each['seconds']:.0f} s"
    )
    for case in (*each["missed"], *each["ours_missed"]):
        console.print(f"  {json.dumps(case)}")


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
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if options.render:
        for page in _PAGES:
            _write(page, kept(_DOCS / f"results/{page}.json"))
        return 0
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"no such original: {', '.join(sorted(unknown))}")
    begin = time.perf_counter()
    names = options.names or names
    layers = [name for name in names if name in PLACES]
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as pool:
        raw = options.raw or Path(scratch)
        raw.mkdir(parents=True, exist_ok=True)
        jobs = {
            name: pool.submit(_worked, "differential.worker", name, PLACES[name].environment, options, raw)
            for name in layers
        }
        environment = PLACES["keras on tensorflow"].environment
        rest = {"variables": not options.names, _BIJECTORS: _BIJECTORS in names}
        others = {
            name: pool.submit(_worked, f"differential.{name}", "", {**environment, **_LEGACY}, options, raw)
            for name, wanted in rest.items()
            if wanted
        }
        runs = {name: job.result() for name, job in jobs.items()}
        found = {name: job.result() for name, job in others.items()}
    results: dict[str, Any] = {}
    wrong: list[str] = []
    if layers:
        results["differential"] = {
            "seed": options.seed,
            "count": options.count,
            "originals": {name: summary(run, known(name)) for name, run in runs.items()},
            "arguments": by_argument(runs),
            "variables": found.get("variables"),
        }
        wrong += _layers_out_of_place(console, results["differential"], partial=bool(options.names))
    if _BIJECTORS in found:
        results["differential-bijectors"] = found[_BIJECTORS]
        _show_bijectors(console, found[_BIJECTORS])
        wrong += bijectors_out_of_place(found[_BIJECTORS])
    for line in wrong:
        console.print(line)
    console.print(f"seed {options.seed}, {time.perf_counter() - begin:.0f} s: {len(wrong)} out of place")
    if options.keep:
        for page, result in results.items():
            keep(_DOCS / f"results/{page}.json", result)
            _write(page, result)
    return 1 if wrong else 0


def _layers_out_of_place(console: Console, result: Mapping[str, Any], *, partial: bool) -> list[str]:
    """Print the counts of layers, and list what makes the run red."""
    for name, each in result["originals"].items():
        _show(console, name, each)
    wrong = out_of_place(result)
    if partial:  # one original alone does not have every argument
        return [line for line in wrong if not line.startswith("nothing was tried")]
    return wrong + variables_out_of_place(result["variables"])


def _show_bijectors(console: Console, found: Mapping[str, Any]) -> None:
    """Print the counts of each family and side, and every failure that is not listed."""
    for name, family in found["families"].items():
        sides = [(f"bnspec on {backend}", side) for backend, side in family["ours"].items()]
        sides += [(f"TFP on {substrate}", side) for substrate, side in family["theirs"].items()]
        for who, side in sides:
            console.print(
                f"{name}, {who}: {side['configurations']} draws, {side['agree']} agree, {side['known']} known, "
                f"{side['missed_count']} miss"
            )
            for case in side["missed"]:
                console.print(f"  {json.dumps(case)}")


def _write(page: str, result: Mapping[str, Any]) -> None:
    """Put the section into the page."""
    section, make = _PAGES[page]
    rewrite(_DOCS / f"{page}.md", section, make(result))


if __name__ == "__main__":
    sys.exit(main())
