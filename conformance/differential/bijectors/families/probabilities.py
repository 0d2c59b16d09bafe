"""What is asked of every distribution: shapes, the density, probabilities and quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.oracle import Exact
from differential.bijectors import densities
from differential.bijectors.draw import Answer, Question
from differential.bijectors.part import Part
from differential.bijectors.reference import Point, aligned

from .asking import answered, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from differential.bijectors.draw import Asked
    from differential.bijectors.reference import Reference, Shape

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["density", "diagonal", "normal", "quantile", "shapes", "statistic", "tails", "uniform"]

# The method of a distribution to that of the oracle and of the bounds.
_TAILS = {
    "cdf": "cdf",
    "log_cdf": "log_cdf",
    "survival_function": "survival",
    "log_survival_function": "log_survival",
}
_OPPOSITE = {"cdf": "survival", "log_cdf": "log_survival", "survival": "cdf", "log_survival": "log_cdf"}


def uniform(random: np.random.Generator, low: float, high: float, shape: Shape, dtype: str) -> Array:
    """Draw numbers between two."""
    return np.asarray(random.uniform(low, high, shape), dtype=dtype)


def normal(shape: Shape, options: Options, random: np.random.Generator) -> Part:
    """Make a normal distribution with a batch of a shape."""
    dtype = options["dtype"]
    other = shape if random.integers(2) else ()
    loc, scale = uniform(random, -2.0, 2.0, shape, dtype), uniform(random, 0.3, 3.0, other, dtype)
    return Part("Normal", {"loc": loc, "scale": scale})


def diagonal(batch: Shape, size: int, options: Options, random: np.random.Generator) -> Part:
    """Make a normal distribution of vectors, with factors of both signs."""
    dtype = options["dtype"]
    own = (*batch, size) if random.integers(2) else (size,)
    scale = uniform(random, 0.3, 3.0, own, dtype) * random.choice([-1.0, 1.0], own).astype(dtype)
    return Part(
        "MultivariateNormalDiag", {"loc": uniform(random, -2.0, 2.0, (*batch, size), dtype), "scale_diag": scale}
    )


def _at(method: str, x: Array, answer: Callable[[Reference], Answer]) -> Question:
    """Call a method at numbers."""

    def ask(asked: Asked) -> Array:
        found: Array = asked.side.numpy(getattr(asked.made, method)(asked.side.array(x)))
        return found

    return Question(method, ask, answer)


def statistic(method: str, answer: Callable[[Reference], Answer]) -> Question:
    """Call a method without arguments."""

    def ask(asked: Asked) -> Array:
        return np.asarray(asked.side.numpy(getattr(asked.made, method)()))

    return Question(method, ask, answer)


def shapes(part: Part) -> list[Question]:
    """Ask for the shapes of batch and event."""

    def one(name: str, place: int) -> Question:
        return Question(
            name,
            lambda asked: plain(getattr(asked.made, name)),
            lambda reference: densities.shapes(reference, part)[place],
        )

    return [one("batch_shape", 0), one("event_shape", 1)]


def density(part: Part, x: Array) -> list[Question]:
    """Ask for the density and its logarithm."""

    def answer(reference: Reference) -> Answer:
        return answered(densities.log_prob(reference, part, reference.given(x)))

    def exponential(reference: Reference) -> Answer:
        return Answer(*densities.prob(reference, densities.log_prob(reference, part, reference.given(x))))

    return [_at("log_prob", x, answer), _at("prob", x, exponential)]


def _either(falls: Any, falling: Answer, rising: Answer) -> Answer:
    """Take one answer where a map falls, the other where it rises."""
    (down, up), bits = aligned([falling.exact, rising.exact])
    where, down, up, *errors = np.broadcast_arrays(falls, down, up, falling.bound, rising.bound)
    return Answer(Exact(np.where(where, down, up), bits), np.where(where, *errors))


def tails(base: Part, bijector: Part | None, x: Array, falls: Any = False) -> list[Question]:
    """Ask for probabilities of a normal variable, or of what a map of numbers makes of it.

    Parameters
    ----------
    base : Part
        The normal distribution.
    bijector : Part, optional
        The map.
    x : array
        Where.
    falls : bool, or array of bool
        Whether it falls.
    """
    loc, scale = base.arguments["loc"], base.arguments["scale"]
    wide = np.asarray(loc, np.float64), np.asarray(scale, np.float64)

    def one(method: str) -> Question:
        def below(reference: Reference, name: Any, point: Point) -> Answer:
            exact = reference.once(
                (base, name, point.exact), lambda: getattr(oracle.Normal(loc, scale), name)(point.exact)
            )
            bound = bounds.normal(name, reference.uncertain(point), *wide, reference.form)
            return Answer(exact, np.asarray(bound.error))

        def answer(reference: Reference) -> Answer:
            point, name = reference.given(x), _TAILS[method]
            point = point if bijector is None else reference.mapped(bijector, "inverse", point)
            return _either(falls, below(reference, _OPPOSITE[name], point), below(reference, name, point))

        return _at(method, x, answer)

    return [one(method) for method in _TAILS]


def quantile(base: Part, bijector: Part | None, p: Array, falls: Any = False) -> Question:
    """Ask for what is reached with a probability; where a map falls, it is the base's for 1 - p, taken exactly."""
    loc, scale = base.arguments["loc"], base.arguments["scale"]
    wide = np.asarray(loc, np.float64), np.asarray(scale, np.float64)
    below = Exact.from_floats(p)
    above = Exact(np.asarray((1 << below.bits) - below.numerators, dtype=object), below.bits)

    def reached(reference: Reference, which: str, given: Exact) -> Answer:
        exact = reference.once((base, which, p), lambda: oracle.Normal(loc, scale).quantile(given))
        point = reference.once((which, p), lambda: oracle.Normal().quantile(given))
        bound = bounds.normal_quantile(np.asarray(point.to_float()), *wide, reference.form)
        return Answer(exact, np.broadcast_to(bound.error, exact.shape))

    def answer(reference: Reference) -> Answer:
        found = _either(falls, reached(reference, "above", above), reached(reference, "below", below))
        exact = reference.once((base, "quantile", p), lambda: found.exact)
        point = Point(exact, found.bound)
        return answered(point if bijector is None else reference.mapped(bijector, "forward", point))

    return _at("quantile", p, answer)
