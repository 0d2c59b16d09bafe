"""Adapters of released libraries, one file each, which import their library when a layer is built.

Each is ``module:attribute`` for whatever takes an adapter, and a model of how one is written.
"""

from ._named import PEERS, peer

__all__ = ["PEERS", "peer"]
