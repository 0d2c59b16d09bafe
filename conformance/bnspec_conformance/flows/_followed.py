"""Bijectors followed through the oracle: the exact value of every step, and how far a computed one may be from it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import Uncertain
from bnspec_conformance.cases import from_rows, to_rows
from bnspec_conformance.oracle import Exact

from ._autoregressed import autoregressed
from ._curved import curved
from ._parts import (
    Autoregressive,
    Blocks,
    Chained,
    Conditioner,
    Coupled,
    Elementwise,
    Inlined,
    Inverted,
    Normalized,
    Part,
    Permuted,
    Reshaped,
    SplineCoupled,
    Splined,
    Squeezed,
    apart,
    ranks,
)
from ._way import Followed, Way, added, given, nothing, picked, total

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = ["followed", "moved"]


def followed(part: Part, direction: str, x: Any, event_ndims: int, way: Way) -> tuple[Any, Followed]:
    """Follow a part in one direction.

    Parameters
    ----------
    part : Part
        What is computed.
    direction : {"forward", "inverse"}
        Which way.
    x : Followed, or tuple of them
        What comes in.
    event_ndims : int
        The rank of an event of x, over which the log-det is summed.
    way : Way
        How.

    Returns
    -------
    value : Followed, or tuple of them
    log_det : Followed
        Of the shape of the batch.
    """
    several = apart(part)
    if several is not None:
        pairs = [
            followed(one, direction, each, _least(one, direction), way) for one, each in zip(several, x, strict=True)
        ]
        log_dets = [log_det for _, log_det in pairs]
        return tuple(value for value, _ in pairs), added(log_dets, log_dets[0].shape, way)
    if isinstance(part, Inlined):
        return followed(part.part, direction, x, event_ndims, way)
    if isinstance(part, Inverted):
        return followed(part.part, "inverse" if direction == "forward" else "forward", x, event_ndims, way)
    if isinstance(part, Chained):
        return _chained(part, direction, x, event_ndims, way)
    batch = x.shape[: len(x.shape) - event_ndims]
    if isinstance(part, Permuted):
        order = list(part.permutation) if direction == "forward" else np.argsort(part.permutation).tolist()
        return picked(x, lambda n: np.take(n, order, axis=part.axis)), nothing(batch)
    if isinstance(part, Reshaped):
        old, new = part.event_shape_in, part.event_shape_out
        old, new = (old, new) if direction == "forward" else (new, old)
        return picked(x, lambda n: n.reshape(*n.shape[: n.ndim - len(old)], *new)), nothing(batch)
    if isinstance(part, Squeezed):
        return picked(x, lambda n: oracle.squeezed(n, part.factor, direction)), nothing(batch)
    if isinstance(part, Splined | SplineCoupled):
        value, log_det = (Followed(*pair) for pair in curved(part, direction, x, way))
        return value, total(log_det, event_ndims, way)
    if isinstance(part, Blocks):
        return _blocks(part, direction, x, event_ndims, way)
    if isinstance(part, Normalized):
        return _normalized(part, direction, x, event_ndims, way)
    if isinstance(part, Coupled):
        return _coupled(part, direction, x, event_ndims, way)
    if isinstance(part, Autoregressive):
        return autoregressed(part, direction, x, event_ndims, way)
    if isinstance(part, Elementwise):
        return _elementwise(part, direction, x, event_ndims, way)
    raise TypeError(part)  # a Joint comes apart


def _least(part: Part, direction: str) -> int:
    before, after = ranks(part)
    return before if direction == "forward" else after


def _elementwise(part: Elementwise, direction: str, x: Followed, event_ndims: int, way: Way) -> tuple[Any, Followed]:
    exact = getattr(oracle, part.name)(**part.parameters)
    numbers = {name: value.astype(np.float64) for name, value in part.parameters.items()}

    def of(method: Any) -> Followed:
        bound = bounds.bijector(part.name, method, x.uncertain, way.arithmetic, **numbers).error
        return Followed(getattr(exact, method)(x.exact), np.asarray(bound))

    return of(direction), total(of(f"{direction}_log_det"), event_ndims, way)


def _chained(part: Chained, direction: str, x: Followed, event_ndims: int, way: Way) -> tuple[Any, Followed]:
    log_dets = []
    for each in part.parts if direction == "inverse" else reversed(part.parts):
        x, log_det = followed(each, direction, x, event_ndims, way)
        before, after = ranks(each)
        event_ndims += after - before if direction == "forward" else before - after
        log_dets.append(log_det)
    return x, added(log_dets, x.shape[: len(x.shape) - event_ndims], way)


def _blocks(part: Blocks, direction: str, x: Followed, event_ndims: int, way: Way) -> tuple[Any, Followed]:
    ends = np.cumsum(part.sizes)
    pairs = [
        followed(one, direction, picked(x, lambda n, end=end, size=size: n[..., end - size : end]), event_ndims, way)
        for one, end, size in zip(part.parts, ends, part.sizes, strict=True)
    ]
    bits = max(value.exact.bits for value, _ in pairs)
    numerators = np.concatenate([value.exact.at(bits) for value, _ in pairs], axis=-1)
    error = np.concatenate([np.broadcast_to(value.error, value.shape) for value, _ in pairs], axis=-1)
    log_dets = [log_det for _, log_det in pairs]
    return Followed(Exact(numerators, bits), error), added(log_dets, log_dets[0].shape, way)


def _vector(values: Array | None) -> Any:
    return None if values is None else values.astype(np.float64).reshape(-1)


def moments(x: Exact, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Compute mean and population variance as fractions."""
    numbers = x.fractions()
    count = int(np.prod([x.shape[axis] for axis in axes]))
    mean = np.asarray(numbers.sum(axis=axes, keepdims=True) / Fraction(count), dtype=object)
    variance = ((numbers - mean) ** 2).sum(axis=axes, keepdims=True) / Fraction(count)
    return mean, np.asarray(variance, dtype=object)


