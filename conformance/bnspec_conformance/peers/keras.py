"""keras.layers.BatchNormalization of Keras 3, on the backend that Keras has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import KERAS as CONVENTION

from . import _jax, _tensorflow, _torch
from ._keras import VariablesOfKeras, arguments

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["KERAS"]


class KerasLayer(VariablesOfKeras):
    """One layer.

    Parameters
    ----------
    layer : keras.layers.BatchNormalization
        Built.
    """

    def __call__(self, x: Array, training: bool) -> Array:
        """Call in one of the modes."""
        return self._called(x, training=training)

    def weighted(self, x: Array, weights: Array) -> Array:
        """Call in training with a mask: what has any weight counts, for all channels of a position alike."""
        import keras  # noqa: PLC0415 - when it is needed

        mask = np.broadcast_to(weights, x.shape)[..., 0] != 0
        return self._called(x, training=True, mask=keras.ops.convert_to_tensor(mask))

    def _called(self, x: Array, **options: Any) -> Array:
        import keras  # noqa: PLC0415 - when it is needed

        y = self.layer(keras.ops.convert_to_tensor(x), **options)
        return np.array(keras.ops.convert_to_numpy(y.detach() if keras.backend.backend() == "torch" else y))

    def read(self) -> tuple[Array, Array]:
        """Return the averages."""
        import keras  # noqa: PLC0415 - when it is needed

        mean, variance = (
            np.array(keras.ops.convert_to_numpy(variable.value))
            for variable in (self.layer.moving_mean, self.layer.moving_variance)
        )
        return mean, variance

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Differentiate by the framework below."""
        import keras  # noqa: PLC0415 - when it is needed

        named = {"gamma": self.layer.gamma, "beta": self.layer.beta}
        variables = {name: variable for name, variable in named.items() if variable is not None}
        differentiate = {"tensorflow": _with_tensorflow, "torch": _with_torch, "jax": _with_jax}
        found = differentiate[keras.backend.backend()](self.layer, variables, x, cotangent, training)
        return {name: np.asarray(keras.ops.convert_to_numpy(value)) for name, value in found.items()}

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        """Differentiate the gradient of x by the framework below."""
        import keras  # noqa: PLC0415 - when it is needed

        layer = self.layer

        def forward(x: Any) -> Any:
            return layer(x, training=True)

        def pure(x: Any) -> Any:
            variables = layer.trainable_variables, layer.non_trainable_variables
            return layer.stateless_call(*([v.value for v in part] for part in variables), x, training=True)[0]

        given = (x, cotangent, tangent)
        backend = keras.backend.backend()
        if backend == "jax":
            return _jax.second(pure, *given)
        return _tensorflow.second(forward, *given) if backend == "tensorflow" else _torch.second(forward, *given)


def _with_tensorflow(layer: Any, variables: dict[str, Any], x: Array, cotangent: Array, training: bool) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - not there with other backends

    given = {"x": tf.constant(x), **{name: variable.value for name, variable in variables.items()}}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(given.values()))
        y = layer(given["x"], training=training)
    found = tape.gradient(y, list(given.values()), output_gradients=tf.cast(tf.constant(cotangent), y.dtype))
    return dict(zip(given, found, strict=True))


def _with_torch(layer: Any, variables: dict[str, Any], x: Array, cotangent: Array, training: bool) -> Any:
    import keras  # noqa: PLC0415 - when it is needed
    import torch  # noqa: PLC0415 - not there with other backends

    given = {"x": keras.ops.convert_to_tensor(x).requires_grad_()}
    given |= {name: variable.value for name, variable in variables.items()}
    y = layer(given["x"], training=training)
    found = torch.autograd.grad(y, list(given.values()), keras.ops.convert_to_tensor(cotangent).to(y.dtype))
    return dict(zip(given, found, strict=True))


def _with_jax(layer: Any, variables: dict[str, Any], x: Array, cotangent: Array, training: bool) -> Any:
    import jax  # noqa: PLC0415 - not there with other backends
    import keras  # noqa: PLC0415 - when it is needed

    kept = [variable.value for variable in layer.non_trainable_variables]
    trained = layer.trainable_variables

    def called(x: Any, values: Any) -> Any:
        return layer.stateless_call(values, kept, x, training=training)[0]

    y, pullback = jax.vjp(called, keras.ops.convert_to_tensor(x), [variable.value for variable in trained])
    by_x, by_values = pullback(keras.ops.convert_to_tensor(cotangent).astype(y.dtype))
    position = {id(variable): number for number, variable in enumerate(trained)}
    return {"x": by_x, **{name: by_values[position[id(variable)]] for name, variable in variables.items()}}


class Keras:
    """``keras.layers.BatchNormalization``."""

    convention = CONVENTION
    layer = KerasLayer

    @property
    def gaps(self) -> dict[str, str]:
        """What the layer does not take."""
        gaps = {
            "rank 1": "the layer takes a batch of features",
            "several axes": "axis is one integer",
            "momentum=None": "momentum is a number",
            "weighted": "a mask is boolean, and one for all channels of a position",
            "weighted_gradients": "a mask is boolean, and one for all channels of a position",
        }
        return gaps | self._of_the_backend()

    def _of_the_backend(self) -> dict[str, str]:
        import keras  # noqa: PLC0415 - when it is needed

        if keras.backend.backend() != "jax":
            return {}
        return _jax.without_float64()

    def __call__(self, config: Config) -> KerasLayer:
        """Build a layer."""
        import keras  # noqa: PLC0415 - when a layer is built

        layer = keras.layers.BatchNormalization(**arguments(config))
        layer.build(config.shape)
        return KerasLayer(layer)

    def default(self, shape: tuple[int, ...], dtype: str) -> KerasLayer:
        """Build a layer from the shape."""
        import keras  # noqa: PLC0415 - when a layer is built

        layer = keras.layers.BatchNormalization()
        layer.build(shape)
        return KerasLayer(layer)


KERAS = Keras()
