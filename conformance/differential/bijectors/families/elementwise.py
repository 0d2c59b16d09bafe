"""Elementwise bijectors, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import oracle
from bnspec_conformance.bounds import DEFINITION
from differential.bijectors.draw import Answer, Family, Question
from differential.bijectors.part import Part
from differential.bijectors.reference import Point, Reference
from differential.bijectors.rules_table import RULES

from .asking import answered, calls, facts, log_dets, rounded, sizes

if TYPE_CHECKING:
    from differential.bijectors.draw import Asked

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["ELEMENTWISE", "numbers", "parameters"]

KINDS = (
    "AbsoluteValue",
    "Exp",
    "Log",
    "Reciprocal",
    "Scale",
    "ScaleMatvecDiag",
    "Shift",
    "Sigmoid",
    "Softplus",
    "Tanh",
)
# How large arguments of forward are, of which the image is no rounded 0 or limit where an inverse is taken of it.
_NEAR = {"Sigmoid": 6.0, "Tanh": 3.0, "Exp": 5.0, "Softplus": 5.0}
_WIDE = {"Sigmoid": 60.0, "Tanh": 40.0, "Exp": 60.0, "Softplus": 200.0}


def numbers(kind: str, shape: tuple[int, ...], size: float, random: np.random.Generator, dtype: str) -> Array:
    """Draw arguments of forward: of both signs, of several magnitudes, positive where they must be."""
    values = random.choice([-1.0, 1.0], shape) * size * 10.0 ** random.uniform(-2.0, 0.0, shape)
    return np.asarray(np.abs(values) if kind == "Log" else values, dtype=dtype)


def parameters(kind: str, shape: tuple[int, ...], options: Options, random: np.random.Generator) -> dict[str, Any]:
    """Draw the arguments of a constructor."""
    dtype, variant = options["dtype"], options["variant"]

    def made(low: float, high: float, signs: tuple[float, ...] = (1.0,)) -> Array:
        return np.asarray(random.uniform(low, high, shape) * random.choice(signs, shape), dtype=dtype)

    if kind == "Shift":
        return {"shift": made(0.1, 5.0, (-1.0, 1.0))}
    if kind == "Scale":
        return {"scale": made(0.1, 4.0, (-1.0, 1.0))} if variant else {"log_scale": made(-3.0, 3.0)}
    if kind == "ScaleMatvecDiag":
        return {"scale_diag": made(0.1, 4.0, (-1.0, 1.0))}
    if kind == "Sigmoid" and variant:
        low = made(-2.0, 1.0)
        return {"low": low, "high": np.asarray(low + made(0.5, 4.0), dtype=dtype)}
    if kind == "Softplus" and variant:
        return {"hinge_softness": made(0.3, 2.0), "low": made(-1.0, 1.0)}
    return {}


def _mend(options: Options) -> None:
    options["tanh"] = options["kind"] == "Tanh"
    if options["kind"] == "ScaleMatvecDiag":
        options["rank"] = max(1, options["rank"])
    if options["kind"] not in _NEAR or options["kind"] == "Exp":
        options["same_object"] = False


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    kind, dtype, rank = options["kind"], options["dtype"], options["rank"]
    shape = sizes(random, 1, 4, rank)
    own = shape[-1:] if kind == "ScaleMatvecDiag" else ()
    of_parameters = {
        "one": own,
        "last axis": shape[-1:],
        "all": shape,
        "larger batch": (2, *shape),
    }[options["parameters"]]
    if options["parameters"] != "larger batch" and rank == 0:
        of_parameters = ()
    part = Part(kind, parameters(kind, of_parameters, options, random))
    wide = options["data"] == "wide"
    size = _WIDE.get(kind, 1e4) if wide else _NEAR.get(kind, 5.0)
    x = numbers(kind, shape, size, random, dtype)
    reference = Reference(dtype, DEFINITION, RULES, {})
    near = numbers(kind, shape, _NEAR.get(kind, size), random, dtype)
    y = rounded(reference.mapped(part, "forward", reference.given(near)).exact, dtype)
    least, most = int(kind == "ScaleMatvecDiag"), rank
    ranks = sorted({least, most, int(random.integers(least, most + 1))})
    questions = [calls(part, "forward", x), *facts(part, shape[len(shape) - least :])]
    if kind == "AbsoluteValue":
        questions += _preimages(part, np.asarray(np.abs(x)), ranks)
    else:
        questions.append(calls(part, "inverse", y))
        questions += log_dets(part, "forward", x, ranks) + log_dets(part, "inverse", y, ranks)
    if options["same_object"]:
        questions.append(_same_object(x))
    return lambda side: side.make(part), questions, None


def _preimages(part: Part, y: Array, ranks: list[int]) -> list[Question]:
    """Ask for both preimages, and the log-det of each."""

    def value(place: int) -> Question:
        def answer(reference: Reference) -> Answer:
            exact = oracle.AbsoluteValue().inverse(y)[place]
            return answered(Point(exact, reference.given(y).error))

        def ask(asked: Asked) -> Array:
            found: Array = asked.side.numpy(asked.made.inverse(asked.side.array(y))[place])
            return found

        return Question("inverse", ask, answer)

    def log_det(place: int, ndims: int) -> Question:
        def ask(asked: Asked) -> Array:
            found = asked.made.inverse_log_det_jacobian(asked.side.array(y), event_ndims=ndims)[place]
            return np.asarray(asked.side.numpy(found))

        def answer(reference: Reference) -> Answer:
            return answered(reference.log_det(part, "inverse", reference.given(y), ndims))

        return Question("inverse_log_det_jacobian", ask, answer)

    return [value(0), value(1), *(log_det(place, ndims) for place in (0, 1) for ndims in ranks)]


def _same_object(x: Array) -> Question:
    """Ask whether the inverse of the very object that forward returned is that of its value."""

    def ask(asked: Asked) -> bool:
        y = asked.made.forward(asked.side.array(x))
        one, two = (asked.side.numpy(asked.made.inverse(each)) for each in (y, asked.side.array(asked.side.numpy(y))))
        return bool(np.array_equal(one, two, equal_nan=True))

    return Question("inverse of the same object", ask, lambda _: True)


ELEMENTWISE = Family(
    {
        "kind": KINDS,
        "dtype": ("float32", "float64"),
        "rank": (0, 1, 2, 2, 3),
        "parameters": ("one", "last axis", "all", "larger batch"),
        "variant": (True, True, False),
        "data": ("near", "near", "wide"),
        "same_object": (False, False, False, False, False, False, True),
    },
    _mend,
    _drawn,
)
"""One elementwise bijector, with parameters of several shapes, at several ranks of the event."""
