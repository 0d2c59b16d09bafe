"""Rational quadratic splines, alone and as what Real NVP maps by."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.bounds import DEFINITION
from bnspec_conformance.oracle import Exact
from differential.bijectors.draw import Answer, Family, Question
from differential.bijectors.part import Part
from differential.bijectors.reference import Reference
from differential.bijectors.rules_table import RULES

from .asking import calls, facts, log_dets, rounded, sizes

if TYPE_CHECKING:
    from differential.bijectors.draw import Asked

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["SPLINES"]

_START = -1.75  # a multiple of 1/16, as all sizes are where they are dyadic


def _sizes(options: Options, shape: tuple[int, ...], bins: int, random: np.random.Generator) -> Array:
    """Draw the sizes of bins with the sum 4: multiples of 1/16, or shares that are rounded."""
    count = int(np.prod(shape))
    if options["sizes"] == "dyadic":
        ends = [np.sort(random.choice(np.arange(1, 64), bins - 1, replace=False)) for _ in range(count)]
        rows = np.asarray([np.diff([0, *row, 64]) for row in ends]) / 16.0
    else:
        grown = np.exp(random.normal(0.0, 1.0, (count, bins)))
        rows = 0.05 + (4.0 - 0.05 * bins) * grown / grown.sum(axis=-1, keepdims=True)
    return np.asarray(rows.reshape(*shape, bins), dtype=options["dtype"])


def _slopes(options: Options, shape: tuple[int, ...], bins: int, random: np.random.Generator) -> Array:
    reach = np.log({"usual": 4.0, "steep": 50.0}[options["slopes"]])
    of = {"each": (*shape, bins - 1), "one": (1,), "number": ()}[options["knots"]]
    return np.asarray(np.exp(random.uniform(-reach, reach, of)), dtype=options["dtype"])


def _spline(options: Options, shape: tuple[int, ...], random: np.random.Generator) -> Part:
    """Make splines: one, one for each number along the last axis, or one for each number."""
    of = {"one": (), "last axis": shape[-1:], "all": shape}[options["batch_of"]]
    bins, dtype = options["bins"], options["dtype"]
    part = Part(
        "RationalQuadraticSpline",
        {
            "bin_widths": _sizes(options, of, bins, random),
            "bin_heights": _sizes(options, of, bins, random),
            "knot_slopes": _slopes(options, of, bins, random),
            "range_min": np.asarray(_START, dtype=dtype),
        },
    )
    return Part("Invert", parts=(part,)) if options["inverted"] else part


def _coupling(options: Options, size: int, random: np.random.Generator) -> Part:
    """Make a Real NVP through splines, with a dense network."""
    bins, dtype = options["bins"], options["dtype"]
    count = int(random.integers(-size + 1, size))
    units = size - abs(count)
    widths = [abs(count), *sizes(random, 1, 5, options["hidden"]), units * (3 * bins - 1)]
    layers = [
        (
            np.asarray(random.normal(0.0, 0.6, pair), dtype=dtype),
            np.asarray(random.normal(0.0, 0.6, pair[1]), dtype=dtype),
        )
        for pair in pairwise(widths)
    ]
    conditioner = {"layers": layers, "activation": "tanh", "bins": bins}
    start = np.asarray(_START, dtype=dtype)
    return Part(
        "RealNVP of splines", {"num_masked": count, "units": units, "conditioner": conditioner, "range_min": start}
    )


def _points(options: Options, shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Draw numbers inside of the range and some outside, or far outside."""
    x = random.uniform(-2.5, 3.0, shape)
    if options["data"] == "far":
        x = np.where(random.integers(2, size=shape) > 0, x * 10.0 ** random.uniform(0.0, 18.0, shape), x)
    return np.asarray(x, dtype=options["dtype"])


def _mend(options: Options) -> None:
    if options["kind"] == "coupling":
        options |= {"rank": max(1, options["rank"]), "inverted": False, "knots": "each", "data": "near"}
        options |= {"sizes": "network", "slopes": "network", "batch_of": "network", "derivative": False}
    else:
        options["hidden"] = 0
        options["derivative"] = options["derivative"] and not options["inverted"]
    options["fits"] = options["bins"] == 2


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    dtype = options["dtype"]
    least = int(options["kind"] == "coupling")
    shape = sizes(random, 1 + least, 5, options["rank"])
    part = _coupling(options, shape[-1], random) if least else _spline(options, shape, random)
    reference = Reference(dtype, DEFINITION, RULES, {})
    x, near = (_points(options, shape, random) for _ in range(2))
    y = rounded(reference.mapped(part, "forward", reference.given(near)).exact, dtype)
    ranks = sorted({least, options["rank"], int(random.integers(least, options["rank"] + 1))})
    questions = [calls(part, "forward", x), calls(part, "inverse", y), *facts(part, shape[len(shape) - least :])]
    questions += log_dets(part, "forward", x, ranks) + log_dets(part, "inverse", y, ranks)
    if options["derivative"]:
        questions.append(_far_out(part, dtype))
    return lambda side: side.make(part), questions, None


def _far_out(part: Part, dtype: str) -> Question:
    """Ask for the derivative of the identity, so far outside that the square of a number overflows."""
    large = {"float32": 1e25, "float64": 1e200}[dtype]
    batch = part.arguments["bin_widths"].shape[:-1]
    x = np.broadcast_to(np.asarray([-large, large], dtype).reshape(2, *(1,) * len(batch)), (2, *batch)).copy()

    def ask(asked: Asked) -> Any:
        return asked.side.slope(asked.made.forward, x)

    return Question("derivative far out", ask, lambda _: Answer(Exact.from_floats(np.ones_like(x)), np.zeros(x.shape)))


SPLINES = Family(
    {
        "kind": ("spline", "spline", "coupling"),
        "dtype": ("float32", "float64"),
        "rank": (0, 1, 1, 2),
        "bins": (1, 2, 3, 5, 8),
        "sizes": ("dyadic", "dyadic", "rounded"),
        "slopes": ("usual", "usual", "steep"),
        "knots": ("each",) * 14 + ("one", "number"),
        "batch_of": ("one", "last axis", "all"),
        "inverted": (False, False, True),
        "hidden": (0, 1),
        "data": ("near", "near", "far"),
        "derivative": (False,) * 9 + (True,),
    },
    _mend,
    _drawn,
)
"""Splines of fixed knots, and those whose knots a network gives to Real NVP."""
