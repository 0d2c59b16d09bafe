"""Real NVP and NICE."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import oracle
from bnspec_conformance.bounds import DEFINITION
from differential.bijectors.draw import Family, Question
from differential.bijectors.part import Part
from differential.bijectors.reference import Reference
from differential.bijectors.rules_table import RULES

from .asking import calls, facts, log_dets, rounded, sizes

if TYPE_CHECKING:
    from differential.bijectors.draw import Asked

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["COUPLING"]


def _fraction(options: Options, size: int, random: np.random.Generator) -> float | None:
    """Draw a fraction with two digits, of which the rounding is as wanted."""
    for _ in range(200):
        fraction = round(float(random.uniform(-0.99, 0.99)), 2)
        exact, nearest = oracle.masked_count(fraction, size), int(np.round(size * fraction))
        kind = "nothing" if fraction < 0 and nearest == 0 else "agrees" if exact == nearest else "differs"
        if kind == options["fraction"]:
            return fraction
    return None


def _mend(options: Options) -> None:
    if options["mask"] == "number":
        options["fraction"] = "none"
    elif options["fraction"] == "none":
        options["fraction"] = "agrees"
    if options["returns"] == "log_scale" and options["form"] == "template":
        options["form"] = "function"
    if options["form"] == "template":
        options["again"] = False


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    dtype = options["dtype"]
    size = int(random.integers(2, 8))
    count: int | None = None
    fraction = None
    if options["mask"] == "number":
        count = int(random.integers(-size + 1, size))
    while options["mask"] == "fraction" and (fraction := _fraction(options, size, random)) is None:
        size = int(random.integers(2, 8))
    if fraction is not None:
        staying = abs(oracle.masked_count(fraction, size))
    else:
        assert count is not None  # noqa: S101 - one of both is there
        staying = abs(count)
    if staying == 0 and options["form"] == "template":
        options["form"] = "function"  # a dense layer of TensorFlow has inputs
    units = size - staying
    widths = [staying, *sizes(random, 1, 7, options["hidden"]), units]
    widths[-1] *= 2 if options["returns"] == "both" else 1
    layers = [
        (
            np.asarray(random.normal(0.0, 0.6, pair), dtype=dtype),
            np.asarray(random.normal(0.0, 0.6, pair[1]), dtype=dtype),
        )
        for pair in pairwise(widths)
    ]
    conditioner = {"layers": layers, **{key: options[key] for key in ("activation", "returns", "form")}}
    part = Part(
        "RealNVP", {"num_masked": count, "fraction_masked": fraction, "conditioner": conditioner, "units": units}
    )
    batch = sizes(random, 1, 4, options["batch"])
    x, near = (np.asarray(random.normal(0.3, 1.5, (*batch, size)), dtype=dtype) for _ in range(2))
    reference = Reference(dtype, DEFINITION, RULES, {})
    y = rounded(reference.mapped(part, "forward", reference.given(near)).exact, dtype)
    questions: list[Question] = []
    if options["again"]:
        questions.append(_another_size(size + 1, dtype))
    ranks = sorted({1, 1 + len(batch)})
    questions += [calls(part, "forward", x), calls(part, "inverse", y), *facts(part, (size,))]
    questions += log_dets(part, "forward", x, ranks) + log_dets(part, "inverse", y, ranks)
    return lambda side: side.make(part), questions, None


def _another_size(size: int, dtype: str) -> Question:
    """Use the bijector for events of another size before."""

    def ask(asked: Asked) -> bool:
        x = asked.side.array(np.ones((2, size), dtype))
        return asked.side.numpy(asked.made.forward(x)).shape == (2, size)  # type: ignore[no-any-return]

    return Question("forward of another size", ask, lambda _: True)


COUPLING = Family(
    {
        "mask": ("number", "number", "fraction"),
        "fraction": ("agrees", "agrees", "agrees", "agrees", "agrees", "differs", "nothing"),
        "returns": ("both", "both", "both", "shift", "log_scale"),
        "form": ("function", "function", "template", "bijector"),
        "activation": ("relu", "tanh"),
        "hidden": (0, 1, 1, 2),
        "batch": (0, 1, 1, 2),
        "dtype": ("float32", "float64"),
        "again": (False, False, False, False, False, False, False, True),
    },
    _mend,
    _drawn,
)
"""Affine coupling and additive coupling, the conditioner a dense network with equal weights on both sides."""
