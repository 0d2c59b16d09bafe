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
from .check import Isolation, Request, attempt, selected
from .checks import Checks
from .flows import FLOW_LAWS
from .laws import LAWS
from .mutants import FLOW_MUTANTS, MUTANTS
from .variants import FLOW_VARIANTS, VARIANTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bnspec.conventions import Convention

    from .flows import FlowLaw

__all__ = ["flow_kills", "kills", "main"]

_PATIENCE = 600.0  # seconds; one adapter takes a few


def kills(adapter: type, convention: Convention | None = None) -> Counter[str]:
    """Count the cases on which an adapter breaks each law, in this process, by the attempts that strangers get.

    Parameters
    ----------
    adapter : type
        What is checked; it is found by its module and name.
    convention : Convention, optional
        In the place of its own.

    Returns
    -------
    Counter
        Laws, as ``group.name``, to numbers of cases.
    """
    request = Request(f"{adapter.__module__}:{adapter.__name__}", convention, "naive")
    return Counter(law for law, case in selected(()) if attempt(request, law, case).outcome == "failed")


def flow_kills(adapter: type, laws: Sequence[FlowLaw] = FLOW_LAWS) -> Counter[str]:
    """Count the entries of the catalogue on which an adapter breaks each law of flows, in this process.

    Parameters
    ----------
    adapter : type
        What builds bijectors and densities.
    laws : sequence of FlowLaw
        Which are tried.

    Returns
    -------
    Counter
        Laws, as ``group.name``, to numbers of entries.
    """
    found: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an implementation of somebody else is judged by its numbers
        for law in laws:
            for case in law.cases:
                try:
                    law.check(adapter, case, NAIVE, Checks())  # type: ignore[arg-type]
                except Exception:  # noqa: BLE001 - to raise on valid input breaks a law too
                    found[f"{law.group}.{law.name}"] += 1
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
    asked = (
        (kills, [*(mutant.adapter for mutant in MUTANTS), *VARIANTS]),
        (flow_kills, [*(mutant.adapter for mutant in FLOW_MUTANTS), *FLOW_VARIANTS]),
    )
    with Isolation(parser.parse_args(arguments).jobs) as isolation:
        # A whole adapter is one task: to send each trial takes as long as to try it.
        waiting = {
            adapter: isolation.send(count, adapter, timeout=_PATIENCE) for count, each in asked for adapter in each
        }
        counted: dict[type, Counter[str]] = {adapter: answer() for adapter, answer in waiting.items()}
    found = {mutant.name: counted[mutant.adapter] for mutant in MUTANTS}
    flows = {mutant.name: counted[mutant.adapter] for mutant in FLOW_MUTANTS}
    accused = {variant.__name__: counted[variant] for variant in (*VARIANTS, *FLOW_VARIANTS)}
    console = Console(width=max(40 + 4 * len(LAWS), 100), highlight=False)
    console.print("The number of cases on which each law rejects each mutant\n")
    idle = [*_drawn(console, LAWS, found), *_drawn(console, FLOW_LAWS, flows)]

    rows = {**found, **flows}
    survivors = [name for name, row in rows.items() if not row]
    wronged = [name for name, row in accused.items() if row]
    laws, variants = len(LAWS) + len(FLOW_LAWS), len(VARIANTS) + len(FLOW_VARIANTS)
    console.print(f"{len(rows) - len(survivors)} of {len(rows)} mutants killed", *survivors)
    console.print(f"{laws - len(idle)} of {laws} laws kill a mutant", *idle)
    console.print(f"{variants - len(wronged)} of {variants} correct variants pass every law", *wronged)
    return 1 if survivors or idle or wronged else 0


def _drawn(console: Console, laws: Sequence[Any], found: Mapping[str, Counter[str]]) -> list[str]:
    """Draw the matrix of some laws, and return the names of those that kill nothing."""
    names = [f"{law.group}.{law.name}" for law in laws]
    for number, (law, name) in enumerate(zip(laws, names, strict=True), 1):
        console.print(f"{number:3d}  {name}: {law.sentence}")
    table = Table("mutant", *(str(number) for number in range(1, len(laws) + 1)), box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for mutant, row in found.items():
        table.add_row(mutant, *(str(row[name] or ".") for name in names))
    totals = {name: sum(bool(row[name]) for row in found.values()) for name in names}
    table.add_section()
    table.add_row("mutants killed", *map(str, totals.values()))
    console.print(table)
    return [name for name, total in totals.items() if not total]


if __name__ == "__main__":
    sys.exit(main())
