"""The check of an implementation: laws on cases, in processes of their own, and explanations of what is broken."""

from ._attempt import Request, attempt
from ._identified import identified
from ._isolation import Isolation
from ._known import Known, read_known, stale
from ._outputs import Distance, distances
from ._remote import Remote, remote_subject
from ._run import Unloadable, check, selected

__all__ = [
    "Distance",
    "Isolation",
    "Known",
    "Remote",
    "Request",
    "Unloadable",
    "attempt",
    "check",
    "distances",
    "identified",
    "read_known",
    "remote_subject",
    "selected",
    "stale",
]
