"""Who is tried: the backends that are here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import bnspec
from bnspec import conventions, registry
from bnspec.errors import message, nearest

from .bounds import DEFINITION
from .definition import OUTSIDE, DefinitionAdapter
from .laws import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["backend_subject", "present_backends"]

# What laws that depend little on conventions are tried under comes first; together they have every value that changes
# a number.
_OFFERED = (
    conventions.KERAS,
    conventions.TORCH,
    conventions.TF_LAYERS,
    conventions.KERAS_2,
    conventions.HAIKU,
    conventions.EQUINOX,
    conventions.NFLOWS,
    replace(conventions.TORCH, name="TORCH-each-ghost", ghost_update="each"),
    replace(conventions.TF_SLIM, name="TF_SLIM-zero-debias", average="debiased_mean"),
    replace(conventions.NFLOWS, name="NFLOWS-averages", statistics="running"),
)

# A mode compiles every call: what a convention changes there is the path through the definition.
_IN_MODES = (conventions.KERAS, conventions.TORCH, conventions.TF_LAYERS, conventions.EQUINOX)

# The report's rows in the order in which people think of them; others follow by name.
_ORDER = ("numpy", "array-api-strict", "torch", "jax", "tensorflow")


def backend_subject(name: str, mode: str = "") -> Subject:
    """Hold bnspec on a backend to the bounds that it claims.

    Parameters
    ----------
    name : str
        A backend, as ``bnspec.backend`` takes it.
    mode : str
        One of the backend's modes, or one with ``", tape outside"`` behind it; by default at once.

    Returns
    -------
    Subject

    Raises
    ------
    ValueError, ImportError, RuntimeError
        If there is no such backend or mode, or it cannot be loaded.
    """
    backend = bnspec.backend(name)
    if mode and mode.removesuffix(OUTSIDE) not in backend.modes():
        raise ValueError(message(f"{name} must have the mode", nearest(mode, backend.modes()), mode=mode))
    shown = f"{backend.name} [{mode}]" if mode else backend.name
    offered = _IN_MODES if mode else _OFFERED
    return Subject(shown, tuple(DefinitionAdapter(backend, value, mode) for value in offered), DEFINITION)


def present_backends(names: Iterable[str] | None = None) -> tuple[list[str], dict[str, str]]:
    """Find out which backends and variants can be used here.

    Parameters
    ----------
    names : iterable of str, optional
        Those to look at; by default all that are registered.

    Returns
    -------
    present : list of str
        Names that ``bnspec.backend`` will load.
    absent : dict of str
        The others, each with the reason.
    """
    present: list[str] = []
    absent: dict[str, str] = {}
    rank = {name: number for number, name in enumerate(_ORDER)}
    for name in sorted(names or registry.names(), key=lambda name: (rank.get(name, len(rank)), name)):
        try:
            backend = bnspec.backend(name)
        except ImportError as error:
            absent[name] = str(error)
            continue
        present.append(name)
        for variant, reason in backend.variants().items():
            if reason:
                absent[f"{name}:{variant}"] = reason
            else:
                present.append(f"{name}:{variant}")
    return present, absent
