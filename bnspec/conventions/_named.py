"""Every named convention, and how one is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec.conventions._jax import EQUINOX, EQUINOX_BATCH, FLAX, FLAX_NNX, HAIKU
from bnspec.conventions._keras import KERAS, KERAS_1, KERAS_2
from bnspec.conventions._others import BURN, CAFFE, CANDLE, FLUX, MLX, MXNET, ONNX, PADDLE, TINYGRAD
from bnspec.conventions._tensorflow import TF_FUSED, TF_KERAS, TF_KERAS_FUSED, TF_LAYERS, TF_SLIM, TFP
from bnspec.conventions._torch import NFLOWS, TORCH, TORCH_CUMULATIVE
from bnspec.errors import message, nearest

if TYPE_CHECKING:
    from bnspec.conventions._convention import Convention

__all__ = ["ALL", "named"]

ALL = (
    KERAS,
    KERAS_1,
    KERAS_2,
    TORCH,
    TORCH_CUMULATIVE,
    TF_LAYERS,
    TF_FUSED,
    TF_KERAS,
    TF_KERAS_FUSED,
    TF_SLIM,
    TFP,
    FLAX,
    FLAX_NNX,
    HAIKU,
    EQUINOX,
    EQUINOX_BATCH,
    ONNX,
    MXNET,
    MLX,
    PADDLE,
    TINYGRAD,
    FLUX,
    BURN,
    CANDLE,
    CAFFE,
    NFLOWS,
)
"""Every named convention, in the order of the documentation."""

_BY_NAME = {value.name: value for value in ALL}


def named(name: str) -> Convention:
    """Look a convention up.

    Parameters
    ----------
    name : str
        Its name, in upper or lower case, with an underscore, a hyphen or a space between words.

    Returns
    -------
    Convention
        The named value.

    Raises
    ------
    TypeError
        If `name` is no string.
    ValueError
        If there is no such convention.

    Examples
    --------
    >>> named("tf-keras").freeze
    'evaluation'
    """
    if not isinstance(name, str):
        raise TypeError(message("name must be a string", name=name))
    key = name.upper().replace("-", "_").replace(" ", "_")
    if key not in _BY_NAME:
        raise ValueError(message("name must be that of a convention", nearest(key, _BY_NAME), name=name))
    return _BY_NAME[key]
