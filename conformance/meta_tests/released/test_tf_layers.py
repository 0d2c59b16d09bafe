"""tf.layers.BatchNormalization of TensorFlow 1, as tf_keras still has it."""

import inspect

import pytest

from bnspec.conventions import TF_FUSED, TF_LAYERS

from .check import released
from .graph import GraphLayer
from .layer import POISONED, Departure, module, version
from .predictor import Predictor
from .scenarios import BATCHES, BETA, EPSILON, GAMMA, SHARE, masked

legacy = module("tf_keras.src.legacy_tf_layers.normalization")


pytestmark = pytest.mark.filterwarnings("ignore:Masking is not supported with `fused=True`:UserWarning")


def stopped(predicted, layer):
    """Predict that a batch does not enter the averages."""
    frozen = Predictor(layer.convention, layer.dtype, GAMMA, BETA, 1.0 - SHARE, EPSILON)
    frozen.train(BATCHES[0])
    return predicted | frozen.state()


STOPPED = "trainable=False stops the running averages too, as their updates are no longer collected"


class TfLayers(GraphLayer):
    convention = TF_LAYERS
    library = version("tf_keras")
    fused = False
    departures = {  # noqa: RUF012 - never changed
        "empty batch": POISONED,
        "freeze": Departure(STOPPED, lambda predicted: stopped(predicted, TfLayers)),
    }

    @classmethod
    def made(cls, momentum, epsilon, **options):
        layer = legacy.BatchNormalization(momentum=momentum, epsilon=epsilon, fused=cls.fused, **options)
        return lambda x, training, weights=None: layer(x, training=training, mask=weights)

    @staticmethod
    def defaults():
        arguments = inspect.signature(legacy.BatchNormalization).parameters
        return {name: arguments[name].default for name in ("axis", "momentum", "epsilon")}


class TfFused(TfLayers):
    convention = TF_FUSED
    dtype = "float32"
    fused = None
    ranks = (4,)
    departures = {  # noqa: RUF012 - never changed
        "empty batch": POISONED,
        "freeze": Departure(STOPPED, lambda predicted: stopped(predicted, TfFused)),
        "mask": Departure("a mask is ignored, with a warning", lambda predicted: masked(TfFused, None)),
    }


test_released = released(TfLayers, TfFused)
