"""tf_keras.layers.BatchNormalization of Keras 2 in TensorFlow 2, without and with the fused kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import TF_KERAS, TF_KERAS_FUSED

from ._keras import VariablesOfKeras, arguments
from ._tensorflow import second

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["FUSED", "PLAIN"]

_MASK = "a mask has one weight for all channels of a position"
_PLAIN_GAPS = {
    "rank 1": "the layer takes a batch of features",
    "momentum=None": "momentum is a number",
    "weighted": _MASK,
    "weighted_gradients": _MASK,
    "renorm": "not adapted here",
}
_FUSED_GAPS = {
    **_PLAIN_GAPS,
    **dict.fromkeys(("rank 2", "rank 3", "axis 0", "inner axis", "several axes"), "the fused kernel takes images"),
    "float64": "the fused kernel has no float64",
    "ghosts": "ghost batches do not take the fused kernel",
}


class TfKerasLayer(VariablesOfKeras):
    """One layer.

    Parameters
    ----------
    layer : tf_keras.layers.BatchNormalization
        Built.
    """

    def __call__(self, x: Array, training: bool) -> Array:
        """Call in one of the modes."""
        import tensorflow as tf  # noqa: PLC0415 - when it is needed

        return np.array(self.layer(tf.constant(x), training=training).numpy())

    def read(self) -> tuple[Array, Array]:
        """Return the averages, in the shape in which they were loaded, if they were."""
        mean, variance = (np.array(v.numpy()) for v in (self.layer.moving_mean, self.layer.moving_variance))
        shape = getattr(self, "shape", mean.shape)
        return mean.reshape(shape), variance.reshape(shape)

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Differentiate with a tape."""
        import tensorflow as tf  # noqa: PLC0415 - when it is needed

        named = {"x": tf.constant(x), "gamma": self.layer.gamma, "beta": self.layer.beta}
        given = {name: value for name, value in named.items() if value is not None}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(given.values()))
            y = self.layer(given["x"], training=training)
        found = tape.gradient(y, list(given.values()), output_gradients=tf.cast(tf.constant(cotangent), y.dtype))
        values = {name: value.numpy() for name, value in zip(given, found, strict=True)}
        return {name: v if name == "x" else v.reshape(self.shape) for name, v in values.items()}

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        """Differentiate with a tape inside a tape."""
        return second(lambda x: self.layer(x, training=True), x, cotangent, tangent)


class TfKerasMaskedLayer(TfKerasLayer):
    """One layer that takes a mask."""

    def weighted(self, x: Array, weights: Array) -> Array:
        """Call in training with a mask of weights, one for all channels of a position."""
        import tensorflow as tf  # noqa: PLC0415 - when it is needed

        mask = np.ascontiguousarray(np.broadcast_to(weights, x.shape)[..., 0])
        return np.array(self.layer(tf.constant(x), training=True, mask=tf.constant(mask)).numpy())


class TfKeras:
    """``tf_keras.layers.BatchNormalization``.

    Parameters
    ----------
    convention : Convention
    fused : bool or None
        As the layer takes it.
    gaps : mapping
    """

    layer: type[TfKerasLayer] = TfKerasMaskedLayer

    def __init__(self, convention: Convention, fused: bool | None, gaps: dict[str, str]) -> None:
        self.convention, self.fused, self.gaps = convention, fused, gaps
        self.offers = () if "ghosts" in gaps else ("ghosts",)

    def __call__(self, config: Config) -> TfKerasLayer:
        """Build a layer."""
        ghosts = config.virtual_batch_size
        return self._built(
            (None if ghosts else config.shape[0], *config.shape[1:]),
            **arguments(config),
            **({} if ghosts is None else {"virtual_batch_size": ghosts}),
        )

    def default(self, shape: tuple[int, ...], dtype: str) -> TfKerasLayer:
        """Build a layer from the shape, and the choice of the kernel."""
        return self._built(shape)

    def _built(self, shape: tuple[int | None, ...], **given: Any) -> TfKerasLayer:
        import tensorflow as tf  # noqa: PLC0415 - when a layer is built
        import tf_keras  # noqa: PLC0415

        # Left alone, the layer takes the fused kernel where it can.
        chosen = {} if self.fused is None else {"fused": self.fused}
        layer = tf_keras.layers.BatchNormalization(**given, **chosen)
        layer.build(tf.TensorShape(shape))
        return self.layer(layer)


PLAIN = TfKeras(TF_KERAS, False, _PLAIN_GAPS)
"""Without the fused kernel, as on ranks 2 and 3."""

FUSED = TfKeras(TF_KERAS_FUSED, None, _FUSED_GAPS)
"""As it comes, on images."""
