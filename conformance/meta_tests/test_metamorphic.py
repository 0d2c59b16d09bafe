"""The relations between cases are theorems: the oracle's exact results have them, and the definition everywhere."""

from fractions import Fraction
from functools import partial

import numpy as np
import pytest

from bnspec_conformance import expectation
from bnspec_conformance.bounds import DEFINITION, NAIVE
from bnspec_conformance.cases import (
    COUNTED,
    EXACT_OFFSETS,
    IMAGES,
    REPEATED,
    SCALED,
    STATES,
    as_rows_of_pixels,
    backwards,
    elsewhere,
    repeated,
    scaled,
    shifted,
)
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.laws import LAWS, Subject, Trial, metamorphic
from bnspec_conformance.mutants import Complete
from bnspec_conformance.subjects import backend_subject

CONVENTIONS = [adapter.convention for adapter in backend_subject("numpy").adapters]
OURS = [law for law in LAWS if law.group == "metamorphic"]


def ids(value):
    return getattr(value, "id", getattr(value, "name", None))


def fractions(exact, take=lambda array: array):
    return [Fraction(int(part), 2**exact.bits) for part in take(exact.numerators).flat]


def equal(one, two, factor=1.0, offset=0.0, take=lambda array: array):
    """Require two exact results to be related, but for where the oracle rounds: 2^-192 of them, and a few of these."""
    known = min(one.exact.bits, two.exact.bits) - 8
    pairs = zip(fractions(one.exact, take), fractions(two.exact), strict=True)
    scale = max(1, 1 / Fraction(factor))
    assert all(abs((b - Fraction(offset)) / Fraction(factor) - a) <= scale / 2**known for a, b in pairs)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=ids)
@pytest.mark.parametrize("case", EXACT_OFFSETS, ids=ids)
@pytest.mark.parametrize("by", [1024.0, -4096.0])
def test_an_offset_moves_the_exact_mean_alone(case, by, convention):
    other = shifted(case, by)
    for x, moved in zip((*case.training, case.evaluation), (*other.training, other.evaluation), strict=True):
        assert (moved.astype(np.float64) - by == x).all()
    pairs = (expectation.trajectory(each, convention, NAIVE) for each in (case, other))
    for one, two in zip(*pairs, strict=True):
        equal(one.y, two.y)
        equal(one.moving_mean, two.moving_mean, offset=by)
        equal(one.moving_variance, two.moving_variance)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=ids)
@pytest.mark.parametrize("case", SCALED, ids=ids)
@pytest.mark.parametrize("factor", [2.0**-9, 2.0**11])
def test_a_factor_scales_the_exact_averages_alone(case, factor, convention):
    other = scaled(case, factor)
    for name in ("moving_mean", "cotangent", "gamma", "beta"):
        assert (getattr(other, name) == getattr(case, name) * (factor if name == "moving_mean" else 1.0)).all()
    assert (other.moving_variance == case.moving_variance * factor**2).all()
    assert all((moved == factor * x).all() for x, moved in zip(case.training, other.training, strict=True))
    pairs = (expectation.trajectory(each, convention, NAIVE) for each in (case, other))
    for number, (one, two) in enumerate(zip(*pairs, strict=True)):
        equal(one.moving_mean, two.moving_mean, factor)
        if convention.running_variance != "bessel_epsilon":
            equal(one.moving_variance, two.moving_variance, factor**2)
        if number < len(case.training) or convention.running_variance != "bessel_epsilon":
            equal(one.y, two.y)


def test_a_correction_by_epsilon_is_not_homogeneous():
    (convention,) = {value for value in CONVENTIONS if value.running_variance == "bessel_epsilon"}
    pairs = [expectation.trajectory(each, convention, NAIVE) for each in (SCALED[0], scaled(SCALED[0], 2.0**11))]
    with pytest.raises(AssertionError):
        equal(pairs[0][0].moving_variance, pairs[1][0].moving_variance, 2.0**22)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=ids)
@pytest.mark.parametrize("case", REPEATED, ids=ids)
def test_whole_weights_repeat_rows_exactly(case, convention):
    assert {0.0, 1.0, 2.0, 3.0} == {float(w) for weights in case.weights for w in weights.flat}
    pairs = (expectation.trajectory(each, convention, NAIVE) for each in (case, repeated(case)))
    for number, (one, two) in enumerate(zip(*pairs, strict=True)):
        equal(one.moving_mean, two.moving_mean)
        equal(one.moving_variance, two.moving_variance)
        if number < len(case.training):
            times = case.weights[number].reshape(-1).astype(int)
            equal(one.y, two.y, take=partial(np.repeat, repeats=times, axis=0))


