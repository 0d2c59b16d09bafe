"""Flows: what training does to batch normalization inside of a bijector, and what never does anything to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._catalogue import CATALOGUE
from ._entry import Draw, cast, expected
from ._followed import Followed, moved
from ._law import law, require
from ._parts import Normalized, normalizations

if TYPE_CHECKING:
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks

    from ._adapter import Flow, FlowAdapter
    from ._entry import Entry
    from ._followed import Way

STATEFUL = tuple(entry for entry in CATALOGUE.values() if normalizations(entry.part))
TRAINED = tuple(entry for entry in CATALOGUE.values() if any(part.training for part in normalizations(entry.part)))
MOVING = tuple(entry for entry in TRAINED if any(part.moves for part in normalizations(entry.part)))


def _batches(entry: Entry) -> list[Any]:
    """Return batches of different means and spreads."""
    draw = Draw(f"{entry.id}, batches", entry.dtype)
    factors = (1.0, 1.5, 0.625)
    return [cast(entry.y * factor + draw.random.normal(0.3, 0.2), entry.dtype) for factor in factors]


def _require_state(entry: Entry, flow: Flow, way: Way, at: str, checks: Checks) -> None:
    parts = normalizations(entry.part)
    seen = flow.read()
    checks.true(f"there must be {len(parts)} pairs of averages. Got {len(seen)}", len(seen) == len(parts))
    for part, pair in zip(parts, seen, strict=True):
        for name, found, wanted in zip(("moving_mean", "moving_variance"), pair, way.state(part), strict=True):
            dtype = "float64" if entry.dtype == "float64" else "float32"
            checks.close(f"{name} {at}", found, wanted.exact, np.broadcast_to(wanted.error, wanted.shape), dtype)


def _moved(entry: Entry, batch: Any, way: Way, grade: Grade) -> Any:
    """Follow an inverse, and what it does to the averages."""
    found = entry.follow(grade, "inverse", batch, entry.event_ndims[0] + entry.risen, way)
    parts = [part for part in normalizations(entry.part) if isinstance(part, Normalized)]
    way.averages.update({part: moved(part, way) for part in parts if part in way.inputs})
    return found


@law("flows", TRAINED)
def running_averages(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """Each inverse in training moves the averages once, with its log-det or without, by the closed form.

    Samples and evaluation use averages that are not those of the data.
    """
    flow, way = adapter.bijector(entry), entry.way(grade)
    for number, batch in enumerate(_batches(entry)):
        value, _ = _moved(entry, batch, way, grade)
        rank = entry.event_ndims[0] + entry.risen
        seen = flow.inverse_and_log_det(batch, rank)[0] if number % 2 else flow.inverse(batch)
        require(checks, f"the inverse of batch {number + 1}", seen, entry.settled(value), entry.dtype)
        _require_state(entry, flow, way, f"after batch {number + 1}", checks)


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
    flow, way = adapter.bijector(entry), entry.way(grade)
    x, _ = _moved(entry, entry.y, way, grade)
    middle = Followed(x.exact, entry.settled(x).bound)
    back, _ = entry.follow(grade, "forward", middle, entry.event_ndims[0], way)
    seen = flow.inverse(entry.y)
    require(checks, "forward of inverse", flow.forward(seen), entry.settled(back), entry.dtype)
    require(checks, "forward of a copy", flow.forward(seen.copy()), entry.settled(back), entry.dtype)


@law("flows", MOVING)
def later_batches(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """After training, each batch has the values and log-dets of its own statistics, and forward those of the averages.

    The likelihood is that of the batch before, or of the averages as they were.
    """
    flow, way = adapter.bijector(entry), entry.way(grade)
    rank = entry.event_ndims[-1]
    first, second, _ = _batches(entry)
    _moved(entry, first, way, grade)
    flow.inverse(first)
    value, log_det = entry.follow(grade, "forward", entry.x, rank, way)
    seen = flow.forward_and_log_det(entry.x, rank)
    require(checks, "forward", seen[0], entry.settled(value), entry.dtype)
    require(checks, "the log-det of forward", seen[1], entry.settled(log_det), entry.dtype)
    _, log_det = entry.follow(grade, "inverse", second, rank + entry.risen, way)
    found = flow.inverse_log_det(second, rank + entry.risen)
    require(checks, "the log-det of another batch", found, entry.settled(log_det), entry.dtype)
    # The same batch again: nothing of what came between is left in it.
    again = expected(entry, grade, "inverse", rank + entry.risen)[1]
    require(checks, "the log-det of the batch", flow.inverse_log_det(entry.y, rank + entry.risen), again, entry.dtype)


@law("flows", (CATALOGUE["conditions in a chain"],))
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
