"""Bijectors, flows and densities: the catalogue of what is tried, and what each must give."""

from ._catalogue import CATALOGUE, PREIMAGES
from ._definition import DefinitionDensity, DefinitionFlow
from ._densities import DENSITIES, DensityEntry
from ._entry import Entry

__all__ = [
    "CATALOGUE",
    "DENSITIES",
    "PREIMAGES",
    "DefinitionDensity",
    "DefinitionFlow",
    "DensityEntry",
    "Entry",
]
