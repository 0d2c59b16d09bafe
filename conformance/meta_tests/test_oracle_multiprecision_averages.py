"""The second oracle's running averages: the shares that their names promise, and a state that is handed on."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from bnspec import Renorm
from bnspec_conformance.oracle._forward_averages import shares
from bnspec_conformance.oracle.multiprecision import trajectory

from .oracle_helpers import BOUND, mp, thousand_bits  # noqa: F401  # references are rounded at 2**-1000
from .test_oracle_multiprecision_parts import (
    AVERAGES,
    LAST,
    MORE,
    NEUTRAL,
    RUN,
    WEIGHTS,
    X,
    assert_layers_same,
    changed,
)
from .test_oracle_multiprecision_weights import assert_same, values


def test_shares():
    third = Fraction(1, 3)
    expected = {
        ("exponential", 0, 2): [third**2, 2 * third**2, 2 * third],
        ("exponential", 5, 1): [third, 2 * third],
        ("first", 0, 2): [0, third, 2 * third],
        ("first", 1, 1): [third, 2 * third],
        ("debiased", 0, 1): [0, 1],
        ("debiased", 0, 2): [0, Fraction(1, 4), Fraction(3, 4)],
        ("debiased", 2, 1): [Fraction(4, 13), Fraction(9, 13)],
    }
    with mpmath.workprec(2000):
        for (kind, counted, updates), wanted in expected.items():
            assert_same(shares(kind, mp(third), counted, updates), wanted)
        # The factors 1 and 0: the mean of all, and the last one alone.
        assert_same(shares("debiased", mp(1), 3, 2), [Fraction(3, 5), Fraction(1, 5), Fraction(1, 5)])
        assert_same(shares("debiased", mp(0), 3, 2), [0, 0, 1])


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("momentum", [0.75, 0.0, 1.0, None], ids=str)
@pytest.mark.parametrize("weighs", ["old", "new"])
def test_averages_are_what_their_names_say(average, momentum, weighs):
    run = {**RUN, "convention": changed(average=average, momentum_weighs=weighs), "momentum": momentum}
    steps = [(X, True), (MORE, True, WEIGHTS), (LAST, True)]
    found = trajectory(steps, **run)
    batches = trajectory(steps, **{**run, "momentum": None})
    usual = trajectory(steps, **{**run, "convention": changed(momentum_weighs=weighs)})
    if momentum is None:
        assert_layers_same(found, usual)
        assert_same(found[-1].state.moving_mean, sum(step.mean for step in found) / 3)
        return
    old = momentum if weighs == "old" else 1 - momentum
    zeros = {"moving_mean": np.zeros(2), "moving_variance": np.zeros(2)}
    biased = trajectory(steps, **{**run, **zeros, "convention": changed(momentum_weighs=weighs)})
    first = batches[0].state._asdict()
    started = trajectory(steps[1:], **{**run, **first, "convention": changed(momentum_weighs=weighs)})
    for k, step in enumerate(found):
        for name in ("moving_mean", "moving_variance"):
            seen = getattr(step.state, name)
            kind = "exponential" if average == "debiased_mean" and name == "moving_variance" else average
            if kind == "exponential":
                assert_same(seen, getattr(usual[k].state, name))
            elif kind == "first":
                assert_same(seen, first[name] if k == 0 else getattr(started[k - 1].state, name))
            elif old == 1:
                assert_same(seen, getattr(batches[k].state, name))
            else:
                assert_same(seen, getattr(biased[k].state, name) / (1 - mp(old) ** (k + 1)))


@pytest.mark.parametrize("average", AVERAGES)
def test_state_may_be_handed_on(average):
    run = {**RUN, "convention": changed(average=average), "momentum": 0.25, "num_batches": 2}
    renorm = {"renorm": Renorm(dmax=0.25, rmax=1.25, momentum=0.5)}
    steps = [(X, True), (MORE, True, WEIGHTS * [0, 1]), (LAST, True), (X, False)]
    whole = trajectory(steps, **run, **renorm, **NEUTRAL)
    first = trajectory(steps[:2], **run, **renorm, **NEUTRAL)
    rest = trajectory(steps[2:], **{**run, **renorm, **first[-1].state._asdict()})
    for found, wanted in zip([*first, *rest], whole, strict=True):
        # What is handed on is rounded, at least 2**-320 below its size; `BOUND` is far above.
        parts = zip((found.y, *found.state[:2], *found.state[3:]), (wanted.y, *wanted.state[:2], *wanted.state[3:]))  # noqa: B905
        for a, b in parts:
            for c, d in zip(values(a), values(b), strict=True):
                assert abs(c - d) <= mp(BOUND) * abs(d)
