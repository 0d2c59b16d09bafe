"""The run."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from differential.job import job, parser
from differential.page import BACKENDS

from .families import FAMILIES
from .gather import run
from .sides import Ours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the draws.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        0: what was found is for another to judge.
    """
    told = parser("Compare bijectors and distributions with TFP's.")
    told.add_argument("names", nargs="*", metavar="FAMILY", help=f"by default all: {', '.join(FAMILIES)}")
    return job(told, _found, arguments)


def _found(options: argparse.Namespace) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from .theirs import THEIRS, version  # noqa: PLC0415 - it takes seconds, and says more than a command may

    families = {}
    ours = {name: partial(Ours, name) for name in BACKENDS}
    for name in options.names or FAMILIES:
        begin = time.perf_counter()
        theirs = {substrate: make for substrate, make in THEIRS.items() if substrate in FAMILIES[name].substrates}
        family = run(name, FAMILIES[name], options.count, options.seed, theirs, ours)
        families[name] = {**family, "seconds": round(time.perf_counter() - begin, 1)}
        sys.stderr.write(f"bijectors, {name}: {time.perf_counter() - begin:.0f} s\n")
        sys.stderr.flush()
    return {"version": version(), "seed": options.seed, "count": options.count, "families": families}


if __name__ == "__main__":
    sys.exit(main())
