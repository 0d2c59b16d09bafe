"""tensorflow_probability.bijectors.BatchNormalization, whose inverse normalizes, without the fused kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import TFP as CONVENTION

from .tf_keras import TfKeras, TfKerasLayer

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = ["TFP"]


class TfpLayer(TfKerasLayer):
    """One layer between two bijectors, of which one normalizes by the batch.

    Parameters
    ----------
    layer : tf_keras.layers.BatchNormalization
        Built.
    """

    def __init__(self, layer: Any) -> None:
        from tensorflow_probability import bijectors as tfb  # noqa: PLC0415 - when a layer is built

        super().__init__(layer)
        self.bijectors = {training: tfb.BatchNormalization(layer, training=training) for training in (True, False)}

    def __call__(self, x: Array, training: bool) -> Array:
        """Normalize, which is the inverse."""
        import tensorflow as tf  # noqa: PLC0415 - when it is needed

        return np.array(self.bijectors[training].inverse(tf.constant(x)).numpy())

    def log_det(self, x: Array, training: bool) -> Array:
        """Take the log-det of the inverse over all axes but the first: one number for all samples."""
        import tensorflow as tf  # noqa: PLC0415 - when it is needed

        found = self.bijectors[training].inverse_log_det_jacobian(tf.constant(x), event_ndims=x.ndim - 1)
        return np.full(len(x), found.numpy())

    def invert(self, y: Array) -> Array:
        """De-normalize, which is forward."""
        import tensorflow as tf  # noqa: PLC0415 - when it is needed

        return np.array(self.bijectors[False].forward(tf.constant(y)).numpy())


class Tfp(TfKeras):
    """``tensorflow_probability.bijectors.BatchNormalization``."""

    layer = TfpLayer

    def default(self, shape: tuple[int, ...], dtype: str) -> TfpLayer:
        """Build the layer that the bijector makes when it is given none."""
        import tensorflow as tf  # noqa: PLC0415 - when a layer is built
        from tensorflow_probability import bijectors as tfb  # noqa: PLC0415

        layer = tfb.BatchNormalization().batchnorm
        layer.build(tf.TensorShape(shape))
        return TfpLayer(layer)


TFP = Tfp(
    CONVENTION,
    False,
    {
        "rank 1": "the layer takes a batch of features",
        "momentum=None": "momentum is a number",
        "ghosts": "the bijector refuses virtual batches",
        "renorm": "the bijector refuses renormalization",
    },
)
"""With a layer of the caller's, which has no fused kernel."""
