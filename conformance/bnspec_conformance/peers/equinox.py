"""equinox.nn.BatchNorm in both modes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import EQUINOX, EQUINOX_BATCH

from ._jax import pulled_back, second, without_float64

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["BATCH", "EMA"]

_FIRST = "channels are the first axis of an example"
_SWITCH = "gamma and beta have one switch, channelwise_affine"


class EquinoxLayer:
    """One layer with its state.

    Parameters
    ----------
    features : int
    arguments : dict
        Those of ``equinox.nn.BatchNorm`` beside the features and the name of the batch.
    """

    def __init__(self, features: int, arguments: dict[str, Any]) -> None:
        import equinox as eqx  # noqa: PLC0415 - when a layer is built

        with warnings.catch_warnings():  # the mode that was left out has a warning
            warnings.simplefilter("ignore")
            self.layer, self.state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(features, "batch", **arguments)

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        """Set parameters, and the averages as they are before the first batch, biased in the mode ``batch``."""
        import equinox as eqx  # noqa: PLC0415 - when it is needed
        import jax.numpy as jnp  # noqa: PLC0415

        layer = self.layer
        if gamma is not None and beta is not None:
            loaded = jnp.asarray(gamma), jnp.asarray(beta)
            self.layer = layer = eqx.tree_at(lambda it: (it.weight, it.bias), layer, loaded)
        averages = jnp.asarray(moving_mean), jnp.asarray(moving_variance)
        if layer.mode == "ema":
            state = self.state.set(layer.ema_first_time_index, jnp.array(True))
            self.state = state.set(layer.ema_state_index, averages)
        else:
            count = self.state.get(layer.batch_counter)
            state = self.state.set(layer.batch_counter, jnp.zeros_like(count))
            self.state = state.set(layer.batch_state_index, averages)

    def _called(self, layer: Any, x: Any, training: bool) -> Any:
        import jax  # noqa: PLC0415 - when it is needed

        def one(x: Any, state: Any) -> Any:
            return layer(x, state, inference=not training)

        return jax.vmap(one, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, self.state)

    def __call__(self, x: Array, training: bool) -> Array:
        """Call on every example of the batch."""
        import jax.numpy as jnp  # noqa: PLC0415 - when it is needed

        y, after = self._called(self.layer, jnp.asarray(x), training)
        if training:
            self.state = after
        return np.array(y)

    def read(self) -> tuple[Array, Array]:
        """Return the averages as evaluation reads them."""
        layer = self.layer
        if layer.mode == "ema":
            mean, variance = self.state.get(layer.ema_state_index)
        else:
            count = int(self.state.get(layer.batch_counter))
            scale = 1 if count == 0 else 1 - layer.momentum**count
            mean, variance = (part / scale for part in self.state.get(layer.batch_state_index))
        return np.array(mean), np.array(variance)

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Pull the cotangent back."""
        import equinox as eqx  # noqa: PLC0415 - when it is needed

        def forward(x: Any, parameters: Any) -> Any:
            layer = self.layer
            if parameters:
                loaded = parameters["gamma"], parameters["beta"]
                layer = eqx.tree_at(lambda it: (it.weight, it.bias), layer, loaded)
            return self._called(layer, x, training)[0]

        affine = {"gamma": self.layer.weight, "beta": self.layer.bias}
        return pulled_back(forward, x, cotangent, affine if self.layer.channelwise_affine else {})

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        """Push a tangent through the gradient."""
        return second(lambda x: self._called(self.layer, x, True)[0], x, cotangent, tangent)


class Equinox:
    """``equinox.nn.BatchNorm``.

    Parameters
    ----------
    mode : {"ema", "batch"}
    convention : Convention
    """

    layer = EquinoxLayer

    def __init__(self, mode: str, convention: Convention) -> None:
        self.mode, self.convention = mode, convention

    @property
    def gaps(self) -> dict[str, str]:
        """What the layer does not take."""
        gaps = {
            **dict.fromkeys(("rank 1", "axis 0", "axis -1", "inner axis", "several axes"), _FIRST),
            "momentum=None": "momentum is a number",
            "center=False": _SWITCH,
            "scale=False": _SWITCH,
        }
        if self.mode == "ema":
            # The state has the dtype of the parameters, and takes no other.
            gaps |= dict.fromkeys(("float16", "bfloat16"), "half precision is refused")
        return gaps | without_float64()

    def __call__(self, config: Config) -> EquinoxLayer:
        """Build a layer; for half precision its parameters are float32."""
        dtype = np.dtype("float64" if config.dtype == "float64" else "float32")
        options = {"eps": config.epsilon, "momentum": config.momentum, "mode": self.mode, "dtype": dtype}
        return EquinoxLayer(config.num_features, options)

    def default(self, shape: tuple[int, ...], dtype: str) -> EquinoxLayer:
        """Build a layer from the number of features and the mode; its dtype is float32, not that of JAX_ENABLE_X64."""
        return EquinoxLayer(shape[1], {"mode": self.mode, "dtype": np.dtype("float32")})


EMA = Equinox("ema", EQUINOX)
BATCH = Equinox("batch", EQUINOX_BATCH)
