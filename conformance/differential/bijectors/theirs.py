"""TFP, on TensorFlow and on NumPy."""

from __future__ import annotations

from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from tensorflow_probability.substrates import numpy as tfp_numpy

from bnspec_conformance.bounds import NAIVE
from differential.originals._tf_keras import V2

from .sides import Side, of_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec_conformance.bounds import Grade

    from .draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["THEIRS", "OnNumPy", "OnTensorFlow", "version"]


def version() -> str:
    """Return TFP's release, or refuse what is none."""
    nightly = [each.version for each in distributions() if each.metadata["Name"].replace("_", "-") == "tfp-nightly"]
    if nightly:
        raise ImportError(f"tensorflow_probability must be a release. Got tfp-nightly {nightly[0]} over it: remove it.")
    return f"tensorflow_probability {tfp.__version__}"


class OnTensorFlow(Side):
    """TFP on TensorFlow, eagerly."""

    bijectors, distributions = tfp.bijectors, tfp.distributions

    def array(self, values: Array) -> Any:
        """Return a constant."""
        return tf.constant(values)

    def numpy(self, array: Any) -> Array:
        """Return its value."""
        return np.asarray(array)

    def shape(self, shape: tuple[int, ...]) -> Any:
        """Return a TensorShape."""
        return tf.TensorShape(shape)

    def grade(self, draw: Draw) -> Grade:
        """Return a stranger's, or that of the layer."""
        return NAIVE if draw.case is None else V2.grade(draw.case)

    def normalizer(self, case: Any) -> _Normalizer:
        """Load a layer."""
        return _Normalizer(case)

    def dense(self, x: Any, kernel: Any, bias: Any) -> Any:
        """Contract one axis."""
        return tf.tensordot(x, kernel, 1) + bias

    def activated(self, x: Any, activation: str) -> Any:
        """Take TensorFlow's functions."""
        return tf.tanh(x) if activation == "tanh" else tf.nn.relu(x)

    def shares(self, x: Any) -> Any:
        """Take TensorFlow's softmax."""
        return tf.nn.softmax(x)

    def softplus(self, x: Any) -> Any:
        """Take TensorFlow's function."""
        return tf.math.softplus(x)

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Take TensorFlow's function."""
        return tf.reshape(x, shape)

    def slope(self, function: Callable[[Any], Any], x: Array) -> Any:
        """Differentiate with a tape."""
        given = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(given)
            y = function(given)
        return np.asarray(tape.gradient(y, given))

    def template(self, conditioner: dict[str, Any], units: int) -> Any:
        """Run the template once, which makes its variables, and set these."""
        layers = conditioner["layers"]
        found = tfp.bijectors.real_nvp_default_template(
            [kernel.shape[1] for kernel, _ in layers[:-1]],
            shift_only=conditioner["returns"] == "shift",
            activation={"relu": tf.nn.relu, "tanh": tf.tanh}[conditioner["activation"]],
        )
        found(tf.zeros((1, layers[0][0].shape[0]), layers[0][0].dtype), units)
        _load(found, layers)
        return found

    def autoregression(self, conditioner: dict[str, Any], size: int) -> Any:
        """Build the Keras layer, and set the weights of the dense layers that it is made of."""
        layers, dtype = conditioner["layers"], conditioner["layers"][0][0].dtype
        network = tfp.bijectors.AutoregressiveNetwork(**of_network(conditioner, size), dtype=dtype.name)
        network.build(tf.TensorShape([None, size]))
        dense = [each for each in network._network.layers if isinstance(each, tf_keras.layers.Dense)]  # noqa: SLF001
        # A kernel of the condition has no bias; the names are numbered.
        dense.sort(key=lambda layer: int(f"0{layer.name.rpartition('_')[2]}".removeprefix("0dense") or 0))
        for biased, place in ((True, slice(0, 2)), (False, slice(2, 3))):
            wanted = [layer[place] for layer in layers if layer[-1] is not None or biased]
            for made, values in zip([each for each in dense if each.use_bias is biased], wanted, strict=True):
                made.set_weights(list(values))
        return network

    def autoregressive_template(self, conditioner: dict[str, Any], size: int) -> Any:
        """Run the template once, which makes its variables, and set these."""
        layers = conditioner["layers"]
        found = tfp.bijectors.masked_autoregressive_default_template(
            [layer[0].shape[1] for layer in layers[:-1]],
            shift_only=conditioner["returns"] == "shift",
            activation={"relu": tf.nn.relu, "tanh": tf.tanh}[conditioner["activation"]],
        )
        found(tf.zeros((1, size), layers[0][0].dtype))
        _load(found, layers)
        return found


def _load(template: Any, layers: Any) -> None:
    """Set the variables of a template."""
    variables = sorted(template.variables, key=lambda variable: variable.name)  # dense, dense_1, ..
    for place in (0, 1):
        of_kind = [variable for variable in variables if len(variable.shape) == 2 - place]
        for variable, layer in zip(of_kind, layers, strict=True):
            variable.assign(layer[place])


class _Normalizer:
    """A layer of tf_keras, and the bijectors that hold it."""

    def __init__(self, case: Any) -> None:
        self.held = V2(case)

    def bijector(self, *, training: bool, pair: Any = None) -> Any:
        """Return a bijector; its layer adjusts by a pair."""
        self.held.pair = None if pair is None else tuple(tf.constant(part) for part in pair)
        return tfp.bijectors.BatchNormalization(self.held.layer, training=training)

    def averages(self) -> dict[str, Array]:
        """Return the running averages."""
        return self.held.read()


class OnNumPy(Side):
    """TFP on NumPy, which has no batch normalization and no template."""

    bijectors, distributions = tfp_numpy.bijectors, tfp_numpy.distributions

    def array(self, values: Array) -> Any:
        """Return a copy."""
        return np.array(values)

    def numpy(self, array: Any) -> Array:
        """Return the array."""
        return np.asarray(array)

    def grade(self, draw: Draw) -> Grade:
        """Return a stranger's."""
        return NAIVE

    def dense(self, x: Any, kernel: Any, bias: Any) -> Any:
        """Contract one axis."""
        return np.matmul(x, kernel) + bias

    def activated(self, x: Any, activation: str) -> Any:
        """Take NumPy's functions."""
        return np.tanh(x) if activation == "tanh" else np.maximum(x, np.zeros_like(x))

    def shares(self, x: Any) -> Any:
        """Divide exponentials by their sum."""
        grown = np.exp(x - x.max(axis=-1, keepdims=True))
        return grown / grown.sum(axis=-1, keepdims=True)

    def softplus(self, x: Any) -> Any:
        """Take the logarithm of a sum of exponentials."""
        return np.logaddexp(x, np.zeros_like(x))

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Take NumPy's function."""
        return np.reshape(x, shape)


THEIRS: dict[str, Any] = {"tensorflow": OnTensorFlow, "numpy": OnNumPy}
"""Substrate to side."""
