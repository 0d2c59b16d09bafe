"""flax.linen.BatchNorm and flax.nnx.BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import FLAX, FLAX_NNX

from ._jax import pulled_back, second, without_float64

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["LINEN", "NNX"]

_MASK = "a mask is boolean"


class FlaxLayer:
    """One layer, as a function of its parameters and averages.

    Parameters
    ----------
    apply : callable
        Maps parameters, averages, x, a mask or None, and the mode to the output and the new averages.
    parameters, averages : dict of array
        By Flax's names.
    """

    def __init__(self, apply: Any, parameters: dict[str, Any], averages: dict[str, Any]) -> None:
        self.apply, self.parameters, self.averages = apply, parameters, averages

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        """Keep parameters and averages."""
        import jax.numpy as jnp  # noqa: PLC0415 - when it is needed

        pairs = {"scale": gamma, "bias": beta}
        self.parameters = {name: jnp.asarray(value) for name, value in pairs.items() if value is not None}
        self.averages = {"mean": jnp.asarray(moving_mean), "var": jnp.asarray(moving_variance)}

    def __call__(self, x: Array, training: bool) -> Array:
        """Call in one of the modes."""
        return self._called(x, None, training)

    def weighted(self, x: Array, weights: Array) -> Array:
        """Call in training with a mask of what has any weight."""
        return self._called(x, np.broadcast_to(weights != 0, x.shape), True)

    def _called(self, x: Array, mask: Any, training: bool) -> Array:
        import jax.numpy as jnp  # noqa: PLC0415 - when it is needed

        y, self.averages = self.apply(self.parameters, self.averages, jnp.asarray(x), mask, training)
        return np.array(y)

    def read(self) -> tuple[Array, Array]:
        """Return the averages."""
        return np.array(self.averages["mean"]), np.array(self.averages["var"])

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Pull the cotangent back."""

        def forward(x: Any, parameters: Any) -> Any:
            return self.apply(parameters, self.averages, x, None, training)[0]

        found = pulled_back(forward, x, cotangent, self.parameters)
        return {{"scale": "gamma", "bias": "beta"}.get(name, name): value for name, value in found.items()}

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        """Push a tangent through the gradient."""
        return second(lambda x: self.apply(self.parameters, self.averages, x, None, True)[0], x, cotangent, tangent)


class Flax:
    """What both layers have in common."""

    layer = FlaxLayer

    @property
    def gaps(self) -> dict[str, str]:
        """What the layers do not take."""
        gaps = {
            "rank 1": "the layer takes a batch of features",
            "several axes": "its parameters have another shape",
            "momentum=None": "momentum is a number",
            "weighted": _MASK,
            "weighted_gradients": _MASK,
        }
        return gaps | without_float64()

    @staticmethod
    def arguments(config: Config) -> dict[str, Any]:
        """Return what a layer is made with; for half precision its parameters are float32."""
        return {
            "axis": config.axis[0],
            "momentum": config.momentum,
            "epsilon": config.epsilon,
            "use_bias": config.center,
            "use_scale": config.scale,
            "param_dtype": np.dtype("float64" if config.dtype == "float64" else "float32"),
        }


class Linen(Flax):
    """``flax.linen.BatchNorm``."""

    convention = FLAX

    def __call__(self, config: Config) -> FlaxLayer:
        """Build a layer, to be loaded."""
        return FlaxLayer(self._of(self.arguments(config)), {}, {})

    def default(self, shape: tuple[int, ...], dtype: str) -> FlaxLayer:
        """Build a layer that is initialized with zeros of the shape."""
        import jax  # noqa: PLC0415 - when a layer is built
        from flax import linen  # noqa: PLC0415

        zeros = np.zeros(shape, np.dtype(dtype))
        made = linen.BatchNorm().init(jax.random.key(0), zeros, use_running_average=True)
        return FlaxLayer(self._of({}), dict(made["params"]), dict(made["batch_stats"]))

    @staticmethod
    def _of(arguments: dict[str, Any]) -> Any:
        from flax import linen  # noqa: PLC0415 - when a layer is built

        module = linen.BatchNorm(**arguments)

        def apply(parameters: Any, averages: Any, x: Any, mask: Any, training: bool) -> Any:
            given = {"params": parameters, "batch_stats": averages}
            if not training:
                return module.apply(given, x, use_running_average=True), averages
            y, after = module.apply(given, x, use_running_average=False, mask=mask, mutable=["batch_stats"])
            return y, dict(after["batch_stats"])

        return apply


class Nnx(Flax):
    """``flax.nnx.BatchNorm``."""

    convention = FLAX_NNX

    def __call__(self, config: Config) -> FlaxLayer:
        """Build a layer, to be loaded."""
        return FlaxLayer(self._of(config.num_features, self.arguments(config)), {}, {})

    def default(self, shape: tuple[int, ...], dtype: str) -> FlaxLayer:
        """Build a layer from the number of features."""
        from flax import nnx  # noqa: PLC0415 - when a layer is built

        made = nnx.BatchNorm(shape[-1], rngs=nnx.Rngs(0))
        parameters = {"scale": made.scale[...], "bias": made.bias[...]}
        return FlaxLayer(self._of(shape[-1], {}), parameters, {"mean": made.mean[...], "var": made.var[...]})

    @staticmethod
    def _of(features: int, arguments: dict[str, Any]) -> Any:
        from flax import nnx  # noqa: PLC0415 - when a layer is built

        def apply(parameters: Any, averages: Any, x: Any, mask: Any, training: bool) -> Any:
            layer = nnx.BatchNorm(features, rngs=nnx.Rngs(0), **arguments)  # in the trace that changes it
            for name, value in {**parameters, **averages}.items():
                # An assignment to [...] would round float64 averages to float32.
                getattr(layer, name).set_value(value)
            y = layer(x, use_running_average=not training, mask=mask)
            return y, {"mean": layer.mean[...], "var": layer.var[...]}

        return apply


LINEN = Linen()
NNX = Nnx()
