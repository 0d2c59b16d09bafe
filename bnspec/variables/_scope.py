"""Scopes: values that stand in the place of those of variables while a function runs."""

from __future__ import annotations

from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["current", "scope"]

# Of one thread. Not a context variable: torch.compile cannot trace those.
_LOCAL = local()


def current() -> dict[Any, Any] | None:
    """Return the values of the innermost scope by variable; None where there is none."""
    found: dict[Any, Any] | None = getattr(_LOCAL, "values", None)
    return found


@contextmanager
def scope(values: dict[Any, Any] | None = None) -> Iterator[dict[Any, Any]]:
    """Let variables be read from a dictionary, and be assigned there, while a function runs in this thread.

    Parameters
    ----------
    values : dict, optional
        From variables to arrays. A variable that is not in it is read from the scope around this one, or is itself.

    Yields
    ------
    dict
        The same dictionary with what has been assigned. The variables themselves, and the scope around this one, have
        not changed.
    """
    outer = current()
    inner = {**(outer or {}), **(values or {})}
    _LOCAL.values = inner
    try:
        yield inner
    finally:
        _LOCAL.values = outer
