"""The laws of flows, and what a subject is tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import bijectors, densities, flows
from ._law import FlowLaw, FlowTrial

if TYPE_CHECKING:
    from bnspec_conformance.laws import Subject

__all__ = ["FLOW_LAWS", "flow_trials"]

FLOW_LAWS: tuple[FlowLaw, ...] = tuple(
    value for topic in (bijectors, flows, densities) for value in vars(topic).values() if isinstance(value, FlowLaw)
)
"""Every law of bijectors, flows and densities, in the order of the report."""


def flow_trials(subject: Subject) -> list[FlowTrial]:
    """List what a subject is tried on.

    Parameters
    ----------
    subject : Subject
        The subject. Who has no bijectors is tried on nothing here: an adapter of batch normalization has none.

    Returns
    -------
    list of FlowTrial
        All laws of an entry, then those of the next: what is compiled for an entry is kept until then.
    """
    adapter = subject.adapters[0]
    if not hasattr(type(adapter), "bijector"):
        return []
    cases = dict.fromkeys(case for law in FLOW_LAWS for case in law.cases)
    return [FlowTrial(law, case, subject, adapter) for case in cases for law in FLOW_LAWS if case in law.cases]
