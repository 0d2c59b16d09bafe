"""ONNX's operator BatchNormalization 15: the reference evaluator and onnxruntime."""

import numpy as np

from bnspec.conventions import ONNX

from .check import released
from .layer import Departure, Layer, lost, module, replaced, version

onnx = module("onnx")
reference = module("onnx.reference")
onnxruntime = module("onnxruntime")


def model(training, momentum, epsilon, dtype, state):
    """Return a model of the one operator."""
    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(np.dtype(name)) for name in (dtype, state)}
    outputs = ["y", "mean_out", "var_out"] if training else ["y"]
    attributes = {"epsilon": epsilon, "momentum": momentum} | ({"training_mode": 1} if training else {})
    node = onnx.helper.make_node("BatchNormalization", ["x", "scale", "bias", "mean", "var"], outputs, **attributes)
    named = {name: kinds[dtype] if name in ("x", "y") else kinds[state] for name in (*node.input, *outputs)}
    info = {name: onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in named.items()}
    graph = onnx.helper.make_graph([node], "bn", [info[n] for n in node.input], [info[n] for n in outputs])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=10)


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
        self.options, self.dtype = (momentum, epsilon), dtype
        self.kept = {"scale": gamma, "bias": beta}
        self.kept |= {"mean": np.zeros(len(gamma), gamma.dtype), "var": np.ones(len(gamma), gamma.dtype)}

    def run(self, made, feed):
        return reference.ReferenceEvaluator(made).run(None, feed)

    def train(self, x):
        made = model(True, *self.options, x.dtype.name, self.kept["mean"].dtype.name)
        y, self.kept["mean"], self.kept["var"] = self.run(made, self.kept | {"x": x})
        return y

    def evaluate(self, x):
        return self.run(model(False, *self.options, self.dtype, self.dtype), self.kept | {"x": x})[0]

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
