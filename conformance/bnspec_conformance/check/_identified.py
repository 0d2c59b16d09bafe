"""Identification in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance.adapter import load
from bnspec_conformance.identify import identify

from ._attempt import quiet
from ._isolation import Ended, Raised
from ._run import Unloadable

if TYPE_CHECKING:
    from bnspec_conformance.identify import Identification

    from ._isolation import Isolation

__all__ = ["identified"]

_PATIENCE = 20.0  # times as long as a case may take: there are about so many probes


def _identify(path: str, findings: bool) -> Identification:
    with quiet():
        return identify(load(path, bare=True), findings=findings)


def identified(path: str, isolation: Isolation, *, timeout: float = 60.0, findings: bool = True) -> Identification:
    """Identify an implementation from the outside.

    Parameters
    ----------
    path : str
        ``module:attribute`` of its adapter, which need have no convention.
    isolation : Isolation
        Where.
    timeout : float
        Seconds that a case may take.
    findings : bool
        Whether to measure algorithms and precision too.

    Returns
    -------
    Identification

    Raises
    ------
    Unloadable
        If the adapter cannot be loaded, or gives no answer.
    """
    try:
        found: Identification = isolation.send(_identify, path, findings, timeout=_PATIENCE * timeout)()
    except Ended as ended:
        raise Unloadable(f"{path} must answer to be identified. It {ended}.") from None
    except Raised as error:
        raise Unloadable(f"{path} cannot be identified: {error}") from None
    return found
