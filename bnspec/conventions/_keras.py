"""The conventions of Keras, which changed with each major version."""

from __future__ import annotations

from bnspec.conventions._convention import Convention

__all__ = ["KERAS", "KERAS_1", "KERAS_2"]

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
    mask="boolean",
    sync="count",
    output_dtype="parameters",
    freeze="evaluation",
)
"""Keras 3, except that an empty batch leaves the state alone (Keras 3.15.1 writes NaN into it).

It synchronizes on the TensorFlow backend only. A mask that is False everywhere is a batch of mean and variance 0 to it.
With ``dtype="float16"`` its state has half precision.
"""

KERAS_1 = Convention(
    name="KERAS_1",
    axis=-1,
    momentum=0.99,
    epsilon=1e-3,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="Keras 1.2.2, keras/layers/normalization.py",
    freeze="parameters",
)
"""Keras 1 with ``mode=0`` on TensorFlow.

What the release calls ``running_std`` is a variance. On Theano's own operator epsilon is in it already, and evaluation
adds it again.
"""

KERAS_2 = Convention(
    name="KERAS_2",
    axis=-1,
    momentum=0.99,
    epsilon=1e-3,
    momentum_weighs="old",
    running_variance="bessel_epsilon",
    one_element="update",
    empty_batch="keep",
    source="Keras 2.3.1, keras/layers/normalization.py",
    freeze="averages",
)
"""Keras 2 of several backends, from 2.1.3 to 2.3.1.

On rank 4 with TensorFlow, the release corrects a variance that the fused kernel has corrected already.
"""
