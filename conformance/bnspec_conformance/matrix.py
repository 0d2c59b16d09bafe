"""The proof of the suite: which law kills which mutant, and that no correct variant is accused.

``python -m bnspec_conformance.matrix`` prints the matrix, and exits with 1 where a mutant survives every law, a law
kills no mutant, or a variant breaks a law.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from .bounds import NAIVE
from .check import Isolation, Request, check
from .checks import Checks
from .flows import FLOW_LAWS
from .laws import LAWS
from .mutants import FLOW_MUTANTS, MUTANTS
from .variants import FLOW_VARIANTS, VARIANTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bnspec.conventions import Convention

    from .flows import FlowLaw
    from .laws import Law

__all__ = ["flow_kills", "kills", "main"]


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


def flow_kills(adapter: type) -> Counter[FlowLaw]:
    """Count the entries of the catalogue on which an adapter breaks each law of flows, in this process.

    Parameters
    ----------
    adapter : type
        What builds bijectors and densities.

    Returns
    -------
    Counter
        Laws to numbers of entries.
    """
    found: Counter[FlowLaw] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an implementation of somebody else is judged by its numbers
        for law in FLOW_LAWS:
            for case in law.cases:
                try:
                    law.check(adapter, case, NAIVE, Checks())  # type: ignore[arg-type]
                except Exception:  # noqa: BLE001 - to raise on valid input breaks a law too
                    found[law] += 1
    return found


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
        accused: dict[str, Counter[Any]] = {variant.__name__: kills(variant, isolation) for variant in VARIANTS}
    flows = {mutant: flow_kills(mutant.adapter) for mutant in FLOW_MUTANTS}
    accused |= {variant.__name__: flow_kills(variant) for variant in FLOW_VARIANTS}
    console = Console(width=max(40 + 4 * len(LAWS), 100), highlight=False)
    console.print("The number of cases on which each law rejects each mutant\n")
    idle = [*_drawn(console, LAWS, found), *_drawn(console, FLOW_LAWS, flows)]

    rows: dict[Any, Counter[Any]] = {**found, **flows}
    survivors = [mutant.name for mutant, row in rows.items() if not row]
    wronged = [name for name, row in accused.items() if row]
    laws, variants = len(LAWS) + len(FLOW_LAWS), len(VARIANTS) + len(FLOW_VARIANTS)
    console.print(f"{len(rows) - len(survivors)} of {len(rows)} mutants killed", *survivors)
    console.print(f"{laws - len(idle)} of {laws} laws kill a mutant", *idle)
    console.print(f"{variants - len(wronged)} of {variants} correct variants pass every law", *wronged)
    return 1 if survivors or idle or wronged else 0


def _drawn(console: Console, laws: Sequence[Any], found: Mapping[Any, Counter[Any]]) -> list[str]:
    """Draw the matrix of some laws, and return the names of those that kill nothing."""
    for number, law in enumerate(laws, 1):
        console.print(f"{number:3d}  {law.group}.{law.name}: {law.sentence}")
    table = Table("mutant", *(str(number) for number in range(1, len(laws) + 1)), box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for mutant, row in found.items():
        table.add_row(mutant.name, *(str(row[law] or ".") for law in laws))
    totals = [sum(bool(row[law]) for row in found.values()) for law in laws]
    table.add_section()
    table.add_row("mutants killed", *map(str, totals))
    console.print(table)
    return [f"{law.group}.{law.name}" for law, total in zip(laws, totals, strict=True) if not total]


if __name__ == "__main__":
    sys.exit(main())
