"""Batch normalization, stated once in plain Python Array API code."""

from importlib import metadata

from bnspec import bijectors, conventions, distributions, flows, layers, training, variables
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
from bnspec.registry import backend, default_backend, set_default_backend

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
    "bijectors",
    "conventions",
    "convert",
    "default_backend",
    "distributions",
    "flows",
    "layers",
    "moments",
    "set_default_backend",
    "training",
    "variables",
    "weighted_moments",
]
