"""The conventions of PyTorch's layers, and of nflows, which is written in PyTorch."""

from __future__ import annotations

from dataclasses import replace

from bnspec.conventions._convention import Convention

__all__ = ["NFLOWS", "TORCH", "TORCH_CUMULATIVE"]

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
    sync="count",
)
"""``torch.nn.BatchNorm1d``, ``2d`` and ``3d``, in synchronization ``torch.nn.SyncBatchNorm``.

A layer that is cast to half precision as a whole keeps its state in half precision, where small updates round away.
"""

TORCH_CUMULATIVE = replace(TORCH, name="TORCH_CUMULATIVE", momentum=None)
"""``torch.nn.BatchNorm1d``, ``2d`` and ``3d`` with ``momentum=None``: all batches have equal weight, whatever their
size."""

NFLOWS = Convention(
    name="NFLOWS",
    axis=1,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="bessel",
    one_element="update",
    empty_batch="keep",
    source="nflows 0.14, nflows/transforms/normalization.py",
    normalizing_variance="bessel",
    initial_variance=0.0,
    output_dtype="promoted",
)
"""``nflows.transforms.BatchNorm``, on inputs of rank 2.

The release turns a training batch of one row into NaN, and an empty one or one of one row turns the running variance
into NaN. Its gamma is the softplus of a parameter, plus epsilon.
"""