def statistics(part: Normalized, y: Followed, way: Way) -> bounds.Statistics:
    """Bound the statistics of a batch that brings errors e of its own.

    The mean moves by mean(e) at most, and the variance by 2 sigma rms(e) + rms(e)^2. What the algorithm adds is taken
    at numbers that are larger by e.
    """
    rank = len(y.shape)
    axis = tuple(sorted(place % rank for place in part.axis))
    others = tuple(place for place in range(rank) if place not in axis)
    mean, variance = (each.astype(np.float64).reshape(-1) for each in moments(y.exact, others))
    rows = to_rows(y.exact.to_float(), axis)
    errors = to_rows(np.broadcast_to(y.error, y.shape), axis)
    spread = np.sqrt((errors**2).mean(axis=0))
    moved = spread * (2.0 * np.sqrt(variance) + spread)
    larger = rows + np.copysign(errors, rows)
    found = bounds.batch_statistics(larger, mean, variance + moved, way.grade, way.arithmetic.form)
    return found._replace(
        variance=variance,
        mean_error=found.mean_error + errors.mean(axis=0),
        variance_error=found.variance_error + moved,
    )


def _normalized(part: Normalized, direction: str, x: Followed, event_ndims: int, way: Way) -> tuple[Any, Followed]:
    form, rank = way.arithmetic.form, len(x.shape)
    axis = tuple(sorted(place % rank for place in part.axis))
    mean, variance = way.state(part)
    exact = oracle.BatchBijector(
        part.axis, part.epsilon, mean.exact, variance.exact, part.gamma, part.beta, part.convention
    )
    gamma, beta = _vector(part.gamma), _vector(part.beta)
    layout = tuple(size if place in axis else 1 for place, size in enumerate(x.shape))
    rows, errors = to_rows(x.exact.to_float(), axis), to_rows(np.broadcast_to(x.error, x.shape), axis)
    state = bounds.exact_statistics(_vector(mean.exact.to_float()), _vector(variance.exact.to_float()))._replace(
        mean_error=_vector(mean.error), variance_error=_vector(variance.error)
    )
    if direction == "forward":
        found = bounds.denormalized(
            Uncertain(rows, errors),
            state,
            part.epsilon,
            1.0 if gamma is None else gamma,
            0.0 if beta is None else beta,
            form,
        )
        value = Followed(exact.forward(x.exact), from_rows(found.error, x.shape, axis))
        bound = bounds.batch_log_det(state, part.epsilon, gamma, x.shape, layout, event_ndims, way.grade, form)
        return value, Followed(exact.forward_log_det(x.exact, event_ndims=event_ndims), bound.error)
    way.inputs[part] = x
    used = statistics(part, x, way) if part.by_batch else state
    # A channel's mean and an element's own error move the centred value alike.
    carried = used._replace(mean_error=used.mean_error + errors)
    one, nothing = np.ones(rows.shape[1]), np.zeros(rows.shape[1])
    affine = (one if gamma is None else gamma, nothing if beta is None else beta)
    pair = part.adjustment if part.by_batch else None
    if pair is None:
        limit = bounds.normalized(rows, carried, part.epsilon, *affine, form, form)
    else:
        spread = (to_rows(np.broadcast_to(each, x.shape), axis) for each in pair)
        steps = (tuple(Uncertain(each, 0.0) for each in spread), tuple(Uncertain(each, 0.0) for each in affine))
        limit = bounds.transformed(rows, carried, part.epsilon, steps, form, form)  # type: ignore[arg-type]
    value = Followed(exact.inverse(x.exact, training=part.by_batch, adjustment=pair), from_rows(limit, x.shape, axis))
    log_det = exact.inverse_log_det(x.exact, training=part.by_batch, event_ndims=event_ndims, adjustment=pair)
    factor = None if pair is None else np.broadcast_to(pair[0], x.shape).astype(np.float64)
    bound = bounds.batch_log_det(used, part.epsilon, gamma, x.shape, layout, event_ndims, way.grade, form, factor)
    return value, Followed(log_det, bound.error)


