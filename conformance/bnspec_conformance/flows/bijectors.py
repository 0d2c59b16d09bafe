"""Bijectors: values, log-dets, shapes, and how the two directions belong together."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec_conformance import bounds
from bnspec_conformance.bounds import FORMATS, Arithmetic, computed_in
from bnspec_conformance.oracle import AbsoluteValue, Exact

from ._autoregressed import oracle_of
from ._catalogue import PREIMAGES
from ._entries import CATALOGUE
from ._entry import Entry, Expected, cast, expected
from ._law import law, require
from ._parts import Autoregressive
from ._slopes import jacobian_error
from ._way import Followed, exact_of

if TYPE_CHECKING:
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks

    from ._adapter import FlowAdapter

ALL = tuple(CATALOGUE.values())
FIRM = tuple(entry for entry in ALL if not entry.training)
"""Those whose directions undo each other."""
SMOOTH = tuple(entry for entry in FIRM if entry.smooth)
# A shape or a derivative that is new costs a compiler seconds, and each of these has another way to go wrong.
ROWS = tuple(
    CATALOGUE[name]
    for name in (
        *("softplus hinge", "diagonal", "permute rows", "blocks", "chain that reshapes", "batch norm"),
        *("batch norm of images", "real nvp", "conditions in a chain", "flow", "flow, float64"),
        *("spline", "real nvp by splines", "image flow"),
        *("masked autoregressive flow", "conditional autoregressive flow"),
    )
)
DIFFERENTIATED = tuple(
    CATALOGUE[name]
    for name in (
        *("scale", "exp", "sigmoid between", "softplus hinge", "tanh", "blocks", "inverse of a chain", "batch norm"),
        *("batch norm of images", "real nvp", "real nvp, last units masked", "real nvp by a network", "flow"),
        *("spline", "spline far out", "spline on knots", "batch of splines", "inverse of a spline"),
        *("inverse of a spline far out", "real nvp by splines", "image flow"),
        *("masked autoregressive flow", "inverse autoregressive flow"),
    )
)


def _ndims(entry: Entry) -> int:
    """Return the rank of an event that is not a number, where there is one."""
    return next((ndims for ndims in entry.event_ndims if ndims), entry.event_ndims[0])


@law("bijectors", ALL)
def forward_and_inverse(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """Both directions give the exact values, in the tails too.

    Samples come from another distribution than the one that was trained, or are infinite far out.
    """
    flow = adapter.bijector(entry)
    require(
        checks,
        "forward",
        flow.forward(entry.x),
        expected(entry, grade, "forward", entry.event_ndims[0])[0],
        entry.dtype,
    )
    value = expected(entry, grade, "inverse", entry.event_ndims[0] + entry.risen)[0]
    require(checks, "inverse", flow.inverse(entry.y), value, entry.dtype)


@law("bijectors", ALL)
def log_determinants(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """The log-dets are exact for every rank of an event, and have the shape of the batch.

    The likelihood is wrong by a term that no sample shows; training maximizes another function.
    """
    flow = adapter.bijector(entry)
    for ndims in (None, *entry.event_ndims):
        for direction, points in (("forward", entry.x), ("inverse", entry.y)):
            rise = entry.risen if direction == "inverse" else 0
            rank = entry.event_ndims[0] if ndims is None else ndims
            if entry.structured and ndims is not None:
                continue
            if ndims is None and rank != entry.least:
                continue
            given = None if ndims is None else ndims + rise
            seen = getattr(flow, f"{direction}_log_det")(points, given)
            wanted = expected(entry, grade, direction, rank + rise)[1]
            require(checks, f"the log-det of {direction} for event_ndims={given}", seen, wanted, entry.dtype)


@law("bijectors", ALL)
def value_and_log_det(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """What returns value and log-det together returns the same two.

    A density that takes both at once disagrees with one that asks twice.
    """
    for direction, points in (("forward", entry.x), ("inverse", entry.y)):
        rank = entry.event_ndims[-1] + (entry.risen if direction == "inverse" else 0)
        method = getattr(adapter.bijector(entry), f"{direction}_and_log_det")
        value, log_det = method(points) if entry.structured else method(points, rank)
        wanted = expected(entry, grade, direction, rank)
        require(checks, f"the value of {direction}", value, wanted[0], entry.dtype)
        require(checks, f"the log-det of {direction}", log_det, wanted[1], entry.dtype)


@law("bijectors", SMOOTH)
def round_trip(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """inverse(forward(x)) is x, and forward(inverse(y)) is y.

    Samples have another density than log_prob says.
    """
    flow = adapter.bijector(entry)
    for first, then, points in (("forward", "inverse", entry.x), ("inverse", "forward", entry.y)):
        seen = getattr(flow, then)(getattr(flow, first)(points))
        require(checks, f"{then} of {first}", seen, entry.settled(_there_and_back(entry, grade, first)[1]), entry.dtype)


@cache
def _there_and_back(entry: Entry, grade: Grade, first: str) -> tuple[Any, Any, Any]:
    """Follow a direction and then the other: the log-det of the first, the value of the second, and its log-det."""
    rank = entry.event_ndims[0]
    ranks = (rank, rank + entry.risen) if first == "forward" else (rank + entry.risen, rank)
    points, then = (entry.x, "inverse") if first == "forward" else (entry.y, "forward")
    value, log_det = entry.follow(grade, first, points, ranks[0])
    return log_det, *entry.follow(grade, then, _rounded(entry, value), ranks[1])


def _rounded(entry: Entry, found: Any) -> Any:
    """Let what was followed be rounded to the dtype, as a result that goes back in is."""
    if isinstance(found, tuple) and not isinstance(found, Followed):
        return tuple(_rounded(entry, each) for each in found)
    return Followed(found.exact, entry.settled(found).bound)


@law("bijectors", SMOOTH)
def opposite_log_dets(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """The log-det of forward at x is minus that of inverse at forward(x).

    Training by the inverse and evaluation by the forward direction give two likelihoods of one model.
    """
    flow = adapter.bijector(entry)
    rank = entry.event_ndims[0]
    log_det, _, back = _there_and_back(entry, grade, "forward")
    pair = [None, None] if entry.structured else [rank, rank + entry.risen]
    seen = flow.forward_log_det(entry.x, pair[0])
    other = flow.inverse_log_det(flow.forward(entry.x), pair[1])
    bound = entry.settled(log_det).bound + entry.settled(back).bound
    checks.agree("the log-det of forward", seen, -other, bound, entry.dtype)


@law("bijectors", tuple(entry for entry in ALL if len(entry.event_ndims) > 1))
def sums_over_events(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """The log-det of a larger event is the sum of those of the smaller ones in it.

    Images get the log-det of one pixel, and the likelihood is too large by orders of magnitude.
    """
    flow = adapter.bijector(entry)
    least, most = entry.event_ndims[0], entry.event_ndims[-1]
    for direction, points in (("forward", entry.x), ("inverse", entry.y)):
        rise = entry.risen if direction == "inverse" else 0
        small, large = (getattr(flow, f"{direction}_log_det")(points, ndims + rise) for ndims in (least, most))
        parts, whole = (expected(entry, grade, direction, ndims + rise)[1] for ndims in (least, most))
        count = most - least
        kept = parts.exact.shape[: len(parts.exact.shape) - count]
        checks.array("the log-det of the smaller events", small, parts.exact.shape, entry.dtype)
        total = small.astype(np.float64).reshape(*kept, -1).sum(axis=-1)
        size = np.abs(parts.exact.to_float()).reshape(*kept, -1)
        bound = whole.bound + parts.bound.reshape(*kept, -1).sum(axis=-1)
        # The sum is taken here, in float64, and rounded to the dtype.
        rounding = bounds.accumulated(size.shape[-1], FORMATS["float64"].roundoff) + FORMATS[entry.dtype].roundoff
        bound = bound + 2.0 * rounding * (size.sum(axis=-1) + bound)
        checks.agree(f"the log-det of {direction}", large, cast(total, entry.dtype), bound, entry.dtype)


@law("bijectors", ROWS)
def rows_by_themselves(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """Each element of the batch is mapped as it is when it comes alone.

    The likelihood of a sample depends on its neighbours, and on how many there are.
    """
    number = len(entry.x) - 1
    for direction, points in (("forward", entry.x), ("inverse", entry.y)):
        rank = entry.event_ndims[-1] + (entry.risen if direction == "inverse" else 0)
        if rank == points.ndim:
            rank -= 1
        if rank < entry.least + (entry.risen if direction == "inverse" else 0):
            continue
        context = None if entry.context is None else entry.context[number : number + 1]
        one = replace(entry, context=context)
        seen = getattr(adapter.bijector(one), f"{direction}_and_log_det")(points[number : number + 1], rank)
        for name, part, whole in zip(("value", "log-det"), seen, expected(entry, grade, direction, rank), strict=True):
            pick = slice(number, number + 1)
            wanted = Expected(exact_of(whole.exact, lambda n, pick=pick: n[pick]), whole.bound[pick])
            require(checks, f"the {name} of {direction}", part, wanted, entry.dtype)


@law("bijectors", tuple(entry for entry in ALL if entry.outputs is None and entry.id != "shift of a larger batch"))
def shapes(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """The shapes that are told beforehand are those that come, unknown sizes included.

    Distributions are built with events that their samples do not have.
    """
    flow = adapter.bijector(entry)
    seen = {"forward": flow.forward(entry.x), "inverse": flow.inverse(entry.y)}
    wanted = {"forward": entry.y, "inverse": entry.x}
    for direction, points in (("forward", entry.x), ("inverse", entry.y)):
        tell = getattr(flow, f"{direction}_event_shape")
        if entry.structured:
            told = tell(tuple(part.shape for part in points))
            came = tuple(part.shape for part in seen[direction])
            checks.true(f"the shapes after {direction} must be {came}. Got {told}", tuple(map(tuple, told)) == came)
            continue
        checks.array(direction, seen[direction], wanted[direction].shape, entry.dtype)
        before = _ndims(entry) + (entry.risen if direction == "inverse" else 0)
        after = before + (entry.risen if direction == "forward" else -entry.risen)
        event = points.shape[points.ndim - before :]
        image = wanted[direction].shape[wanted[direction].ndim - after :]
        for front in ((), (None,), (2, None)):
            told = tuple(tell((*front, *event)))
            checks.true(f"the shape after {direction} must be {(*front, *image)}. Got {told}", told == (*front, *image))
    checks.worst = checks.worst or 0.0


@law("bijectors", DIFFERENTIATED, requires=("jacobian",))
def automatic_differentiation(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """The log-det is log |det J| of the Jacobian that the framework finds.

    The density does not integrate to 1, and training drifts to where the error is largest.
    """
    flow: Any = adapter.bijector(entry)
    rank = _ndims(entry)
    jacobian = flow.jacobian(entry.x, rank).astype(np.float64)
    checks.true("the derivatives must be finite", bool(np.isfinite(jacobian).all()))
    errors = jacobian_error(entry, grade, jacobian)
    _require_determinant(entry, flow, jacobian, errors, 0.0, grade, checks)


def _require_determinant(
    entry: Entry, flow: Any, jacobian: Any, errors: Any, left_out: Any, grade: Grade, checks: Checks
) -> None:
    """Require the log-det of a matrix with errors, plus what that leaves out, which has the error of such a matrix."""
    rank = _ndims(entry)
    wanted = expected(entry, grade, "forward", rank)[1]
    logs = np.linalg.slogdet(jacobian)[1] + left_out
    bound = bounds.determinant(jacobian, errors) + wanted.bound
    bound = bound + FORMATS[entry.dtype].roundoff * (np.abs(logs) + bound)
    checks.agree(
        "the log-det of forward", flow.forward_log_det(entry.x, rank), cast(logs, entry.dtype), bound, entry.dtype
    )


STEP = 2.0**-12
DOUBLE = tuple(entry for entry in SMOOTH if entry.dtype == "float64" and not entry.structured)


class _Ends(NamedTuple):
    """Where central differences are taken along one element of an event, and what must come of it."""

    ends: tuple[Any, Any]
    width: Any  # (*batch, 1): the distance, after rounding
    slope: Any  # (*batch, M)
    error: Any


@cache
def _ends(entry: Entry, grade: Grade) -> tuple[_Ends, ...]:
    rank = _ndims(entry)
    event = entry.x.shape[entry.x.ndim - rank :]
    flat = (*entry.x.shape[: entry.x.ndim - rank], int(np.prod(event)))
    found = []
    for number in range(flat[-1]):
        basis = np.zeros(flat[-1])
        basis[number] = STEP
        ends = tuple(entry.x + sign * basis.reshape(event) for sign in (1.0, -1.0))
        width = (ends[0] - ends[1]).reshape(flat)[..., number : number + 1]
        true = [entry.settled(entry.follow(grade, "forward", end, rank)[0]) for end in ends]
        bits = max(each.exact.bits for each in true)
        rise = Exact(np.asarray(true[0].exact.at(bits) - true[1].exact.at(bits), dtype=object), bits)
        slope = rise.to_float().reshape(flat) / width
        error = sum(each.bound.reshape(flat) for each in true) / width
        # The difference and the quotient round; so does the exact quotient, here.
        error = error + 4.0 * FORMATS["float64"].roundoff * (np.abs(slope) + error)
        found.append(_Ends((ends[0], ends[1]), width, slope, error))
    return tuple(found)


@law("bijectors", DOUBLE)
def finite_differences(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """The log-det is log |det J| of the Jacobian by central differences, up to what these leave out.

    The density does not integrate to 1, and training drifts to where the error is largest.
    """
    flow = adapter.bijector(entry)
    columns = []
    for each in _ends(entry, grade):
        above, below = (np.asarray(flow.forward(end), dtype=np.float64).reshape(each.slope.shape) for end in each.ends)
        columns.append((above - below) / each.width)
    found = np.stack(columns, axis=-1)
    ideal, moved = (
        np.stack(parts, axis=-1) for parts in zip(*((e.slope, e.error) for e in _ends(entry, grade)), strict=True)
    )
    truth = expected(entry, grade, "forward", _ndims(entry))[1].exact.to_float()
    # What the exact differences leave out is known; they are rounded here as those that came.
    left_out = truth - np.linalg.slogdet(ideal)[1]
    _require_determinant(entry, flow, found, 2.0 * moved, left_out, grade, checks)


@law("bijectors", tuple(PREIMAGES.values()))
def all_preimages(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """A map with two inverses gives both, a log-det for each, and no log-det of forward.

    Half of the density is lost.
    """
    flow = adapter.bijector(entry)
    arithmetic = Arithmetic(computed_in(entry.dtype))
    exact = AbsoluteValue()

    def bound(found: Exact, method: Any, points: Any) -> Expected:
        error = bounds.bijector("AbsoluteValue", method, points.astype(np.float64), arithmetic).error
        return Expected(found, error)

    require(checks, "forward", flow.forward(entry.x), bound(exact.forward(entry.x), "forward", entry.x), entry.dtype)
    wanted = [bound(each, "inverse", entry.y) for each in exact.inverse(entry.y)]
    require(checks, "inverse", flow.inverse(entry.y), wanted, entry.dtype)
    wanted = [bound(each, "inverse_log_det", entry.y) for each in exact.inverse_log_det(entry.y)]
    require(checks, "the log-det of inverse", flow.inverse_log_det(entry.y, 0), wanted, entry.dtype)
    try:
        found = flow.forward_log_det(entry.x, 0)
    except NotImplementedError:
        return
    checks.true(f"the log-det of forward must be a NotImplementedError. Got {found}", condition=False)


AUTOREGRESSIVE = tuple(
    entry for entry in ALL if isinstance(entry.part, Autoregressive) and entry.part.activation == "tanh"
)


@law("bijectors", AUTOREGRESSIVE)
def connectivity(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """In an autoregressive flow, a unit moves by itself, and by those before it to which a path of connections leads.

    The Jacobian is no triangle, so that the log-det is wrong, and no sampling undoes the inverse.
    """
    flow = adapter.bijector(entry)
    paths = oracle_of(entry.part).paths
    still = flow.inverse(entry.y)
    for unit, reached in enumerate(paths):
        moved = np.array(entry.y)
        moved[..., unit] += entry.y.dtype.type(0.5)
        depends = tuple((flow.inverse(moved) != still).any(axis=tuple(range(still.ndim - 1))).tolist())
        wanted = tuple(bool(path) or other == unit for other, path in enumerate(reached))
        checks.true(f"unit {unit} must move {wanted} of the inverse. Got {depends}", depends == wanted)
    checks.worst = checks.worst or 0.0


COMPILED = tuple(CATALOGUE[name] for name in ("sigmoid between", "flow in training", "inverse autoregressive flow"))


@law("compiled", COMPILED, requires=("compile",))
def compiled_flows(adapter: FlowAdapter, entry: Entry, grade: Grade, checks: Checks) -> None:
    """A compiled flow is within the same bound of the same exact values as an eager one.

    A model that was tuned eagerly has another likelihood when it is compiled.
    """
    flow: Any = adapter.bijector(entry)
    rank = entry.event_ndims[-1]
    wanted = expected(entry, grade, "inverse", rank + entry.risen)
    found = flow.compile().inverse_and_log_det(entry.y, rank + entry.risen)
    for name, seen, each in zip(("value", "log-det"), found, wanted, strict=True):
        require(checks, f"the {name} of inverse", seen, each, entry.dtype)
