"""The run."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .gather import BACKENDS, probes, table
from .sides import originals

if TYPE_CHECKING:
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
    parser = argparse.ArgumentParser(description="Compare the arguments that decide about variables alone.")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    begin = time.perf_counter()
    others = originals()
    found = {
        "rows": table(options.count, options.seed, others, BACKENDS),
        "probes": probes(others),
        "draws": options.count,
        "seconds": round(time.perf_counter() - begin, 1),
    }
    options.out.write_text(json.dumps(found, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
