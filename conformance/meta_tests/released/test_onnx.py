"""ONNX's operator BatchNormalization 15: the reference evaluator and onnxruntime."""

import numpy as np

from bnspec.conventions import ONNX
from bnspec_conformance.peers.onnxruntime import model

from .check import released
from .layer import Departure, Layer, lost, module, replaced, version

onnx = module("onnx")
reference = module("onnx.reference")
onnxruntime = module("onnxruntime")


class Reference(Layer):
    convention = ONNX
    library = f"{version('onnx')}, reference evaluator"
    chosen = frozenset({"axis"})
    # It gives the initial state to the operator.
    departures = {  # noqa: RUF012 - never changed
        "empty batch": Departure("running statistics of an empty batch are NaN", lost("mean", "variance")),
        "half precision": Departure(
            "running statistics have the dtype of the input, whatever is declared", replaced(state="float16")
        ),
    }

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        self.options, self.dtype = {"momentum": momentum, "epsilon": epsilon}, dtype
        self.kept = {"scale": gamma, "bias": beta}
        self.kept |= {"mean": np.zeros(len(gamma), gamma.dtype), "var": np.ones(len(gamma), gamma.dtype)}

    def run(self, made, feed):
        return reference.ReferenceEvaluator(made).run(None, feed)

    def train(self, x):
        made = model(True, self.options, x.dtype.name, self.kept["mean"].dtype.name)
        y, self.kept["mean"], self.kept["var"] = self.run(made, self.kept | {"x": x})
        return y

    def evaluate(self, x):
        return self.run(model(False, self.options, self.dtype, self.dtype), self.kept | {"x": x})[0]

    def state(self):
        return self.kept["mean"], self.kept["var"]

    @staticmethod
    def defaults():
        attributes = onnx.defs.get_schema("BatchNormalization", 15).attributes
        return {name: np.float32(attributes[name].default_value.f) for name in ("momentum", "epsilon")}

    @classmethod
    def half(cls, x):
        layer = cls(x.shape, np.ones(3, np.float32), np.zeros(3, np.float32), 0.9, 1e-5, "float32")
        return layer.train(x).dtype, layer.state()[1].dtype


class Runtime(Reference):
    library = version("onnxruntime")
    departures = {  # noqa: RUF012 - never changed
        "empty batch": Departure("running statistics of an empty batch are NaN", lost("mean", "variance")),
    }

    def run(self, made, feed):
        session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, feed)


test_released = released(Reference, Runtime)
