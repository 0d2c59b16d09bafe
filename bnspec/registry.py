"""Backends by entry point. This file names no framework and imports none until one is asked for."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from bnspec.errors import message, nearest

__all__ = ["Backend", "backend", "names"]

GROUP = "bnspec.backends"


class Backend(Protocol):
    """What the specification itself needs of a backend; ``bnspec_backends`` defines the whole of it."""

    @property
    def name(self) -> str:
        """The name by which the backend is asked for, for example ``"torch:cuda"``."""

    def namespace(self) -> Any:
        """Return the Array API namespace."""

    def variant(self, variant: str) -> Any:
        """Return the same backend on another device or with another setting."""


def names() -> frozenset[str]:
    """List the names under which backends are registered, whether they can be loaded or not.

    Returns
    -------
    frozenset of str
        The names of the entry points of the group ``bnspec.backends``.
    """
    return frozenset(_entries())


def backend(name: str) -> Any:
    """Load a backend.

    Parameters
    ----------
    name : str
        The backend's name, with a variant after a colon where it has some: ``"numpy"``, ``"torch"``,
        ``"torch:cuda"``, ``"jax:x64"``.

    Returns
    -------
    Backend
        The backend; see ``bnspec_backends.Backend``.

    Raises
    ------
    ValueError
        If there is no backend or no variant of that name.
    ImportError
        If the backend's framework cannot be imported; the message says what to install.
    RuntimeError
        If the framework is there and the variant's device is not.
    """
    root, _, variant = name.partition(":")
    entry = _entries().get(root)
    if entry is None:
        raise ValueError(message("backend must be registered", nearest(root, names()), backend=name))
    try:
        found = entry.load()
    except ModuleNotFoundError as error:
        raise ImportError(
            message(
                f"The backend {root!r} must be importable",
                f"Install it: pip install 'bnspec[{root.removeprefix('array-api-')}]'.",
                error=error,
            )
        ) from error
    except ImportError as error:
        raise ImportError(message(f"The backend {root!r} must be importable", error=error)) from error
    return found.variant(variant) if variant else found


@lru_cache(maxsize=1)
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
