"""What bijectors make of normal distributions: rising maps and falling ones, affine ones with their moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.bounds import DEFINITION
from differential.bijectors import densities
from differential.bijectors.draw import Family
from differential.bijectors.part import Part, kinds
from differential.bijectors.reference import Reference
from differential.bijectors.rules_table import RULES

from .asking import rounded, sizes
from .composition import chain
from .elementwise import parameters
from .moments import moments_of_affine
from .probabilities import density, diagonal, normal, quantile, shapes, tails, uniform

if TYPE_CHECKING:
    from differential.bijectors.reference import Shape

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["TRANSFORMED", "falls"]

_AFFINE = ("Shift", "Scale", "Scale of Invert")
_MONOTONIC = ("Shift", "Scale", "Scale of Invert", "Exp", "Sigmoid", "Softplus", "Tanh")
# What takes the positive numbers that Exp gives; Softplus may give a 0.
_OF_POSITIVE = ("Log", "Exp of Invert", "Softplus of Invert", *_AFFINE)
_OF_VECTORS = ("Shift", "Scale", "ScaleMatvecDiag", "ScaleMatvecDiag of Invert", "Permute")


def falls(part: Part) -> Any:
    """Tell where a map of numbers falls, from the signs of its factors.

    Parameters
    ----------
    part : Part
        A chain of monotonic maps.

    Returns
    -------
    array of bool
    """
    found: Any = np.asarray(part.arguments.get("scale", 1.0)) < 0
    for each in part.parts:
        found = found != falls(each)
    return found


def _one(kind: str, shape: Shape, options: Options, random: np.random.Generator) -> Part:
    """Make a part; its factors have any sign, or all are negative."""
    kind, _, inverted = kind.partition(" of ")
    if kind == "Permute":
        return Part("Permute", {"permutation": random.permutation(shape[-1]).tolist(), "axis": -1})
    given = parameters(kind, shape, {**options, "variant": kind != "Scale" or bool(random.integers(3))}, random)
    if options["signs"] != "both":
        given = {name: np.asarray(np.abs(value)) if name == "scale" else value for name, value in given.items()}
    part = Part(kind, {} if inverted == "Invert" and kind in ("Exp", "Softplus") else given)
    return Part("Invert", parts=(part,)) if inverted else part


def _scalar(options: Options, shape: Shape, random: np.random.Generator) -> Part:
    """Make a chain of maps of numbers."""
    rising = options["kind"] == "monotonic"
    allowed: tuple[str, ...] = _MONOTONIC if rising else _AFFINE
    parts: list[Part] = []
    if options["kind"] == "reciprocal":
        parts += [Part("Exp"), Part("Reciprocal")]
    for _ in range(options["length"]):
        kind = str(random.choice(allowed))
        parts.append(_one(kind, shape if random.integers(2) else (), options, random))
        if kind not in _AFFINE:
            allowed = _OF_POSITIVE if kind == "Exp" else _AFFINE
    if options["signs"] == "falls":
        factor = np.asarray(-random.uniform(0.3, 3.0), options["dtype"])
        parts.insert(0 if rising else len(parts), Part("Scale", {"scale": factor}))
    found = Part("Chain", parts=tuple(reversed(parts)))
    return Part("Invert", parts=(found,)) if options["inverted"] else found


def _vector(shape: Shape, length: int, options: Options, random: np.random.Generator) -> tuple[Part, Shape]:
    """Make an affine chain of vectors, or one of permutations alone."""
    several = ("Permute",) if options["permutes"] else _OF_VECTORS
    parts = [_one(str(random.choice(several)), shape, options, random) for _ in range(length)]
    return Part("Chain", parts=tuple(parts)), shape


def _image(part: Part, near: Array, dtype: str) -> Array:
    reference = Reference(dtype, DEFINITION, RULES, {})
    return rounded(reference.mapped(part, "forward", reference.given(near)).exact, dtype)


def _mend(options: Options) -> None:
    if options["kind"] != "vector":
        options["permutes"] = False
    if options["kind"] in ("vector", "any", "reciprocal"):
        options["signs"] = "both"
    if options["kind"] != "affine":
        options["inverted"] = False


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    kind, dtype = options["kind"], options["dtype"]
    batch, more = (sizes(random, 1, 4, options[name]) for name in ("batch", "more"))
    size = int(random.integers(1, 5))
    base = normal(batch, options, random)
    inner = base
    if kind in ("vector", "any"):
        inner = diagonal(batch, size, options, random)
        several = chain if kind == "any" else _vector
        made, _ = several((size,), options["length"], options, random)
    elif kind == "extended":
        inner = Part("Sample", {"sample_shape": [size]}, (base,))
        made = _scalar(options, (), random)
    else:
        made = _scalar(options, batch, random)
    part = Part("TransformedDistribution", parts=(inner, made))
    down = falls(made)
    options |= {"tanh": "Tanh" in kinds(part), "falls": bool(np.any(down))}
    of_batch, event = densities.shapes(Reference(dtype, DEFINITION, RULES, {}), inner)
    x = _image(made, uniform(random, -2.0, 2.0, (*more, *of_batch, *event), dtype), dtype)
    questions = [*shapes(part), *density(part, x)]
    if kind in ("monotonic", "affine"):
        p = random.uniform(0.02, 0.98, (*more, *batch))
        p = np.asarray(10.0 ** (-6.0 * p) if options["data"] == "tails" else p, dtype=dtype)
        questions += [*tails(base, made, x, down), quantile(base, made, p, down)]
    if kind in ("affine", "extended", "vector"):
        questions += moments_of_affine(part)
    return lambda side: side.make(part), questions, None


TRANSFORMED = Family(
    {
        "kind": ("monotonic", "monotonic", "affine", "affine", "extended", "vector", "any", "reciprocal"),
        "dtype": ("float32", "float64"),
        "batch": (0, 1, 1, 2),
        "more": (0, 1, 1),
        "length": (1, 2, 3),
        "signs": ("rises", "falls", "both"),
        "inverted": (False, False, True),
        "permutes": (False, False, False, True),
        "data": ("near", "near", "tails"),
    },
    _mend,
    _drawn,
)
"""Densities of what bijectors make of normal variables; probabilities and quantiles of monotonic maps, also falling
ones; moments of affine maps."""
