"""haiku.BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import HAIKU as CONVENTION

from ._jax import pulled_back, second, without_float64

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["HAIKU"]

_NAMES = ("bn/~/mean_ema", "bn/~/var_ema")


class HaikuLayer:
    """One layer, as a transformed function with its parameters and state.

    Parameters
    ----------
    shape : tuple of int
        That of parameters and averages, which have the rank of the input.
    dtype : str
        That of the input, which parameters and averages have too.
    arguments : dict
        Those of ``haiku.BatchNorm``.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str, arguments: dict[str, Any]) -> None:
        import haiku as hk  # noqa: PLC0415 - when a layer is built

        self.shape, self.dtype = shape, dtype

        def call(x: Any, training: bool) -> Any:
            return hk.BatchNorm(name="bn", **arguments)(x, is_training=training)

        self.function = hk.without_apply_rng(hk.transform_with_state(call))
        self.parameters: dict[str, Any] = {}
        self.state: Any = {}

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        """Set parameters and the averages that evaluation reads; nothing is in the biased ones, and nothing counted."""
        import jax.numpy as jnp  # noqa: PLC0415 - when it is needed

        pairs = {"scale": gamma, "offset": beta}
        self.parameters = {name: self._laid(value) for name, value in pairs.items() if value is not None}
        self.state = {
            name: {
                "counter": jnp.zeros((), jnp.int32),
                "hidden": jnp.zeros(self.shape, value.dtype),
                "average": value,
            }
            for name, value in zip(_NAMES, map(self._laid, (moving_mean, moving_variance)), strict=True)
        }

    def _laid(self, value: Array) -> Any:
        import jax.numpy as jnp  # noqa: PLC0415 - when it is needed

        return jnp.asarray(value.reshape(self.shape)).astype(self.dtype)

    def __call__(self, x: Array, training: bool) -> Array:
        """Call in one of the modes."""
        import jax.numpy as jnp  # noqa: PLC0415 - when it is needed

        y, self.state = self.function.apply({"bn": self.parameters}, self.state, jnp.asarray(x), training)
        return np.array(y)

    def read(self) -> tuple[Array, Array]:
        """Return the averages that evaluation reads."""
        mean, variance = (np.array(self.state[name]["average"]).reshape(-1) for name in _NAMES)
        return mean, variance

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Pull the cotangent back."""

        def forward(x: Any, parameters: Any) -> Any:
            return self.function.apply({"bn": parameters}, self.state, x, training)[0]

        found = pulled_back(forward, x, cotangent, self.parameters)
        names = {"scale": "gamma", "offset": "beta"}
        return {names.get(name, name): v if name == "x" else v.reshape(-1) for name, v in found.items()}

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        """Push a tangent through the gradient."""

        def forward(x: Any) -> Any:
            return self.function.apply({"bn": self.parameters}, self.state, x, True)[0]

        return second(forward, x, cotangent, tangent)


class Haiku:
    """``haiku.BatchNorm``."""

    convention = CONVENTION
    layer = HaikuLayer

    @property
    def gaps(self) -> dict[str, str]:
        """What the layer does not take."""
        gaps = {
            "rank 1": "the layer takes a batch of features",
            "axis 0": "channels are first after the batch, or last",
            "inner axis": "channels are first after the batch, or last",
            "several axes": "its parameters have another shape",
            "momentum=None": "decay_rate is a number",
        }
        return gaps | without_float64()

    def __call__(self, config: Config) -> HaikuLayer:
        """Build a layer, to be loaded."""
        (axis,) = config.axis
        arguments = {
            "create_scale": config.scale,
            "create_offset": config.center,
            "decay_rate": config.momentum,
            "eps": config.epsilon,
            "data_format": "channels_last" if axis == len(config.shape) - 1 else "channels_first",
        }
        shape = tuple(size if number == axis else 1 for number, size in enumerate(config.shape))
        return HaikuLayer(shape, config.dtype, arguments)

    def default(self, shape: tuple[int, ...], dtype: str) -> HaikuLayer:
        """Build a layer that is initialized with a batch of zeros, whose statistics are then its averages.

        The library has no default decay_rate: 0.9 is what ``haiku.nets.ResNet`` documents.
        """
        import jax  # noqa: PLC0415 - when a layer is built

        kept = (*(1 for _ in shape[:-1]), shape[-1])
        layer = HaikuLayer(kept, dtype, {"create_scale": True, "create_offset": True, "decay_rate": 0.9})
        parameters, layer.state = layer.function.init(jax.random.key(0), np.zeros(shape, np.dtype(dtype)), True)
        layer.parameters = dict(parameters["bn"])
        return layer


HAIKU = Haiku()
