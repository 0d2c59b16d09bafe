"""equinox.nn.BatchNorm in both modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bnspec.conventions import EQUINOX, EQUINOX_BATCH
from bnspec_conformance.bounds import NAIVE, Algorithm

from . import _jax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec.conventions import Convention
    from differential.draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["BATCH", "EMA"]

_EMA = Algorithm("two passes", NAIVE.additions, "perturbed", clipped=True)
_BATCH = Algorithm("two passes, quotient", NAIVE.additions, "perturbed", clipped=True, quotient=True)


class _Layer:
    """One layer, made and loaded."""

    def __init__(self, draw: Draw, mode: Any) -> None:
        dtype = jnp.dtype(draw.dtype)
        self.momentum = 1.0 - draw.take  # type: ignore[operator]
        self.mode = mode
        layer, self.state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(
            draw.shapes[-1][1],
            axis_name="batch",
            eps=draw.epsilon,
            channelwise_affine=draw.center or draw.scale,
            momentum=self.momentum,
            dtype=dtype,
            mode=mode,
        )
        if draw.gamma is not None:
            loaded = jnp.asarray(draw.gamma), jnp.asarray(draw.beta)
            layer = eqx.tree_at(lambda it: (it.weight, it.bias), layer, loaded)
        if draw.options["state"] == "cleared":
            none = jnp.zeros((draw.shapes[-1][1],), dtype)
            self.state = self.state.set(layer.batch_state_index, (none, none))
        self.layer = layer

        def called(layer: Any, state: Any, x: Any, training: bool) -> Any:
            def one(x: Any, state: Any) -> Any:
                return layer(x, state, inference=not training)

            return jax.vmap(one, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)

        def pulled(layer: Any, state: Any, x: Any, cotangent: Any, training: bool) -> Any:
            return eqx.filter_vjp(lambda it, x: called(it, state, x, training)[0], layer, x)[1](cotangent)

        compiled = draw.options["compiled"]
        self.called: Any = eqx.filter_jit(called) if compiled else called
        self.pulled: Any = eqx.filter_jit(pulled) if compiled else pulled

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Call in training."""
        y, self.state = self.called(self.layer, self.state, jnp.asarray(x), True)
        return np.asarray(y)

    def evaluate(self, x: Array) -> Array:
        """Call in evaluation."""
        return np.asarray(self.called(self.layer, self.state, jnp.asarray(x), False)[0])

    def read(self) -> dict[str, Array]:
        """Return the averages as evaluation reads them."""
        if self.mode == "ema":
            mean, variance = self.state.get(self.layer.ema_state_index)
        else:
            count = self.state.get(self.layer.batch_counter)
            scale = jnp.where(count == 0, 1, 1 - self.momentum**count)
            mean, variance = (part / scale for part in self.state.get(self.layer.batch_state_index))
        return {"moving_mean": np.asarray(mean), "moving_variance": np.asarray(variance)}

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Pull the cotangent back; in training only, as evaluation has no averages before it."""
        if not training:
            return {}
        by_layer, by_x = self.pulled(self.layer, self.state, jnp.asarray(x), jnp.asarray(cotangent), training)
        found = {"x": by_x, "gamma": by_layer.weight, "beta": by_layer.bias}
        return {name: np.asarray(value) for name, value in found.items() if value is not None}


class Equinox:
    """One mode of ``equinox.nn.BatchNorm``."""

    version = f"equinox {eqx.__version__}"

    def __init__(self, mode: str, followed: Convention, grade: Algorithm) -> None:
        self.mode, self.followed, self.algorithm_grade = mode, followed, grade
        self.algorithm = "two passes; the output is centred"
        self.choices: Mapping[str, tuple[Any, ...]] = {
            **_jax.CHOICES,
            "axis": (1,),
            "state": ("fresh",),
        }
        if mode == "batch":
            self.algorithm += "; averages are biased, and divided"
            # 1 - 1^n is 0; and where its own initial state spoils the variance, nothing else could be seen.
            momenta = ("default", "drawn", "drawn", "take-all")
            self.choices = {**self.choices, "momentum": momenta, "state": ("fresh", "cleared", "cleared")}

    def mend(self, options: dict[str, Any], random: np.random.Generator) -> None:
        """Gamma and beta have one switch."""
        _jax.pooled(options, random)
        options["scale"] = options["center"]

    def convention(self, options: Mapping[str, Any]) -> Convention:
        """Return that of the mode."""
        return self.followed

    def grade(self, draw: Draw) -> Algorithm:
        """Return that of the mode."""
        return self.algorithm_grade

    def __call__(self, draw: Draw) -> _Layer:
        """Make a layer."""
        return _Layer(draw, self.mode)


EMA = Equinox("ema", EQUINOX, _EMA)
BATCH = Equinox("batch", EQUINOX_BATCH, _BATCH)
