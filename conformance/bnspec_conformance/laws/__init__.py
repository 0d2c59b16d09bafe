"""The laws, by topic."""

from . import (
    adjustment,
    axes,
    bijection,
    compiled,
    conventions,
    data,
    degenerate,
    dtypes,
    ghosts,
    gradients,
    metamorphic,
    moments,
    normalization,
    purity,
    renorm,
    running,
    weights,
)
from ._law import Law, Subject, Trial

__all__ = ["GROUPS", "LAWS", "Law", "Subject", "Trial", "trials"]

_TOPICS = (
    moments,
    normalization,
    running,
    conventions,
    weights,
    ghosts,
    renorm,
    adjustment,
    bijection,
    gradients,
    axes,
    dtypes,
    degenerate,
    purity,
    metamorphic,
    compiled,
    data,
)

LAWS: tuple[Law, ...] = tuple(value for topic in _TOPICS for value in vars(topic).values() if isinstance(value, Law))
"""Every law, in the order of the report."""

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(law.group for law in LAWS))
"""The columns of the report."""


def trials(subject: Subject) -> list[Trial]:
    """List everything that a subject is tried on.

    Parameters
    ----------
    subject : Subject
        The subject.

    Returns
    -------
    list of Trial
    """
    return [
        Trial(law, case, subject, adapter)
        for law in LAWS
        for case in law.cases
        for adapter in subject.adapters[: law.conventions]
    ]
