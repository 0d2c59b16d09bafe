"""The families: what is drawn, what is made of it, and what is asked."""

from .autoregressive import AUTOREGRESSIVE
from .batch import BATCH
from .chained import CHAINED
from .composition import COMPOSITION
from .coupling import COUPLING
from .densities import DENSITIES
from .elementwise import ELEMENTWISE
from .splines import SPLINES
from .transformed import TRANSFORMED

__all__ = ["FAMILIES"]

FAMILIES = {
    "elementwise": ELEMENTWISE,
    "composition": COMPOSITION,
    "BatchNormalization": BATCH,
    "BatchNormalization in a chain": CHAINED,
    "RealNVP": COUPLING,
    "MaskedAutoregressiveFlow": AUTOREGRESSIVE,
    "RationalQuadraticSpline": SPLINES,
    "distributions": DENSITIES,
    "TransformedDistribution": TRANSFORMED,
}
"""Name to family."""
