"""Bijectors that are made of others, at random."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.bounds import DEFINITION
from differential.bijectors.draw import Answer, Family, Question
from differential.bijectors.part import Part, kinds
from differential.bijectors.reference import Reference
from differential.bijectors.rules_table import RULES

from .asking import NAMES, answered, calls, facts, log_dets, rounded, sizes
from .elementwise import parameters

if TYPE_CHECKING:
    from differential.bijectors.draw import Asked
    from differential.bijectors.reference import Direction, Shape

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["COMPOSITION", "chain", "one"]

# What may follow where numbers are of any sign, and where they are positive.
_REAL = ("Shift", "Scale", "ScaleMatvecDiag", "Exp", "Sigmoid", "Softplus", "Tanh", "Permute", "Reshape", "Blockwise")
_POSITIVE = ("Log", "Reciprocal", "Exp of Invert", "Softplus of Invert", "Permute", "Reshape", "Blockwise")
_RAISES = {"Exp", "Softplus", "Sigmoid"}  # from any sign to positive
_LOWERS = {"Log", "Exp of Invert", "Softplus of Invert"}  # and back


def one(kind: str, shape: Shape, options: Options, random: np.random.Generator) -> tuple[Part, Shape]:
    """Make a part for events of a shape, and return the shape after it."""
    if kind.endswith(" of Invert"):
        return Part("Invert", parts=(Part(kind.removesuffix(" of Invert")),)), shape
    if kind == "Permute":
        axis = -int(random.integers(1, len(shape) + 1))
        return Part("Permute", {"permutation": random.permutation(shape[axis]).tolist(), "axis": axis}), shape
    if kind == "Reshape":
        count = prod(shape)
        divisors = [n for n in range(1, count + 1) if count % n == 0]
        rows = int(random.choice(divisors))
        after = (rows, count // rows) if len(shape) == 1 else (count,)
        return Part("Reshape", {"event_shape_out": list(after), "event_shape_in": list(shape)}), after
    if kind == "Sigmoid":
        low, high = (np.asarray(value, options["dtype"]) for value in (0.5, 2.5))
        return Part("Sigmoid", {"low": low, "high": high}), shape
    own = shape[-1:] if kind == "ScaleMatvecDiag" or random.integers(2) else ()
    given = {**options, "variant": kind == "Scale" and bool(random.integers(2))}
    return Part(kind, parameters(kind, own, given, random)), shape


def _blockwise(shape: Shape, options: Options, random: np.random.Generator, kinds: tuple[str, ...]) -> Part:
    """Make blocks of scalar parts, and of diagonals that fit."""
    blocks: list[int] = []
    left = shape[-1]
    while left:
        blocks.append(int(random.integers(1, left + 1)))
        left -= blocks[-1]
    parts = tuple(one(str(random.choice(kinds)), (size,), options, random)[0] for size in blocks)
    return Part("Blockwise", {"block_sizes": blocks}, parts)


def chain(shape: Shape, length: int, options: Options, random: np.random.Generator) -> tuple[Part, Shape]:
    """Make a chain that takes numbers of any sign.

    Parameters
    ----------
    shape : tuple of int
        That of an event, of rank 1 or more.
    length : int
        How many parts.
    options : dict
        Has the ``dtype``.
    random : Generator
        What chooses.

    Returns
    -------
    part : Part
    shape : tuple of int
        Of an event after it.
    """
    parts: list[Part] = []
    positive = False
    for _ in range(length):
        kind = str(random.choice(_POSITIVE if positive else _REAL))
        if kind == "Blockwise":
            kinds = (
                ("Reciprocal", "Log", "Exp of Invert") if positive else ("Shift", "Scale", "Tanh", "ScaleMatvecDiag")
            )
            parts.append(_blockwise(shape, options, random, kinds))
            positive = False
            continue
        part, shape = one(kind, shape, options, random)
        parts.append(part)
        positive = (positive or kind in _RAISES) and kind not in _LOWERS
    return Part("Chain", parts=tuple(reversed(parts))), shape


def _made(options: Options, random: np.random.Generator) -> tuple[Part, Shape]:
    """Return a part and the shape of an event that it takes."""
    shape = sizes(random, 1, 5, options["rank"])
    kind = options["kind"]
    if kind in ("Permute", "Reshape"):
        return one(kind, shape, options, random)[0], shape
    if kind == "Blockwise":
        return _blockwise(shape, options, random, ("Shift", "Scale", "Tanh", "ScaleMatvecDiag", "Softplus")), shape
    part, after = chain(shape, options["length"], options, random)
    if kind == "Invert":  # of what takes numbers of any sign, and gives them
        low = tuple(
            each for each in part.parts if each.kind in ("Shift", "Scale", "ScaleMatvecDiag", "Permute", "Reshape")
        )
        return Part("Invert", parts=(Part("Chain", parts=low),)), _after(low, shape)
    if kind == "nested":
        more, _ = chain(after, 1, {**options}, random)
        safe = (
            more if more.parts[0].kind in ("Shift", "Scale", "ScaleMatvecDiag", "Permute") else Part("Chain", parts=())
        )
        return Part("Chain", parts=(safe, part)), shape
    return part, shape


def _after(parts: tuple[Part, ...], shape: Shape) -> Shape:
    """Follow reshapes, rightmost first."""
    for part in reversed(parts):
        if part.kind == "Reshape":
            shape = tuple(part.arguments["event_shape_out"])
    return shape


def _point(part: Part, shape: Shape, random: np.random.Generator, dtype: str) -> tuple[Array, Array]:
    """Draw an argument of forward, and the rounded image of another."""
    reference = Reference(dtype, DEFINITION, RULES, {})
    x, near = (np.asarray(random.uniform(-2.0, 2.0, shape), dtype=dtype) for _ in range(2))
    return x, rounded(reference.mapped(part, "forward", reference.given(near)).exact, dtype)


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    batch = sizes(random, 1, 4, options["batch"])
    if "JointMap" in options["kind"]:
        return _joint(options, random, batch)
    part, event = _made(options, random)
    options |= {"tanh": "Tanh" in kinds(part), "empty": kinds(part) <= {"Chain", "Invert"}}
    x, y = _point(part, (*batch, *event), random, options["dtype"])
    known = Reference(options["dtype"], DEFINITION, RULES, {})
    after = len(known.shape(part, "forward", event))
    before, least = len(event), known.ranks(part)
    ranks = sorted({least[0], before, before + len(batch)})
    across = [n + least[1] - least[0] for n in ranks]
    questions = [calls(part, "forward", x), calls(part, "inverse", y), *facts(part, event)]
    questions += log_dets(part, "forward", x, ranks) + log_dets(part, "inverse", y, across)
    assert after >= least[1]  # noqa: S101 - events are no smaller than the least ones
    return lambda side: side.make(part), questions, None


def _joint(options: Options, random: np.random.Generator, batch: Shape) -> tuple[Any, Any, Any]:
    """Ask for each array of a joint map, or of a chain of joint maps, and for the sum of the log-dets."""
    first = [_made({**options, "kind": "Chain"}, random) for _ in range(2)]
    events = [event for _, event in first]
    rows = [[each for each, _ in first]]
    if options["kind"] == "Chain of JointMap":  # what follows takes any numbers, and gives any
        rows += [[_affine(options, random) for _ in range(2)] for _ in range(int(random.integers(1, 3)))]
    maps = tuple(Part("JointMap", parts=tuple(row)) for row in reversed(rows))
    part = maps[0] if len(maps) == 1 else Part("Chain", parts=maps)
    columns = [Part("Chain", parts=tuple(row[place] for row in reversed(rows))) for place in range(2)]
    options |= {"tanh": "Tanh" in kinds(part), "empty": False}
    pairs = [
        _point(each, (*batch, *event), random, options["dtype"]) for each, event in zip(columns, events, strict=True)
    ]
    known = Reference(options["dtype"], DEFINITION, RULES, {})
    least = [known.ranks(each) for each in columns]
    beyond = {len(event) - rank for event, (rank, _) in zip(events, least, strict=True)}

    def value(direction: Direction, place: int) -> Question:
        def ask(asked: Asked) -> Array:
            given = [asked.side.array(pair[direction == "inverse"]) for pair in pairs]
            found: Array = asked.side.numpy(getattr(asked.made, direction)(given)[place])
            return found

        def answer(reference: Reference) -> Answer:
            x = pairs[place][direction == "inverse"]
            return answered(reference.mapped(columns[place], direction, reference.given(x)))

        return Question(direction, ask, answer)

    def log_det(direction: Direction) -> Question:
        side_of = int(direction == "inverse")
        ranks = [pair[side_of] + min(beyond) for pair in least]

        def ask(asked: Asked) -> Array:
            given = [asked.side.array(pair[side_of]) for pair in pairs]
            found: Array = asked.side.numpy(getattr(asked.made, NAMES[direction])(given, event_ndims=ranks))
            return found

        def answer(reference: Reference) -> Answer:
            totals = [
                reference.log_det(each, direction, reference.given(pair[side_of]), rank)
                for each, pair, rank in zip(columns, pairs, ranks, strict=True)
            ]
            return answered(reference.added(totals))

        return Question(NAMES[direction], ask, answer)

    directions: tuple[Direction, ...] = ("forward", "inverse")
    questions = [value(direction, place) for direction in directions for place in (0, 1)]
    if len(beyond) == 1:
        questions += [log_det(direction) for direction in directions]
    return lambda side: side.make(part), questions, None


def _affine(options: Options, random: np.random.Generator) -> Part:
    """Make a map of numbers that takes and gives any."""
    kind = str(random.choice(("Shift", "Scale")))
    return Part(kind, parameters(kind, (), {**options, "variant": True}, random))


def _mend(options: Options) -> None:
    if "JointMap" in options["kind"]:
        options["length"] = min(2, options["length"])


COMPOSITION = Family(
    {
        "kind": (
            *("Chain", "Chain", "Chain", "nested", "Invert", "Blockwise", "Permute", "Reshape", "JointMap"),
            "Chain of JointMap",
        ),
        "dtype": ("float32", "float64"),
        "rank": (1, 1, 2),
        "batch": (0, 1, 1, 2),
        "length": (1, 2, 3, 4, 5),
    },
    _mend,
    _drawn,
)
"""Chains of random parts, inversions, blocks, permutations, reshapes and joint maps."""
