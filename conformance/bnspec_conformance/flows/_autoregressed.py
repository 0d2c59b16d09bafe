"""Autoregressive flows followed through the oracle, unit by unit in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import Uncertain

from ._way import Followed, Way, given, total

if TYPE_CHECKING:
    from ._parts import Autoregressive

    Array = np.ndarray[Any, Any]

__all__ = ["autoregressed", "oracle_of"]


def oracle_of(part: Autoregressive, context: Any = None) -> oracle.AutoregressiveFlow:
    """Return the exact flow, for a condition."""
    order = oracle.places(part.order, part.size)
    return oracle.AutoregressiveFlow(order, part.layers, part.activation, part.outputs, context)


def autoregressed(
    part: Autoregressive, direction: str, x: Followed, event_ndims: int, way: Way
) -> tuple[Followed, Followed]:
    """Follow an autoregressive flow.

    Parameters
    ----------
    part : Autoregressive
        What is computed.
    direction : {"forward", "inverse"}
        Which way.
    x : Followed, shape (*S, D)
        What comes in.
    event_ndims : int
        The rank of an event of x.
    way : Way
        How.

    Returns
    -------
    value, log_det : Followed

    Notes
    -----
    Forward computes every unit in every pass, but a unit is settled by the pass of its place in the order: its
    parameters depend on units that were settled before, and those that are not have weights of 0. So its error is that
    of one coupling whose conditioner got the errors of the units before, however many passes follow.
    """
    flow, form = oracle_of(part, way.context if part.conditioned else None), way.arithmetic.form
    value = getattr(flow, direction)(x.exact)
    if direction == "inverse":
        shift, log_scale = _parameters(part, flow, x, way)
        error = bounds.coupled(x.uncertain, shift, log_scale, form, inverse=True).error
    else:
        error = np.zeros(value.shape)
        for unit in np.argsort(flow.order):
            shift, log_scale = _parameters(part, flow, Followed(value, error), way)
            error[..., unit] = bounds.coupled(x.uncertain, shift, log_scale, form).error[..., unit]
        shift, log_scale = _parameters(part, flow, Followed(value, error), way)
    bound = bounds.coupled_log_det(log_scale, value.shape, way.grade, form).error
    log_det = Followed(getattr(flow, f"{direction}_log_det")(x.exact), np.asarray(bound))
    return Followed(value, error), total(log_det, event_ndims - 1, way)


def _parameters(
    part: Autoregressive, flow: oracle.AutoregressiveFlow, y: Followed, way: Way
) -> tuple[Uncertain | None, Uncertain | None]:
    """Bound what the network gives: a condition is more inputs of a layer, with rows of their own of its kernel."""
    arithmetic, found = way.arithmetic, y.uncertain
    for number, ((kernel, bias, conditional), mask) in enumerate(zip(part.layers, flow.masks, strict=True)):
        if number:
            tanh = part.activation == "tanh"
            found = arithmetic.tanh(found) if tanh else Uncertain(np.maximum(found.value, 0.0), found.error)
        weights = np.where(mask, kernel.astype(np.float64), 0.0)
        if conditional is not None:
            context = given(way.context, way).uncertain
            front = found.value.shape[:-1]
            found = Uncertain(*(_beside(one, other, front) for one, other in zip(found, context, strict=True)))
            weights = np.concatenate([weights, conditional.astype(np.float64)])
        found = bounds.dense_network(found, [(weights, bias.astype(np.float64))], arithmetic.form)
    exact = flow.parameters(y.exact).to_float()
    outputs = Uncertain(exact, found.error.reshape(exact.shape))
    shift, log_scale = (Uncertain(outputs.value[..., place], outputs.error[..., place]) for place in (0, -1))
    return (None if part.outputs == "log_scale" else shift), (None if part.outputs == "shift" else log_scale)


def _beside(one: Array, other: Array, front: tuple[int, ...]) -> Array:
    """Put vectors behind vectors."""
    return np.concatenate([np.broadcast_to(each, (*front, each.shape[-1])) for each in (one, other)], axis=-1)
