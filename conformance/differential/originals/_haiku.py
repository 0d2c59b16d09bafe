"""haiku.BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from bnspec.conventions import HAIKU as CONVENTION
from bnspec_conformance.bounds import NAIVE, Algorithm

from . import _jax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec.conventions import Convention
    from differential.draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["HAIKU"]

_GRADE = Algorithm("one pass, quotient", NAIVE.additions, "one-pass", quotient=True)


class _Layer:
    """One layer, made and loaded."""

    def __init__(self, draw: Draw) -> None:
        def forward(x: Any, training: bool) -> Any:
            layer = hk.BatchNorm(
                draw.scale,
                draw.center,
                decay_rate=1.0 - draw.take,  # type: ignore[operator]
                eps=draw.epsilon,
                data_format="channels_last" if draw.options["axis"] == -1 else "channels_first",
                name="bn",
            )
            return layer(x, is_training=training)

        apply = hk.without_apply_rng(hk.transform_with_state(forward)).apply

        def pulled(params: Any, state: Any, x: Any, cotangent: Any, training: bool) -> Any:
            return jax.vjp(lambda p, x: apply(p, state, x, training)[0], params, x)[1](cotangent)

        compiled = draw.options["compiled"]
        self.apply = jax.jit(apply, static_argnums=3) if compiled else apply
        self.pulled = jax.jit(pulled, static_argnums=4) if compiled else pulled
        rank = draw.options["rank"]
        self.shape = tuple(size if a in draw.axis else 1 for a, size in enumerate(draw.shapes[-1]))
        named = {"scale": draw.gamma, "offset": draw.beta}
        self.params = {"bn": {name: jnp.asarray(v.reshape(self.shape)) for name, v in named.items() if v is not None}}
        assert rank == len(self.shape)  # noqa: S101 - the layer keeps statistics of the input's rank
        zero = jnp.zeros(self.shape, draw.dtype)
        empty = {"counter": jnp.zeros((), jnp.int32), "hidden": zero, "average": zero}
        self.state: Any = {"bn/~/mean_ema": dict(empty), "bn/~/var_ema": dict(empty)}

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Call in training."""
        y, self.state = self.apply(self.params, self.state, jnp.asarray(x), True)
        return np.asarray(y)

    def evaluate(self, x: Array) -> Array:
        """Call in evaluation."""
        return np.asarray(self.apply(self.params, self.state, jnp.asarray(x), False)[0])

    def read(self) -> dict[str, Array]:
        """Return the averages as evaluation reads them."""
        names = {"moving_mean": "bn/~/mean_ema", "moving_variance": "bn/~/var_ema"}
        return {name: np.asarray(self.state[key]["average"]) for name, key in names.items()}

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Pull the cotangent back; in training only, as evaluation has no averages before it."""
        if not training:
            return {}
        by_params, by_x = self.pulled(self.params, self.state, jnp.asarray(x), jnp.asarray(cotangent), training)
        by = by_params.get("bn", {})
        found = {"x": by_x, "gamma": by.get("scale"), "beta": by.get("offset")}
        return {name: np.asarray(value) for name, value in found.items() if value is not None}


class Haiku:
    """``haiku.BatchNorm``."""

    version = f"dm-haiku {hk.__version__}"
    algorithm = "one pass, mean(x^2) - mean(x)^2, not clipped; the output is centred; averages are biased, and divided"
    choices: Mapping[str, tuple[Any, ...]] = {
        **_jax.CHOICES,
        "axis": (-1, 1),
        # Its averages document a decay below 1.
        "momentum": ("default", "drawn", "drawn", "take-all"),
        "state": ("fresh",),
    }

    def mend(self, options: dict[str, Any], random: np.random.Generator) -> None:
        """Choose the shape; everything goes together."""
        _jax.pooled(options, random)

    def convention(self, options: Mapping[str, Any]) -> Convention:
        """Return HAIKU."""
        return CONVENTION

    def grade(self, draw: Draw) -> Algorithm:
        """Return the only one."""
        return _GRADE

    def __call__(self, draw: Draw) -> _Layer:
        """Make a layer."""
        return _Layer(draw)


HAIKU = Haiku()
