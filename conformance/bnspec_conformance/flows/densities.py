"""Densities: their values, that they integrate to 1, and that samples follow them."""

from __future__ import annotations

from functools import cache
from math import erfc, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds
from bnspec_conformance.bounds import FORMATS

from ._densities import DENSITIES, SEED, density_of
from ._followed import moved
from ._law import law, require
from ._parts import normalizations
from ._way import Followed, given

if TYPE_CHECKING:
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks

    from ._adapter import FlowAdapter
    from ._densities import DensityEntry

ALL = tuple(DENSITIES.values())
FIRM = tuple(entry for entry in ALL if not entry.training)
# A new number of draws costs a compiler seconds.
LONE = ("normal", "real nvp")
FOLLOWED = ("normal", "log-normal", "logit-normal", "affine normal", "diagonal normal", "real nvp", "batch norm")
CHANCE = 1e-6
"""That sound draws of another seed would be further away from their distribution."""


@law("densities", ALL)
def log_density(adapter: FlowAdapter, entry: DensityEntry, grade: Grade, checks: Checks) -> None:
    """The log-density is exact; in training, it is that of the statistics of the batch.

    The likelihood that is trained is not the one of the model.
    """
    wanted = entry.settled(density_of(entry, grade))
    require(checks, "log_prob", adapter.density(entry).log_prob(entry.values), wanted, entry.dtype)


@law("densities", tuple(entry for entry in ALL if entry.nodes is not None))
def integral(adapter: FlowAdapter, entry: DensityEntry, grade: Grade, checks: Checks) -> None:
    """The density integrates to 1.

    Two models cannot be compared by their likelihoods.
    """
    assert entry.nodes is not None  # noqa: S101 - narrows the type
    points, weights = entry.nodes
    way = entry.way(grade)
    found = density_of(entry, grade, at_nodes=True)
    density = way.arithmetic.exp(found.uncertain)
    bound = way.arithmetic.returned(density, entry.dtype)
    seen = np.asarray(adapter.density(entry).prob(points))
    checks.array("prob", seen, weights.shape, entry.dtype)
    # 1, but for what the quadrature leaves out of the exact density; a test of the catalogue says how little that is.
    exact = float(density.value @ weights)
    rounding = bounds.accumulated(len(weights) + 8, FORMATS["float64"].roundoff)
    room = np.asarray(float(bound @ weights) + 2.0 * rounding)
    checks.agree("the integral", np.asarray(seen.astype(np.float64) @ weights), np.asarray(exact), room, "float64")


@cache
def _draws(entry: DensityEntry, grade: Grade) -> tuple[Followed, Followed]:
    """Follow six draws, and their density: they are off by their bound, and so is the point where it is told."""
    way = entry.way(grade)
    _, drawn = entry.draws((6,), SEED, way)
    return drawn, entry.density(Followed(drawn.exact, entry.settled(drawn).bound), way)


@law("densities", FIRM)
def draws_of_a_seed(adapter: FlowAdapter, entry: DensityEntry, grade: Grade, checks: Checks) -> None:
    """A seed gives the same numbers everywhere: those of its normal numbers, transformed.

    A result cannot be repeated on another backend, or cannot be repeated at all.
    """
    density = adapter.density(entry)
    seen = density.sample((6,), SEED)
    wanted = entry.settled(_draws(entry, grade)[0])
    require(checks, "sample", seen, wanted, entry.dtype)
    checks.same("a sample of the same seed", density.sample((6,), SEED), seen)
    if entry.id in LONE:
        checks.array("one draw", density.sample((), SEED), seen.shape[1:], entry.dtype)
    other = density.sample((6,), SEED + 2**32)
    checks.true("a sample of another seed must differ", not np.array_equal(np.asarray(other), np.asarray(seen)))


def _count(entry: DensityEntry) -> int:
    """Return how many draws: many where they need not be mapped back, number by number."""
    return 4000 if entry.part is None else 250


