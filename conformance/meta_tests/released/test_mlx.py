"""mlx.nn.BatchNorm."""

import numpy as np

from bnspec.conventions import MLX

from .check import released
from .layer import POISONED, Layer, module, version

mx = module("mlx.core")
nn = module("mlx.nn")


def send(x):
    # Reducing an empty array that came from NumPy hangs now and then.
    return mx.array(x) if x.size else mx.zeros(x.shape, mx.float32)


class Mlx(Layer):
    convention = MLX
    library = version("mlx")
    dtype = "float32"
    chosen = frozenset({"axis"})
    departures = {"empty batch": POISONED}  # noqa: RUF012 - never changed

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        self.layer = nn.BatchNorm(shape[-1], eps=epsilon, momentum=momentum)
        self.layer.weight, self.layer.bias = mx.array(gamma), mx.array(beta)

    def train(self, x):
        self.layer.train()
        return np.array(self.layer(send(x)))

    def evaluate(self, x):
        self.layer.eval()
        return np.array(self.layer(send(x)))

    def state(self):
        return np.array(self.layer.running_mean), np.array(self.layer.running_var)

    def freeze(self):
        self.layer.freeze()

    def trainable(self):
        return len(self.layer.trainable_parameters())

    @staticmethod
    def defaults():
        layer = nn.BatchNorm(3)
        return {"momentum": layer.momentum, "epsilon": layer.eps}

    @staticmethod
    def half(x):
        layer = nn.BatchNorm(3)
        y = layer(mx.array(x))
        return tuple(np.array(v).dtype for v in (y, layer.running_var))


test_released = released(Mlx)
