"""The families: what is drawn, what is made of it, and what is asked."""

from .batch import BATCH
from .composition import COMPOSITION
from .coupling import COUPLING
from .densities import DENSITIES
from .elementwise import ELEMENTWISE
from .transformed import TRANSFORMED

__all__ = ["FAMILIES"]

FAMILIES = {
    "elementwise": ELEMENTWISE,
    "composition": COMPOSITION,
    "BatchNormalization": BATCH,
    "RealNVP": COUPLING,
    "distributions": DENSITIES,
    "TransformedDistribution": TRANSFORMED,
}
"""Name to family."""
