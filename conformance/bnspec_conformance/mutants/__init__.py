"""Mutants: deliberately wrong implementations, each repeating a real bug in one line of mathematics."""

from . import _degenerate, _gradients, _layout, _numerics, _state, _weights
from ._mutant import Mutant
from ._sound import Sound

__all__ = ["MUTANTS", "Mutant", "Sound"]

MUTANTS: tuple[Mutant, ...] = tuple(
    mutant for topic in (_state, _numerics, _layout, _degenerate, _gradients, _weights) for mutant in topic.FOUND
)
"""Every mutant, by topic."""
