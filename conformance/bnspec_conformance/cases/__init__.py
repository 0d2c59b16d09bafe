"""The cases: small, named, and the same in every run."""

from ._case import Case, from_rows, to_rows
from ._data import DATA
from ._tables import (
    ALIASED,
    AXES,
    COMPILED,
    CONSTANT,
    DTYPES,
    EMPTY,
    EMPTY_BETWEEN,
    EXACT_PAIRS,
    GRADIENTS,
    MOMENTS,
    NORMALIZATION,
    ONE_ELEMENT,
    RUNNING,
    WEIGHTED,
)

__all__ = [
    "ALIASED",
    "AXES",
    "COMPILED",
    "CONSTANT",
    "DATA",
    "DTYPES",
    "EMPTY",
    "EMPTY_BETWEEN",
    "EXACT_PAIRS",
    "GRADIENTS",
    "MOMENTS",
    "NORMALIZATION",
    "ONE_ELEMENT",
    "RUNNING",
    "WEIGHTED",
    "Case",
    "from_rows",
    "to_rows",
]
