"""paddle.nn.BatchNorm1D and 2D."""

import numpy as np
import pytest

from bnspec.conventions import PADDLE

from .check import released
from .layer import Departure, Layer, module, refused, version
from .predictor import Predictor, Quantity
from .scenarios import BATCHES, BETA, EPSILON, GAMMA, SHARE

paddle = module("paddle")

pytestmark = pytest.mark.filterwarnings("ignore:When training, we now always track global mean:UserWarning")


def untouched(predicted):
    """Predict that a batch comes out as it came, and the state is kept."""
    layer = Predictor(PADDLE, "float64", GAMMA, BETA, 1.0 - SHARE, EPSILON)
    layer.train(BATCHES[0])
    x = np.asarray([[2.0, -1.0, 0.5]])
    return {"y": Quantity(x, np.zeros_like(x))} | layer.state()


class Paddle(Layer):
    convention = PADDLE
    library = version("paddlepaddle")
    chosen = frozenset({"axis"})
    departures = {  # noqa: RUF012 - never changed
        "one element": Departure(
            "one element per channel comes out as it came, without gamma and beta, and the state is kept", untouched
        ),
        "half precision": Departure("the CPU refuses half precision", refused("RuntimeError")),
    }

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        kind = paddle.nn.BatchNorm1D if len(shape) == 2 else paddle.nn.BatchNorm2D
        self.layer = kind(shape[1], momentum=momentum, epsilon=epsilon).to(dtype=dtype)
        self.layer.weight.set_value(gamma)
        self.layer.bias.set_value(beta)

    def train(self, x):
        self.layer.train()
        return self.layer(paddle.to_tensor(x)).numpy()

    def evaluate(self, x):
        self.layer.eval()
        return self.layer(paddle.to_tensor(x)).numpy()

    def state(self):
        return self.layer._mean.numpy(), self.layer._variance.numpy()

    @staticmethod
    def defaults():
        layer = paddle.nn.BatchNorm2D(3)
        return {"momentum": layer._momentum, "epsilon": layer._epsilon}

    @staticmethod
    def half(x):
        layer = paddle.nn.BatchNorm1D(3)
        y = layer(paddle.to_tensor(x))
        return tuple(v.numpy().dtype for v in (y, layer._variance))


test_released = released(Paddle)
