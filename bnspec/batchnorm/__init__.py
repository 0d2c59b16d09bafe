"""Batch normalization, stated once."""

from bnspec.batchnorm._accumulators import Accumulators
from bnspec.batchnorm._convert import Converted, convert
from bnspec.batchnorm._definition import BatchNorm
from bnspec.batchnorm._moments import Moments, moments, weighted_moments
from bnspec.batchnorm._normalize import batch_normalization
from bnspec.batchnorm._pullback import Gradients
from bnspec.batchnorm._renorm import Renorm
from bnspec.batchnorm._values import Params, State

__all__ = [
    "Accumulators",
    "BatchNorm",
    "Converted",
    "Gradients",
    "Moments",
    "Params",
    "Renorm",
    "State",
    "batch_normalization",
    "convert",
    "moments",
    "weighted_moments",
]
