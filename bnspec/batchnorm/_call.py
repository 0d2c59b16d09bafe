"""Call: one normalization, with all that its derivatives and its log-det need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import accumulation_dtype, common_namespace, require_real_floating, shape_of, sizes_of
from bnspec.batchnorm._checks import require_adjustment, require_parameters, require_state, require_training
from bnspec.batchnorm._ghosts import Ghosts
from bnspec.batchnorm._layout import Layout
from bnspec.batchnorm._moments import require_weights
from bnspec.batchnorm._normalize import inverse_deviation, normalize
from bnspec.batchnorm._pullback import Point
from bnspec.batchnorm._training import require_elements, selected, training_point
from bnspec.batchnorm._values import Params, State, take

if TYPE_CHECKING:
    from bnspec.batchnorm._definition import BatchNorm

__all__ = ["Call", "located", "output_dtype"]


class Call(NamedTuple):
    """One normalization.

    Attributes
    ----------
    xp : namespace
        The namespace of the arrays.
    arrays : dict
        The input, the parameters and the running statistics, as they came.
    layout : Layout
        The geometry of the input.
    ghosts : Ghosts
        How the batch is cut.
    dtype : dtype
        That of the computation.
    chosen : array, shape (), boolean, or None
        The mode, where an array decides it.
    point : Point
        Where the output and its derivatives are taken.
    y : array, shape S
        The output.
    state : State
        The running statistics after.
    """

    xp: Any
    arrays: dict[str, Any]
    layout: Layout
    ghosts: Ghosts
    dtype: Any
    chosen: Any
    point: Point
    y: Any
    state: State


def located(
    spec: BatchNorm,
    params: Params,
    state: State,
    x: Any,
    training: Any,
    weights: Any = None,
    adjustment: tuple[Any, Any] | None = None,
) -> Call:
    """Normalize.

    Parameters
    ----------
    spec : BatchNorm
        The configuration.
    params, state, x, training, weights, adjustment
        As of :meth:`bnspec.BatchNorm.apply`.

    Returns
    -------
    Call

    Raises
    ------
    TypeError, ValueError
        As of :meth:`bnspec.BatchNorm.apply`.
    """
    require_training(training)
    params, state = take(Params, params, "params"), take(State, state, "state")
    arrays = {"x": x, **params._asdict(), **state._asdict()}
    del arrays["num_batches"]
    scale, bias = require_adjustment(adjustment, x, spec.virtual_batch_size)
    given = {"weights": weights, "the scale of adjustment": scale, "the bias of adjustment": bias}
    chosen = None if isinstance(training, bool) else training
    xp = common_namespace(**arrays, num_batches=state.num_batches, **given, training=chosen)
    require_real_floating(**arrays, **given)
    layout = Layout.of(sizes_of(x), spec.axis)
    require_parameters(spec, arrays, layout)
    require_state(spec, state)
    if weights is not None:
        require_weights(shape_of(weights), shape_of(x))
    # In evaluation, weights and adjustment change nothing, and no precision either.
    more = () if training is False else given.values()
    dtype = accumulation_dtype(xp, *arrays.values(), *more)
    wide = xp.astype(x, dtype)
    size = None if training is False else spec.virtual_batch_size
    ghosts = Ghosts.of(layout, size, spec.convention.ghost_grouping)
    cut = ghosts.cut
    gamma, beta, mean, variance = (
        None if arrays[name] is None else cut.spread(xp.astype(arrays[name], dtype), xp)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    if training is False:
        point = Point(cut, wide - mean, inverse_deviation(variance, spec.epsilon, xp), gamma)
    else:
        if training is True:
            require_elements(spec, x, ghosts)
        point, state = training_point(
            spec, state, ghosts.grouped(wide, xp), (mean, variance), weights, chosen, ghosts, xp
        )
        point = point._replace(gamma=gamma)
        if scale is not None:
            pair = (xp.broadcast_to(xp.astype(part, dtype), layout.shape) for part in (scale, bias))
            neutral = (xp.ones_like(wide), xp.zeros_like(wide))
            point = point._replace(
                adjustment=tuple(selected(chosen, a, b, xp) for a, b in zip(pair, neutral, strict=True))
            )
    y = normalize(point.centred, point.inverse, gamma, beta, point.correction, point.adjustment)
    if point.weighting is not None:
        y = xp.where(point.weighting.lost, xp.full_like(y, float("nan")), y)
    y = xp.astype(ghosts.joined(y, xp), output_dtype(spec, x, state, xp))

    return Call(xp, arrays, layout, ghosts, dtype, chosen, point, y, state)


def output_dtype(spec: BatchNorm, x: Any, state: State, xp: Any) -> Any:
    """Return the dtype of the output: the input's, the state's, or the wider of the two."""
    rule, kept = spec.convention.output_dtype, state.moving_mean.dtype
    if rule == "promoted":
        return x.dtype if x.dtype == kept else accumulation_dtype(xp, x, state.moving_mean)
    return x.dtype if rule == "input" else kept
