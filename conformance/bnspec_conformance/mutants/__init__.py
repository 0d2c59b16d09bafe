"""Mutants: deliberately wrong implementations, each repeating a real bug in one line of mathematics."""

from . import (
    _adjustment,
    _bijection,
    _calls,
    _conventions,
    _degenerate,
    _ghosts,
    _gradients,
    _layout,
    _numerics,
    _renorm,
    _state,
    _weights,
)
from ._complete import Complete
from ._left_out import LEFT_OUT, LeftOut
from ._mutant import Mutant
from ._sound import Sound

__all__ = ["LEFT_OUT", "MUTANTS", "Complete", "LeftOut", "Mutant", "Sound"]

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
