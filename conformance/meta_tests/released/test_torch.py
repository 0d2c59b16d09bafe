"""torch.nn.BatchNorm1d and 2d."""

from bnspec.conventions import TORCH, TORCH_CUMULATIVE

from .check import released
from .layer import Layer, module, version

torch = module("torch")


class Torch(Layer):
    convention = TORCH
    library = version("torch")
    chosen = frozenset({"axis"})

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
        self.layer = kind(shape[1], eps=epsilon, momentum=momentum, dtype=getattr(torch, dtype))
        self.layer.load_state_dict({"weight": torch.tensor(gamma), "bias": torch.tensor(beta)}, strict=False)

    def train(self, x):
        return self.layer.train()(torch.tensor(x)).detach().numpy()

    def evaluate(self, x):
        return self.layer.eval()(torch.tensor(x)).detach().numpy()

    def state(self):
        return self.layer.running_mean.numpy().copy(), self.layer.running_var.numpy().copy()

    @property
    def count(self):
        return self.layer.num_batches_tracked

    @staticmethod
    def defaults():
        layer = torch.nn.BatchNorm2d(3)
        return {"momentum": layer.momentum, "epsilon": layer.eps}

    @staticmethod
    def half(x):
        layer = torch.nn.BatchNorm1d(x.shape[1])
        y = layer(torch.tensor(x))
        return tuple(str(v.dtype).removeprefix("torch.") for v in (y, layer.running_var))


class TorchCumulative(Torch):
    convention = TORCH_CUMULATIVE
    chosen = frozenset({"axis", "momentum"})

    @staticmethod
    def defaults():
        return {"epsilon": torch.nn.BatchNorm2d(3).eps}


test_released = released(Torch, TorchCumulative)
