"""Layers: a stateful shell over the pure definition, in the manner of tf.layers."""

from bnspec.layers._batch_normalization import BatchNormalization
from bnspec.layers._constraints import MaxNorm, MinMaxNorm, NonNeg, Positive, UnitNorm
from bnspec.layers._initializers import (
    Constant,
    GlorotUniform,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    Zeros,
)
from bnspec.layers._regularizers import L1, L1L2, L2
from bnspec.layers._updates import Update
from bnspec.variables import Variable

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "BatchNormalization",
    "Constant",
    "GlorotUniform",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "Ones",
    "Positive",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "UnitNorm",
    "Update",
    "Variable",
    "Zeros",
]
