"""Normal distributions, extensions of them, and what bijectors make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import DEFINITION
from bnspec_conformance.oracle import Exact
from differential.bijectors import densities
from differential.bijectors.draw import Answer, Family, Question
from differential.bijectors.part import Part, kinds
from differential.bijectors.reference import Point, Reference
from differential.bijectors.rules_table import RULES

from .asking import answered, plain, rounded, sizes
from .composition import chain
from .elementwise import parameters

if TYPE_CHECKING:
    from differential.bijectors.draw import Asked
    from differential.bijectors.reference import Shape, Total

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["DENSITIES"]

# The method of a distribution to that of the oracle and of the bounds.
_TAILS = {
    "log_prob": "log_prob",
    "prob": "prob",
    "cdf": "cdf",
    "log_cdf": "log_cdf",
    "survival_function": "survival",
    "log_survival_function": "log_survival",
}
_OPPOSITE = {"cdf": "survival", "log_cdf": "log_survival", "survival": "cdf", "log_survival": "log_cdf"}


def _uniform(random: np.random.Generator, low: float, high: float, shape: Shape, dtype: str) -> Array:
    return np.asarray(random.uniform(low, high, shape), dtype=dtype)


def _normal(shape: Shape, options: Options, random: np.random.Generator) -> Part:
    dtype = options["dtype"]
    other = shape if random.integers(2) else ()
    loc, scale = _uniform(random, -2.0, 2.0, shape, dtype), _uniform(random, 0.3, 3.0, other, dtype)
    return Part("Normal", {"loc": loc, "scale": scale})


def _diagonal(batch: Shape, size: int, options: Options, random: np.random.Generator) -> Part:
    dtype = options["dtype"]
    own = (*batch, size) if random.integers(2) else (size,)
    scale = _uniform(random, 0.3, 3.0, own, dtype) * random.choice([-1.0, 1.0], own).astype(dtype)
    return Part(
        "MultivariateNormalDiag", {"loc": _uniform(random, -2.0, 2.0, (*batch, size), dtype), "scale_diag": scale}
    )


def _at(method: str, x: Array, answer: Any) -> Question:
    """Call a method at numbers."""

    def ask(asked: Asked) -> Array:
        found: Array = asked.side.numpy(getattr(asked.made, method)(asked.side.array(x)))
        return found

    return Question(method, ask, answer)


def _statistic(method: str, answer: Any) -> Question:
    """Call a method without arguments."""

    def ask(asked: Asked) -> Array:
        return np.asarray(asked.side.numpy(getattr(asked.made, method)()))

    return Question(method, ask, answer)


def _shapes(part: Part) -> list[Question]:
    def one(name: str, place: int) -> Question:
        return Question(
            name,
            lambda asked: plain(getattr(asked.made, name)),
            lambda reference: densities.shapes(reference, part)[place],
        )

    return [one("batch_shape", 0), one("event_shape", 1)]


def _density(part: Part, x: Array) -> list[Question]:
    """Ask for the density and its logarithm."""

    def answer(reference: Reference) -> Answer:
        return answered(densities.log_prob(reference, part, reference.given(x)))

    def exponential(reference: Reference) -> Answer:
        return Answer(*densities.prob(reference, densities.log_prob(reference, part, reference.given(x))))

    return [_at("log_prob", x, answer), _at("prob", x, exponential)]


def _tail(method: str, base: Part, bijector: Part | None, x: Array, *, falls: bool) -> Question:
    """Ask for a probability, of a normal variable or of what an elementwise bijector makes of it."""
    name = _TAILS[method]
    name = _OPPOSITE[name] if falls else name

    def answer(reference: Reference) -> Answer:
        point = reference.given(x)
        point = point if bijector is None else reference.mapped(bijector, "inverse", point)
        loc, scale = base.arguments["loc"], base.arguments["scale"]
        exact = reference.once((base, name, point.exact), lambda: getattr(oracle.Normal(loc, scale), name)(point.exact))
        mean, deviation = (np.asarray(each, np.float64) for each in (loc, scale))
        bound = bounds.normal(name, reference.uncertain(point), mean, deviation, reference.form)  # type: ignore[arg-type]
        return Answer(exact, np.asarray(bound.error))

    return _at(method, x, answer)


def _quantile(base: Part, bijector: Part | None, p: Array) -> Question:
    def answer(reference: Reference) -> Answer:
        loc, scale = base.arguments["loc"], base.arguments["scale"]
        exact = reference.once((base, "quantile", p), lambda: oracle.Normal(loc, scale).quantile(p))
        point = reference.once((base, "point", p), lambda: oracle.Normal().quantile(p))
        mean, deviation = (np.asarray(each, np.float64) for each in (loc, scale))
        bound = bounds.normal_quantile(np.asarray(point.to_float()), mean, deviation, reference.form)
        found = Point(exact, np.broadcast_to(bound.error, exact.shape))
        return answered(found if bijector is None else reference.mapped(bijector, "forward", found))

    return _at("quantile", p, answer)


def _constant(value: Array, shape: Shape) -> Point:
    return Point(Exact.from_floats(np.broadcast_to(value, shape)), np.zeros(shape))


def _entropy(reference: Reference, part: Part) -> Total:
    """Sum the entropies of the elements over an event."""
    if part.kind == "TransformedDistribution":  # by a chain of shifts and scales
        base, bijector = part.parts
        zero = reference.given(_zeros(reference, part))
        return reference.added([_entropy(reference, base), reference.log_det(bijector, "forward", zero, 0)])
    inner = part if part.kind in ("Normal", "MultivariateNormalDiag") else part.parts[0]
    batch, event = densities.shapes(reference, part)
    name = "scale" if inner.kind == "Normal" else "scale_diag"
    scale = np.abs(np.asarray(inner.arguments[name]))
    if part.kind == "Sample":
        scale = np.broadcast_to(scale, batch).reshape(*batch, *(1,) * len(event))
    scale = np.broadcast_to(scale, (*batch, *event))
    exact = reference.once((part, "entropy"), lambda: oracle.Normal(np.zeros_like(scale), scale).entropy())
    bound = bounds.normal_entropy(scale, reference.form)
    return reference.total(Point(exact, np.asarray(bound.error)), len(event), 1.5 + np.abs(np.log(scale.astype(float))))


def _zeros(reference: Reference, part: Part) -> Array:
    found: Array = reference.once((part, "zeros"), lambda: np.zeros((), reference.dtype))
    return found


def _moments(part: Part) -> list[Question]:
    """Ask for mean, standard deviation and entropy of what is normal."""
    inner = part if part.kind in ("Normal", "MultivariateNormalDiag") else part.parts[0]
    names = ("loc", "scale" if inner.kind == "Normal" else "scale_diag")

    def one(place: int) -> Any:
        def answer(reference: Reference) -> Answer:
            batch, event = densities.shapes(reference, part)
            value = np.asarray(inner.arguments[names[place]])
            if part.kind == "Sample":
                value = np.broadcast_to(value, batch).reshape(*batch, *(1,) * len(event))
            return answered(_constant(np.abs(value) if place else value, (*batch, *event)))

        return answer

    return [
        _statistic("mean", one(0)),
        _statistic("stddev", one(1)),
        _statistic("entropy", lambda reference: answered(_entropy(reference, part))),
    ]


def _affine_moments(part: Part) -> list[Question]:
    """Ask for mean and entropy of what a chain of shifts and scales makes of a normal variable."""
    base, bijector = part.parts

    def mean(reference: Reference) -> Answer:
        loc, shape = base.arguments["loc"], densities.shapes(reference, part)[0]
        start = reference.once((part, "loc"), lambda: Exact.from_floats(np.broadcast_to(loc, shape)))
        return answered(reference.mapped(bijector, "forward", Point(start, np.zeros(shape))))

    def entropy(reference: Reference) -> Answer:
        return answered(_entropy(reference, part))

    return [_statistic("mean", mean), _statistic("entropy", entropy)]


def _scalar(options: Options, random: np.random.Generator, kinds: tuple[str, ...]) -> tuple[Part, bool]:
    """Make a chain of scalar parts; and tell whether it falls."""
    parts = []
    for _ in range(options["length"]):
        kind = str(random.choice(kinds))
        parts.append(Part(kind, parameters(kind, (), {**options, "variant": True}, random)))
        if kind in ("Exp", "Sigmoid"):
            kinds = ("Shift", "Scale")
    signs = [float(each.arguments["scale"]) for each in parts if each.kind == "Scale"]
    return Part("Chain", parts=tuple(reversed(parts))), bool(np.prod(np.sign(signs)) < 0)


def _image(part: Part, near: Array, dtype: str) -> Array:
    reference = Reference(dtype, DEFINITION, RULES, {})
    return rounded(reference.mapped(part, "forward", reference.given(near)).exact, dtype)


def _mend(options: Options) -> None:
    if options["kind"] == "Independent":
        options["batch"] = max(1, options["batch"])


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    kind, dtype = options["kind"], options["dtype"]
    batch, more = (sizes(random, 1, 4, options[name]) for name in ("batch", "more"))
    bijector: Part | None = None
    falls = False
    base = _normal(batch, options, random)
    part = base
    if kind == "MultivariateNormalDiag":
        part = _diagonal(batch, int(random.integers(1, 5)), options, random)
    elif kind == "Independent":
        count = int(random.integers(1, options["batch"] + 1))
        part = Part("Independent", {"reinterpreted_batch_ndims": count}, (base,))
    elif kind == "Sample":
        own = sizes(random, 1, 4, int(random.integers(1, 3)))
        part = Part("Sample", {"sample_shape": list(own)}, (base,))
    elif kind in ("scalar", "affine"):
        of = ("Shift", "Scale") if kind == "affine" else ("Shift", "Scale", "Exp", "Sigmoid", "Softplus", "Tanh")
        bijector, falls = _scalar(options, random, of)
        part = Part("TransformedDistribution", parts=(base, bijector))
    elif kind == "vector":
        size = int(random.integers(1, 5))
        bijector, _ = chain((size,), options["length"], options, random)
        part = Part("TransformedDistribution", parts=(_diagonal(batch, size, options, random), bijector))
    options["tanh"] = "Tanh" in kinds(part)
    known = Reference(dtype, DEFINITION, RULES, {})
    inner = part.parts[0] if part.kind == "TransformedDistribution" else part
    spread = 12.0 if options["data"] == "tails" and bijector is None else 2.0
    of_batch, event = densities.shapes(known, inner)
    near = _uniform(random, -spread, spread, (*more, *of_batch, *event), dtype)
    x = near if bijector is None else _image(bijector, near, dtype)
    questions = [*_shapes(part), *_density(part, x)]
    if kind in ("Normal", "scalar", "affine"):
        methods = [method for method in _TAILS if "prob" not in method]
        questions += [_tail(method, base, bijector, x, falls=falls) for method in methods]
        if not falls:
            p = _uniform(random, 0.0, 1.0, (*more, *batch), dtype)
            p = p if options["data"] == "tails" else np.asarray(0.02 + 0.96 * p, dtype=dtype)
            questions.append(_quantile(base, bijector, p))
    if bijector is None:
        questions += _moments(part)
    elif kind == "affine":
        questions += _affine_moments(part)
    return lambda side: side.make(part), questions, None


DENSITIES = Family(
    {
        "kind": ("Normal", "MultivariateNormalDiag", "Independent", "Sample", "scalar", "affine", "vector"),
        "dtype": ("float32", "float64"),
        "batch": (0, 1, 1, 2),
        "more": (0, 1, 1),
        "length": (1, 2, 3),
        "data": ("near", "near", "tails"),
    },
    _mend,
    _drawn,
)
"""Densities, probabilities, quantiles and moments."""
