"""Flows: what training does to batch normalization inside of a bijector, and what never does anything to it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._entries import CATALOGUE
from ._entry import Draw, cast, expected
from ._followed import moved
from ._law import law, require
from ._parts import normalizations
from ._way import Followed

if TYPE_CHECKING:
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks

    from ._adapter import FlowAdapter
    from ._entry import Entry

STATEFUL = tuple(entry for entry in CATALOGUE.values() if normalizations(entry.part))
TRAINED = tuple(entry for entry in CATALOGUE.values() if any(part.training for part in normalizations(entry.part)))
MOVING = tuple(entry for entry in TRAINED if any(part.moves for part in normalizations(entry.part)))


def _batches(entry: Entry) -> list[Any]:
    """Return batches of different means and spreads."""
    draw = Draw(f"{entry.id}, batches", entry.dtype)
    factors = (1.0, 1.5, 0.625)
    return [cast(entry.y * factor + draw.random.normal(0.3, 0.2), entry.dtype) for factor in factors]


class _Step(NamedTuple):
    """What must come of a batch in training, and after it."""

    value: Any
    log_det: Any
    state: tuple[tuple[Followed, Followed], ...]


@cache
def _steps(entry: Entry, grade: Grade, event_ndims: int) -> tuple[_Step, ...]:
    """Follow the batches of an entry."""
    way, found = entry.way(grade), []
    parts = normalizations(entry.part)
    for batch in _batches(entry):
        value, log_det = entry.follow(grade, "inverse", batch, event_ndims, way)
        way.averages.update({part: moved(part, way) for part in parts})
        found.append(_Step(entry.settled(value), entry.settled(log_det), tuple(way.state(part) for part in parts)))
    return tuple(found)


@cache
def _after(entry: Entry, grade: Grade, points: str, event_ndims: int) -> tuple[Any, Any]:
    """Follow forward after one batch: of x, or, at the averages that y has moved, of the inverse of y."""
    way = entry.way(grade)
    batch = _batches(entry)[0] if points == "x" else entry.y
    found, _ = entry.follow(grade, "inverse", batch, event_ndims + entry.risen, way)
    way.averages.update({part: moved(part, way) for part in normalizations(entry.part)})
    start = entry.x if points == "x" else Followed(found.exact, entry.settled(found).bound)
    value, log_det = entry.follow(grade, "forward", start, event_ndims, way)
    return entry.settled(value), entry.settled(log_det)


@law("flows", TRAINED)
def running_averages(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """Each inverse in training moves the averages once, with its log-det or without, by the closed form.

    Samples and evaluation use averages that are not those of the data.
    """
    flow = adapter.bijector(entry)
    rank = entry.event_ndims[0] + entry.risen
    dtype = "float64" if entry.dtype == "float64" else "float32"
    for number, (batch, step) in enumerate(zip(_batches(entry), _steps(entry, grade, rank), strict=True), 1):
        seen = flow.inverse(batch) if number % 2 else flow.inverse_and_log_det(batch, rank)[0]
        require(checks, f"the inverse of batch {number}", seen, step.value, entry.dtype)
        pairs = flow.read()
        checks.true(
            f"there must be {len(step.state)} pairs of averages. Got {len(pairs)}", len(pairs) == len(step.state)
        )
        for pair, state in zip(pairs, step.state, strict=True):
            for name, found, wanted in zip(("moving_mean", "moving_variance"), pair, state, strict=True):
                bound = np.broadcast_to(wanted.error, wanted.shape)
                checks.close(f"{name} after batch {number}", found, wanted.exact, bound, dtype)


@law("flows", STATEFUL)
def what_moves_nothing(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """Log-dets, forward and shapes leave the averages as they are.

    A model changes by being looked at.
    """
    flow = adapter.bijector(entry)
    before = flow.read()
    rank = entry.event_ndims[0]
    flow.inverse_log_det(entry.y, rank + entry.risen)
    flow.forward_log_det(entry.x, rank)
    flow.forward(entry.x)
    flow.forward_and_log_det(entry.x, rank)
    flow.forward_event_shape(entry.x.shape[entry.x.ndim - rank :])
    for old, new in zip(before, flow.read(), strict=True):
        for name, one, other in zip(("moving_mean", "moving_variance"), new, old, strict=True):
            checks.same(name, one, other)


@law("flows", MOVING)
def no_round_trip_in_training(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """In training, forward does not undo inverse: it takes the averages, after the batch has entered them.

    A result that is remembered by the object that was passed hides that; the same numbers in a copy give others.
    """
    flow = adapter.bijector(entry)
    back, _ = _after(entry, grade, "inverse of y", entry.event_ndims[0])
    seen = flow.inverse(entry.y)
    require(checks, "forward of inverse", flow.forward(seen), back, entry.dtype)
    require(checks, "forward of a copy", flow.forward(seen.copy()), back, entry.dtype)


@law("flows", MOVING)
def later_batches(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """After training, each batch has the values and log-dets of its own statistics, and forward those of the averages.

    The likelihood is that of the batch before, or of the averages as they were.
    """
    flow = adapter.bijector(entry)
    rank = entry.event_ndims[-1]
    first, second, _ = _batches(entry)
    flow.inverse(first)
    for name, seen, wanted in zip(
        ("forward", "the log-det of forward"),
        flow.forward_and_log_det(entry.x, rank),
        _after(entry, grade, "x", rank),
        strict=True,
    ):
        require(checks, name, seen, wanted, entry.dtype)
    found = flow.inverse_log_det(second, rank + entry.risen)
    wanted = _steps(entry, grade, rank + entry.risen)[1].log_det
    require(checks, "the log-det of another batch", found, wanted, entry.dtype)
    # The same batch again: nothing of what came between is left in it.
    again = expected(entry, grade, "inverse", rank + entry.risen)[1]
    require(checks, "the log-det of the batch", flow.inverse_log_det(entry.y, rank + entry.risen), again, entry.dtype)


@law("flows", tuple(entry for entry in CATALOGUE.values() if entry.context is not None))
def conditions(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """A condition reaches every part that takes it, in both directions.

    A conditional density ignores half of what it is conditioned on.
    """
    flow = adapter.bijector(entry)
    for direction, points in (("forward", entry.x), ("inverse", entry.y)):
        value, log_det = expected(entry, grade, direction, 1)
        seen = getattr(flow, f"{direction}_and_log_det")(points, 1)
        require(checks, direction, seen[0], value, entry.dtype)
        require(checks, f"the log-det of {direction}", seen[1], log_det, entry.dtype)
