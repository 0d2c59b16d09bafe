"""Bijectors: maps that can be inverted, with the log-dets of their Jacobians."""

from bnspec.bijectors._base import Bijector
from bnspec.bijectors._chain import Chain
from bnspec.bijectors._invert import Invert
from bnspec.bijectors._networks import DenseNetwork, real_nvp_default_template
from bnspec.bijectors._real_nvp import RealNVP

__all__ = ["Bijector", "Chain", "DenseNetwork", "Invert", "RealNVP", "real_nvp_default_template"]
