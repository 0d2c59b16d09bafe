"""tinygrad.nn.BatchNorm."""

import inspect

from bnspec.conventions import TINYGRAD

from .check import released
from .layer import POISONED, Departure, Layer, module, refused, version

tinygrad = module("tinygrad")


class Tinygrad(Layer):
    convention = TINYGRAD
    library = version("tinygrad")
    dtype = "float32"
    chosen = frozenset({"axis"})
    departures = {  # noqa: RUF012 - never changed
        "one element": Departure("one element per channel raises ZeroDivisionError", refused("ZeroDivisionError")),
        "empty batch": POISONED,
    }

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        self.layer = tinygrad.nn.BatchNorm(shape[1], eps=epsilon, momentum=momentum)
        self.layer.weight, self.layer.bias = tinygrad.Tensor(gamma), tinygrad.Tensor(beta)

    def train(self, x):
        with tinygrad.Context(TRAINING=1):
            return self.layer(tinygrad.Tensor(x)).numpy()

    def evaluate(self, x):
        with tinygrad.Context(TRAINING=0):
            return self.layer(tinygrad.Tensor(x)).numpy()

    def state(self):
        return self.layer.running_mean.numpy(), self.layer.running_var.numpy()

    @staticmethod
    def defaults():
        arguments = inspect.signature(tinygrad.nn.BatchNorm).parameters
        return {"momentum": arguments["momentum"].default, "epsilon": arguments["eps"].default}

    @classmethod
    def half(cls, x):
        layer = tinygrad.nn.BatchNorm(3)
        with tinygrad.Context(TRAINING=1):
            y = layer(tinygrad.Tensor(x))
        return tuple(v.numpy().dtype for v in (y, layer.running_var))


test_released = released(Tinygrad)
