"""Mutants: deliberately wrong implementations, each repeating a real bug in one line of mathematics."""

from ._mutants import MUTANTS, Mutant
from ._sound import Sound

__all__ = ["MUTANTS", "Mutant", "Sound"]
