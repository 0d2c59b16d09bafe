"""The cases: small, named, and the same in every run."""

from ._case import Case, from_rows, to_rows
from ._data import DATA
from ._tables import (
    ADJUSTED,
    ALIASED,
    AXES,
    COMPILED,
    CONSTANT,
    CONVENTIONS,
    DTYPES,
    EMPTY,
    EMPTY_BETWEEN,
    EXACT_PAIRS,
    GHOSTS,
    GRADIENTS,
    MOMENTS,
    NORMALIZATION,
    ONE_ELEMENT,
    RENORM,
    RUNNING,
    WEIGHTED,
)

__all__ = [
    "ADJUSTED",
    "ALIASED",
    "AXES",
    "COMPILED",
    "CONSTANT",
    "CONVENTIONS",
    "DATA",
    "DTYPES",
    "EMPTY",
    "EMPTY_BETWEEN",
    "EXACT_PAIRS",
    "GHOSTS",
    "GRADIENTS",
    "MOMENTS",
    "NORMALIZATION",
    "ONE_ELEMENT",
    "RENORM",
    "RUNNING",
    "WEIGHTED",
    "Case",
    "from_rows",
    "to_rows",
]
