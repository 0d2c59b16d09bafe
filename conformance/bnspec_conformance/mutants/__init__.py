"""Mutants: deliberately wrong implementations, each repeating a real bug in one line of mathematics."""

from . import (
    _adjustment,
    _bijection,
    _calls,
    _conventions,
    _degenerate,
    _flow_autoregressive,
    _flow_coupling,
    _flow_densities,
    _flow_maps,
    _flow_normalization,
    _flow_splines,
    _ghosts,
    _gradients,
    _layout,
    _numerics,
    _renorm,
    _state,
    _weights,
)
from ._complete import Complete
from ._flow_mutant import FlowMutant
from ._left_out import LEFT_OUT, LeftOut
from ._mutant import Mutant
from ._sound import Sound
from ._sound_flow import SoundFlow

__all__ = [
    "FLOW_MUTANTS",
    "LEFT_OUT",
    "MUTANTS",
    "Complete",
    "FlowMutant",
    "LeftOut",
    "Mutant",
    "Sound",
    "SoundFlow",
]

_TOPICS = (
    _state,
    _calls,
    _numerics,
    _layout,
    _degenerate,
    _gradients,
    _weights,
    _conventions,
    _ghosts,
    _renorm,
    _adjustment,
    _bijection,
)

MUTANTS: tuple[Mutant, ...] = tuple(mutant for topic in _TOPICS for mutant in topic.FOUND)
"""Every mutant, by topic."""

_FLOW_TOPICS = (
    _flow_normalization,
    _flow_maps,
    _flow_coupling,
    _flow_autoregressive,
    _flow_splines,
    _flow_densities,
)

FLOW_MUTANTS: tuple[FlowMutant, ...] = tuple(mutant for topic in _FLOW_TOPICS for mutant in topic.FOUND)
"""Every mutant of bijectors and densities, by topic."""
