"""Isolation: adapters run in processes of their own, so that one that hangs or dies ends its own case only."""

from __future__ import annotations

import os
from concurrent.futures import TimeoutError as Late
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Self

from pebble import ProcessExpired, ProcessPool

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Ended", "Isolation", "Raised", "said"]

_STDOUT, _STDERR = 1, 2


class Ended(Exception):
    """A process that hung, or that ended before it answered."""


def _talk_to_stderr() -> None:
    """Keep what an adapter prints out of what we print."""
    os.dup2(_STDERR, _STDOUT)


class Raised(Exception):
    """What a function raised in another process, as text: that can always be sent."""


def _answer(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, also one that tries to end the process."""
    try:
        return function(*arguments)
    except BaseException as error:  # noqa: BLE001 - an adapter may raise anything
        text = said(error)
    raise Raised(text)


def said(error: BaseException) -> str:
    """Return the name of an exception and what it says, of which an adapter's may not even be able to tell that.

    Parameters
    ----------
    error : BaseException
        What was raised.

    Returns
    -------
    str
    """
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - see above
        text = "(its text cannot be read)"
    return f"{type(error).__name__}: {text}"


class Isolation:
    """Processes that a task each is sent to; one that hangs is killed, and replaced.

    Parameters
    ----------
    jobs : int
        How many.
    """

    def __init__(self, jobs: int = 1) -> None:
        # A process that is spawned has no thread, lock or framework of ours.
        self.pool = ProcessPool(max_workers=jobs, context=get_context("spawn"), initializer=_talk_to_stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, at once."""
        self.pool.stop()  # type: ignore[no-untyped-call]
        self.pool.join()

    def send(self, function: Callable[..., Any], *arguments: Any, timeout: float) -> Callable[[], Any]:
        """Send a task.

        Parameters
        ----------
        function : callable
            Of a module, with arguments that can be pickled.
        *arguments : object
            Its arguments.
        timeout : float
            Seconds from when it begins.

        Returns
        -------
        callable
            Waits, and returns what the function does. It raises `Raised` where the function raised, and `Ended` where
            there is no answer.
        """
        future = self.pool.schedule(_answer, args=(function, *arguments), timeout=timeout)

        def result() -> Any:
            try:
                return future.result()
            except Late:
                raise Ended(f"hung: it gave no answer within {timeout:.0f} seconds, and was killed") from None
            except ProcessExpired as error:
                raise Ended(f"ended its process with exit code {error.exitcode}") from None

        return result
