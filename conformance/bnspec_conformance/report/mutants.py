"""The page on the mutants, made from their classes: what each does, and where the defect has been in public.

``python -m bnspec_conformance.report.mutants`` writes it.
"""

from __future__ import annotations

import argparse
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnspec_conformance.mutants import FLOW_MUTANTS, LEFT_OUT, MUTANTS

from .document import rewrite, section, table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SECTION", "cited", "linked", "made", "main"]

SECTION = "mutants"
UNREPORTED = "no public report"
# owner/repository, then an issue or a commit; what the mutant has different follows a comma.
_ADDRESS = re.compile(r"([\w.-]+/[\w.-]+)(?:#(\d+)|@([0-9a-f]{7,40}))(?=,|$)")


def cited(reference: str) -> str:
    """Return the issue or commit that a reference names, without what the mutant has different.

    Parameters
    ----------
    reference : str
        As of :class:`Mutant`.

    Returns
    -------
    str
        The reference itself where it names a release.
    """
    found = re.match(r"[\w./-]+[#@]\w+(?=,|$)", reference)
    return found[0] if found else reference


def linked(reference: str) -> str:
    """Render a reference.

    Parameters
    ----------
    reference : str
        As of :class:`Mutant`.

    Returns
    -------
    str
        Markdown, with a link where an issue or a commit of a repository with its owner is named.
    """
    found = _ADDRESS.match(reference)
    if not found:
        return reference
    repository, issue, commit = found.groups()
    place = f"issues/{issue}" if issue else f"commit/{commit}"
    return f"[{found[0]}](https://github.com/{repository}/{place}){reference[found.end() :]}"


def made() -> str:
    """Render the section.

    Returns
    -------
    str
        Markdown, from the first marker to the last.
    """
    everyone: list[Any] = [*MUTANTS, *FLOW_MUTANTS]
    repeated = {
        cited(reference)
        for mutant in everyone
        for reference in mutant.references
        if not reference.startswith(UNREPORTED)
    }
    others = {cited(reference) for group in LEFT_OUT for reference in group.references}
    parts = [
        f"{len(everyone)} mutants repeat what {len(repeated)} references describe; {len(others)} more are left out."
    ]
    for module, mutants in groupby(everyone, key=lambda mutant: mutant.adapter.__module__):
        topic = (sys.modules[module].__doc__ or "").partition("\n")[0].removesuffix(".")
        rows = [[f"`{mutant.name}`", mutant.defect, _sources(mutant)] for mutant in mutants]
        parts += [f"## {topic}", table(["mutant", "what it does", "repeats"], rows, names=3)]
    rows = [[group.what, group.reason, "; ".join(map(linked, group.references))] for group in LEFT_OUT]
    parts += ["## Not repeated here, and why", table(["what", "why", "references"], rows, names=3)]
    return section(SECTION, "python -m bnspec_conformance.report.mutants", parts)


def _sources(mutant: Any) -> str:
    return "; ".join(map(linked, mutant.references))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the section.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(prog="bnspec_conformance.report.mutants", description="Write the page.")
    parser.add_argument("--document", type=Path, default=Path("docs/mutants.md"), help="what has the section")
    options = parser.parse_args(arguments)
    rewrite(options.document, SECTION, made())
    return 0


if __name__ == "__main__":
    sys.exit(main())
