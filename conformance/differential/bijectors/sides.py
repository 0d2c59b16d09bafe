"""Both sides: what makes objects of parts, and turns arrays into theirs and back."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

import bnspec
import bnspec.bijectors
import bnspec.distributions
from bnspec.arrays import common_namespace
from bnspec.layers import BatchNormalization
from bnspec_conformance.bounds import DEFINITION
from bnspec_conformance.definition import receive, send

from .autoregressive import masks_of
from .part import DISTRIBUTIONS
from .spline import KNOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec_conformance.bounds import Grade

    from .draw import Draw
    from .part import Part

    Array = np.ndarray[Any, Any]

__all__ = ["Ours", "Side", "of_network"]


class Side:
    """A library. A subclass says what its arrays are."""

    bijectors: Any
    distributions: Any

    def context(self) -> Any:
        """Return what everything runs in."""
        return nullcontext()

    def array(self, values: Array) -> Any:
        """Return an array of the library; a new one each time."""
        raise NotImplementedError

    def numpy(self, array: Any) -> Array:
        """Return an array of NumPy."""
        raise NotImplementedError

    def shape(self, shape: tuple[int, ...]) -> Any:
        """Return a static shape."""
        return shape

    def grade(self, draw: Draw) -> Grade:
        """Return the grade of the bounds that it is held to."""
        raise NotImplementedError

    def dense(self, x: Any, kernel: Any, bias: Any) -> Any:
        """Return x @ kernel + bias."""
        raise NotImplementedError

    def activated(self, x: Any, activation: str) -> Any:
        """Apply an activation."""
        raise NotImplementedError

    def shares(self, x: Any) -> Any:
        """Apply a softmax along the last axis."""
        raise NotImplementedError

    def softplus(self, x: Any) -> Any:
        """Return log(1 + exp(x))."""
        raise NotImplementedError

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Return x in another shape."""
        raise NotImplementedError

    def slope(self, function: Callable[[Any], Any], x: Array) -> Any:
        """Differentiate a map of numbers; None where the library has no automatic differentiation."""
        return None

    def template(self, conditioner: dict[str, Any], units: int) -> Any:
        """Return the default network with given weights; a function of ours where the library has none."""
        return self._function(conditioner, units)

    def autoregression(self, conditioner: dict[str, Any], size: int) -> Any:
        """Return a masked network with given weights, of shape (*S, D, P); a function where the library has none."""
        return self._masked(conditioner, size)

    def autoregressive_template(self, conditioner: dict[str, Any], size: int) -> Any:
        """Return the default template with given weights; a function of ours where the library has none."""
        return _pair(self._masked(conditioner, size), conditioner["returns"])

    def normalizer(self, case: Any) -> Any:
        """Return a layer that is loaded, and makes bijectors."""
        raise NotImplementedError

    def make(self, part: Part) -> Any:
        """Make an object."""
        made = [self.make(each) for each in part.parts]
        if part.kind == "RealNVP of splines":
            return self._coupling_of_splines(part)
        if part.kind == "MaskedAutoregressiveFlow":
            return self._autoregressive(**part.arguments)
        kind = getattr(self.distributions if part.kind in DISTRIBUTIONS else self.bijectors, part.kind)
        if part.kind == "RealNVP":
            return self._coupling(kind, part)
        given = {k: self.array(v) if isinstance(v, np.ndarray) else v for k, v in part.arguments.items()}
        return kind(made, **given) if part.kind in ("Blockwise", "Chain", "JointMap") else kind(*made, **given)

    def _coupling(self, kind: Any, part: Part) -> Any:
        conditioner, units = part.arguments["conditioner"], part.arguments["units"]
        masks = {k: v for k, v in part.arguments.items() if k in ("num_masked", "fraction_masked") and v is not None}
        if conditioner["form"] == "template":
            return kind(**masks, shift_and_log_scale_fn=self.template(conditioner, units))
        function = self._function(conditioner, units)
        if conditioner["form"] == "function":
            return kind(**masks, shift_and_log_scale_fn=function)

        def bijector_fn(x0: Any, output_units: int) -> Any:
            shift, log_scale = function(x0, output_units)
            parts = [] if shift is None else [self.bijectors.Shift(shift)]
            return self.bijectors.Chain(
                [*parts, *([] if log_scale is None else [self.bijectors.Scale(log_scale=log_scale)])]
            )

        return kind(**masks, bijector_fn=bijector_fn)

    def _coupling_of_splines(self, part: Part) -> Any:
        """Make a Real NVP by splines, of which a dense network gives the sizes and slopes."""
        conditioner, start = part.arguments["conditioner"], self.array(part.arguments["range_min"])
        network, bins = self._network(conditioner), conditioner["bins"]

        def bijector_fn(x0: Any, output_units: int) -> Any:
            found = network(x0)
            rows = self.reshape(found, (*found.shape[:-1], output_units, 3 * bins - 1))
            parts = rows[..., :bins], rows[..., bins : 2 * bins], rows[..., 2 * bins :]
            spread = KNOTS["interval"] - bins * KNOTS["least_size"]
            widths, heights = (self.shares(each) * spread + KNOTS["least_size"] for each in parts[:2])
            slopes = self.softplus(parts[2]) + KNOTS["least_slope"]
            return self.bijectors.RationalQuadraticSpline(widths, heights, slopes, range_min=start)

        return self.bijectors.RealNVP(num_masked=part.arguments["num_masked"], bijector_fn=bijector_fn)

    def _autoregressive(self, conditioner: dict[str, Any], size: int, context: Any) -> Any:
        kind, form, returns = self.bijectors.MaskedAutoregressiveFlow, conditioner["form"], conditioner["returns"]
        if form == "template":
            return kind(self.autoregressive_template(conditioner, size))
        if form == "function":
            return kind(_pair(self._masked(conditioner, size), returns))
        network = self.autoregression(conditioner, size)
        if form == "network":
            return kind(network if returns == "both" else _pair(network, returns))

        def bijector_fn(y: Any, **condition: Any) -> Any:
            shift, log_scale = _pair(network, returns)(y, **condition)
            parts = [] if shift is None else [self.bijectors.Shift(shift)]
            return self.bijectors.Chain(
                [*parts, *([] if log_scale is None else [self.bijectors.Scale(log_scale=log_scale)])]
            )

        return kind(bijector_fn=bijector_fn)

    def _masked(self, conditioner: dict[str, Any], size: int) -> Callable[..., Any]:
        """Return a dense network with masked kernels."""
        masks = masks_of(conditioner, size)
        layers: list[Any] = [
            tuple(None if each is None else self.array(each) for each in (np.where(mask, kernel, 0 * kernel), *rest))
            for (kernel, *rest), mask in zip(conditioner["layers"], masks, strict=True)
        ]

        def network(y: Any, conditional_input: Any = None) -> Any:
            found = y
            for number, (kernel, bias, conditional) in enumerate(layers):
                found = self.activated(found, conditioner["activation"]) if number else found
                found = self.dense(found, kernel, bias)
                if conditional is not None:
                    found = found + self.dense(conditional_input, conditional, 0 * bias)
            return self.reshape(found, (*found.shape[:-1], size, -1))

        return network

    def _network(self, conditioner: dict[str, Any]) -> Callable[[Any], Any]:
        """Return a dense network."""
        layers = [(self.array(kernel), self.array(bias)) for kernel, bias in conditioner["layers"]]

        def network(x0: Any) -> Any:
            for number, (kernel, bias) in enumerate(layers):
                x0 = self.activated(x0, conditioner["activation"]) if number else x0
                x0 = self.dense(x0, kernel, bias)
            return x0

        return network

    def _function(self, conditioner: dict[str, Any], units: int) -> Callable[..., tuple[Any, Any]]:
        """Return a dense network; for other numbers of units than its own, a shift by 0."""
        network = self._network(conditioner)

        def function(x0: Any, output_units: int) -> tuple[Any, Any]:
            if (x0.shape[-1], output_units) != (conditioner["layers"][0][0].shape[0], units):
                return self.array(np.zeros(output_units, conditioner["layers"][0][0].dtype)), None
            found = network(x0)
            if conditioner["returns"] == "both":
                return found[..., :units], found[..., units:]
            return (found, None) if conditioner["returns"] == "shift" else (None, found)

        return function


