"""What a library chooses by itself: the feature axis, momentum, epsilon, and where the variance starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import expectation
from bnspec_conformance.cases import to_rows

from ._cases import CHANNELS, FromZero, cast, in_layout
from ._fit import LOOSEST, UNFIT, evaluated, fit, judged, misfit, shown
from ._probe import NotSeen
from ._result import Observation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bnspec_conformance.adapter import Layer

    from ._probe import Probe

    Array = np.ndarray[Any, Any]

__all__ = ["axis", "default_layer", "default_rank", "epsilon", "initial_variance", "momentum"]

# The positions 0, 1, -1 and -2 are four different ones at rank 4 only.
_RANKS = (4, 5, 3, 2, 1)
# The variances beside which epsilon is seen.
_POWERS = (-6, -12, -16)


def default_layer(probe: Probe, rank: int, dtype: str = "") -> Layer:
    """Build a layer as the library does when it is told nothing; every axis may be the feature axis."""
    probe.require_capability("default")
    made: Layer = probe.adapter.default((CHANNELS,) * rank, dtype or probe.dtype)  # type: ignore[attr-defined]
    return made


def default_rank(probe: Probe) -> int:
    """Return the rank at which most positions of the feature axis differ."""
    for rank in _RANKS:
        if f"rank {rank}" not in probe.gaps:
            return rank
    raise NotSeen("the adapter has no rank that is tried")


def initial_variance(probe: Probe) -> Iterator[Observation]:
    """Observe initial_variance by reading a new layer."""
    mean, variance = (np.asarray(part) for part in default_layer(probe, default_rank(probe)).read())
    evidence = f"a new layer has moving_mean {shown(mean)} and moving_variance {shown(variance)}"
    # The shortest number that is rounded to what was read.
    values = {float(str(value)) for value in variance.reshape(-1)}
    if len(values) != 1 or not np.isfinite(list(values)).all():
        yield Observation("initial_variance", (), evidence, "no one number is where it starts")
        return
    yield Observation("initial_variance", tuple(values), evidence)


def epsilon(probe: Probe) -> Iterator[Observation]:
    """Observe epsilon from evaluations with small variances: the roundest number that gives what was seen."""
    rank, dtype = default_rank(probe), probe.dtype
    layer = default_layer(probe, rank)
    ones = np.ones(CHANNELS, dtype)
    x = np.ones((CHANNELS,) * rank, dtype)
    seen: dict[float, float] = {}
    for power in _POWERS:
        variance = 2.0**power
        layer.load(ones.copy(), 0 * ones, 0 * ones, variance * ones)
        y = np.asarray(layer(x.copy(), False), np.float64)
        if not np.isfinite(y).all() or y.min() != y.max():
            raise NotSeen(f"ones come out as {shown(y)} with the mean 0 and the variance {variance:.4g}")
        seen[variance] = float(y.flat[0])

    def ratio(value: float) -> float:
        found = []
        for variance, y in seen.items():
            row = np.ones((1, 1), dtype)
            _, wanted = evaluated(row, 0 * row[0], variance * row[0], value, row[0], 0 * row[0], dtype)
            found.append((np.asarray([[y]]), wanted))
        return fit(*found)

    saw = ", ".join(f"{y:.7g} at the variance {variance:.4g}" for variance, y in seen.items())
    smallest = min(seen)
    raw = seen[smallest] ** -2 - smallest
    if ratio(0.0) <= 1.0:
        yield Observation("epsilon", (), f"1 comes out as {saw}", "epsilon is 0, or too small to be seen")
        return
    for digits in range(1, 8):
        value = float(f"{raw:.{digits - 1}e}") if raw > 0 else 0.0
        if ratio(value) <= 1.0:
            evidence = f"1 comes out as {saw}: epsilon {value:g} at {ratio(value):.2g} of its bound"
            yield Observation("epsilon", (value,), f"{evidence}, where 0 is {ratio(0.0):.3g} times its bound away")
            return
    yield Observation("epsilon", (), f"1 comes out as {saw}, which no number added to the variance gives", UNFIT)


def axis(probe: Probe) -> Iterator[Observation]:
    """Observe axis by which of an input's axes, all of one size, the parameters belong to."""
    probe.require("epsilon")
    rank, dtype = default_rank(probe), probe.dtype
    layer = default_layer(probe, rank)
    random = np.random.default_rng(4)
    x = cast(random.uniform(-3.0, 3.0, (CHANNELS,) * rank), dtype)
    gamma, beta = cast([1.5, 0.75, 2.25], dtype), cast([0.25, -1.0, 3.0], dtype)
    mean, variance = cast([0.5, -2.0, 5.0], dtype), cast([1.5, 4.0, 9.0], dtype)
    layer.load(gamma.copy(), beta.copy(), mean.copy(), variance.copy())
    y = np.asarray(layer(x.copy(), False))
    given = (mean, variance, probe.known["epsilon"])
    ratios = {}
    for position in range(rank):
        rows = cast(to_rows(x, (position,)), dtype)
        # A layer may have neither gamma nor beta.
        plain = evaluated(rows, *given, np.ones_like(gamma), 0 * beta, dtype)[1]
        affine = evaluated(rows, *given, gamma, beta, dtype)[1]
        seen = to_rows(y, (position,))
        ratios[position] = min(misfit(seen, affine), misfit(seen, plain))
    found = judged("axis", ratios, f"y of rank {rank} by averages on each axis", shown(y))
    if not found.known:
        yield found
        return
    position = found.value
    probe.default_axis = (rank, position)
    names = tuple(a for a in (0, 1, -1, -2, 2, -3) if a % rank == position and -rank <= a < rank)
    if position in (0, 1) and rank >= 4:
        names = (position,)
    elif rank >= 4:
        names = tuple(a for a in names if a < 0) or names
    reason = f"{' and '.join(map(str, names))} are one axis of rank {rank}" if len(names) > 1 else ""
    yield Observation("axis", names, found.evidence, reason)


