"""The proof of the suite: which law kills which mutant, and that no correct variant is accused.

``python -m bnspec_conformance.matrix`` prints the matrix, and exits with 1 where a mutant survives every law, a law
kills no mutant, or a variant breaks a law.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from .check import Isolation, Request, check
from .laws import LAWS
from .mutants import MUTANTS
from .variants import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.conventions import Convention

    from .laws import Law

__all__ = ["kills", "main"]


def kills(adapter: type, isolation: Isolation, convention: Convention | None = None) -> Counter[Law]:
    """Count the cases on which an adapter breaks each law, by the check that strangers use.

    Parameters
    ----------
    adapter : type
        What is checked; it is found by its module and name.
    isolation : Isolation
        Where.
    convention : Convention, optional
        In the place of its own.

    Returns
    -------
    Counter
        Laws to numbers of cases.
    """
    request = Request(f"{adapter.__module__}:{adapter.__name__}", convention, "naive")
    found = check(request, isolation, explained=0)
    laws = {(law.group, law.name): law for law in LAWS}
    return Counter(laws[trial["group"], trial["law"]] for trial in found["trials"] if trial["outcome"] == "failed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the matrix.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the command line.

    Returns
    -------
    int
        1 where something is unproven or accused, else 0.
    """
    parser = argparse.ArgumentParser(prog="bnspec_conformance.matrix", description="Prove the suite.")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    with Isolation(parser.parse_args(arguments).jobs) as isolation:
        found = {mutant: kills(mutant.adapter, isolation) for mutant in MUTANTS}
        accused = {variant.__name__: kills(variant, isolation) for variant in VARIANTS}
    console = Console(width=max(40 + 4 * len(LAWS), 100), highlight=False)
    console.print("The number of cases on which each law rejects each mutant\n")
    for number, law in enumerate(LAWS, 1):
        console.print(f"{number:3d}  {law.group}.{law.name}: {law.sentence}")
    table = Table("mutant", *(str(number) for number in range(1, len(LAWS) + 1)), box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for mutant, row in found.items():
        table.add_row(mutant.name, *(str(row[law] or ".") for law in LAWS))
    totals = [sum(bool(row[law]) for row in found.values()) for law in LAWS]
    table.add_section()
    table.add_row("mutants killed", *map(str, totals))
    console.print(table)

    survivors = [mutant.name for mutant, row in found.items() if not row]
    idle = [f"{law.group}.{law.name}" for law, total in zip(LAWS, totals, strict=True) if not total]
    wronged = [name for name, row in accused.items() if row]
    console.print(f"{len(MUTANTS) - len(survivors)} of {len(MUTANTS)} mutants killed", *survivors)
    console.print(f"{len(LAWS) - len(idle)} of {len(LAWS)} laws kill a mutant", *idle)
    console.print(f"{len(VARIANTS) - len(wronged)} of {len(VARIANTS)} correct variants pass every law", *wronged)
    return 1 if survivors or idle or wronged else 0


if __name__ == "__main__":
    sys.exit(main())