@cache
def _standardized(entry: DensityEntry, drawn: bytes) -> Any:
    """Map draws back to standard normal numbers, in columns."""
    shape = (_count(entry), *entry.batch_shape, *entry.event_shape)
    values = np.frombuffer(drawn, dtype=entry.dtype).reshape(shape)
    base, _ = entry.mapped("inverse", values, entry.way(bounds.DEFINITION))
    loc, scale = (np.broadcast_to(part.astype(np.float64), shape[1:]) for part in (entry.loc, entry.scale))
    return ((base.exact.to_float() - loc) / np.abs(scale)).reshape(len(values), -1)


@law("densities", tuple(DENSITIES[name] for name in FOLLOWED))
def draws_follow_the_density(adapter: FlowAdapter, entry: DensityEntry, grade: Grade, checks: Checks) -> None:
    """Draws are distributed as the density says, and are independent of each other.

    What is sampled is not what was trained.
    """
    count = _count(entry)
    drawn = adapter.density(entry).sample((count,), SEED + 1)
    shape = (count, *entry.batch_shape, *entry.event_shape)
    checks.array("sample", drawn, shape, entry.dtype)
    z = _standardized(entry, drawn.tobytes())
    columns = [z[:, number] for number in range(z.shape[1])]
    # Of independent normal numbers, the sums and differences of neighbours over sqrt(2) are normal, too.
    pairs = [(z[1:] + z[:-1]) / sqrt(2.0), (z[1:] - z[:-1]) / sqrt(2.0)]
    columns += [part[::2, number] for part in pairs for number in range(z.shape[1])]
    columns += [
        (z[:, number] + sign * z[:, number - 1]) / sqrt(2.0) for number in range(1, z.shape[1]) for sign in (1.0, -1.0)
    ]
    for values in columns:
        count = len(values)
        below = np.sort([0.5 * erfc(-value / sqrt(2.0)) for value in values])
        steps = np.arange(count + 1) / count
        distance = max(np.abs(below - steps[:-1]).max(), np.abs(below - steps[1:]).max())
        room = bounds.empirical(count, CHANCE / len(columns))
        checks.agree(
            "the distance from the distribution", np.asarray(distance), np.asarray(0.0), np.asarray(room), "float64"
        )


@law("densities", FIRM)
def draws_with_their_density(adapter: FlowAdapter, entry: DensityEntry, grade: Grade, checks: Checks) -> None:
    """What draws and tells the density at once gives the same draws and their density.

    Variational inference follows a gradient of something else.
    """
    density, way = adapter.density(entry), entry.way(grade)
    value, seen = density.sample_and_log_prob((6,), SEED)
    wanted, told = _draws(entry, grade)
    require(checks, "the draws", value, entry.settled(wanted), entry.dtype)
    require(checks, "log_prob", seen, entry.settled(told), entry.dtype)
    exact = entry.settled(entry.density(given(np.asarray(value), way), way))
    require(checks, "log_prob of the draws", density.log_prob(value), exact, entry.dtype)


@cache
def _averages(entry: DensityEntry, grade: Grade) -> tuple[tuple[Followed, Followed], ...]:
    """Follow what a log-density does to the averages."""
    way = entry.way(grade)
    entry.density(entry.values, way)
    parts: list[Any] = normalizations(entry.part) if entry.part is not None else []
    return tuple(moved(part, way) for part in parts)


@law("densities", tuple(entry for entry in ALL if entry.part is not None and normalizations(entry.part)))
def averages_of_a_density(adapter: FlowAdapter, entry: DensityEntry, grade: Grade, checks: Checks) -> None:
    """The log-density in training moves the averages once; draws move nothing.

    The averages run ahead of the data, or a model changes by being sampled.
    """
    density = adapter.density(entry)
    before = density.read()
    density.sample((6,), SEED)
    density.sample_and_log_prob((6,), SEED)
    for old, new in zip(before, density.read(), strict=True):
        for name, one, other in zip(("moving_mean", "moving_variance"), new, old, strict=True):
            checks.same(name, one, other)
    density.log_prob(entry.values)
    for state, pair in zip(_averages(entry, grade), density.read(), strict=True):
        for name, found, wanted in zip(("moving_mean", "moving_variance"), pair, state, strict=True):
            bound = np.broadcast_to(wanted.error, wanted.shape)
            dtype = "float64" if entry.dtype == "float64" else "float32"
            checks.close(f"{name} after log_prob", found, wanted.exact, bound, dtype)
