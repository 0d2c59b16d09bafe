"""keras.layers.BatchNormalization of Keras 3."""

import numpy as np
import pytest

from bnspec.conventions import KERAS

from .check import released
from .layer import POISONED, Layer, module, version

keras = module("keras")

# Keras calls np.array on a TensorFlow variable, which has no copy= yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def read(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


class Keras(Layer):
    convention = KERAS
    library = f"{version('keras')} on {keras.backend.backend()}"
    departures = {"empty batch": POISONED}  # noqa: RUF012 - never changed

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        self.layer = keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon, dtype=dtype)
        self.layer.build((None, *shape[1:]))
        self.layer.gamma.assign(gamma)
        self.layer.beta.assign(beta)

    def train(self, x, weights=None):
        return read(self.layer(x, training=True, mask=weights))

    def evaluate(self, x):
        return read(self.layer(x, training=False))

    def state(self):
        return read(self.layer.moving_mean), read(self.layer.moving_variance)

    def freeze(self):
        self.layer.trainable = False

    def trainable(self):
        return len(self.layer.trainable_variables)

    @staticmethod
    def defaults():
        layer = keras.layers.BatchNormalization()
        return {"axis": layer.axis, "momentum": layer.momentum, "epsilon": layer.epsilon}

    @staticmethod
    def half(x):
        layer = keras.layers.BatchNormalization()
        y = layer(x, training=True)
        return read(y).dtype, read(layer.moving_variance).dtype


test_released = released(Keras)