def momentum(probe: Probe) -> Iterator[Observation]:
    """Observe momentum from the shares of three batches in the mean: the roundest number that gives what was seen."""
    probe.require("momentum_weighs", "average")
    if probe.default_axis is None:
        raise NotSeen("it cannot be predicted, as axis could not be observed")
    rank, position = probe.default_axis
    shapes = tuple(in_layout(rank, position, count) for count in (4, 5, 3))
    case = FromZero(id="identify-momentum", shapes=shapes, axis=(position,), dtype=probe.dtype, take=None)
    layer = default_layer(probe, rank)
    ones = np.ones(CHANNELS, probe.dtype)
    layer.load(ones.copy(), 0 * ones, 0 * ones, ones.copy())
    means = []
    for x in case.training:
        layer(x.copy(), True)
        means.append(np.array(layer.read()[0]))
    saw = f"moving_mean[0] of three batches from 0 is {shown([mean.reshape(-1)[0] for mean in means])}"
    weighs = probe.known["momentum_weighs"]

    def ratio(value: float | None) -> float:
        take = value if value is None or weighs == "new" else 1.0 - value
        wanted = expectation.trajectory(replace(case, take=take), probe.convention(), LOOSEST)
        return fit(*((mean, each.moving_mean) for mean, each in zip(means, wanted, strict=False)))

    if ratio(None) <= 1.0:
        yield Observation("momentum", (None,), f"{saw}, as equal weights give: {ratio(None):.2g} of the bound")
        return
    kept = _kept(case, means, probe.known["average"])
    raw = kept if weighs == "old" else 1.0 - kept
    for digits in range(1, 8):
        value = min(max(round(raw, digits), 0.0), 1.0)
        if ratio(value) <= 1.0:
            other = 1.0 - value
            evidence = f"{saw}: {value:g} at {ratio(value):.2g} of its bound"
            yield Observation("momentum", (value,), f"{evidence}, where {other:g} is {ratio(other):.3g} times it away")
            return
    yield Observation("momentum", (), f"{saw}, which no momentum gives", UNFIT)


def _kept(case: FromZero, means: list[Array], kind: str) -> float:
    """Estimate the weight of the old value from the channel that moved most."""
    batches = [to_rows(x, case.axis).mean(axis=0) for x in case.training]
    seen = [np.asarray(mean, np.float64).reshape(-1) for mean in means]
    if kind == "exponential":
        shares, sizes = seen[0] / batches[0], np.abs(batches[0])
    else:
        shares, sizes = (seen[1] - seen[0]) / (batches[1] - seen[0]), np.abs(batches[1] - seen[0])
    share = float(shares[int(np.argmax(sizes))])
    # Of a debiased average, the second share is (1 - m) / (1 - m^2).
    return 1.0 / share - 1.0 if kind.startswith("debiased") else 1.0 - share
