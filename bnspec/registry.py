"""Backends by entry point. This file names no framework and imports none until one is asked for."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from bnspec.errors import message, nearest

__all__ = ["Backend", "backend", "backend_of", "default_backend", "names", "set_default_backend"]

GROUP = "bnspec.backends"
ARRAYS = "bnspec.arrays"

# Where numbers and lists become arrays, and no array says where: numpy until it is chosen.
_DEFAULT = ["numpy"]

# Keyed by type. The look-up is a plain dictionary access so that a compiler can trace through it.
_BACKENDS: dict[type, Any] = {}


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
    found = _load(entry, root)
    return found.variant(variant) if variant else found


def default_backend() -> Any:
    """Return the backend on which numbers and lists become arrays where no array comes with them.

    Returns
    -------
    Backend
        NumPy's, until :func:`set_default_backend` has chosen another.
    """
    return backend(_DEFAULT[0])


def set_default_backend(name: str) -> None:
    """Choose the backend on which numbers and lists become arrays where no array comes with them.

    Parameters
    ----------
    name : str
        As of :func:`backend`.

    Raises
    ------
    ValueError, ImportError, RuntimeError
        As :func:`backend`. Then nothing has changed.
    """
    backend(name)
    _DEFAULT[0] = name


def backend_of(array: Any, *, name: str = "array") -> Any:
    """Find the backend that an array belongs to.

    Parameters
    ----------
    array : array
        An array of any registered library, traced ones too.
    name : str, optional
        What the message calls the array.

    Returns
    -------
    Backend
        The backend without a variant: its functions take the arrays of every device.

    Raises
    ------
    TypeError
        If the array is of no registered library, or has a mask.
    ImportError
        If the backend cannot be imported.

    Notes
    -----
    The entry points of the group ``bnspec.arrays`` are named after the root modules of the types of arrays; the
    first base class that one is named after decides. ``torch.compile`` cannot trace this search: where the first call
    of all is compiled, ask for ``bnspec.backend("torch")`` before, which finds the arrays of torch.
    """
    kind = type(array)
    if kind in _BACKENDS:
        return _BACKENDS[kind]
    entries = {entry.name: entry for entry in entry_points(group=ARRAYS)}
    roots = (base.__module__.partition(".")[0] for base in kind.__mro__)
    root = next((root for root in roots if root in entries), None)
    shown = f"{kind.__module__}.{kind.__qualname__}"
    if root is None:
        known = ", ".join(sorted(names()))
        raise TypeError(
            message(
                f"{name} must be an array of a known library: {known}",
                "Convert it first, for example with numpy.asarray.",
                type=shown,
            )
        )
    if hasattr(kind, "mask"):
        raise TypeError(
            message(f"{name} must be an array without a mask", "Pass the data, and the mask as weights.", type=shown)
        )
    found = _load(entries[root], root)
    found.require_dense(name, array)
    _BACKENDS[kind] = found
    return found


def _load(entry: EntryPoint, root: str) -> Any:
    try:
        return entry.load()
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


@lru_cache(maxsize=1)
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
