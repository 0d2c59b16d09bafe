"""What the layers of Keras 3 and of tf_keras have in common: their arguments and their variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["VariablesOfKeras", "arguments"]


def arguments(config: Config) -> dict[str, Any]:
    """Return what a layer is told; for half precision its policy is float32."""
    return {
        "axis": config.axis[0] if len(config.axis) == 1 else list(config.axis),
        "momentum": config.momentum,
        "epsilon": config.epsilon,
        "center": config.center,
        "scale": config.scale,
        "dtype": "float64" if config.dtype == "float64" else "float32",
    }


class VariablesOfKeras:
    """The variables of a layer.

    Parameters
    ----------
    layer : keras.layers.BatchNormalization or tf_keras.layers.BatchNormalization
        Built.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        """Assign the variables."""
        layer = self.layer
        pairs = (
            (layer.gamma, gamma),
            (layer.beta, beta),
            (layer.moving_mean, moving_mean),
            (layer.moving_variance, moving_variance),
        )
        self.shape = moving_mean.shape  # whatever shape the library gives its variables
        for variable, value in pairs:
            if variable is not None and value is not None:
                variable.assign(value.reshape(variable.shape))

    def freeze(self) -> None:
        """Set ``trainable = False``."""
        self.layer.trainable = False
