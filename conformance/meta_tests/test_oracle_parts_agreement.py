"""Both oracles with all parts of a layer, drawn at random: the same numbers, by other ways."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest

from bnspec import Renorm
from bnspec.conventions import KERAS, TORCH
from bnspec_conformance import oracle
from bnspec_conformance.oracle import Exact, _forward, multiprecision
from bnspec_conformance.oracle._averages import ROOT_BITS
from bnspec_conformance.oracle._weights import Extended

from .test_oracle_agreement import assert_agree, both, numbers, parameter_shape, rounding_of_the_mean

# The relative error that the first oracle states for a correction.
OF_ROOTS = mpmath.ldexp(1, 2 - ROOT_BITS)
SEEDS = range(64)
GHOSTS, OTHERS = ((4, 2), (1,)), [((3, 2, 2), (1,)), ((2, 2, 2), (0, 2)), ((3,), ()), ((5, 2), (1,))]
FIELDS = {
    "momentum_weighs": ["old", "new"],
    "running_variance": ["population", "bessel", "bessel_epsilon"],
    "normalizing_variance": ["population", "bessel"],
    "average": ["exponential", "debiased", "debiased_mean", "first"],
    "empty_batch": ["keep", "count"],
    "ghost_grouping": ["contiguous", "strided"],
    "ghost_update": ["mean", "merged", "each"],
}
PARTS = ["ghosts", "renorm", "ghosts and renorm", "running", "adjustment", "renorm and adjustment", "running", "none"]


class Case:
    """A layer with some of the parts, a few batches, and a cotangent and a tangent."""

    def __init__(self, seed):
        rng = np.random.default_rng([21, seed])

        def normal(size):
            return (0.5 + 2 * rng.standard_normal(size)).astype(np.float32)

        parts = PARTS[seed % len(PARTS)]
        ghosts, renormed = "ghosts" in parts, "renorm" in parts
        fields = {name: str(rng.choice(allowed)) for name, allowed in FIELDS.items()}
        turn = seed // len(PARTS)
        if ghosts:
            # Every way to enter the averages meets both groupings and both variances.
            update = turn % 2 if renormed else (2, 2, 0, 1)[turn // 2]
            updates = (update, turn // 2 % 2, turn // 4 % 2) if renormed else (update, turn % 2, turn // 2 % 2)
            names = "ghost_update", "ghost_grouping", "normalizing_variance"
            fields |= {name: FIELDS[name][which] for name, which in zip(names, updates, strict=True)}
        if parts == "running":
            fields["statistics"] = "running"
            fields["average"] = FIELDS["average"][seed // 4 % 4]
        self.convention = replace(TORCH, one_element="update", **fields)
        shape, axis = GHOSTS if ghosts else OTHERS[turn % len(OTHERS)]
        if ghosts and seed % 3 == 0:
            shape, axis = (4, 2, 1), (2, 1)
        self.shape, self.axis, kept = shape, axis, parameter_shape(shape, axis)[0]
        self.x, self.cotangent, self.tangent, second, third = (normal(shape) for _ in range(5))
        weights, few = (rng.choice([0, 0.25, 1, 2, 3.5], shape).astype(np.float32) for _ in range(2))
        if ghosts:
            rows = np.arange(4) % 2 if fields["ghost_grouping"] == "strided" else np.arange(4) // 2
            weights[rows == seed % 2, 0] = 0  # one ghost batch is absent in a channel
        few[..., -1] = 0  # and in the second batch, whatever has the last index in the last axis
        self.weights = weights if seed % 4 else weights[:, *(slice(1),) * (len(shape) - 1)]
        self.shared = self.weights.shape != shape
        gamma, beta, mean = (normal(kept) for _ in range(3))
        variance, stddev, of_renorm = (rng.uniform(0.25, 4, kept).astype(np.float32) for _ in range(3))
        self.layer = {"axis": axis, "epsilon": 0.125, "gamma": gamma}
        self.moving = {"moving_mean": mean, "moving_variance": variance}
        self.update = {"convention": self.convention, "num_batches": int(rng.integers(3))}
        self.update["momentum"] = [0.75, 0.25, 0.5, None][int(rng.integers(4))]
        self.options = {"virtual_batch_size": 2 if ghosts else None}
        self.beta = None if seed % 2 else beta
        self.pair = None
        if "adjustment" in parts:
            self.pair = normal((shape[0], *(1,) * (len(shape) - 1))), normal(shape[-1:])
        self.renorm = None
        if renormed:
            # Tight enough that some channels are clipped, and others are not.
            self.renorm = Renorm(rmin=0.75, rmax=float(rng.choice([1.5, np.inf])), dmax=0.5, momentum=0.25)
            self.renorm = self.renorm if seed % 3 else Renorm(momentum=0.5)
            self.options["renorm"] = self.renorm
            self.start = {"moving_stddev": stddev, "renorm_mean": normal(kept), "renorm_stddev": of_renorm}
        self.correction = (gamma, mean) if renormed else None
        self.steps = [
            (self.x, True, self.weights, self.pair),
            (second, True, few),
            (third, True, np.zeros_like(third)),
            (second, False),
            (third, True, None, self.pair),
            (third if 0 in axis else third[:0], True),
        ]

    def trajectories(self):
        given = {**self.layer, **self.moving, **self.update, **self.options, "beta": self.beta}
        if self.renorm is not None:
            given |= self.start
        return [module.trajectory(self.steps, **given) for module in (oracle, multiprecision)]

    def derivative_options(self):
        """Return what both derivatives take."""
        size = self.options["virtual_batch_size"]
        parts = {"virtual_batch_size": size, "correction": self.correction, "adjustment": self.pair}
        return {**self.layer, **self.moving, **self.update, **parts, "weights": self.weights}


def of_corrections(case, pair, step):
    """Return what the first oracle adds to the error of y: of the term with r, and of the term with d."""
    if step.correction is None:
        return 0
    _, kept = parameter_shape(case.shape, case.axis)
    zero = np.zeros(kept, np.float32)
    a, b = (np.ones(()), np.zeros(())) if pair is None else pair
    with mpmath.workprec(600):
        gamma, beta = (
            _forward.read(zero if part is None else part.reshape(kept)) for part in (case.layer["gamma"], case.beta)
        )
        shift = gamma * _forward.read(a) * step.correction[1].reshape(kept)
        return OF_ROOTS * (abs(shift) + abs(step.y - beta - gamma * _forward.read(b) - shift))


each_case = pytest.mark.parametrize("seed", SEEDS)


@each_case
def test_trajectories_agree(seed):
    case = Case(seed)
    last = None
    for (x, training, *more), exact, found in zip(case.steps, *case.trajectories(), strict=True):
        if training:
            extra = of_corrections(case, more[1] if len(more) > 1 else None, found)
        else:
            extra = rounding_of_the_mean(x, last, case.axis, 0.125, case.layer["gamma"])
        # A sum of different roots, or with an addend, may be small beside its terms: the steps are those of the terms.
        sums = case.beta is not None or case.renorm is not None or case.pair is not None
        assert_agree(exact.y, found.y, extra=extra, relative=training and not sums)
        assert exact.state.num_batches == found.state.num_batches
        for name in set(found.state._fields) - {"num_batches"}:
            ours, theirs = getattr(exact.state, name), getattr(found.state, name)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                # With renormalization, the averages are, or are made of, what has been rounded before.
                extra = 0 if case.renorm is None else OF_ROOTS * (abs(theirs) + 0.125)
                assert_agree(ours, theirs, extra=extra, relative=case.renorm is None)
        for name in ("mean", "variance"):
            ours, theirs = getattr(exact, name), getattr(found, name)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert_agree(ours, theirs)
        assert (exact.correction is None) == (found.correction is None)
        assert (found.correction is None) == (case.renorm is None or not training or not x.size)
        for ours, theirs in zip(exact.correction or (), found.correction or (), strict=True):
            # On a grid of any number of bits, and with the relative error of square roots.
            with mpmath.workprec(2 * ROOT_BITS):
                assert np.all(abs(numbers(ours) - theirs) <= abs(theirs) * OF_ROOTS)
        last = found.state


@each_case
def test_gradients_agree(seed):
    case = Case(seed)
    options = {**case.derivative_options(), "training": True}
    exact, found = (module.gradients(case.x, case.cotangent, **options) for module in (oracle, multiprecision))
    sums = {"gamma": case.correction is not None or case.pair is not None or "ghosts" in PARTS[seed % len(PARTS)]}
    sums["weights"] = case.shared
    for name, ours, theirs in zip(exact._fields, exact, found, strict=True):
        assert_agree(ours, theirs, relative=not sums.get(name))


@each_case
def test_hessian_vector_products_agree(seed):
    case = Case(seed)
    options = case.derivative_options()
    exact, found = (
        module.hessian_vector_product(case.x, case.cotangent, case.tangent, **options)
        for module in (oracle, multiprecision)
    )
    assert_agree(exact, found)


def assert_agree_beyond(exact, found, **options):
    """Compare also infinities and NaN, which have to be in the same places."""
    beyond = np.where([mpmath.isfinite(v) for v in found.ravel()], 0, found.ravel()).reshape(found.shape)
    seen = exact.special if isinstance(exact, Extended) else np.zeros(exact.shape)
    np.testing.assert_array_equal(seen, beyond.astype(np.float64))
    assert_agree(Exact(exact.numerators, exact.bits), np.where(beyond == 0, found, mpmath.mpf(0)), **options)


@each_case
def test_deleted_elements_agree(seed):
    case, hole = Case(seed), (np.nan, np.inf, -np.inf)[seed % 3]
    deleted = np.broadcast_to(case.weights == 0, case.shape)
    x, cotangent = np.where(deleted, np.float32(hole), case.x), np.where(deleted, np.float32(0), case.cotangent)
    case.steps = [(x, *case.steps[0][1:]), *case.steps[1:]]
    exact, found = (steps[0] for steps in case.trajectories())
    finite = found._replace(y=np.where(deleted, mpmath.mpf(0), found.y))
    assert_agree_beyond(exact.y, found.y, extra=of_corrections(case, case.pair, finite), relative=False)
    options = case.derivative_options()
    given = {**options, "training": True}
    exact, found = (module.gradients(x, cotangent, **given) for module in (oracle, multiprecision))
    for ours, theirs in zip(exact, found, strict=True):
        assert_agree_beyond(ours, theirs, relative=False)
    exact, found = (
        module.hessian_vector_product(x, cotangent, case.tangent, **options) for module in (oracle, multiprecision)
    )
    assert_agree_beyond(exact, found, relative=False)


def test_the_cases_cover_what_they_are_for():
    cases = [Case(seed) for seed in SEEDS]
    for name, allowed in FIELDS.items():
        assert {getattr(case.convention, name) for case in cases} == set(allowed)
    ghosts = [case.convention for case in cases if case.options["virtual_batch_size"]]
    met = {(c.ghost_update, c.ghost_grouping, c.normalizing_variance) for c in ghosts}
    assert len(met) == 12
    running = [case for case in cases if case.convention.statistics == "running"]
    assert {case.convention.average for case in running} == set(FIELDS["average"])
    assert {case.convention.running_variance for case in running} == set(FIELDS["running_variance"])
    assert any(case.update["momentum"] is None for case in running)
    clipped = [case for case in cases if case.renorm is not None]
    reached = {"rmin": 0, "rmax": 0, "dmax": 0, "r free": 0, "d free": 0}
    for case in clipped:
        _, steps = case.trajectories()
        for step in steps:
            for r, d in zip(*(part.ravel() for part in step.correction or (np.ones(0), np.ones(0))), strict=True):
                limits = case.renorm
                reached["rmin"] += r == limits.rmin
                reached["rmax"] += r == limits.rmax
                reached["dmax"] += abs(d) == limits.dmax
                reached["r free"] += limits.rmin < r < limits.rmax
                reached["d free"] += abs(d) < limits.dmax
    assert all(reached.values()), reached


X = np.asarray([[0.0, 1.0], [2.0, 5.0], [3.0, 3.0], [4.0, -1.0]])
LAYER = {"axis": (1,), "epsilon": 0.125, "gamma": None, "moving_mean": np.zeros(2), "moving_variance": np.ones(2)}
RUNNING, EACH = (
    {"convention": replace(TORCH, statistics="running")},
    {"convention": replace(TORCH, ghost_update="each")},
)
PAIR, ZEROS = (X, X), {"moving_variance": np.zeros(2), "epsilon": 0.0, "renorm": Renorm()}
REFUSED_LAYERS = {
    "size that does not divide": (X, {"virtual_batch_size": 3}, None),
    "no size": (X, {"virtual_batch_size": 0}, None),
    "feature axis": (X, {"virtual_batch_size": 2, "axis": (0, 1)}, None),
    "adjusted ghosts": (X, {"virtual_batch_size": 2}, PAIR),
    "one element in each": (X, {"virtual_batch_size": 1}, None),
    "running ghosts": (X, {"virtual_batch_size": 2, **RUNNING}, None),
    "running renormalization": (X, {"renorm": Renorm(), **RUNNING}, None),
    "each and renormalization": (X, {"renorm": Renorm(), "virtual_batch_size": 2, **EACH}, None),
    "shape of an average": (X, {"renorm": Renorm(), "renorm_mean": np.zeros(3)}, None),
    "nothing to divide by": (X, ZEROS, None),
    "shape of an adjustment": (X, {}, (X.T, X)),
    "adjustment of another rank": (X, {}, (X, X[np.newaxis])),
    "adjustment that is larger": (X[:1], {"convention": KERAS}, PAIR),
    "NaN in an adjustment": (X, {}, (X, X * np.nan)),
}
REFUSED_DERIVATIVES = {
    "size that does not divide": {"virtual_batch_size": 3},
    "adjusted ghosts": {"virtual_batch_size": 2, "adjustment": PAIR},
    "running ghosts": {"virtual_batch_size": 2, **RUNNING},
    "running correction": {"correction": (np.ones(2), np.ones(2)), **RUNNING},
    "shape of a correction": {"correction": (np.ones(2), np.ones((1, 2)))},
    "NaN in a correction": {"correction": (np.ones(2), np.ones(2) * np.nan)},
    "shape of an adjustment": {"adjustment": (X.T, X)},
}


@pytest.mark.parametrize("name", REFUSED_LAYERS)
def test_both_refuse_layers(name):
    x, options, pair = REFUSED_LAYERS[name]
    given = {**LAYER, "beta": None, "momentum": 0.5, "convention": TORCH, **options}
    assert both("trajectory", [(x, True, None, pair)], **given) is None


@pytest.mark.parametrize("name", REFUSED_DERIVATIVES)
def test_both_refuse_derivatives(name):
    options = {**LAYER, **REFUSED_DERIVATIVES[name]}
    assert both("gradients", X, X, training=True, **options) is None
    assert both("hessian_vector_product", X, X, X, **options) is None
