"""haiku.BatchNorm."""

import inspect

import numpy as np

from bnspec.conventions import HAIKU

from .check import released
from .layer import POISONED, Departure, Layer, module, version
from .predictor import Predictor
from .scenarios import BATCHES, BETA, EPSILON, GAMMA, SHARE

jax = module("jax")
haiku = module("haiku")


def of_the_first_batch(predicted):
    """Predict evaluation with the statistics of the batch that `init` had, which is all ones."""
    layer = Predictor(HAIKU, "float32", GAMMA, BETA, 1.0 - SHARE, EPSILON)
    layer.train(np.ones((1, 3)))
    return {"evaluation": layer.evaluate(BATCHES[2])}


class Haiku(Layer):
    convention = HAIKU
    library = version("dm-haiku")
    dtype = "float32"
    chosen = frozenset({"momentum"})
    departures = {  # noqa: RUF012 - never changed
        "empty batch": POISONED,
        "initial state": Departure(
            "the state after init holds the statistics of the batch that it was made with", of_the_first_batch
        ),
    }

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        def call(x, training):
            return haiku.BatchNorm(True, True, decay_rate=momentum, eps=epsilon, name="bn")(x, is_training=training)

        self.call = haiku.without_apply_rng(haiku.transform_with_state(call))
        params, self.variables = self.call.init(jax.random.key(0), np.ones(shape, dtype), True)
        laid = params["bn"]["scale"].shape
        self.params = {"bn": {"scale": gamma.reshape(laid), "offset": beta.reshape(laid)}}

    def train(self, x):
        y, self.variables = self.call.apply(self.params, self.variables, x, True)
        return y

    def evaluate(self, x):
        return self.call.apply(self.params, self.variables, x, False)[0]

    def state(self):
        return tuple(self.variables[f"bn/~/{name}_ema"]["average"] for name in ("mean", "var"))

    @staticmethod
    def defaults():
        arguments = inspect.signature(haiku.BatchNorm).parameters
        axis = haiku.get_channel_index(arguments["data_format"].default)
        assert arguments["decay_rate"].default is inspect.Parameter.empty
        return {"axis": axis, "epsilon": arguments["eps"].default}

    @staticmethod
    def half(x):
        call = haiku.transform_with_state(lambda x: haiku.BatchNorm(True, True, 0.9, name="bn")(x, is_training=True))
        params, state = call.init(jax.random.key(0), x)
        y, state = call.apply(params, state, jax.random.key(0), x)
        return y.dtype, state["bn/~/var_ema"]["average"].dtype


test_released = released(Haiku)
