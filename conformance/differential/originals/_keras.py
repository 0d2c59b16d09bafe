"""keras.layers.BatchNormalization on the backend that Keras has chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from bnspec.conventions import KERAS as CONVENTION
from bnspec_conformance.bounds import NAIVE, Algorithm

from . import _jax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec.conventions import Convention
    from differential.draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["KERAS"]

_FOLDED = Algorithm("two passes, folded", NAIVE.additions, "perturbed", folded="everywhere")
_ONE_PASS = Algorithm("one pass", NAIVE.additions, "one-pass")
_CENTRED = Algorithm("two passes", NAIVE.additions, "perturbed")
_BACKEND = keras.backend.backend()


class _Layer:
    """One layer, made and loaded."""

    def __init__(self, draw: Draw) -> None:
        arguments: dict[str, Any] = {}
        self.names = ["moving_mean", "moving_variance"]
        if draw.renorm is not None:
            limits = {name: getattr(draw.renorm, name) for name in ("rmin", "rmax", "dmax")}
            clipping = {name: value for name, value in limits.items() if value not in (0.0, np.inf)}
            arguments = {"renorm": True, "renorm_clipping": clipping}
            arguments["renorm_momentum"] = 1.0 - draw.renorm.momentum
            self.names += ["moving_stddev", "renorm_mean", "renorm_stddev"]
        self.layer = keras.layers.BatchNormalization(
            axis=draw.options["axis"],
            momentum=1.0 - draw.take,  # type: ignore[operator]
            epsilon=draw.epsilon,
            center=draw.center,
            scale=draw.scale,
            dtype=draw.dtype,
            **arguments,
        )
        self.compiled = draw.options["compiled"]
        self.layer.build(draw.shapes[-1])
        self.layer.trainable = draw.options["trainable"]
        pairs = {"gamma": draw.gamma, "beta": draw.beta}
        if not draw.fresh:
            pairs |= {"moving_mean": draw.moving_mean, "moving_variance": draw.moving_variance}
            pairs |= dict(zip(self.names[2:], draw.renorm_state if draw.renorm else (), strict=True))
        for name, value in pairs.items():
            if value is not None:
                getattr(self.layer, name).assign(value)

    def _options(self, training: bool, weights: Array | None) -> dict[str, Any]:
        options: dict[str, Any] = {"training": training}
        if weights is not None:
            options["mask"] = keras.ops.convert_to_tensor(weights[..., 0] != 0)
        return options

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Call in training."""
        return self._called(x, self._options(True, weights))

    def evaluate(self, x: Array) -> Array:
        """Call in evaluation."""
        return self._called(x, self._options(False, None))

    def _called(self, x: Array, options: dict[str, Any]) -> Array:
        """Call; compiled, if the draw says so, as training with Keras is."""
        given = keras.ops.convert_to_tensor(x)
        if _BACKEND != "jax" or not self.compiled:
            return np.asarray(
                keras.ops.convert_to_numpy(
                    self.layer(given, **options).detach() if _BACKEND == "torch" else self.layer(given, **options)
                )
            )
        import jax  # noqa: PLC0415 - not there with other backends

        @jax.jit
        def called(x: Any, parameters: Any, averages: Any) -> Any:
            return self.layer.stateless_call(parameters, averages, x, **options)

        variables = self.layer.trainable_variables, self.layer.non_trainable_variables
        y, after = called(given, *([v.value for v in part] for part in variables))
        for variable, value in zip(variables[1], after, strict=True):
            variable.assign(value)
        return np.asarray(y)

    def read(self) -> dict[str, Array]:
        """Return the averages."""
        return {name: np.array(keras.ops.convert_to_numpy(getattr(self.layer, name).value)) for name in self.names}

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Differentiate by the framework below."""
        options = self._options(training, weights)
        parameters = {"gamma": self.layer.gamma, "beta": self.layer.beta}
        parameters = {name: value for name, value in parameters.items() if value is not None}
        if _BACKEND == "jax":
            found = _with_jax(self.layer, parameters, x, cotangent, options, compiled=self.compiled)
        else:
            found = _DIFFERENTIATE[_BACKEND](self.layer, parameters, x, cotangent, options)
        return {
            name: np.asarray(keras.ops.convert_to_numpy(value)) for name, value in found.items() if value is not None
        }


def _with_jax(
    layer: Any, parameters: dict[str, Any], x: Array, cotangent: Array, options: Any, *, compiled: bool
) -> dict[str, Any]:
    import jax  # noqa: PLC0415 - not there with other backends

    def pulled(x: Any, values: dict[str, Any], cotangent: Any) -> Any:
        def called(x: Any, values: dict[str, Any]) -> Any:
            # In a frozen layer, its parameters are among what is not trained.
            given = {id(parameters[name]): value for name, value in values.items()}
            parts = layer.trainable_variables, layer.non_trainable_variables
            return layer.stateless_call(*([given.get(id(v), v.value) for v in part] for part in parts), x, **options)[0]

        return jax.vjp(called, x, values)[1](cotangent)

    by_x, by_values = (jax.jit(pulled) if compiled else pulled)(
        keras.ops.convert_to_tensor(x),
        {name: variable.value for name, variable in parameters.items()},
        keras.ops.convert_to_tensor(cotangent),
    )
    return {"x": by_x, **by_values}


def _with_torch(layer: Any, parameters: dict[str, Any], x: Array, cotangent: Array, options: Any) -> dict[str, Any]:
    given = keras.ops.convert_to_tensor(x).requires_grad_()
    layer(given, **options).backward(keras.ops.convert_to_tensor(cotangent))
    return {"x": given.grad, **{name: variable.value.grad for name, variable in parameters.items()}}


def _with_tensorflow(
    layer: Any, parameters: dict[str, Any], x: Array, cotangent: Array, options: Any
) -> dict[str, Any]:
    import tensorflow as tf  # noqa: PLC0415 - not there with other backends

    given = {"x": tf.constant(x), **{name: variable.value for name, variable in parameters.items()}}
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(given.values()))
        y = layer(given["x"], **options)
    found = tape.gradient(y, list(given.values()), output_gradients=tf.constant(cotangent))
    return dict(zip(given, found, strict=True))


_DIFFERENTIATE = {"torch": _with_torch, "tensorflow": _with_tensorflow}


class Keras:
    """``keras.layers.BatchNormalization``."""

    version = f"keras {keras.__version__}"
    algorithm = {
        "tensorflow": "two passes (`tf.nn.moments`), the mean folded into the offset (`tf.nn.batch_normalization`)",
        "jax": "two passes (`jnp.var`), the mean folded into the offset",
        "torch": "one pass, mean(x^2) - mean(x)^2, not clipped, and two with a mask; the output is centred",
    }[_BACKEND]
    choices: Mapping[str, tuple[Any, ...]] = {
        "axis": (-1, -1, 1, 0),
        "trainable": (True, True, True, False),
        "renorm": (False, False, True),
        "renorm_clipping": ("none", "all", "dmax"),
        "renorm_momentum": ("default", "drawn"),
        "weights": (False, False, False, True),
        # Only TensorFlow's has float64; see the known failures.
        "dtype": ("float32", "float32", "float64") if _BACKEND == "tensorflow" else (*("float32",) * 7, "float64"),
        **(_jax.CHOICES if _BACKEND == "jax" else {}),
    }

    def mend(self, options: dict[str, Any], random: np.random.Generator) -> None:
        """Give masks to the last axis only: they have the input's shape without it."""
        if _BACKEND == "jax":
            _jax.pooled(options, random)
        if options["renorm"] is False:
            options["renorm_clipping"] = options["renorm_momentum"] = "none"
        if options["axis"] != -1:
            options["weights"] = False

    def convention(self, options: Mapping[str, Any]) -> Convention:
        """Return KERAS."""
        return CONVENTION

    def grade(self, draw: Draw) -> Algorithm:
        """Return that of the backend, which a mask does not use for the statistics."""
        if _BACKEND != "torch":
            return _FOLDED
        return _CENTRED if draw.options["weights"] else _ONE_PASS

    def __call__(self, draw: Draw) -> _Layer:
        """Make a layer."""
        return _Layer(draw)


KERAS = Keras()
