"""Batch normalization, stated once."""

from bnspec.batchnorm._definition import BatchNorm
from bnspec.batchnorm._moments import Moments, moments, weighted_moments
from bnspec.batchnorm._normalize import batch_normalization
from bnspec.batchnorm._pullback import Gradients
from bnspec.batchnorm._renorm import Renorm
from bnspec.batchnorm._values import Params, State

__all__ = [
    "BatchNorm",
    "Gradients",
    "Moments",
    "Params",
    "Renorm",
    "State",
    "batch_normalization",
    "moments",
    "weighted_moments",
]
