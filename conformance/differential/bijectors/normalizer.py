"""Exact log-dets and densities of a layer of batch normalization, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec_conformance import bounds, expectation, oracle
from bnspec_conformance.cases import from_rows, to_rows

from . import densities
from .draw import Answer
from .reference import Point

if TYPE_CHECKING:
    from differential.draw import Draw as Case

    from .part import Part
    from .reference import Direction, Reference, Total

    Array = np.ndarray[Any, Any]

__all__ = ["Expectation", "InChain", "density"]


class _Given(NamedTuple):
    """What one call normalizes by."""

    layer: oracle.BatchBijector
    statistics: bounds.Statistics


class Expectation:
    """The answers for a case, in the grade of a reference.

    Parameters
    ----------
    case : Draw
        The layer, its batches and its state.
    reference : Reference
        Has the grade.
    """

    def __init__(self, case: Case, reference: Reference) -> None:
        self.case, self.reference = case, reference
        self.steps = expectation.trajectory(case, case.convention, reference.grade)

    def normalized(self, number: int) -> Point:
        """Return the output of a training batch, or of the evaluation batch for -1."""
        step = self.steps[number]
        return Point(step.y.exact, step.y.bound)

    def averages(self, number: int) -> dict[str, Answer]:
        """Return the running averages after a batch."""
        step = self.steps[number]
        return {name: Answer(*getattr(step, name)) for name in ("moving_mean", "moving_variance")}

    def _layer(self, mean: Any, variance: Any) -> oracle.BatchBijector:
        case = self.case
        return oracle.BatchBijector(case.axis, case.epsilon, mean, variance, case.gamma, case.beta, case.convention)

    def _given(self, number: int, x: Array, training: bool) -> _Given:
        """Return the statistics of the batch, or those that the state has after batch `number`."""
        case, form = self.case, self.reference.form
        if training:
            rows = to_rows(x, case.axis)
            exact = self.reference.once(("moments", x), lambda: oracle.moments(rows, (0,)))
            pair = np.asarray(exact.mean.to_float()), np.asarray(exact.variance.to_float())
            found = bounds.batch_statistics(rows, *pair, self.reference.grade, form)
            return _Given(self._layer(case.moving_mean, case.moving_variance), found)
        step = self.steps[number]
        mean, variance = step.moving_mean, step.moving_variance
        averages = (mean.exact.to_float(), variance.exact.to_float(), mean.bound, variance.bound)
        m, v, m_error, v_error = (np.asarray(part, dtype=np.float64).reshape(-1) for part in averages)
        statistics = bounds.Statistics(m, v, m_error, v_error, np.zeros_like(m))
        return _Given(self._layer(mean.exact, variance.exact), statistics)

    def _gamma(self) -> Array | None:
        gamma = self.case.gamma
        return None if gamma is None else gamma.astype(np.float64).reshape(-1)

    def log_det(self, number: int, x: Array, ndims: int, *, training: bool, forward: bool = False) -> Total:
        """Return the log-det of events of a rank, of normalization or of its inverse."""
        case, reference = self.case, self.reference
        layer, statistics = self._given(number, x, training)
        adjustment = case.adjustments[number] if training else None
        layout = tuple(size if place in case.axis else 1 for place, size in enumerate(x.shape))
        factor = None if adjustment is None else adjustment[0].astype(np.float64)
        bound = bounds.batch_log_det(
            statistics, case.epsilon, self._gamma(), x.shape, layout, ndims, reference.grade, reference.form, factor
        )

        def compute() -> oracle.Exact:
            if forward:
                return layer.forward_log_det(x, event_ndims=ndims)
            return layer.inverse_log_det(x, training=training, event_ndims=ndims, adjustment=adjustment)

        exact = reference.once((f"log-det {number} {ndims} {training} {forward}", x), compute)
        return reference.total(Point(exact, np.asarray(bound.error)), 0)

    def forward(self, number: int, x: Array) -> Point:
        """Return the image of forward, by the state after batch `number`."""
        return self._denormalized(number, self.reference.given(x))

    def _denormalized(self, number: int, x: Point) -> Point:
        case, form = self.case, self.reference.form
        layer, statistics = self._given(number, np.empty(()), training=False)
        gamma = self._gamma()
        beta = 0.0 if case.beta is None else case.beta.astype(np.float64).reshape(-1)
        folded = isinstance(self.reference.grade, bounds.Algorithm)
        rows = bounds.Uncertain(*(to_rows(each, case.axis) for each in self.reference.uncertain(x)))
        bound = bounds.denormalized(
            rows, statistics, case.epsilon, 1.0 if gamma is None else gamma, beta, form, folded=folded
        )
        exact = self.reference.once((f"forward {number}", x.exact), lambda: layer.forward(x.exact))
        return Point(exact, from_rows(np.asarray(bound.error), x.exact.shape, case.axis))


class InChain(Expectation):
    """The answers for a chain around the layer.

    Parameters
    ----------
    case, reference
        As of :class:`Expectation`.
    before, after : Part
        The first part of the chain, whose inverse rounds nothing, and the last one. Both keep ranks and shapes.
    """

    def __init__(self, case: Case, reference: Reference, before: Part, after: Part) -> None:
        super().__init__(case, reference)
        self.before, self.after = before, after

    def normalized(self, number: int) -> Point:
        """Map the output of a training batch, or of the evaluation batch for -1, by the inverse of the last part."""
        return self.reference.mapped(self.after, "inverse", super().normalized(number))

    def log_det(self, number: int, x: Array, ndims: int, *, training: bool, forward: bool = False) -> Total:
        """Add the log-dets of the parts; `x` is what comes to the inverse of the layer, or to forward of the chain."""
        reference = self.reference
        own = super().log_det(number, x, ndims, training=training, forward=forward)
        if forward:
            given = reference.given(x)
            outer = [(self.after, given), (self.before, self._denormalized(number, self._unmapped(given)))]
        else:
            data = reference.mapped(self.before, "forward", reference.given(x))
            outer = [(self.before, data), (self.after, super().normalized(number))]
        direction: Direction = "forward" if forward else "inverse"
        return reference.added([own, *(reference.log_det(part, direction, point, ndims) for part, point in outer)])

    def forward(self, number: int, x: Array) -> Point:
        """Return the image of forward, by the state after batch `number`."""
        found = self._denormalized(number, self._unmapped(self.reference.given(x)))
        return self.reference.mapped(self.before, "forward", found)

    def _unmapped(self, x: Point) -> Point:
        return self.reference.mapped(self.after, "forward", x)


def density(found: Expectation, base: Part, number: int, x: Array, *, training: bool) -> Total:
    """Return the log-density of data whose normalization is distributed as `base`."""
    reference = found.reference
    ndims = x.ndim - 1
    inner = densities.log_prob(reference, base, found.normalized(number))
    return reference.added([inner, found.log_det(number, x, ndims, training=training)])
