"""Exact moments and entropies of normal variables, and of what affine maps make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import DEFINITION
from bnspec_conformance.oracle import Exact
from differential.bijectors import densities
from differential.bijectors.part import Part
from differential.bijectors.reference import Point

from .asking import answered
from .probabilities import statistic

if TYPE_CHECKING:
    from differential.bijectors.draw import Answer, Question
    from differential.bijectors.reference import Reference, Shape, Total

    Array = np.ndarray[Any, Any]

__all__ = ["linear", "moments", "moments_of_affine"]


def _parameters(part: Part, shape: tuple[Shape, Shape]) -> tuple[Array, Array]:
    """Return the means and the factors of a distribution's elements, in the shape of batch and event."""
    inner = part if part.kind in ("Normal", "MultivariateNormalDiag") else part.parts[0]
    names = ("loc", "scale" if inner.kind == "Normal" else "scale_diag")
    found = []
    for name in names:
        value = np.asarray(inner.arguments[name])
        if part.kind == "Sample":
            value = np.broadcast_to(value, shape[0]).reshape(*shape[0], *(1,) * len(shape[1]))
        found.append(np.broadcast_to(value, (*shape[0], *shape[1])))
    return found[0], np.abs(found[1])


def _constants(reference: Reference, part: Part) -> tuple[Point, Point]:
    """Return mean and deviation, which are parameters."""

    def compute() -> tuple[Point, Point]:
        loc, scale = _parameters(part, densities.shapes(reference, part))
        return tuple(Point(Exact.from_floats(each), np.zeros(each.shape)) for each in (loc, scale))  # type: ignore[return-value]

    found: tuple[Point, Point] = reference.once((part, "constants"), compute)
    return found


def _entropy(reference: Reference, part: Part) -> Total:
    """Sum the entropies of the elements over an event; of an affine map, add its log-det."""
    batch, event = densities.shapes(reference, part)
    if part.kind == "TransformedDistribution":
        base, bijector = part.parts
        zeros: Array = reference.once((part, "zeros"), lambda: np.zeros(event, reference.dtype))
        log_det = reference.log_det(bijector, "forward", reference.given(zeros), len(event))
        return reference.added([_entropy(reference, base), log_det])
    _, scale = _parameters(part, (batch, event))
    exact = reference.once((part, "entropy"), lambda: oracle.Normal(np.zeros_like(scale), scale).entropy())
    bound = bounds.normal_entropy(scale, reference.form)
    return reference.total(Point(exact, np.asarray(bound.error)), len(event), 1.5 + np.abs(np.log(scale.astype(float))))


def _square(reference: Reference, deviation: Point) -> Point:
    found = reference.uncertain(deviation)
    exact = deviation.exact
    numerators = np.asarray(exact.numerators * exact.numerators, dtype=object)
    return Point(Exact(numerators, 2 * exact.bits), reference.arithmetic.multiply(found, found).error)


def moments(part: Part) -> list[Question]:
    """Ask for mean, standard deviation, variance and entropy of what is normal."""
    return [
        statistic("mean", lambda reference: answered(_constants(reference, part)[0])),
        statistic("stddev", lambda reference: answered(_constants(reference, part)[1])),
        statistic("variance", lambda reference: answered(_square(reference, _constants(reference, part)[1]))),
        statistic("entropy", lambda reference: answered(_entropy(reference, part))),
    ]


def linear(part: Part) -> Part:
    """Leave the shifts out of an affine map."""
    if part.kind == "Shift":
        return Part("Chain")
    return Part(part.kind, part.arguments, tuple(linear(each) for each in part.parts))


class _Affine:
    """What a map of numbers, or of vectors, makes of normal variables."""

    def __init__(self, part: Part) -> None:
        self.part, (self.base, self.bijector) = part, part.parts
        self.linear = linear(self.bijector)

    def stretched(self, reference: Reference, point: Point) -> Point:
        """Map by the linear part: directly, or as the difference of two images, which is all that a stranger owes."""
        found = reference.mapped(self.linear, "forward", point)
        if reference.grade is DEFINITION:
            return found
        nothing = Point(Exact(np.zeros(point.exact.shape, dtype=object), 0), np.zeros(point.exact.shape))
        images = (reference.uncertain(reference.mapped(self.bijector, "forward", each)) for each in (point, nothing))
        difference = reference.arithmetic.subtract(*images).error
        return Point(found.exact, np.maximum(found.error, difference))

    def mean(self, reference: Reference) -> Answer:
        """Map the mean."""
        return answered(reference.mapped(self.bijector, "forward", _constants(reference, self.base)[0]))

    def deviation(self, reference: Reference) -> Point:
        """Stretch the deviation."""
        found = self.stretched(reference, _constants(reference, self.base)[1])
        numerators = np.asarray(abs(found.exact.numerators), dtype=object)
        return Point(reference.once((self.part, "stddev"), lambda: Exact(numerators, found.exact.bits)), found.error)

    def covariance(self, reference: Reference) -> Answer:
        """Stretch the rows of a diagonal matrix, and then its columns: no two elements depend on each other."""
        squares = _square(reference, _constants(reference, self.base)[1])
        squares = reference.once((self.part, "squares"), lambda: squares)
        size = squares.exact.shape[-1]
        place = np.eye(size, dtype=int)
        matrix: Any = Point(
            Exact(np.asarray(squares.exact.numerators[..., np.newaxis] * place, dtype=object), squares.exact.bits),
            squares.error[..., np.newaxis] * place,
        )
        for _ in range(2):
            matrix = self.stretched(reference, matrix)
            exact = Exact(np.swapaxes(matrix.exact.numerators, -1, -2), matrix.exact.bits)
            matrix = Point(exact, np.swapaxes(matrix.error, -1, -2))
        return answered(matrix)


def moments_of_affine(part: Part) -> list[Question]:
    """Ask for moments of what an affine map makes of a normal variable; of vectors, for the covariance too."""
    of = _Affine(part)
    found = [
        statistic("mean", of.mean),
        statistic("mode", of.mean),
        statistic("stddev", lambda reference: answered(of.deviation(reference))),
        statistic("variance", lambda reference: answered(_square(reference, of.deviation(reference)))),
        statistic("entropy", lambda reference: answered(_entropy(reference, part))),
    ]
    return [*found, statistic("covariance", of.covariance)] if of.base.kind == "MultivariateNormalDiag" else found
