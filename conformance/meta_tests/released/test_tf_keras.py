"""tf_keras.layers.BatchNormalization of Keras 2 in TensorFlow 2."""

import pytest

from bnspec.conventions import TF_KERAS, TF_KERAS_FUSED

from .check import released
from .layer import POISONED, Departure, Layer, module, version
from .scenarios import masked

tf = module("tensorflow")
tf_keras = module("tf_keras")

pytestmark = pytest.mark.filterwarnings("ignore:Masking is not supported with `fused=True`:UserWarning")


class TfKeras(Layer):
    convention = TF_KERAS
    library = version("tf_keras")
    fused = False
    departures = {"empty batch": POISONED}  # noqa: RUF012 - never changed

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype, *, virtual_batch_size=None):
        self.layer = tf_keras.layers.BatchNormalization(
            momentum=momentum,
            epsilon=epsilon,
            dtype=dtype,
            fused=self.fused,
            **({} if virtual_batch_size is None else {"virtual_batch_size": virtual_batch_size}),
        )
        self.layer.build((None, *shape[1:]))
        for variable, value in ((self.layer.gamma, gamma), (self.layer.beta, beta)):
            variable.assign(value.reshape(variable.shape))

    def train(self, x, weights=None):
        return self.layer(tf.constant(x), training=True, mask=weights).numpy()

    def evaluate(self, x):
        return self.layer(tf.constant(x), training=False).numpy()

    def state(self):
        return self.layer.moving_mean.numpy(), self.layer.moving_variance.numpy()

    def freeze(self):
        self.layer.trainable = False

    def trainable(self):
        return len(self.layer.trainable_variables)

    @staticmethod
    def defaults():
        layer = tf_keras.layers.BatchNormalization()
        return {"axis": layer.axis, "momentum": layer.momentum, "epsilon": layer.epsilon}

    @classmethod
    def half(cls, x):
        layer = tf_keras.layers.BatchNormalization(fused=cls.fused)
        y = layer(tf.constant(x), training=True)
        return y.dtype.name, layer.moving_variance.dtype.name


class TfKerasFused(TfKeras):
    convention = TF_KERAS_FUSED
    fused = None
    dtype = "float32"
    ranks = (4,)
    departures = {  # noqa: RUF012 - never changed
        "empty batch": POISONED,
        "mask": Departure("a mask is ignored, with a warning", lambda predicted: masked(TfKerasFused, None)),
    }


test_released = released(TfKeras, TfKerasFused)
