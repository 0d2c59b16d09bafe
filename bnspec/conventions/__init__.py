"""Conventions: the ways in which correct batch normalizations differ, one frozen value per library."""

from bnspec.conventions._convention import Convention
from bnspec.conventions._jax import EQUINOX, EQUINOX_BATCH, FLAX, FLAX_NNX, HAIKU
from bnspec.conventions._keras import KERAS, KERAS_1, KERAS_2
from bnspec.conventions._named import ALL, named
from bnspec.conventions._others import BURN, CAFFE, CANDLE, FLUX, MLX, MXNET, ONNX, PADDLE, TINYGRAD
from bnspec.conventions._tensorflow import TF_FUSED, TF_KERAS, TF_KERAS_FUSED, TF_LAYERS, TF_SLIM, TFP
from bnspec.conventions._torch import NFLOWS, TORCH, TORCH_CUMULATIVE

__all__ = [
    "ALL",
    "BURN",
    "CAFFE",
    "CANDLE",
    "EQUINOX",
    "EQUINOX_BATCH",
    "FLAX",
    "FLAX_NNX",
    "FLUX",
    "HAIKU",
    "KERAS",
    "KERAS_1",
    "KERAS_2",
    "MLX",
    "MXNET",
    "NFLOWS",
    "ONNX",
    "PADDLE",
    "TFP",
    "TF_FUSED",
    "TF_KERAS",
    "TF_KERAS_FUSED",
    "TF_LAYERS",
    "TF_SLIM",
    "TINYGRAD",
    "TORCH",
    "TORCH_CUMULATIVE",
    "Convention",
    "named",
]
