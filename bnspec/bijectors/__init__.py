"""Bijectors: maps that can be inverted, with the log-dets of their Jacobians."""

from bnspec.bijectors._base import Bijector
from bnspec.bijectors._batch_normalization import BatchNorm, BatchNormalization
from bnspec.bijectors._chain import Chain
from bnspec.bijectors._invert import Invert

__all__ = ["BatchNorm", "BatchNormalization", "Bijector", "Chain", "Invert"]
