"""The conventions of TensorFlow: tf.layers, tf_keras, slim, and the bijector of TensorFlow Probability."""

from __future__ import annotations

from dataclasses import replace

from bnspec.conventions._convention import Convention

__all__ = ["TFP", "TF_FUSED", "TF_KERAS", "TF_KERAS_FUSED", "TF_LAYERS", "TF_SLIM"]

TF_LAYERS = Convention(
    name="TF_LAYERS",
    axis=-1,
    momentum=0.99,
    epsilon=1e-3,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="tf_keras 2.21.0, tf_keras/src/legacy_tf_layers/normalization.py, with fused=False",
    mask="frequency",
    ghost_grouping="strided",
    ghost_update="mean",
    freeze="parameters",
)
"""``tf.layers.batch_normalization`` as its documentation has it: the population's variance at every rank.

The release does so with ``fused=False`` only. With ``trainable=False`` it stops the running averages too, as their
updates are no longer collected, and on an empty batch it writes NaN into the state.
"""

TF_FUSED = replace(
    TF_LAYERS,
    name="TF_FUSED",
    running_variance="bessel",
    source="tf_keras 2.21.0, tf_keras/src/legacy_tf_layers/normalization.py, with the fused kernel",
)
"""``tf.layers.batch_normalization`` where it takes the fused kernel, on inputs of rank 4 and 5.

The release ignores a mask there, with no more than a warning, and does not take the kernel with ghost batches. With
``trainable=False`` it stops the running averages too, and on an empty batch it writes NaN into the state.
"""

TF_KERAS = replace(
    TF_LAYERS,
    name="TF_KERAS",
    source="tf_keras 2.21.0, tf_keras/src/layers/normalization/batch_normalization.py, with fused=False",
    sync="count",
    output_dtype="parameters",
    freeze="evaluation",
)
"""``tf_keras.layers.BatchNormalization`` of Keras 2 in TensorFlow 2 on inputs of rank 2 and 3, or with ``fused=False``.

The release writes NaN into the state on an empty batch.
"""

TF_KERAS_FUSED = replace(
    TF_KERAS,
    name="TF_KERAS_FUSED",
    running_variance="bessel",
    source="tf_keras 2.21.0, tf_keras/src/layers/normalization/batch_normalization.py, with the fused kernel",
)
"""``tf_keras.layers.BatchNormalization`` where it takes the fused kernel, on inputs of rank 4 and 5.

The release ignores a mask there, and takes the kernel neither with ghost batches nor in synchronization. On an empty
batch it writes NaN into the state.
"""

TF_SLIM = Convention(
    name="TF_SLIM",
    axis=-1,
    momentum=0.999,
    epsilon=1e-3,
    momentum_weighs="old",
    running_variance="bessel",
    one_element="update",
    empty_batch="keep",
    source="tf_slim 1.1.0, tf_slim/layers/layers.py",
    mask="frequency",
    freeze="parameters",
)
"""``tf_slim.layers.batch_norm`` with the fused kernel, its default at every rank, and without gamma by default.

With ``batch_weights`` or ``fused=False`` the release keeps the population's variance. ``zero_debias_moving_mean`` is an
argument of the function: ``average="debiased_mean"``. On an empty batch it writes NaN into the state.
"""

TFP = replace(
    TF_KERAS,
    name="TFP",
    source="tensorflow_probability 0.25.0, tensorflow_probability/python/bijectors/batch_normalization.py",
    mask="none",
    ghost_grouping="contiguous",
    ghost_update="merged",
    sync="none",
)
"""``tfp.bijectors.BatchNormalization`` with the layer that it makes: ``inverse`` is what normalizes.

It refuses a layer with ghost batches. On rank 4 the release's layer takes the fused kernel, as ``TF_KERAS_FUSED``,
while its log-determinant does not. On an empty batch it writes NaN into the state.
"""
