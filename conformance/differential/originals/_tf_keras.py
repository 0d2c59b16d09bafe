"""tf_keras: both versions of its layer, with and without the fused kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras.src.layers.normalization import batch_normalization_v1

from bnspec.conventions import TF_FUSED, TF_KERAS, TF_KERAS_FUSED, TF_LAYERS
from bnspec_conformance.bounds import NAIVE, Algorithm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec.conventions import Convention
    from differential.draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["V1", "V2"]

_PLAIN = Algorithm("two passes, folded", NAIVE.additions, "perturbed", folded="everywhere", coarse=True)
_FUSED = Algorithm("fused kernel", NAIVE.additions, "perturbed")


class _Layer:
    """One layer, made and loaded."""

    def __init__(self, draw: Draw, kind: Any) -> None:
        options = draw.options
        arguments: dict[str, Any] = {}
        if draw.renorm is not None:
            limits = {name: getattr(draw.renorm, name) for name in ("rmin", "rmax", "dmax")}
            clipping = {name: value for name, value in limits.items() if value not in (0.0, np.inf)}
            arguments = {"renorm": True, "renorm_clipping": clipping}
            arguments["renorm_momentum"] = 1.0 - draw.renorm.momentum
        if options["adjustment"]:
            arguments["adjustment"] = lambda _: self.pair
        if options["fused"] is not None:
            arguments["fused"] = options["fused"]
        self.axis = options["axis"]
        self.layer = kind(
            axis=list(self.axis) if isinstance(self.axis, list) else self.axis,
            momentum=1.0 - draw.take,  # type: ignore[operator]
            epsilon=draw.epsilon,
            center=draw.center,
            scale=draw.scale,
            virtual_batch_size=draw.ghosts,
            trainable=options["trainable"],
            dtype=draw.dtype,
            **arguments,
        )
        self.layer.build(tf.TensorShape([None if draw.ghosts else draw.shapes[-1][0], *draw.shapes[-1][1:]]))
        self.pair: Any = None
        pairs = [(self.layer.gamma, draw.gamma), (self.layer.beta, draw.beta)]
        if not draw.fresh:
            pairs += [(self.layer.moving_mean, draw.moving_mean), (self.layer.moving_variance, draw.moving_variance)]
            if draw.renorm is not None:
                names = ("moving_stddev", "renorm_mean", "renorm_stddev")
                pairs += zip((getattr(self.layer, name) for name in names), draw.renorm_state, strict=True)
        for variable, value in pairs:
            if variable is not None:
                assert value is not None  # noqa: S101 - narrows the type
                variable.assign(value.reshape(variable.shape))
        self.names = ["moving_mean", "moving_variance"]
        if draw.renorm is not None:
            self.names += ["moving_stddev", "renorm_mean", "renorm_stddev"]

    def _call(self, x: Any, training: bool, weights: Array | None, adjustment: Any) -> Any:
        if adjustment is not None:
            self.pair = tuple(tf.constant(part) for part in adjustment)
        mask = None if weights is None else tf.constant(weights[..., 0] != 0)
        return self.layer(x, training=training, mask=mask)

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Call in training."""
        found: Array = self._call(tf.constant(x), True, weights, adjustment).numpy()
        return found

    def evaluate(self, x: Array) -> Array:
        """Call in evaluation."""
        found: Array = self.layer(tf.constant(x), training=False).numpy()
        return found

    def read(self) -> dict[str, Array]:
        """Return the averages."""
        return {name: getattr(self.layer, name).numpy() for name in self.names}

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Differentiate with a tape."""
        given = {"x": tf.constant(x), "gamma": self.layer.gamma, "beta": self.layer.beta}
        given = {name: value for name, value in given.items() if value is not None}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(given.values()))
            y = self._call(given["x"], training, weights, adjustment)
        found = tape.gradient(y, list(given.values()), output_gradients=tf.constant(cotangent))
        return {name: value.numpy() for name, value in zip(given, found, strict=True)}


class TfKeras:
    """``tf_keras.layers.BatchNormalization``.

    Parameters
    ----------
    kind : type
        The layer's class.
    conventions : pair of Convention
        Without and with the fused kernel.
    """

    version = f"tf_keras {tf_keras.__version__}"
    algorithm = (
        "two passes (`tf.nn.moments`), the mean folded into the offset (`tf.nn.batch_normalization`), "
        "the share of a batch rounded to float32; on ranks 4 and 5 the fused kernel, which centres"
    )
    choices: Mapping[str, tuple[Any, ...]] = {
        "axis": (-1, -1, 1, 0, "list"),
        "trainable": (True, True, True, False),
        "renorm": (False, False, True),
        "renorm_clipping": ("none", "all", "dmax"),
        "renorm_momentum": ("default", "drawn"),
        "fused": (None, None, False, True),
        "virtual_batch_size": (None, None, None, 1, 2, 4),
        "adjustment": (False, False, True),
        "weights": (False, False, False, True),
    }

    def __init__(self, kind: Any, conventions: tuple[Convention, Convention]) -> None:
        self.kind, self.conventions = kind, conventions

    def mend(self, options: dict[str, Any], random: np.random.Generator) -> None:
        """Leave out what the layer refuses, and what its documentation does not put together."""
        rank = options["rank"]
        if options["axis"] == "list":
            several = sorted(int(a) for a in random.permutation(range(1, rank))[: min(2, rank - 1)])
            options["axis"] = several
        if options["axis"] == 0 or options["axis"] == [0]:
            options["virtual_batch_size"] = None
        if options["renorm"] is False:
            options["renorm_clipping"] = options["renorm_momentum"] = "none"
        if options["virtual_batch_size"] is not None:
            options["adjustment"] = options["weights"] = False
        if options["adjustment"] and options["data"] == "empty":
            options["adjustment"] = False
        if options["fused"] and not self._can_fuse(options):
            options["fused"] = None
        if options["weights"] and (options["axis"] not in (-1, [rank - 1]) or self._fuses(options)):
            options["weights"] = False

    def _can_fuse(self, options: Mapping[str, Any]) -> bool:
        axis, rank = options["axis"], options["rank"]
        if isinstance(axis, list):
            if len(axis) > 1:
                return False
            axis = axis[0]
        other = options["renorm"] or options["adjustment"] or options["virtual_batch_size"] is not None
        return rank in (4, 5) and axis % rank in (1, rank - 1) and not other and options["dtype"] == "float32"

    def _fuses(self, options: Mapping[str, Any]) -> bool:
        return options["fused"] is not False and self._can_fuse(options)

    def convention(self, options: Mapping[str, Any]) -> Convention:
        """Return that of the kernel that the layer chooses."""
        return self.conventions[self._fuses(options)]

    def grade(self, draw: Draw) -> Algorithm:
        """Return that of the kernel that the layer chooses."""
        return _FUSED if self._fuses(draw.options) else _PLAIN

    def __call__(self, draw: Draw) -> _Layer:
        """Make a layer."""
        return _Layer(draw, self.kind)


V2 = TfKeras(tf_keras.layers.BatchNormalization, (TF_KERAS, TF_KERAS_FUSED))
V1 = TfKeras(batch_normalization_v1.BatchNormalization, (TF_LAYERS, TF_FUSED))
