"""The run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from differential.job import job, parser
from differential.page import BACKENDS

from .gather import probes, table
from .sides import originals

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
    return job(parser("Compare the arguments that decide about variables alone."), _found, arguments)


def _found(options: argparse.Namespace) -> dict[str, Any]:
    others = originals()
    return {
        "rows": table(options.count, options.seed, others, BACKENDS),
        "probes": probes(others),
        "draws": options.count,
    }


if __name__ == "__main__":
    sys.exit(main())