@pytest.mark.parametrize("convention", CONVENTIONS, ids=ids)
@pytest.mark.parametrize("case", IMAGES, ids=ids)
def test_rows_of_pixels_have_the_same_exact_averages(case, convention):
    pairs = (expectation.trajectory(each, convention, NAIVE) for each in (case, as_rows_of_pixels(case)))
    for one, two in zip(*pairs, strict=True):
        assert two.y.exact.shape == (int(np.prod(one.y.exact.shape)) // 3, 3)
        equal(one.moving_mean, two.moving_mean)
        equal(one.moving_variance, two.moving_variance)
        equal(one.y, two.y, take=lambda array, case=case: np.moveaxis(array, case.axis[0], -1))


@pytest.mark.parametrize("convention", CONVENTIONS, ids=ids)
@pytest.mark.parametrize("case", STATES, ids=ids)
def test_the_exact_output_of_a_batch_does_not_depend_on_the_state(case, convention):
    takes = (0.3, 0.9) if convention.statistics == "batch" else (1.0, 1.0)
    one, two = elsewhere(case, takes[0], 0.0), elsewhere(case, takes[1], 9.0)
    assert not (one.moving_mean == two.moving_mean).any()
    assert not (one.moving_variance == two.moving_variance).any()
    pairs = (expectation.trajectory(each, convention, NAIVE) for each in (one, two))
    for _, (first, second) in zip(case.training, zip(*pairs, strict=True), strict=False):
        equal(first.y, second.y)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=ids)
@pytest.mark.parametrize("law", OURS, ids=lambda law: law.name)
def test_the_definition_and_a_sound_stranger_have_them_under_every_convention(law, convention):
    (ours,) = [adapter for adapter in backend_subject("numpy").adapters if adapter.convention == convention]
    theirs = type("Stranger", (Complete,), {"convention": convention})
    for adapter, grade in ((ours, DEFINITION), (theirs, NAIVE)):
        for case in law.cases:
            trial = Trial(law, case, Subject("", (adapter,), grade), adapter)
            assert not trial.missing
            checks = Checks()
            trial.run(checks)
            assert checks.worst is not None


class _CountsAGradient(Complete):
    """What a framework's layer does whose gradient runs the training pass: it is counted."""

    times = 1

    def gradients(self, x, cotangent, training):
        for _ in range(self.times if training else 0):
            self(x, True)
        return super().gradients(x, cotangent, training)


@pytest.mark.parametrize("case", COUNTED, ids=ids)
def test_a_gradient_may_count_once(case):
    assert len(case.training) == 2
    assert (case.training[0] == backwards(case).training[1]).all()
    metamorphic.recomputation_counts_once.check(_CountsAGradient, case, NAIVE, Checks())
    twice = type("Twice", (_CountsAGradient,), {"times": 2})
    with pytest.raises(LawBroken, match="after a gradient"):
        metamorphic.recomputation_counts_once.check(twice, case, NAIVE, Checks())


class TestAgree:
    """Two results are compared like a result and an exact one, and neither may be NaN."""

    x = np.asarray([1.0, 2.0], dtype=np.float32)

    def test_the_difference_is_measured_against_the_bound(self):
        checks = Checks()
        checks.agree("x", self.x + np.float32(0.25), self.x, np.ones(2), "float32")
        assert checks.worst == 0.25
        with pytest.raises(LawBroken, match="2 times the bound"):
            checks.agree("x", self.x + np.float32(0.25), self.x, np.full(2, 0.125), "float32")

    @pytest.mark.parametrize("wrong", [np.nan, np.inf])
    def test_what_is_not_finite_fails_on_either_side(self, wrong):
        bad = self.x * np.float32(wrong)
        for pair in ((bad, self.x), (self.x, bad), (bad, bad)):
            with pytest.raises(LawBroken):
                Checks().agree("x", *pair, np.ones(2), "float32")

    def test_what_is_not_promised_may_be_anything(self):
        checks = Checks()
        bad = np.asarray([np.nan, 2.0], dtype=np.float32)
        checks.agree("x", bad, bad, np.asarray([np.inf, 0.0]), "float32")
        assert (checks.worst, checks.unbounded) == (0.0, 1)

    def test_shape_and_dtype_are_required_of_both(self):
        for wrong in (self.x[:1], self.x.astype(np.float64)):
            for pair in ((wrong, self.x), (self.x, wrong)):
                with pytest.raises(LawBroken, match="must have"):
                    Checks().agree("x", *pair, np.ones(2), "float32")
