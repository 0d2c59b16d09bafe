"""nflows.transforms.BatchNorm."""

import inspect

import numpy as np

from bnspec.conventions import NFLOWS
from bnspec_conformance.check import Isolation, Request, check

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


def test_what_it_cannot_be_given_is_skipped_under_check():
    with Isolation() as isolation:
        found = check(Request("bnspec_conformance.peers.nflows:NFLOWS", None, "naive"), isolation, explained=0)
    reasons = found["skips"]["bnspec_conformance.peers.nflows:NFLOWS"]
    assert reasons["any gamma: gamma is softplus(u) + epsilon"] > 50
    assert found["summary"]["passed"] > 5
    # It forms the statistics of float16 in float16. Nothing else that it can be given is wrong.
    failed = {(trial["law"], trial["case"]) for trial in found["trials"] if trial["outcome"] == "failed"}
    assert failed == {(law, "float16-large") for law in ("accumulation_and_output", "gradients_of_each_dtype")}