def _pair(network: Callable[..., Any], returns: str) -> Callable[..., tuple[Any, Any]]:
    """Return a function of shift and log_scale, one of which may be None."""

    def function(y: Any, **condition: Any) -> tuple[Any, Any]:
        found = network(y, **condition)
        shift, log_scale = found[..., 0], found[..., -1]
        return None if returns == "log_scale" else shift, None if returns == "shift" else log_scale

    return function


def of_network(conditioner: dict[str, Any], size: int) -> dict[str, Any]:
    """Return the arguments of an AutoregressiveNetwork."""
    told = conditioner["condition"] != "none"
    named = conditioner["named"]
    return {
        "params": 2 if conditioner["returns"] == "both" else 1,
        "event_shape": size,
        "conditional": told,
        "conditional_event_shape": 2 if told else None,
        "conditional_input_layers": conditioner["condition"] if told else "all_layers",
        "hidden_units": [layer[0].shape[1] for layer in conditioner["layers"][:-1]],
        "input_order": list(conditioner["order"]) if named == "listed" else named,
        "activation": conditioner["activation"],
    }


class Ours(Side):
    """bnspec on a backend.

    Parameters
    ----------
    name : str
        The backend.
    dtype : str
        Of the arrays: JAX has a variant for float64.
    """

    def __init__(self, name: str, dtype: str) -> None:
        self.backend = bnspec.backend("jax:x64" if name == "jax" and dtype == "float64" else name)
        self.bijectors, self.distributions = bnspec.bijectors, bnspec.distributions

    def context(self) -> Any:
        """Enter the backend's settings."""
        return self.backend.context()

    def array(self, values: Array) -> Any:
        """Send."""
        return send(self.backend, values)

    def numpy(self, array: Any) -> Array:
        """Receive."""
        found: Array = receive(self.backend, array)
        return found

    def grade(self, draw: Draw) -> Grade:
        """Return the definition's."""
        return DEFINITION

    def dense(self, x: Any, kernel: Any, bias: Any) -> Any:
        """Take the namespace's product."""
        return common_namespace(x=x).matmul(x, kernel) + bias

    def activated(self, x: Any, activation: str) -> Any:
        """Take the namespace's functions."""
        xp = common_namespace(x=x)
        return xp.tanh(x) if activation == "tanh" else xp.maximum(x, xp.zeros_like(x))

    def shares(self, x: Any) -> Any:
        """Divide exponentials by their sum."""
        xp = common_namespace(x=x)
        grown = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
        return grown / xp.sum(grown, axis=-1, keepdims=True)

    def softplus(self, x: Any) -> Any:
        """Take the logarithm of a sum of exponentials."""
        xp = common_namespace(x=x)
        return xp.logaddexp(x, xp.zeros_like(x))

    def reshape(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Take the namespace's function."""
        return common_namespace(x=x).reshape(x, shape)

    def slope(self, function: Callable[[Any], Any], x: Array) -> Any:
        """Differentiate by the backend, where it can."""
        xp = common_namespace(x=self.array(x))
        try:
            differentiated = self.backend.value_and_grad(lambda given: xp.sum(function(given[0])))
        except NotImplementedError:
            return None
        return self.numpy(differentiated((self.array(x),))[1][0])

    def template(self, conditioner: dict[str, Any], units: int) -> Any:
        """Build the default network, and set its weights."""
        layers = conditioner["layers"]
        hidden = [kernel.shape[1] for kernel, _ in layers[:-1]]
        network = self.bijectors.real_nvp_default_template(
            hidden, shift_only=conditioner["returns"] == "shift", activation=conditioner["activation"]
        )
        network.build(layers[0][0].shape[0], units, like=self.array(layers[0][1]))
        for layer, (kernel, bias) in zip(network.layers, layers, strict=True):
            layer.kernel.assign(self.array(kernel))
            layer.bias.assign(self.array(bias))
        return network

    def autoregression(self, conditioner: dict[str, Any], size: int) -> Any:
        """Build the network, and set its weights."""
        network = self.bijectors.AutoregressiveNetwork(**of_network(conditioner, size))
        return self._loaded(network, conditioner, size)

    def autoregressive_template(self, conditioner: dict[str, Any], size: int) -> Any:
        """Build the default template, and set its weights."""
        hidden = [layer[0].shape[1] for layer in conditioner["layers"][:-1]]
        template = self.bijectors.masked_autoregressive_default_template(
            hidden, shift_only=conditioner["returns"] == "shift", activation=conditioner["activation"]
        )
        self._loaded(template.network, conditioner, size)
        return template

    def _loaded(self, network: Any, conditioner: dict[str, Any], size: int) -> Any:
        network.build(size, like=self.array(conditioner["layers"][0][1]))
        network.set_weights([value for layer in conditioner["layers"] for value in layer if value is not None])
        return network

    def normalizer(self, case: Any) -> _Normalizer:
        """Load a layer."""
        return _Normalizer(case, self)


class _Normalizer:
    """A layer of ours, and the bijectors that hold it."""

    def __init__(self, case: Any, side: Ours) -> None:
        self.side, self.case = side, case
        self.pair: Any = None
        convention, options = case.convention, case.options
        adjusted: dict[str, Any] = {"adjustment": lambda _: self.pair} if options["adjustment"] else {}
        self.layer = BatchNormalization(
            axis=options["axis"],
            momentum=case.momentum(convention),
            epsilon=case.epsilon,
            center=case.center,
            scale=case.scale,
            trainable=options["trainable"],
            convention=convention,
            **adjusted,
        )
        self.layer.build((None, *case.shapes[-1][1:]), like=side.array(case.evaluation))
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            variable = getattr(self.layer, name)
            if variable is not None:
                variable.assign(side.array(getattr(case, name).reshape(variable.shape)))

    def bijector(self, *, training: bool, pair: Any = None) -> Any:
        """Return a bijector; its layer adjusts by a pair."""
        self.pair = None if pair is None else tuple(self.side.array(part) for part in pair)
        return self.side.bijectors.BatchNormalization(self.layer, training=training)

    def averages(self) -> dict[str, Array]:
        """Return the running averages."""
        return {name: self.side.numpy(getattr(self.layer, name).value) for name in ("moving_mean", "moving_variance")}
