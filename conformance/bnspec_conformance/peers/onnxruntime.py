"""ONNX's operator BatchNormalization 15 in onnxruntime."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import ONNX as CONVENTION
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["ONNXRUNTIME", "model"]

_FIRST = "the operator has its channels at axis 1"
_AFFINE = "the operator has a scale and a bias"


def model(training: bool, attributes: Mapping[str, float], dtype: str, state: str) -> Any:
    """Make a model of the one operator.

    Parameters
    ----------
    training : bool
        Its mode, which is written into the model.
    attributes : mapping
        Momentum and epsilon, or none of them.
    dtype, state : str
        That of input and output, and that of parameters and averages.

    Returns
    -------
    onnx.ModelProto
    """
    import onnx  # noqa: PLC0415 - when it is needed

    kinds = {name: onnx.helper.np_dtype_to_tensor_dtype(np.dtype(name)) for name in (dtype, state)}
    outputs = ["y", "mean_out", "var_out"] if training else ["y"]
    mode = {"training_mode": 1} if training else {}
    inputs = ["x", "scale", "bias", "mean", "var"]
    node = onnx.helper.make_node("BatchNormalization", inputs, outputs, **attributes, **mode)
    named = {name: kinds[dtype] if name in ("x", "y") else kinds[state] for name in (*inputs, *outputs)}
    info = {name: onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in named.items()}
    graph = onnx.helper.make_graph([node], "bn", [info[n] for n in inputs], [info[n] for n in outputs])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=10)


@cache
def _session(training: bool, attributes: tuple[tuple[str, float], ...], dtype: str, state: str) -> Any:
    """Make a session of the model, on one thread of the CPU."""
    import onnxruntime  # noqa: PLC0415 - when it is needed

    made = model(training, dict(attributes), dtype, state).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(made, options, providers=["CPUExecutionProvider"])


class OnnxLayer:
    """The operator, with parameters and a state kept for it.

    Parameters
    ----------
    attributes : float
        Momentum and epsilon, or none of them.
    """

    def __init__(self, **attributes: float) -> None:
        self.attributes = tuple(attributes.items())
        self.kept: dict[str, Array] = {}

    def load(self, gamma: Array, beta: Array, moving_mean: Array, moving_variance: Array) -> None:
        """Keep parameters and averages."""
        self.kept = {"scale": gamma, "bias": beta, "mean": moving_mean, "var": moving_variance}

    def __call__(self, x: Array, training: bool) -> Array:
        """Run the operator; in training, keep the averages that it gives."""
        self._require_state()
        session = _session(training, self.attributes, x.dtype.name, self.kept["mean"].dtype.name)
        y, *after = session.run(None, self.kept | {"x": x})
        if training:
            self.kept["mean"], self.kept["var"] = after
        return np.asarray(y)

    def read(self) -> tuple[Array, Array]:
        """Return the averages."""
        self._require_state()
        return self.kept["mean"], self.kept["var"]

    def _require_state(self) -> None:
        if not self.kept:
            raise RuntimeError(message("a state must be loaded", "The operator has none of its own."))


class Onnxruntime:
    """The operator BatchNormalization on the CPU."""

    convention = CONVENTION
    layer = OnnxLayer
    gaps = {  # noqa: RUF012 - never changed
        **dict.fromkeys(("rank 1", "axis 0", "axis -1", "inner axis", "several axes"), _FIRST),
        "bfloat16": "onnxruntime has no bfloat16 on the CPU",
        "momentum=None": "momentum is a number",
        "center=False": _AFFINE,
        "scale=False": _AFFINE,
    }

    def __call__(self, config: Config) -> OnnxLayer:
        """Make the operator with its attributes."""
        return OnnxLayer(momentum=config.momentum, epsilon=config.epsilon)  # type: ignore[arg-type]

    def default(self, shape: tuple[int, ...], dtype: str) -> OnnxLayer:
        """Make the operator without attributes."""
        return OnnxLayer()


ONNXRUNTIME = Onnxruntime()
