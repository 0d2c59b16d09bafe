"""The one form of every message: what is required, what came, the cure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["message", "nearest"]


def message(required: str, cure: str = "", /, **came: object) -> str:
    """Render "required. Got name=value, ... cure".

    Parameters
    ----------
    required : str
        A sentence without its full stop that says what is required.
    cure : str, optional
        A sentence that says what to do about it.
    **came : object
        What came instead, in the order in which it is to be shown.

    Returns
    -------
    str
        The message.

    Examples
    --------
    >>> message("axis must be in [-2, 1]", shape=(2, 3), axis=5)
    'axis must be in [-2, 1]. Got shape=(2, 3), axis=5.'
    """
    got = ", ".join(f"{name}={_plain(value)}" for name, value in came.items())
    return " ".join(part for part in (f"{required}.", f"Got {got}." if got else "", cure) if part)


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that is closest to a mistyped one, or list them all.

    Parameters
    ----------
    name : str
        What came.
    known : iterable of str
        What exists.

    Returns
    -------
    str
        A sentence for the ``cure`` of :func:`message`.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(names) or 'none'}."


def _plain(value: object) -> str:
    """Show strings quoted and all else as it prints, so that a dtype or a device reads as itself."""
    return repr(value) if isinstance(value, (str, bytes)) else str(value)