def conditioned(conditioner: Conditioner, x0: Followed, way: Way) -> tuple[Followed | None, Followed | None]:
    """Follow a conditioner: the shift and the logarithm of the scale."""
    exact = oracle.dense(x0.exact, conditioner.layers, conditioner.activation)
    layers = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in conditioner.layers]
    found = bounds.dense_network(x0.uncertain, layers, way.arithmetic.form, conditioner.activation)
    outputs = Followed(exact, found.error)
    shift: Followed | None = None
    log_scale: Followed | None = None
    if conditioner.outputs == "both":
        half = outputs.shape[-1] // 2
        shift, log_scale = picked(outputs, lambda n: n[..., :half]), picked(outputs, lambda n: n[..., half:])
    elif conditioner.outputs == "shift":
        shift = outputs
    else:
        log_scale = outputs
    if conditioner.conditioned and way.context is not None:
        context = given(way.context, way)
        if shift is None:
            shift = context
        else:
            bound = way.arithmetic.add(shift.uncertain, context.uncertain).error
            bits = max(shift.exact.bits, context.exact.bits)
            shift = Followed(Exact(shift.exact.at(bits) + context.exact.at(bits), bits), bound)
    return shift, log_scale


def masked(part: Coupled) -> int:
    """Return the number of units that stay, negative where they are the last ones."""
    if part.fraction_masked is not None:
        return oracle.masked_count(part.fraction_masked, part.size)
    return part.num_masked or 0


def _coupled(part: Coupled, direction: str, x: Followed, event_ndims: int, way: Way) -> tuple[Any, Followed]:
    number = masked(part)
    stays, moves = oracle.halves(number, part.size)
    kept, units = picked(x, lambda n: n[..., stays]), picked(x, lambda n: n[..., moves])
    shift, log_scale = conditioned(part.conditioner, kept, way)
    coupling = oracle.AffineCoupling(
        number, None if shift is None else shift.exact, None if log_scale is None else log_scale.exact
    )
    by, grown = (None if each is None else each.uncertain for each in (shift, log_scale))
    found = bounds.coupled(units.uncertain, by, grown, way.arithmetic.form, inverse=direction == "inverse")
    error = np.array(np.broadcast_to(x.error, x.shape))
    error[..., moves] = found.error
    form = way.arithmetic.form
    bound = bounds.coupled_log_det(grown, units.shape, way.grade, form).error
    log_det = Followed(getattr(coupling, f"{direction}_log_det")(x.exact), np.asarray(bound))
    return Followed(getattr(coupling, direction)(x.exact), error), total(log_det, event_ndims - 1, way)


def moved(part: Normalized, way: Way) -> tuple[Followed, Followed]:
    """Move the running averages of a batch normalization by what came to its inverse.

    Parameters
    ----------
    part : Normalized
        Which one.
    way : Way
        On which an inverse was followed.

    Returns
    -------
    mean, variance : Followed
        Parameter-shaped; as before where nothing moves.
    """
    before = way.state(part)
    if not part.moves:
        return before
    y, form = way.inputs[part], way.arithmetic.form
    rank = len(y.shape)
    axis = tuple(sorted(place % rank for place in part.axis))
    others = tuple(place for place in range(rank) if place not in axis)
    found = statistics(part, y, way)
    count = int(np.prod([y.shape[place] for place in others]))
    unbiased = part.convention.running_variance == "bessel" and count > 1
    mean, variance = moments(y.exact, others)
    momentum = Fraction(part.momentum if part.convention.momentum_weighs == "old" else 1.0 - part.momentum)
    factor = Fraction(count, count - 1) if unbiased else Fraction(1)
    entries = ((mean, found.mean, found.mean_error), (variance * factor, found.variance, found.variance_error))
    after = []
    for old, (entry, value, error) in zip(before, entries, strict=True):
        if unbiased and entry is not mean:
            error = bounds.estimated(error, float(factor), float(factor) * value, form, inexact=False)  # noqa: PLW2901
            value = float(factor) * value  # noqa: PLW2901
        shape = old.shape
        exact = Exact.from_fractions(
            np.asarray(momentum * old.exact.fractions() + (1 - momentum) * np.reshape(entry, shape), dtype=object)
        )
        bound = bounds.running(
            _vector(old.exact.to_float()), _vector(old.error), value, error, float(1 - momentum), form
        )
        after.append(Followed(exact, bound.reshape(shape)))
    return after[0], after[1]
