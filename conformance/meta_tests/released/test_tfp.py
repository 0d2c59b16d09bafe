"""tensorflow_probability.bijectors.BatchNormalization with the layer that it makes."""

from dataclasses import replace

import pytest

from bnspec.conventions import TFP

from .check import released
from .layer import POISONED, Departure, Layer, module, version
from .predictor import Predictor
from .scenarios import BETA, EPSILON, GAMMA, IMAGES, SHARE

tf = module("tensorflow")
tfb = module("tensorflow_probability").bijectors

pytestmark = pytest.mark.filterwarnings("ignore:distutils Version classes are deprecated:DeprecationWarning")


def fused(predicted):
    """Predict images with the fused kernel's variance."""
    layer = Predictor(replace(TFP, running_variance="bessel"), "float32", GAMMA, BETA, 1.0 - SHARE, EPSILON)
    seen = {"first": layer.train(IMAGES[0]), "second": layer.train(IMAGES[1])}
    return seen | layer.state() | {"evaluation": layer.evaluate(IMAGES[2])}


class Bijector(Layer):
    convention = TFP
    library = version("tensorflow-probability")
    dtype = "float32"
    departures = {  # noqa: RUF012 - never changed
        "empty batch": POISONED,
        "images": Departure("images take the fused kernel: the running variance is Bessel's", fused),
    }

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        # The layer that it makes itself, with other values.
        self.bijector = tfb.BatchNormalization()
        self.layer = self.bijector.batchnorm
        self.layer.momentum, self.layer.epsilon = momentum, epsilon
        self.layer.build((None, *shape[1:]))
        self.layer.gamma.assign(gamma)
        self.layer.beta.assign(beta)

    def train(self, x):
        return self.bijector.inverse(tf.constant(x)).numpy()

    def evaluate(self, x):
        return tfb.BatchNormalization(self.layer, training=False).inverse(tf.constant(x)).numpy()

    def state(self):
        return self.layer.moving_mean.numpy(), self.layer.moving_variance.numpy()

    def freeze(self):
        self.layer.trainable = False

    def trainable(self):
        return len(self.layer.trainable_variables)

    @staticmethod
    def defaults():
        layer = tfb.BatchNormalization().batchnorm
        layer.build((None, 3))
        (axis,) = layer.axis
        return {"axis": axis - 2, "momentum": layer.momentum, "epsilon": layer.epsilon}

    @staticmethod
    def half(x):
        bijector = tfb.BatchNormalization()
        return bijector.inverse(tf.constant(x)).dtype.name, bijector.batchnorm.moving_variance.dtype.name


test_released = released(Bijector)
