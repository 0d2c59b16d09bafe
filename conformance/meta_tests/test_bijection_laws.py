"""The laws of bijections: what their cases tell apart, what the oracle says of a round trip, and what is left out."""

import numpy as np
import pytest

from bnspec.conventions import EQUINOX, KERAS
from bnspec_conformance import expectation
from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.cases import BIJECTION, BIJECTION_ADJUSTED
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.definition import over_samples
from bnspec_conformance.laws import LAWS, Subject, bijection, trials
from bnspec_conformance.mutants import Complete, Sound

OURS = [law for law in LAWS if law.group == "bijection"]
IMAGES = [case for case in BIJECTION if len(case.shapes[0]) > 2]


def test_there_are_five_laws_each_with_a_capability():
    assert [next(iter(law.requires)) for law in OURS] == ["log_det"] * 2 + ["adjusted_log_det"] + ["invert"] * 2
    assert all(len(law.requires) == 1 for law in OURS)


@pytest.mark.parametrize("case", IMAGES, ids=lambda case: case.id)
def test_wrong_multiples_of_an_image_are_no_right_ones(case):
    _, *event = case.shapes[-1]
    sizes = dict(enumerate(event, 1))
    positions = np.prod([size for axis, size in sizes.items() if axis not in case.axis])
    channels = np.prod([sizes[axis] for axis in case.axis])
    assert positions not in (1, channels)
    leading = np.prod(event[: len(event) - len(case.axis)])
    assert (leading == positions) == (case.axis == (3,))


def test_averages_have_moved_before_they_are_used():
    assert all(len(case.shapes) == 2 and case.take != 0 for case in BIJECTION)
    assert not any(case.renorm or case.ghosts or case.weighted for case in BIJECTION + BIJECTION_ADJUSTED)


def test_only_cases_that_say_so_have_a_gamma_that_is_not_positive():
    signed = {case.id for case in BIJECTION if "any gamma" in case.requires}
    assert signed == {"signed-gamma"}
    assert any((case.gamma < 0).any() for case in BIJECTION if case.id in signed)
    assert all((case.gamma > 0).all() for case in BIJECTION if case.positive and case.scale)


@pytest.mark.parametrize("case", BIJECTION, ids=lambda case: case.id)
def test_going_back_does_not_undo_training(case):
    """Unless the averages normalize: then it does, within the errors that both have."""
    x = case.training[-1]
    for convention in (KERAS, EQUINOX):
        y = expectation.trajectory(case, convention, NAIVE)[len(case.training) - 1].y.exact.to_float().astype(x.dtype)
        exact, bound = expectation.inverted(case, convention, NAIVE, y)
        away = np.asarray(exact.error(x)) > bound
        assert away.all() if convention is KERAS else not away.any()


@pytest.mark.parametrize("case", BIJECTION, ids=lambda case: case.id)
def test_training_and_evaluation_have_other_log_dets(case):
    training, evaluation = (expectation.log_det(case, KERAS, NAIVE, mode) for mode in (True, False))
    assert training.exact.shape == (len(case.training[-1]),)
    assert evaluation.exact.shape == (len(case.evaluation),)
    distance = abs(training.exact.to_float()[0] - evaluation.exact.to_float()[0])
    assert distance > training.bound[0] + evaluation.bound[0]


class Bare:
    """A layer that is no flow."""

    convention = KERAS

    def __init__(self, config):
        self.sound = Sound(config)
        self.load, self.read = self.sound.load, self.sound.read

    def __call__(self, x, training):
        return self.sound(x, training)


def test_what_a_layer_does_not_have_is_a_gap_with_a_reason():
    missing = {trial.missing for trial in trials(Subject("bare", (Bare,), NAIVE)) if trial.law.group == "bijection"}
    assert missing == {f"{name}: the adapter has no {name}" for name in ("log_det", "adjusted_log_det", "invert")}
    assert not {"log_det", "adjusted_log_det", "invert", "any gamma"} & gaps_of(Complete).keys()


class Scalar(Complete):
    """A log-det for all samples together is not one for each."""

    def log_det(self, x, training):
        return super().log_det(x, training)[0]


class Wide(Complete):
    """A log-det in float64 of a layer in float32."""

    def log_det(self, x, training):
        return super().log_det(x, training).astype(np.float64)


@pytest.mark.parametrize(
    ("adapter", "text"),
    [
        (Scalar, r"the log-det of a training batch must be a NumPy array\. Got type=float32\."),
        (Wide, r"the log-det of a training batch must have dtype float32\. Got dtype=float64\."),
    ],
)
def test_a_log_det_has_one_number_for_each_sample_in_the_dtype_of_the_output(adapter, text):
    with pytest.raises(LawBroken, match=text):
        bijection.log_det_in_training.check(adapter, BIJECTION[0], NAIVE, Checks())


def test_what_is_equal_on_an_axis_counts_as_often_as_that_is_long():
    terms = np.asarray([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    assert over_samples(terms, np.zeros((2, 3, 4, 5)), np).tolist() == [140.0, 140.0]
    assert over_samples(np.ones((2, 1)), np.zeros((2, 9)), np).tolist() == [9.0, 9.0]
