"""Real NVP: what it refuses, and what it says then."""

import numpy as np
import pytest

from bnspec.bijectors import DenseNetwork, RealNVP

from .real_nvp_helpers import METHODS, Times, X


def pair(x0, units):
    return None, None


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, ValueError, r"exactly one of num_masked and fraction_masked must be given\. Got num_masked=None"),
        (
            {"num_masked": 1, "fraction_masked": 0.5},
            ValueError,
            r"exactly one of num_masked and .*fraction_masked=0\.5",
        ),
        ({"num_masked": True}, TypeError, r"num_masked must be an integer\. Got num_masked=True"),
        ({"num_masked": 1.5}, TypeError, r"num_masked must be an integer\. Got num_masked=1\.5"),
        ({"num_masked": 2.0}, TypeError, r"num_masked must be an integer\. Got num_masked=2\.0"),
        ({"fraction_masked": True}, TypeError, r"fraction_masked must be a real number\. Got fraction_masked=True"),
        ({"fraction_masked": "0.5"}, TypeError, r"fraction_masked must be a real number\. Got fraction_masked='0\.5'"),
        ({"fraction_masked": 1.01}, ValueError, r"fraction_masked must be in \[-1, 1\]\. Got fraction_masked=1\.01"),
        ({"fraction_masked": -2}, ValueError, r"fraction_masked must be in \[-1, 1\]\. Got fraction_masked=-2"),
        ({"fraction_masked": float("nan")}, ValueError, r"fraction_masked must be in \[-1, 1\]\. Got .*=nan"),
        ({"num_masked": 1, "bijector_fn": pair}, ValueError, r"exactly one of shift_and_log_scale_fn and bijector_fn"),
        ({"num_masked": 1, "shift_and_log_scale_fn": None}, ValueError, r"exactly one of shift_and_log_scale_fn and"),
        ({"num_masked": 1, "shift_and_log_scale_fn": 3}, TypeError, r"shift_and_log_scale_fn must be callable\. Got"),
        ({"num_masked": 1, "validate_args": 1}, TypeError, r"validate_args must be a bool"),
    ],
)
def test_arguments_that_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        RealNVP(**{"shift_and_log_scale_fn": pair, **arguments})


def test_a_bijector_fn_that_cannot_be_called():
    with pytest.raises(TypeError, match=r"bijector_fn must be callable\. Got bijector_fn=3\."):
        RealNVP(1, bijector_fn=3)


@pytest.mark.parametrize(
    ("mask", "size", "text"),
    [
        (
            {"num_masked": 3},
            3,
            r"num_masked must leave a unit of the event\. Got num_masked=3, event_size=3\. Mask fewer",
        ),
        ({"num_masked": -4}, 3, r"num_masked must leave a unit of the event\. Got num_masked=-4, event_size=3\."),
        ({"num_masked": 0}, 0, r"num_masked must leave a unit of the event\. Got num_masked=0, event_size=0\."),
        ({"fraction_masked": 1.0}, 3, r"fraction_masked must leave a unit .*fraction_masked=1\.0, event_size=3\."),
        ({"fraction_masked": -1}, 3, r"fraction_masked must leave a unit .*fraction_masked=-1, event_size=3\."),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_masks_as_large_as_the_event(mask, size, text, method):
    nvp = RealNVP(**mask, shift_and_log_scale_fn=pair)
    with pytest.raises(ValueError, match=text):
        getattr(nvp, method)(np.zeros((2, size), np.float32))


@pytest.mark.parametrize(
    ("made", "error", "text"),
    [
        (None, TypeError, r"must return a pair \(shift, log_scale\)\. Got came='builtins\.NoneType'"),
        ((None,), TypeError, r"must return a pair \(shift, log_scale\)\. Got came='builtins\.tuple of 1'"),
        (np.zeros((2, 3), np.float32), TypeError, r"must return a pair .*came='numpy\.ndarray'"),
        (("a", None), TypeError, r"shift must be a number, a list of numbers, an array or a Variable\. Got type="),
        ((None, np.zeros(3, np.int64)), TypeError, r"log_scale must be real floating.*dtype='int64'"),
        ((None, np.zeros(3)), TypeError, r"all arrays must have one dtype\. Got x='float32', log_scale='float64'"),
        (
            (np.zeros(2, np.float32), None),
            ValueError,
            r"shift must be broadcastable to the units .*shape=\(2,\), units=",
        ),
        ((None, [0.0, 1.0]), ValueError, r"log_scale must be broadcastable .*shape=\(2,\), units=\(3, 3\)"),
        ((np.zeros((2, 3), np.float32), None), ValueError, r"shift must be broadcastable .*shape=\(2, 3\)"),
    ],
)
def test_results_that_are_refused(made, error, text):
    nvp = RealNVP(2, shift_and_log_scale_fn=lambda x0, units: made)
    with pytest.raises(error, match=text):
        nvp.forward(X)


def test_one_unit_does_not_become_several():
    nvp = RealNVP(4, shift_and_log_scale_fn=lambda x0, units: (np.zeros(2, np.float32), None))
    with pytest.raises(ValueError, match=r"shift must be broadcastable .*shape=\(2,\), units=\(3, 1\)"):
        nvp.forward(X)
    nvp = RealNVP(4, bijector_fn=lambda x0, units: Times([2.0, 4.0]))
    with pytest.raises(ValueError, match=r"keeps the number of units\. Got x=\(3, 1\), y=\(3, 2\)"):
        nvp.forward(X)


class Twofold(Times):
    """Not injective, as far as it says."""

    is_injective = False


@pytest.mark.parametrize(
    ("made", "error", "text"),
    [
        ((None, None), TypeError, r"bijector_fn must return a Bijector\. Got came='builtins\.tuple of 2'"),
        (Times(2.0, 2), ValueError, r"of scalars or vectors that keeps the rank.*forward_min_event_ndims=2"),
        (Times(2.0, 0, 1), ValueError, r"keeps the rank.*forward_min_event_ndims=0, inverse_min_event_ndims=1"),
        (Twofold(2.0), ValueError, r"and is injective\. .*is_injective=False"),
    ],
)
def test_bijectors_that_are_refused(made, error, text):
    nvp = RealNVP(2, bijector_fn=lambda x0, units: made)
    with pytest.raises(error, match=text):
        nvp.inverse(X)


def test_what_the_network_refuses_of_an_event():
    nvp = RealNVP(num_masked=2, shift_and_log_scale_fn=DenseNetwork([4]))
    nvp.forward(X)
    with pytest.raises(
        ValueError, match=r"is made for 2 units of input and 3 of output\. Got input_units=2, output_units=2"
    ):
        nvp.forward(X[:, :4])
    with pytest.raises(
        ValueError, match=r"the input of real_nvp must have the rank of an event\. Got shape=\(\), event_ndims=1"
    ):
        nvp.forward(np.asarray(1.0, np.float32))
