"""Exact functions of distributions with their bounds."""

from __future__ import annotations

from math import log, pi
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import Uncertain

from .reference import Point, Total

if TYPE_CHECKING:
    from .part import Part
    from .reference import Reference, Shape

    Array = np.ndarray[Any, Any]

__all__ = ["event_shape", "log_prob", "prob", "shapes"]

_HALF_LOG_TWO_PI = 0.5 * log(2.0 * pi)


def shapes(reference: Reference, part: Part) -> tuple[Shape, Shape]:
    """Return the shapes of batch and event.

    Parameters
    ----------
    reference : Reference
        Knows the shapes that bijectors make.
    part : Part
        A distribution.
    """
    if part.kind == "Normal":
        return np.broadcast_shapes(np.shape(part.arguments["loc"]), np.shape(part.arguments["scale"])), ()
    if part.kind == "MultivariateNormalDiag":
        whole = np.broadcast_shapes(np.shape(part.arguments["loc"]), np.shape(part.arguments["scale_diag"]))
        return whole[:-1], whole[-1:]
    batch, event = shapes(reference, part.parts[0])
    if part.kind == "Independent":
        count = part.arguments["reinterpreted_batch_ndims"]
        return batch[: len(batch) - count], (*batch[len(batch) - count :], *event)
    if part.kind == "Sample":
        return batch, (*part.arguments["sample_shape"], *event)
    return batch, reference.shape(part.parts[1], "forward", event)


def event_shape(reference: Reference, part: Part) -> Shape:
    """Return the shape of an event."""
    return shapes(reference, part)[1]


def _elements(reference: Reference, part: Part, x: Point, loc: Array, scale: Array, ndims: int) -> Total:
    """Sum the log-densities of normal variables, whose squares, logarithms and constants may be summed apart."""

    def compute() -> Any:
        return oracle.Normal(loc, np.abs(scale)).log_prob(x.exact)

    exact = reference.once((part, "log_prob", x.exact), compute)
    given = reference.uncertain(x)
    wide = np.asarray(loc, np.float64), np.abs(np.asarray(scale, np.float64))
    with np.errstate(all="ignore"):
        bound = bounds.normal("log_prob", given, *wide, reference.form)
        size = 0.5 * ((given.value - wide[0]) / wide[1]) ** 2 + np.abs(np.log(wide[1])) + _HALF_LOG_TWO_PI
    return reference.total(Point(exact, np.asarray(bound.error)), ndims, size)


def log_prob(reference: Reference, part: Part, x: Point) -> Total:
    """Return the log-density at a point.

    Parameters
    ----------
    reference : Reference
        Knows bijectors.
    part : Part
        The distribution.
    x : Point, shape (*S, *batch, *event)
        Where.

    Returns
    -------
    Total
        Of shape (*S, *batch).
    """
    return _log_prob(reference, part, x, len(event_shape(reference, part)))


def _log_prob(reference: Reference, part: Part, x: Point, ndims: int) -> Total:
    """Sum over `ndims` axes: those of the event, and those that a distribution around this one makes independent."""
    if part.kind in ("Normal", "MultivariateNormalDiag"):
        loc = np.asarray(part.arguments["loc"])
        scale = np.asarray(part.arguments["scale" if part.kind == "Normal" else "scale_diag"])
        return _elements(reference, part, x, loc, scale, ndims)
    if part.kind == "Sample":
        return _sampled(reference, part, x, ndims)
    if part.kind == "Independent":
        return _log_prob(reference, part.parts[0], x, ndims)
    base, bijector = part.parts
    inverse = reference.mapped(bijector, "inverse", x)
    before, after = reference.ranks(bijector)
    total = _log_prob(reference, base, inverse, ndims + before - after)
    direct = reference.log_det(bijector, "inverse", x, ndims)
    through = reference.log_det(bijector, "forward", inverse, ndims + before - after)
    error = np.maximum(*np.broadcast_arrays(direct.error, through.error))
    return reference.added([total, direct._replace(error=error)])


def _sampled(reference: Reference, part: Part, x: Point, ndims: int) -> Total:
    """Give the parameters of a batch of scalars axes for the samples, which come after it."""
    base, count = part.parts[0], len(part.arguments["sample_shape"])
    if base.kind != "Normal":
        raise ValueError(f"a Sample must be one of a Normal. Got {base.kind}.")
    batch, _ = shapes(reference, base)
    loc, scale = (
        np.broadcast_to(base.arguments[name], batch).reshape(*batch, *(1,) * count) for name in ("loc", "scale")
    )
    return _elements(reference, part, x, loc, scale, ndims)


def prob(reference: Reference, found: Total) -> tuple[Any, Array]:
    """Return the density as mpmath sees it, and the bound of the exponential of a computed logarithm."""
    exact = reference.once(("prob", found.exact), lambda: oracle.Exp().forward(found.exact))
    bound = reference.arithmetic.exp(Uncertain(np.asarray(found.exact.to_float()), found.error))
    return exact, np.asarray(bound.error)
