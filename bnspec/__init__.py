"""Batch normalization, stated once in plain Python Array API code."""

from importlib import metadata

from bnspec import conventions, layers
from bnspec.batchnorm import (
    Accumulators,
    BatchNorm,
    Converted,
    Gradients,
    Moments,
    Params,
    Renorm,
    State,
    batch_normalization,
    convert,
    moments,
    weighted_moments,
)
from bnspec.registry import backend

__version__ = metadata.version("bnspec")

__all__ = [
    "Accumulators",
    "BatchNorm",
    "Converted",
    "Gradients",
    "Moments",
    "Params",
    "Renorm",
    "State",
    "backend",
    "batch_normalization",
    "conventions",
    "convert",
    "layers",
    "moments",
    "weighted_moments",
]
