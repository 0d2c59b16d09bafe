"""The conventions of other frameworks, of ONNX, and of layers in Julia, Rust and C++."""

from __future__ import annotations

from bnspec.conventions._convention import Convention

__all__ = ["BURN", "CAFFE", "CANDLE", "FLUX", "MLX", "MXNET", "ONNX", "PADDLE", "TINYGRAD"]

ONNX = Convention(
    name="ONNX",
    axis=1,
    momentum=0.9,
    epsilon=1e-5,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="onnx 1.23.2, BatchNormalization 15 in onnx/defs/nn/defs.cc",
)
"""The operator BatchNormalization, versions 14 and 15, with ``training_mode=1``.

It says nothing about batches of no or one element. The reference evaluator returns NaN for an empty batch, and running
statistics in the dtype of the input.
"""

MXNET = Convention(
    name="MXNET",
    axis=1,
    momentum=0.9,
    epsilon=1e-5,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="mxnet 1.9.1, mxnet/gluon/nn/basic_layers.py and src/operator/nn/batch_norm-inl.h",
    sync="equal",
)
"""``mxnet.gluon.nn.BatchNorm`` on the CPU; the operator's own epsilon is 1e-3, and it fixes gamma at 1 by default.

The release updates the state in the backward pass, once for each, and refuses an empty batch. On cuDNN its running
variance is Bessel's.
"""

MLX = Convention(
    name="MLX",
    axis=-1,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="bessel",
    one_element="raise",
    empty_batch="keep",
    source="mlx 0.32.4, python/mlx/nn/layers/normalization.py",
    output_dtype="promoted",
    freeze="parameters",
)
"""``mlx.nn.BatchNorm``, whose switch is ``freeze()``.

On an empty batch the release hangs or writes NaN into the state.
"""

PADDLE = Convention(
    name="PADDLE",
    axis=1,
    momentum=0.9,
    epsilon=1e-5,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="paddlepaddle 3.3.1, paddle/nn/layer/norm.py",
    sync="equal",
)
"""``paddle.nn.BatchNorm1D``, ``2D`` and ``3D``.

The release returns a training batch with one element per channel as it came, without gamma and beta, and keeps the
state. On the CPU it refuses half precision.
"""

TINYGRAD = Convention(
    name="TINYGRAD",
    axis=1,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="bessel",
    one_element="raise",
    empty_batch="keep",
    source="tinygrad 0.14.0, tinygrad/nn/__init__.py",
    output_dtype="promoted",
)
"""``tinygrad.nn.BatchNorm``.

The release refuses one element per channel with ZeroDivisionError, and writes NaN into the state on an empty batch.
"""

FLUX = Convention(
    name="FLUX",
    axis=-2,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="bessel",
    one_element="raise",
    empty_batch="keep",
    source="Flux.jl after 0.16.11, commit 3f2f828, src/layers/normalise.jl",
    output_dtype="promoted",
)
"""``Flux.BatchNorm``: the last but one of Julia's axes, which is axis 1 where the same memory is read row by row.

Version 0.16.11 and those before it write NaN into the state on one element per channel.
"""

BURN = Convention(
    name="BURN",
    axis=1,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="burn 0.22.0-pre.2, commit 2c06be3, crates/burn-nn/src/modules/norm/batch.rs",
    state_dtype="input",
)
"""``burn::nn::BatchNorm``: everything has the one dtype of the device.

After this version, ``freeze()`` makes the layer behave as in evaluation.
"""

CANDLE = Convention(
    name="CANDLE",
    axis=1,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="bessel",
    one_element="update",
    empty_batch="keep",
    source="candle-nn 0.11.0, commit 2a13b0f, candle-nn/src/batch_norm.rs",
)
"""``candle_nn::BatchNorm`` with ``forward_t``.

The release multiplies the variance by N / (N - 1) whatever N is, so that one element per channel makes the running
variance NaN.
"""

CAFFE = Convention(
    name="CAFFE",
    axis=1,
    momentum=0.999,
    epsilon=1e-5,
    momentum_weighs="old",
    running_variance="bessel",
    one_element="update",
    empty_batch="keep",
    source="BVLC Caffe 1.0, src/caffe/layers/batch_norm_layer.cpp and src/caffe/proto/caffe.proto",
    average="debiased",
    initial_variance=0.0,
)
"""Caffe's BatchNorm layer, which has neither gamma nor beta.

Its blobs hold weighted sums and what the weights sum to. Their quotient, with which it evaluates, is the debiased
average.
"""
