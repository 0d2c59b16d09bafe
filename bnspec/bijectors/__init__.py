"""Bijectors: maps that can be inverted, with the log-dets of their Jacobians."""

from bnspec.bijectors._affine import Identity, Scale, ScaleMatvecDiag, Shift
from bnspec.bijectors._autoregressive import MaskedAutoregressiveFlow
from bnspec.bijectors._autoregressive_network import AutoregressiveNetwork
from bnspec.bijectors._autoregressive_template import masked_autoregressive_default_template
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._batch_normalization import BatchNorm, BatchNormalization
from bnspec.bijectors._blockwise import Blockwise
from bnspec.bijectors._chain import Chain
from bnspec.bijectors._elementwise import AbsoluteValue, Exp, Log, Reciprocal, Tanh
from bnspec.bijectors._inline import Inline
from bnspec.bijectors._invert import Invert
from bnspec.bijectors._joint_map import JointMap
from bnspec.bijectors._masks import channel_permutation, checkerboard_permutation
from bnspec.bijectors._networks import DenseNetwork, real_nvp_default_template
from bnspec.bijectors._permute import Permute
from bnspec.bijectors._rational_quadratic_spline import RationalQuadraticSpline
from bnspec.bijectors._real_nvp import RealNVP
from bnspec.bijectors._reshape import Reshape
from bnspec.bijectors._squashing import Sigmoid, Softplus
from bnspec.bijectors._squeeze import squeeze

__all__ = [
    "AbsoluteValue",
    "AutoregressiveNetwork",
    "BatchNorm",
    "BatchNormalization",
    "Bijector",
    "Blockwise",
    "Chain",
    "DenseNetwork",
    "Exp",
    "Identity",
    "Inline",
    "Invert",
    "JointMap",
    "Log",
    "MaskedAutoregressiveFlow",
    "Permute",
    "RationalQuadraticSpline",
    "RealNVP",
    "Reciprocal",
    "Reshape",
    "Scale",
    "ScaleMatvecDiag",
    "Shift",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "channel_permutation",
    "checkerboard_permutation",
    "masked_autoregressive_default_template",
    "real_nvp_default_template",
    "squeeze",
]
