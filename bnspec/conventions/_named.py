"""The conventions of released libraries, each with the source that it was read from and measured on."""

from __future__ import annotations

from bnspec.conventions._convention import Convention

__all__ = ["KERAS", "TORCH"]

KERAS = Convention(
    name="KERAS",
    axis=-1,
    momentum=0.99,
    epsilon=1e-3,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="keras 3.15.1, keras/src/layers/normalization/batch_normalization.py",
)
"""Keras 3, except that an empty batch leaves the state alone (Keras 3.15.1 writes NaN into it)."""

TORCH = Convention(
    name="TORCH",
    axis=1,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="bessel",
    one_element="raise",
    empty_batch="count",
    source="torch 2.13.0, torch/nn/modules/batchnorm.py and torch/nn/functional.py",
)
"""``torch.nn.BatchNorm1d``, ``2d`` and ``3d``; ``momentum=None`` is torch's cumulative average."""
