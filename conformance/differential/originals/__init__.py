"""The originals: each a released library's layer, with its domain, its convention and its algorithm."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bnspec.conventions import Convention
    from bnspec_conformance.bounds import Grade
    from differential.draw import Draw
    from differential.judge import Layer

__all__ = ["PLACES", "Original", "Place", "load"]


class Original(Protocol):
    """A released layer.

    Attributes
    ----------
    version : str
        Of the library.
    choices : mapping
        Its domain: option to values, which replace those of ``differential.draw.CHOICES``.
    algorithm : str
        What the documentation says that it does.
    """

    version: str
    choices: Mapping[str, tuple[Any, ...]]
    algorithm: str

    def mend(self, options: dict[str, Any], random: np.random.Generator) -> None:
        """Change, in place, options that the library does not document together."""

    def convention(self, options: Mapping[str, Any]) -> Convention:
        """Return the convention that it follows."""

    def grade(self, draw: Draw) -> Grade:
        """Return the algorithm that it runs, for its bound."""

    def __call__(self, draw: Draw) -> Layer:
        """Make a layer."""


class Place(NamedTuple):
    """Where an original is, and the environment that its process needs."""

    module: str
    attribute: str
    environment: Mapping[str, str]


# The batches are small: more threads than one would only wait for each other.
_THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
_X64 = {"JAX_ENABLE_X64": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", **_THREADS}

PLACES = {
    "tf_keras v2": Place("tf_keras", "V2", _THREADS),
    "tf_keras v1": Place("tf_keras", "V1", _THREADS),
    "torch": Place("torch", "TORCH", _THREADS),
    "keras on tensorflow": Place("keras", "KERAS", {"KERAS_BACKEND": "tensorflow", **_THREADS}),
    "keras on jax": Place("keras", "KERAS", {"KERAS_BACKEND": "jax", **_X64}),
    "keras on torch": Place("keras", "KERAS", {"KERAS_BACKEND": "torch", **_THREADS}),
    "flax.linen": Place("flax", "LINEN", _X64),
    "flax.nnx": Place("flax", "NNX", _X64),
    "haiku": Place("haiku", "HAIKU", _X64),
    "equinox ema": Place("equinox", "EMA", _X64),
    "equinox batch": Place("equinox", "BATCH", _X64),
}
"""The originals by name, each in a process of its own."""


def load(name: str) -> Original:
    """Import an original.

    Parameters
    ----------
    name : str
        One of `PLACES`.

    Returns
    -------
    Original
    """
    place = PLACES[name]
    found: Original = getattr(import_module(f"differential.originals._{place.module}"), place.attribute)
    return found
