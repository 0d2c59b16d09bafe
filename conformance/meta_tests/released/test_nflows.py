"""nflows.transforms.BatchNorm."""

import inspect

import numpy as np

from bnspec.conventions import NFLOWS

from .check import released
from .layer import POISONED, Departure, Layer, lost, module, version

torch = module("torch")
transforms = module("nflows.transforms")


class Nflows(Layer):
    convention = NFLOWS
    library = version("nflows")
    ranks = (2,)
    chosen = frozenset({"axis"})
    departures = {  # noqa: RUF012 - never changed
        "one element": Departure(
            "a batch of one row comes out as NaN, and the running variance becomes NaN", lost("y", "variance")
        ),
        "empty batch": POISONED,
    }

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        self.layer = transforms.BatchNorm(shape[1], eps=epsilon, momentum=momentum).to(getattr(torch, dtype))
        # Its gamma is softplus(u) + epsilon.
        self.layer.unconstrained_weight.data = torch.tensor(np.log(np.expm1(gamma - epsilon)))
        self.layer.bias.data = torch.tensor(beta)

    def train(self, x):
        return self.layer.train()(torch.tensor(x))[0].detach().numpy()

    def evaluate(self, x):
        return self.layer.eval()(torch.tensor(x))[0].detach().numpy()

    def state(self):
        return self.layer.running_mean.numpy().copy(), self.layer.running_var.numpy().copy()

    @staticmethod
    def defaults():
        arguments = inspect.signature(transforms.BatchNorm).parameters
        return {"momentum": arguments["momentum"].default, "epsilon": arguments["eps"].default}

    @staticmethod
    def half(x):
        layer = transforms.BatchNorm(x.shape[1])
        y, _ = layer(torch.tensor(x))
        return tuple(str(v.dtype).removeprefix("torch.") for v in (y, layer.running_var))


test_released = released(Nflows)
