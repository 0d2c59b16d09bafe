"""The run."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .families import FAMILIES
from .gather import run
from .sides import Ours

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_BACKENDS = ("numpy", "array-api-strict", "torch", "jax", "tensorflow")


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
    parser = argparse.ArgumentParser(description="Compare bijectors and distributions with TFP's.")
    parser.add_argument("names", nargs="*", metavar="FAMILY", help=f"by default all: {', '.join(FAMILIES)}")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from .theirs import THEIRS, version  # noqa: PLC0415 - it takes seconds, and says more than a command may

    found = {"version": version(), "seed": options.seed, "count": options.count, "families": {}}
    ours = {name: partial(Ours, name) for name in _BACKENDS}
    for name in options.names or FAMILIES:
        begin = time.perf_counter()
        # TFP on NumPy has no batch normalization.
        theirs = {k: v for k, v in THEIRS.items() if not (name == "BatchNormalization" and k == "numpy")}
        family = run(name, FAMILIES[name], options.count, options.seed, theirs, ours)
        found["families"][name] = {**family, "seconds": round(time.perf_counter() - begin, 1)}
        sys.stderr.write(f"bijectors, {name}: {time.perf_counter() - begin:.0f} s\n")
        sys.stderr.flush()
    options.out.write_text(json.dumps(found, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
