"""Remote: an implementation in a process of its own, as a subject of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec_conformance.bounds import GRADES
from bnspec_conformance.laws import Subject

from ._run import answered, loaded, sent

if TYPE_CHECKING:
    from bnspec_conformance.laws import Trial

    from ._attempt import Outcome, Request
    from ._isolation import Isolation

__all__ = ["Remote", "remote_subject"]


class Remote:
    """Stands for an adapter that is not in this process: it has whatever is not among its gaps.

    Parameters
    ----------
    request : Request
        Who.
    isolation : Isolation
        Where.
    timeout : float
        Seconds that a case may take.

    Raises
    ------
    Unloadable
        If it cannot be loaded.
    """

    def __init__(self, request: Request, isolation: Isolation, timeout: float) -> None:
        description, self._loading = loaded(request, isolation)
        self._request, self._isolation, self._timeout = request, isolation, timeout
        self.convention, self.gaps = description.convention, description.gaps
        self.offers = tuple(name for name in ("ghosts", "renorm") if name not in self.gaps)
        self.layer = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return name  # that it is there is all that is asked of it here

    def __call__(self, config: Any) -> Any:
        """Never called: whole trials go to the other process."""
        raise NotImplementedError

    def attempt(self, trial: Trial) -> Outcome:
        """Send a trial, and wait.

        Parameters
        ----------
        trial : Trial
            One of its own.

        Returns
        -------
        Outcome
        """
        law = f"{trial.law.group}.{trial.law.name}"
        patience = self._timeout + 3.0 * self._loading
        return answered(law, trial.case.id, sent(self._request, self._isolation, law, trial.case.id, patience))


def remote_subject(request: Request, isolation: Isolation, timeout: float) -> Subject:
    """Hold an implementation of somebody else to the bounds of a grade.

    Parameters
    ----------
    request, isolation, timeout
        As of :class:`Remote`.

    Returns
    -------
    Subject

    Raises
    ------
    Unloadable
        If it cannot be loaded.
    """
    return Subject(request.path, (Remote(request, isolation, timeout),), GRADES[request.grade])
