"""The flows that are compared, each with and without batch normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.bijectors import checkerboard_permutation
from bnspec.flows import Levels, masked_autoregressive_flow, real_nvp
from bnspec.training import Adam

if TYPE_CHECKING:
    from bnspec.distributions import TransformedDistribution

    from ._data import Data

__all__ = ["MODELS", "OPTIMIZER", "SEED", "Model"]

SEED = 2017
OPTIMIZER = Adam(learning_rate=1e-3)
_SIDE = 8


class Model(NamedTuple):
    """A flow.

    Attributes
    ----------
    family : str
        What it is called.
    batch_norm : bool
        Whether it has batch normalizations.
    """

    family: str
    batch_norm: bool

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.family}, {'with' if self.batch_norm else 'without'} batch norm"

    def flow(self, data: Data, like: Any) -> TransformedDistribution:
        """Make the flow, with variables of the library of an array."""
        size = data.event_size
        given: dict[str, Any] = {"batch_norm": self.batch_norm, "seed": SEED, "like": like, "hidden_units": (100, 100)}
        if self.family == "MAF":
            flow = masked_autoregressive_flow(size, **given)
        else:
            squares = checkerboard_permutation(_SIDE, _SIDE, 1) if size == _SIDE * _SIDE else None
            flow = real_nvp(size, order=squares, **given)
        return Levels(data.levels)(flow) if data.levels else flow


MODELS = tuple(Model(family, batch_norm) for family in ("Real NVP", "MAF") for batch_norm in (True, False))
"""What is compared."""
