"""Batch normalization as a bijection: the log-det of what it does, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import accumulation_dtype, common_namespace, require_real_floating, sizes_of
from bnspec.batchnorm._call import located, output_dtype
from bnspec.batchnorm._checks import require_parameters, require_state
from bnspec.batchnorm._layout import Layout
from bnspec.batchnorm._values import Params, State, take
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._definition import BatchNorm

__all__ = ["normalized", "restored"]


def normalized(
    spec: BatchNorm, params: Params, state: State, x: Any, training: Any, adjustment: tuple[Any, Any] | None
) -> tuple[Any, Any, State]:
    """Normalize, with log |dy/dx| by the statistics that normalize; see :meth:`bnspec.BatchNorm.apply_and_log_det`."""
    for name in ("renorm", "virtual_batch_size"):
        given = getattr(spec, name)
        if given is not None:
            raise ValueError(message(f"{name} must be None for a log-det", "Leave it out.", **{name: given}))
    call = located(spec, params, state, x, training, None, adjustment)
    xp, point = call.xp, call.point
    factors = [point.inverse, point.gamma, None if point.adjustment is None else point.adjustment[0]]
    # Each by itself: a product might leave the range of the numbers.
    log_det = sum(xp.log(xp.abs(factor)) for factor in factors if factor is not None)
    return call.y, xp.astype(log_det, call.y.dtype), call.state


def restored(spec: BatchNorm, params: Params, state: State, y: Any) -> tuple[Any, Any]:
    """Find what evaluation maps to y, with log |dx/dy|; see :meth:`bnspec.BatchNorm.invert_and_log_det`."""
    params, state = take(Params, params, "params"), take(State, state, "state")
    arrays = {"x": y, **params._asdict(), **state._asdict()}
    del arrays["num_batches"]
    xp = common_namespace(**arrays)
    require_real_floating(**arrays)
    layout = Layout.of(sizes_of(y), spec.axis)
    require_parameters(spec, arrays, layout)
    require_state(spec, state)
    dtype = accumulation_dtype(xp, *arrays.values())
    laid = {
        name: layout.spread(xp.astype(arrays[name], dtype), xp)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
        if arrays[name] is not None
    }
    deviation = xp.sqrt(laid["moving_variance"] + spec.epsilon)
    x, log_det = xp.astype(y, dtype), xp.log(deviation)
    if "beta" in laid:
        x = x - laid["beta"]
    if "gamma" in laid:
        x, log_det = x / laid["gamma"], log_det - xp.log(xp.abs(laid["gamma"]))
    kind = output_dtype(spec, y, state, xp)
    return xp.astype(x * deviation + laid["moving_mean"], kind), xp.astype(log_det, kind)
