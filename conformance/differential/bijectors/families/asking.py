"""What families ask alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differential.bijectors.draw import Answer, Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bnspec_conformance.oracle import Exact
    from differential.bijectors.draw import Asked
    from differential.bijectors.part import Part
    from differential.bijectors.reference import Direction, Point, Reference, Shape, Total

    Array = np.ndarray[Any, Any]

__all__ = ["NAMES", "answered", "calls", "facts", "log_dets", "plain", "rounded", "sizes"]

NAMES: dict[Direction, str] = {"forward": "forward_log_det_jacobian", "inverse": "inverse_log_det_jacobian"}


def answered(found: Point | Total) -> Answer:
    """Turn what the reference returns into an answer."""
    return Answer(found.exact, found.error)


def rounded(exact: Exact, dtype: str) -> Array:
    """Return the nearest numbers of a format."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(exact.to_float()).astype(dtype)


def sizes(random: np.random.Generator, least: int, beyond: int, count: int) -> tuple[int, ...]:
    """Draw sizes of axes."""
    return tuple(random.integers(least, beyond, (count,)).tolist())


def plain(shape: Any) -> tuple[int, ...]:
    """Return a static shape as a tuple of int."""
    return tuple(int(size) for size in shape)


def _sent(asked: Asked, condition: Mapping[str, Array] | None) -> dict[str, Any]:
    return {name: asked.side.array(value) for name, value in (condition or {}).items()}


def calls(part: Part, direction: Direction, x: Array, condition: Mapping[str, Array] | None = None) -> Question:
    """Ask for the image of numbers, under conditions."""

    def ask(asked: Asked) -> Array:
        method = getattr(asked.made, direction)
        found: Array = asked.side.numpy(method(asked.side.array(x), **_sent(asked, condition)))
        return found

    return Question(direction, ask, lambda reference: answered(reference.mapped(part, direction, reference.given(x))))


def log_dets(
    part: Part, direction: Direction, x: Array, ranks: Iterable[int], condition: Mapping[str, Array] | None = None
) -> list[Question]:
    """Ask for the log-det at numbers, for events of each rank, under conditions."""

    def asking(ndims: int) -> Question:
        def ask(asked: Asked) -> Array:
            method = getattr(asked.made, NAMES[direction])
            found: Array = asked.side.numpy(method(asked.side.array(x), event_ndims=ndims, **_sent(asked, condition)))
            return found

        def answer(reference: Reference) -> Answer:
            return answered(reference.log_det(part, direction, reference.given(x), ndims))

        return Question(NAMES[direction], ask, answer)

    return [asking(ndims) for ndims in ranks]


def facts(part: Part, shape: Shape) -> list[Question]:
    """Ask for ranks and static shapes; `shape` is one of an event before forward."""

    def ranks(asked: Asked) -> tuple[int, int]:
        return int(asked.made.forward_min_event_ndims), int(asked.made.inverse_min_event_ndims)

    def event_ndims(asked: Asked) -> tuple[int, int]:
        after = int(asked.made.forward_event_ndims(len(shape)))
        return after, int(asked.made.inverse_event_ndims(after))

    def shapes(asked: Asked) -> tuple[Shape, Shape]:
        after = asked.made.forward_event_shape(asked.side.shape(shape))
        return plain(after), plain(asked.made.inverse_event_shape(after))

    def expected_shapes(reference: Reference) -> tuple[Shape, Shape]:
        after = reference.shape(part, "forward", shape)
        return after, reference.shape(part, "inverse", after)

    return [
        Question("min_event_ndims", ranks, lambda reference: reference.ranks(part)),
        Question(
            "event_ndims", event_ndims, lambda reference: (len(reference.shape(part, "forward", shape)), len(shape))
        ),
        Question("event_shape", shapes, expected_shapes),
    ]
