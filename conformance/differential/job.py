"""A job: a process that draws for one side of the comparison, and leaves what it found in a file."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["job", "parser"]


def parser(description: str) -> argparse.ArgumentParser:
    """Make a parser of what every job is told: how many draws, from which seed, and where to leave what is found."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--count", type=int, default=500)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--out", type=Path, required=True)
    return made


def job(
    told: argparse.ArgumentParser,
    found: Callable[[argparse.Namespace], dict[str, Any]],
    arguments: Sequence[str] | None,
) -> int:
    """Run a job.

    Parameters
    ----------
    told : argparse.ArgumentParser
        As of :func:`parser`, and more.
    found : callable
        Draws, and returns plain data.
    arguments : sequence of str or None
        Those of the command line.

    Returns
    -------
    int
        0: what was found is for another to judge.
    """
    options = told.parse_args(arguments)
    begin = time.perf_counter()
    result = found(options)
    options.out.write_text(json.dumps({**result, "seconds": round(time.perf_counter() - begin, 1)}, allow_nan=False))
    return 0
