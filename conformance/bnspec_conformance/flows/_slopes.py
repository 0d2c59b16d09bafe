"""Jacobians of bijectors of vectors, followed through their parts: how far computed derivatives may be off."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import Slope, Uncertain

from ._followed import conditioned, followed, masked
from ._parts import Blocks, Chained, Coupled, Elementwise, Inverted, Normalized, Part, Permuted
from ._way import Followed, exact_of, given

if TYPE_CHECKING:
    from ._entry import Entry
    from ._parts import Conditioner
    from ._way import Way

__all__ = ["jacobian", "jacobian_error"]


@cache
def jacobian(entry: Entry, grade: bounds.Grade) -> Slope:
    """Follow the Jacobian of forward by automatic differentiation.

    Parameters
    ----------
    entry : Entry
        Of vectors of length M, its parts among those of the catalogue that are differentiated.
    grade : Grade
        How sums are computed.

    Returns
    -------
    Slope, shape (*batch, M, M)
        As float64 sees it, and how far a computed one may be off.

    Raises
    ------
    NotImplementedError
        If there is no formula for a part.
    """
    way = entry.way(grade)
    size = entry.x.shape[-1]
    eye = np.broadcast_to(np.eye(size), (*entry.x.shape, size))
    return _through(entry.part, "forward", given(entry.x, way), Slope(eye, np.zeros_like(eye), eye), way)


def jacobian_error(entry: Entry, grade: bounds.Grade, seen: Any) -> Any:
    """Bound the error of a Jacobian by automatic differentiation.

    Parameters
    ----------
    entry : Entry
        What is differentiated.
    grade : Grade
        How sums are computed.
    seen : array, shape (*batch, M, M)
        What came.

    Returns
    -------
    array, shape (*batch, M, M)
        Followed through the parts; where there is no formula for one, the goal of :func:`bounds.differentiated`.
    """
    try:
        return jacobian(entry, grade).error
    except NotImplementedError:
        return bounds.differentiated(seen, bounds.FORMATS[entry.dtype])


def _through(part: Part, direction: str, x: Followed, slope: Slope, way: Way) -> Slope:
    """Follow the derivatives of the elements of x, shape (*S, M, K), through a part."""
    if isinstance(part, Inverted):
        return _through(part.part, "inverse" if direction == "forward" else "forward", x, slope, way)
    if isinstance(part, Chained):
        for each in part.parts if direction == "inverse" else reversed(part.parts):
            slope = _through(each, direction, x, slope, way)
            x, _ = followed(each, direction, x, 1, way)
        return slope
    if isinstance(part, Blocks):
        ends = np.cumsum(part.sizes).tolist()
        places = [slice(end - size, end) for end, size in zip(ends, part.sizes, strict=True)]
        return _put(
            slope,
            [
                (place, _through(one, direction, _picked(x, place), _rows(slope, place), way))
                for one, place in zip(part.parts, places, strict=True)
            ],
        )
    r = way.arithmetic
    if isinstance(part, Elementwise):
        numbers = {name: value.astype(np.float64) for name, value in part.parameters.items()}
        partial = bounds.elementwise_slope(part.name, direction, x.uncertain, r, **numbers)
        return bounds.stepped(_column(partial), slope, r)
    if direction == "forward" and isinstance(part, Permuted) and part.axis == -1:
        return _rows(slope, list(part.permutation))
    if direction == "forward" and isinstance(part, Normalized):
        return _denormalized(part, x, slope, way)
    if direction == "forward" and isinstance(part, Coupled):
        return _coupled(part, x, slope, way)
    raise NotImplementedError(f"{direction} of {part}")


def _picked(x: Followed, place: Any) -> Followed:
    return Followed(exact_of(x.exact, lambda n: n[..., place]), np.broadcast_to(x.error, x.shape)[..., place])


def _rows(slope: Slope, place: Any) -> Slope:
    return Slope(*(part[..., place, :] for part in slope))


def _put(slope: Slope, several: list[tuple[Any, Slope]]) -> Slope:
    """Put derivatives of some elements in the place of others."""
    found = Slope(*(np.array(part) for part in slope))
    for place, new in several:
        for part, values in zip(found, new, strict=True):
            part[..., place, :] = values
    return found


def _column(partial: Any) -> Uncertain:
    """Let the derivative of each element by itself, shape (*S, M), be a factor of its derivatives by all variables."""
    return Uncertain(partial.value[..., None], partial.error[..., None])


def _denormalized(part: Normalized, x: Followed, slope: Slope, way: Way) -> Slope:
    """Multiply by sqrt(variance + epsilon) / gamma."""
    r = way.arithmetic
    variance = way.state(part)[1]
    rescale = bounds.root(Uncertain(variance.exact.to_float(), variance.error), part.epsilon, r.form)
    if part.gamma is not None:
        rescale = r.divide(rescale, r.given(part.gamma))
    wide = Uncertain(*(np.broadcast_to(each, x.shape) for each in rescale))
    # One by gamma, then one by the root: one rounding more than the product with the quotient.
    return bounds.stepped(r.exact(1.0), bounds.stepped(_column(wide), slope, r), r)


def _coupled(part: Coupled, x: Followed, slope: Slope, way: Way) -> Slope:
    """Differentiate u exp(s) + t, where s and t depend on the units that stay."""
    r = way.arithmetic
    stays, moves = oracle.halves(masked(part), part.size)
    kept, units = _picked(x, stays), _picked(x, moves)
    _, log_scale = conditioned(part.conditioner, kept, way)
    outputs = _conditioner(part.conditioner, kept, _rows(slope, stays), way)
    ways = [_rows(slope, moves)]
    if log_scale is not None:
        scale = r.exp(log_scale.uncertain)
        ways = [bounds.stepped(_column(scale), ways[0], r)]
        count = log_scale.shape[-1]
        of_log_scale = _rows(outputs, slice(outputs.value.shape[-2] - count, None))
        # The product with exp(s), and that with u.
        ways.append(bounds.stepped(_column(units.uncertain), bounds.stepped(_column(scale), of_log_scale, r), r))
    if part.conditioner.outputs != "log_scale":
        ways.append(_rows(outputs, slice(0, units.shape[-1])))
    return _put(slope, [(moves, bounds.joined(r, *ways))])


def _conditioner(conditioner: Conditioner, x0: Followed, slope: Slope, way: Way) -> Slope:
    """Differentiate a dense network."""
    if conditioner.activation != "tanh":
        raise NotImplementedError(conditioner.activation)
    r = way.arithmetic
    layers = [(kernel.astype(np.float64), bias.astype(np.float64)) for kernel, bias in conditioner.layers]
    for number, (kernel, _) in enumerate(layers):
        if number:
            # What the layers before this one give, without an activation.
            before = bounds.dense_network(x0.uncertain, layers[:number], r.form, conditioner.activation)
            slope = bounds.tanh_step(_column(r.tanh(before)), slope, r)
        slope = bounds.contracted(kernel, slope, r)
    return slope
