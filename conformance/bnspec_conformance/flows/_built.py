"""bnspec's bijectors, made from their descriptions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bnspec import bijectors
from bnspec.arrays import common_namespace
from bnspec.layers import BatchNormalization

from ._parts import (
    Autoregressive,
    Blocks,
    Chained,
    Conditioner,
    Coupled,
    Elementwise,
    Inlined,
    Inverted,
    Joint,
    Normalized,
    Part,
    Permuted,
    Reshaped,
    SplineCoupled,
    Splined,
    Squeezed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Make = Callable[[np.ndarray[Any, Any]], Any]

__all__ = ["built"]


def built(part: Part, make: Make, layers: list[BatchNormalization] | None = None) -> Any:
    """Build a bijector.

    Parameters
    ----------
    part : Part
        What it is.
    make : callable
        Turns an array of NumPy's into one of the backend's.
    layers : list of BatchNormalization, optional
        The layers of batch normalization are put into it, in the order of :func:`normalizations`.

    Returns
    -------
    Bijector
    """
    if isinstance(part, Elementwise):
        return getattr(bijectors, part.name)(**{name: make(value) for name, value in part.parameters.items()})
    if isinstance(part, Inlined):
        inner = built(part.part, make)
        names = ("forward", "inverse", "forward_log_det_jacobian")
        forward, inverse, log_det = (partial(_called, inner, name) for name in names)
        return bijectors.Inline(forward, inverse, log_det)
    if isinstance(part, Inverted):
        return bijectors.Invert(built(part.part, make, layers))
    if isinstance(part, Chained):
        return bijectors.Chain([built(each, make, layers) for each in part.parts])
    if isinstance(part, Permuted):
        return bijectors.Permute(part.permutation, axis=part.axis)
    if isinstance(part, Reshaped):
        return bijectors.Reshape(part.event_shape_out, part.event_shape_in)
    if isinstance(part, Squeezed):
        return bijectors.squeeze(part.height, part.width, part.channels, part.factor)
    if isinstance(part, Splined):
        knots = part.bin_widths, part.bin_heights, part.knot_slopes, part.range_min
        return bijectors.RationalQuadraticSpline(*map(make, knots))
    if isinstance(part, SplineCoupled):
        dense = [(make(kernel), make(bias)) for kernel, bias in part.layers]
        form = {name: getattr(part, name) for name in ("bins", "interval", "range_min", "least_size", "least_slope")}
        return bijectors.RealNVP(part.num_masked, bijector_fn=partial(_splined, dense, **form))
    if isinstance(part, Blocks):
        return bijectors.Blockwise([built(each, make, layers) for each in part.parts], part.sizes)
    if isinstance(part, Joint):
        return bijectors.JointMap([built(each, make, layers) for each in part.parts])
    if isinstance(part, Normalized):
        return _normalization(part, make, layers)
    if isinstance(part, Autoregressive):
        return _autoregression(part, make)
    return _coupling(part, make)


def _called(inner: Any, method: str, x: Any) -> Any:
    """Call a method as a function of one argument, which has no conditions."""
    return getattr(inner, method)(x)


def _normalization(part: Normalized, make: Make, layers: list[BatchNormalization] | None) -> Any:
    pair = None if part.adjustment is None else tuple(make(each) for each in part.adjustment)
    layer = BatchNormalization(
        axis=part.axis if len(part.axis) > 1 else part.axis[0],
        momentum=part.momentum,
        epsilon=part.epsilon,
        center=part.beta is not None,
        scale=part.gamma is not None,
        trainable=part.trainable,
        adjustment=None if pair is None else lambda shape: pair,
        convention=part.convention,
    )
    rank = max(len(part.moving_mean.shape), -min(part.axis)) + (len(part.axis) == 1)
    shape = [1] * rank
    for place in part.axis:
        shape[place] = part.moving_mean.shape[place if len(part.axis) > 1 else 0]
    layer.build(shape, like=make(part.moving_mean))
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        value = getattr(part, name)
        if value is not None:
            getattr(layer, name).assign(make(value))
    if layers is not None:
        layers.append(layer)
    return bijectors.BatchNormalization(layer, training=part.training)


def _coupling(part: Coupled, make: Make) -> Any:
    mask = (
        {"num_masked": part.num_masked} if part.fraction_masked is None else {"fraction_masked": part.fraction_masked}
    )
    function = conditioning(part.conditioner, make)
    if not part.through_bijector:
        return bijectors.RealNVP(**mask, shift_and_log_scale_fn=function)
    return bijectors.RealNVP(**mask, bijector_fn=partial(_affine, function))


def _affine(function: Callable[..., Any], x0: Any, units: int) -> Any:
    """Return the map that a shift and the logarithm of a scale mean."""
    shift, log_scale = function(x0, units)
    return bijectors.Chain([bijectors.Shift(shift), bijectors.Scale(log_scale=log_scale)])


def _splined(
    layers: list[tuple[Any, Any]],
    x0: Any,
    units: int,
    *,
    bins: int,
    interval: float,
    range_min: float,
    least_size: float,
    least_slope: float,
) -> Any:
    """Return the splines whose knots a network gives."""
    xp = common_namespace(x=x0)
    for number, (kernel, bias) in enumerate(layers):
        x0 = xp.matmul(xp.tanh(x0) if number else x0, kernel) + bias
    rows = xp.reshape(x0, (-1, units, 3 * bins - 1))  # of a batch of one axis

    def sizes(outputs: Any) -> Any:
        grown = xp.exp(outputs - xp.max(outputs, axis=-1, keepdims=True))
        shares = grown / xp.sum(grown, axis=-1, keepdims=True)
        return shares * (interval - bins * least_size) + least_size

    return bijectors.RationalQuadraticSpline(
        sizes(rows[..., :bins]),
        sizes(rows[..., bins : 2 * bins]),
        xp.logaddexp(rows[..., 2 * bins :], xp.zeros_like(rows[..., 2 * bins :])) + least_slope,
        range_min,
    )


def _autoregression(part: Autoregressive, make: Make) -> Any:
    sizes = {conditional.shape[0] for _, _, conditional in part.layers if conditional is not None}
    network = bijectors.AutoregressiveNetwork(
        2 if part.outputs == "both" else 1,
        event_shape=part.size,
        conditional=bool(sizes),
        conditional_event_shape=tuple(sizes) or None,
        conditional_input_layers="first_layer" if part.conditioned < len(part.layers) else "all_layers",
        hidden_units=[kernel.shape[1] for kernel, _, _ in part.layers[:-1]],
        input_order=part.order,
        activation=part.activation,
    )
    network.build(part.size, like=make(part.layers[0][0]))
    wide = "float64" if part.layers[0][0].dtype == "float64" else "float32"  # the variables are, in half precision
    network.set_weights([value.astype(wide) for layer in part.layers for value in layer if value is not None])
    function: Callable[..., Any] = partial(_told, network) if part.conditioned else network
    if part.outputs != "both":
        function = partial(_alone, function, part.outputs)
    if part.through_bijector:
        return bijectors.MaskedAutoregressiveFlow(bijector_fn=partial(_scalar, function))
    return bijectors.MaskedAutoregressiveFlow(function)


def _told(network: Any, y: Any, *, context: Any) -> Any:
    """Give the condition the name that the network has for it."""
    return network(y, conditional_input=context)


def _alone(function: Callable[..., Any], outputs: str, y: Any) -> tuple[Any, Any]:
    """Return the one parameter as what it is."""
    found = function(y)[..., 0]
    return (found, None) if outputs == "shift" else (None, found)


def _scalar(function: Callable[..., Any], y: Any) -> Any:
    """Return the map that the two parameters of each unit mean."""
    found = function(y)
    return bijectors.Chain([bijectors.Shift(found[..., 0]), bijectors.Scale(log_scale=found[..., 1])])


def conditioning(conditioner: Conditioner, make: Make) -> Callable[..., Any]:
    """Build what RealNVP calls."""
    if conditioner.network:
        hidden = [kernel.shape[1] for kernel, _ in conditioner.layers[:-1]]
        network = bijectors.DenseNetwork(
            hidden, shift_only=conditioner.outputs == "shift", activation=conditioner.activation
        )
        first, last = conditioner.layers[0][0], conditioner.layers[-1][0]
        units = last.shape[1] if conditioner.outputs == "shift" else last.shape[1] // 2
        network.build(first.shape[0], units, like=make(first))
        network.set_weights([make(value) for layer in conditioner.layers for value in layer])
        return network
    layers = [(make(kernel), make(bias)) for kernel, bias in conditioner.layers]
    function = _conditioned if conditioner.conditioned else _network
    return partial(function, layers, conditioner.activation, conditioner.outputs)


# Functions of a module, and none that enclose others: PyTorch's compiler loses the variables of these. Nor is the
# description bound: the compiler would guard on NumPy's arrays in it, and such a guard fails at once.
def _network(layers: list[tuple[Any, Any]], activation: str, outputs: str, x0: Any, units: int) -> tuple[Any, Any]:
    """Compute the shift and the logarithm of the scale."""
    xp = common_namespace(x=x0)
    for number, (kernel, bias) in enumerate(layers):
        if number:
            x0 = xp.tanh(x0) if activation == "tanh" else xp.where(x0 > 0, x0, xp.zeros_like(x0))
        x0 = xp.matmul(x0, kernel) + bias
    if outputs == "both":
        return x0[..., :units], x0[..., units:]
    return (x0, None) if outputs == "shift" else (None, x0)


def _conditioned(
    layers: list[tuple[Any, Any]], activation: str, outputs: str, x0: Any, units: int, *, context: Any
) -> tuple[Any, Any]:
    """Add a condition to the shift."""
    shift, log_scale = _network(layers, activation, outputs, x0, units)
    return context if shift is None else shift + context, log_scale
