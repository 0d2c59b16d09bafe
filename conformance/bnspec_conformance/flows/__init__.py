"""Bijectors, flows and densities: the catalogue of what is tried, and what each must give."""

from ._catalogue import PREIMAGES
from ._definition import DefinitionDensity, DefinitionFlow
from ._densities import DENSITIES, DensityEntry
from ._entries import CATALOGUE
from ._entry import Entry
from ._law import FlowLaw, FlowTrial
from ._trials import FLOW_LAWS, flow_trials

__all__ = [
    "CATALOGUE",
    "DENSITIES",
    "FLOW_LAWS",
    "PREIMAGES",
    "DefinitionDensity",
    "DefinitionFlow",
    "DensityEntry",
    "Entry",
    "FlowLaw",
    "FlowTrial",
    "flow_trials",
]
