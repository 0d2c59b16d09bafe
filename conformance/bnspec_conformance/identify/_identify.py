"""Identify: every field of the convention from the outside, the nearest named one, and findings beside it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ._averages import averages
from ._defaults import axis, epsilon, initial_variance, momentum
from ._degenerate import empty_batch, one_element
from ._dtypes import output_dtype, state_dtype
from ._findings import findings_of
from ._freeze import freeze
from ._nearest import FIELDS, built, ranked
from ._normalization import normalization
from ._probe import Probe, attempt
from ._result import Identification, Observation
from ._weights import ghosts, mask

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter

__all__ = ["identify"]

# Each field is looked at after those that its prediction needs.
_PROBES: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("momentum_weighs", "average", "running_variance"), averages),
    (("statistics", "normalizing_variance"), normalization),
    (("one_element",), one_element),
    (("empty_batch",), empty_batch),
    (("mask",), mask),
    (("ghost_grouping", "ghost_update"), ghosts),
    (("freeze",), freeze),
    (("initial_variance",), initial_variance),
    (("epsilon",), epsilon),
    (("axis",), axis),
    (("momentum",), momentum),
    (("state_dtype",), state_dtype),
    (("output_dtype",), output_dtype),
)
_SYNC = Observation("sync", (), "", "an adapter has one replica, and statistics of several cannot be seen from it")


def identify(adapter: Adapter, *, findings: bool = True) -> Identification:
    """Identify the convention that an implementation follows, by what it does.

    Parameters
    ----------
    adapter : Adapter
        It need not have a convention; if it has one, its layers are told it, and nothing is concluded from it.
    findings : bool
        Whether to measure also how precisely it computes, which takes most of the time.

    Returns
    -------
    Identification

    Raises
    ------
    ValueError
        If the adapter's ``gaps`` or ``offers`` name what does not exist.

    Notes
    -----
    What an adapter raises makes the field that was being looked at not observable, and nothing else.
    """
    # A stranger's warnings, and those of the data that overflows on purpose, say nothing to the caller.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _identified(adapter, findings=findings)


def _identified(adapter: Adapter, *, findings: bool) -> Identification:
    probe = Probe(adapter)
    seen: dict[str, Observation] = {"sync": _SYNC}
    for names, look in _PROBES:
        for each in attempt(names, lambda look=look: look(probe)):  # type: ignore[misc]
            seen[each.name] = each
            if each.known:
                probe.known[each.name] = each.value
            elif each.name == "normalizing_variance" and probe.known.get("statistics") == "running":
                probe.known[each.name] = "population"
    observations = tuple(seen[name] for name in FIELDS)
    nearest = ranked(observations) if any(each.fits for each in observations) else ()
    convention = built(observations, nearest[0]) if nearest else None
    found = tuple(findings_of(probe)) if findings else ()
    return Identification(observations, convention, nearest, found)
