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

from .document import SECTION, made
from .known import known
from .originals import PLACES
from .summary import arguments as by_argument
from .summary import out_of_place, summary
from .variables.gather import out_of_place as variables_out_of_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]
_RESULTS = _ROOT / "docs/results/differential.json"
_DOCUMENT = _ROOT / "docs/differential.md"


def _worked(module: str, name: str, environment: Mapping[str, str], options: argparse.Namespace, raw: Path) -> Any:
    """Run a worker, or take what it left; its progress goes to our stderr."""
    out = raw / f"{name.replace(' ', '_') or 'variables'}.json"
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
    parser = argparse.ArgumentParser(prog="differential", description="Compare with released libraries.")
    parser.add_argument("names", nargs="*", metavar="ORIGINAL", help=f"by default all: {', '.join(PLACES)}")
    parser.add_argument("--count", type=int, default=500, metavar="N", help="draws for each original")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--raw", type=Path, help="where workers leave what they find; what is there is taken")
    parser.add_argument("--keep", action="store_true", help="write docs/results/differential.json and the section")
    parser.add_argument("--render", action="store_true", help="write the section from what is kept; run nothing")
    options = parser.parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if options.render:
        rewrite(_DOCUMENT, SECTION, made(kept(_RESULTS)))
        return 0
    unknown = set(options.names) - PLACES.keys()
    if unknown:
        parser.error(f"no such original: {', '.join(sorted(unknown))}")
    begin = time.perf_counter()
    names = options.names or list(PLACES)
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as pool:
        raw = options.raw or Path(scratch)
        raw.mkdir(parents=True, exist_ok=True)
        jobs = {
            name: pool.submit(_worked, "differential.worker", name, PLACES[name].environment, options, raw)
            for name in names
        }
        variables: Any = None
        if not options.names:
            environment = PLACES["keras on tensorflow"].environment
            variables = pool.submit(_worked, "differential.variables", "", environment, options, raw).result()
        runs = {name: job.result() for name, job in jobs.items()}
    result = {
        "seed": options.seed,
        "count": options.count,
        "originals": {name: summary(run, known(name)) for name, run in runs.items()},
        "arguments": by_argument(runs),
        "variables": variables,
    }
    for name, each in result["originals"].items():
        _show(console, name, each)
    wrong = out_of_place(result)
    if options.names:  # one original alone does not have every argument
        wrong = [line for line in wrong if not line.startswith("nothing was tried")]
    else:
        wrong += variables_out_of_place(variables)
    for line in wrong:
        console.print(line)
    console.print(f"seed {options.seed}, {time.perf_counter() - begin:.0f} s: {len(wrong)} out of place")
    if options.keep:
        keep(_RESULTS, result)
        rewrite(_DOCUMENT, SECTION, made(result))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
