"""The peers by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from bnspec.errors import message, nearest

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter

__all__ = ["PEERS", "peer"]

PEERS = {
    "torch": "bnspec_conformance.peers.torch:TORCH",
    "keras": "bnspec_conformance.peers.keras:KERAS",
    "tf_keras": "bnspec_conformance.peers.tf_keras:PLAIN",
    "tf_keras fused": "bnspec_conformance.peers.tf_keras:FUSED",
    "flax": "bnspec_conformance.peers.flax:LINEN",
    "flax nnx": "bnspec_conformance.peers.flax:NNX",
    "haiku": "bnspec_conformance.peers.haiku:HAIKU",
    "equinox ema": "bnspec_conformance.peers.equinox:EMA",
    "equinox batch": "bnspec_conformance.peers.equinox:BATCH",
    "onnxruntime": "bnspec_conformance.peers.onnxruntime:ONNXRUNTIME",
    "nflows": "bnspec_conformance.peers.nflows:NFLOWS",
    "tfp": "bnspec_conformance.peers.tfp:TFP",
}
"""Name to ``module:attribute``."""


def peer(name: str) -> Adapter:
    """Return the adapter of a released library.

    Parameters
    ----------
    name : str
        One of `PEERS`.

    Returns
    -------
    Adapter
        It imports the library when it builds a layer, or is asked for its gaps.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in PEERS:
        raise ValueError(message("name must be that of a peer", nearest(name, PEERS), name=name))
    module, _, attribute = PEERS[name].partition(":")
    adapter: Adapter = getattr(import_module(module), attribute)
    return adapter
