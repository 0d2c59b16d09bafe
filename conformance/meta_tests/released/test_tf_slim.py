"""tf_slim.layers.batch_norm."""

import inspect
import sys
from dataclasses import replace

from bnspec.conventions import TF_SLIM

from .check import released
from .graph import GraphLayer, v1
from .layer import POISONED, Departure, module, version
from .scenarios import WEIGHTS, masked

# tf_slim 1.1.0 looks for names where TensorFlow 2.21 and tf_keras 2.21 no longer have them.
module("tf_keras")
module("tensorflow.python.framework.ops").Tensor = module("tensorflow.python.framework.tensor").Tensor
for name in ("tf_keras.legacy_tf_layers", "tf_keras.legacy_tf_layers.normalization"):
    sys.modules[name] = module(name.replace("tf_keras.", "tf_keras.src."))
slim = module("tf_slim")


def uncorrected(predicted):
    """Predict a weighted batch with the population's variance."""

    class Uncorrected(TfSlim):
        convention = replace(TF_SLIM, running_variance="population")

    return masked(Uncorrected, WEIGHTS)


class TfSlim(GraphLayer):
    convention = TF_SLIM
    library = version("tf_slim")
    dtype = "float32"
    departures = {  # noqa: RUF012 - never changed
        "empty batch": POISONED,
        "mask": Departure("with weights, the running variance is the population's", uncorrected),
    }

    @classmethod
    def made(cls, momentum, epsilon, **options):
        def call(x, training, weights=None):
            extra = options if weights is None else options | {"batch_weights": weights}
            return slim.layers.batch_norm(
                x, decay=momentum, epsilon=epsilon, scale=True, is_training=training,
                scope="bn", reuse=v1.AUTO_REUSE, **extra,
            )  # fmt: skip

        return call

    @staticmethod
    def defaults():
        arguments = inspect.signature(slim.layers.batch_norm).parameters
        assert arguments["scale"].default is False
        axis = {"NHWC": -1, "NCHW": 1}[arguments["data_format"].default]
        return {"axis": axis, "momentum": arguments["decay"].default, "epsilon": arguments["epsilon"].default}


test_released = released(TfSlim)
