"""An adapter: how `bnspec check` talks to a batch normalization. NumPy arrays come in, NumPy arrays go out.

This one runs as it is. Put your own layer in the places that say HERE.
"""

import numpy as np

from bnspec.conventions import KERAS


class MyBatchNorm:
    # The rules that yours is held to: TORCH, KERAS, FLAX, ... ; see `bnspec.conventions`.
    convention = KERAS

    # What yours cannot do, and why: it is skipped, counted and shown. Take off the list what it can.
    gaps = dict.fromkeys(
        (
            "axis 0",
            "axis 1",
            "inner axis",
            "several axes",
            "float16",
            "bfloat16",
            "float64",
            "center=False",
            "scale=False",
            "momentum=None",
        ),
        "not built yet",
    )

    def __init__(self, config):
        # HERE: build it. config has shape, axis, momentum, epsilon, center, scale, dtype and num_features.
        self.momentum, self.epsilon = config.momentum, config.epsilon

    def load(self, gamma, beta, moving_mean, moving_variance):
        # HERE: set parameters and running statistics, arrays of shape (C,). Copy them if you write into yours.
        self.gamma, self.beta = gamma, beta
        self.mean, self.variance = moving_mean, moving_variance

    def __call__(self, x, training):
        # HERE: return the output; in training, move the running statistics.
        mean, variance = self.mean, self.variance
        if training and x.size:
            axes = tuple(range(x.ndim - 1))
            mean, variance = x.mean(axes), x.var(axes)
            self.mean = self.momentum * self.mean + (1 - self.momentum) * mean
            self.variance = self.momentum * self.variance + (1 - self.momentum) * variance
        return self.gamma * (x - mean) / np.sqrt(variance + self.epsilon) + self.beta

    def read(self):
        # HERE: return the running mean and the running variance.
        return self.mean, self.variance

    # More is optional: gradients(x, cotangent, training) returns {"x": ..., "gamma": ..., "beta": ...}; what there is
    # beside it, bnspec_conformance.adapter.Layer says.
