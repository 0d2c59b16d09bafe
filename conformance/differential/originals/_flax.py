"""flax.linen.BatchNorm and flax.nnx.BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flax
import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bnspec.conventions import FLAX, FLAX_NNX
from bnspec_conformance.bounds import NAIVE, Algorithm

from . import _jax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec.conventions import Convention
    from differential.draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["LINEN", "NNX"]

_FAST = Algorithm("one pass", NAIVE.additions, "one-pass", clipped=True)
_SLOW = Algorithm("two passes", NAIVE.additions, "perturbed")


def _arguments(draw: Draw) -> dict[str, Any]:
    return {
        "axis": draw.options["axis"],
        "momentum": 1.0 - draw.take,  # type: ignore[operator]
        "epsilon": draw.epsilon,
        "use_bias": draw.center,
        "use_scale": draw.scale,
        "use_fast_variance": draw.options["use_fast_variance"],
        "param_dtype": jnp.dtype(draw.dtype),
    }


class _Layer:
    """One layer, made and loaded; `called` is a function of parameters, averages, x and a mask."""

    def __init__(self, draw: Draw) -> None:
        self.params = {k: jnp.asarray(v) for k, v in (("scale", draw.gamma), ("bias", draw.beta)) if v is not None}
        self.averages = {"mean": jnp.asarray(draw.moving_mean), "var": jnp.asarray(draw.moving_variance)}

        def called(params: Any, averages: Any, x: Any, mask: Any, training: bool) -> Any:
            return self.apply(params, averages, x, mask, training)

        def pulled(params: Any, averages: Any, x: Any, mask: Any, cotangent: Any, training: bool) -> Any:
            def forward(params: Any, x: Any) -> Any:
                return called(params, averages, x, mask, training)[0]

            return jax.vjp(forward, params, x)[1](cotangent)

        compiled = draw.options["compiled"]
        self.called = jax.jit(called, static_argnums=4) if compiled else called
        self.pulled = jax.jit(pulled, static_argnums=5) if compiled else pulled

    def apply(self, params: Any, averages: Any, x: Any, mask: Any, training: bool) -> Any:
        """Return the output and the new averages."""
        raise NotImplementedError

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Call in training."""
        mask = None if weights is None else jnp.asarray(weights != 0)
        y, self.averages = self.called(self.params, self.averages, jnp.asarray(x), mask, True)
        return np.asarray(y)

    def evaluate(self, x: Array) -> Array:
        """Call in evaluation."""
        return np.asarray(self.called(self.params, self.averages, jnp.asarray(x), None, False)[0])

    def read(self) -> dict[str, Array]:
        """Return the averages."""
        found = {"moving_mean": self.averages["mean"], "moving_variance": self.averages["var"]}
        return {name: np.asarray(value) for name, value in found.items()}

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Pull the cotangent back."""
        mask = None if weights is None else jnp.asarray(weights != 0)
        given = self.params, self.averages, jnp.asarray(x), mask, jnp.asarray(cotangent), training
        by_params, by_x = self.pulled(*given)
        found = {"x": by_x, "gamma": by_params.get("scale"), "beta": by_params.get("bias")}
        return {name: np.asarray(value) for name, value in found.items() if value is not None}


class _Linen(_Layer):
    def __init__(self, draw: Draw) -> None:
        self.module = flax.linen.BatchNorm(**_arguments(draw))
        super().__init__(draw)
        if draw.fresh:
            x = jnp.zeros(draw.shapes[-1], draw.dtype)
            made = self.module.init(jax.random.PRNGKey(0), x, use_running_average=False)
            self.averages = dict(made["batch_stats"])

    def apply(self, params: Any, averages: Any, x: Any, mask: Any, training: bool) -> Any:
        given = {"params": params, "batch_stats": averages}
        if not training:
            return self.module.apply(given, x, use_running_average=True), averages
        y, after = self.module.apply(given, x, use_running_average=False, mask=mask, mutable=["batch_stats"])
        return y, dict(after["batch_stats"])


class _Nnx(_Layer):
    def __init__(self, draw: Draw) -> None:
        self.arguments = draw.shapes[-1][draw.axis[0]], _arguments(draw)
        super().__init__(draw)
        if draw.fresh:
            made = self._made()
            self.averages = {"mean": made.mean[...], "var": made.var[...]}

    def apply(self, params: Any, averages: Any, x: Any, mask: Any, training: bool) -> Any:
        layer = self._made()  # in the trace that changes it
        for name, value in {**params, **averages}.items():
            getattr(layer, name)[...] = value
        y = layer(x, use_running_average=not training, mask=mask)
        return y, {"mean": layer.mean[...], "var": layer.var[...]}

    def _made(self) -> Any:
        features, arguments = self.arguments
        return nnx.BatchNorm(features, rngs=nnx.Rngs(0), **arguments)


class Flax:
    """One of Flax's two layers.

    Parameters
    ----------
    kind : type
        The class of its layers here.
    followed : Convention
        Its convention.
    """

    version = f"flax {flax.__version__}"
    algorithm = (
        "one pass, mean(x^2) - mean(x)^2, clipped at 0, or with `use_fast_variance=False` two; the output is centred"
    )
    choices: Mapping[str, tuple[Any, ...]] = {
        **_jax.CHOICES,
        "axis": (-1, -1, 1, 0),
        "weights": (False, False, False, True),
        "use_fast_variance": (True, True, False),
    }

    def __init__(self, kind: Any, followed: Convention) -> None:
        self.kind, self.followed = kind, followed

    def mend(self, options: dict[str, Any], random: np.random.Generator) -> None:
        """Give masks to the last axis only, so that every channel has elements."""
        _jax.pooled(options, random)
        if options["axis"] != -1:
            options["weights"] = False

    def convention(self, options: Mapping[str, Any]) -> Convention:
        """Return Flax's."""
        return self.followed

    def grade(self, draw: Draw) -> Algorithm:
        """Return that of the variance that was asked for."""
        return _FAST if draw.options["use_fast_variance"] else _SLOW

    def __call__(self, draw: Draw) -> _Layer:
        """Make a layer."""
        made: _Layer = self.kind(draw)
        return made


LINEN = Flax(_Linen, FLAX)
NNX = Flax(_Nnx, FLAX_NNX)
