"""Each refusal says what is required and what came, and comes before anything changed."""

from dataclasses import replace

import array_api_strict
import numpy as np
import pytest

import bnspec
from bnspec.conventions import EQUINOX, KERAS, TORCH

X = np.random.default_rng(3).normal(2.0, 3.0, (4, 3)).astype(np.float32)


def made(**arguments):
    spec = bnspec.BatchNorm(**arguments)
    return spec, *spec.init(X.shape, like=X)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"axis": 1.5}, TypeError, r"axis must be an integer or a sequence of them\. Got axis=1\.5\."),
        ({"axis": True}, TypeError, r"Got axis=True\."),
        (
            {"axis": np.asarray([0, 1])},
            TypeError,
            r"axis must be an integer or a sequence of them\. Got axis=\[0 1\]\.",
        ),
        ({"axis": (0, "a")}, TypeError, r"Got axis=\(0, 'a'\)\."),
        ({"axis": ()}, ValueError, r"axis must name at least one axis\. Got axis=\(\)\."),
        ({"momentum": -0.1}, ValueError, r"momentum must be in \[0, 1\]\. Got momentum=-0\.1\."),
        ({"momentum": 1.5}, ValueError, r"Got momentum=1\.5\."),
        ({"momentum": float("nan")}, ValueError, r"Got momentum=nan\."),
        ({"momentum": "0.9"}, TypeError, r"momentum must be a real number or None\. Got momentum='0\.9'\."),
        ({"momentum": True}, TypeError, r"Got momentum=True\."),
        ({"epsilon": -1e-3}, ValueError, r"epsilon must be finite and not negative\. Got epsilon=-0\.001\."),
        ({"epsilon": float("inf")}, ValueError, r"Got epsilon=inf\."),
        ({"epsilon": float("nan")}, ValueError, r"Got epsilon=nan\."),
        ({"epsilon": None}, TypeError, r"epsilon must be a real number\. Got epsilon=None\."),
        ({"epsilon": False}, TypeError, r"Got epsilon=False\."),
        ({"epsilon": np.ones(3)}, TypeError, r"epsilon must be a real number\."),
        ({"center": 1}, TypeError, r"center must be a bool\. Got center=1\."),
        ({"scale": None}, TypeError, r"scale must be a bool\. Got scale=None\."),
        ({"convention": "TORCH"}, TypeError, r"convention must be a bnspec\.conventions\.Convention\. Got .*'TORCH'"),
    ],
)
def test_configuration(arguments, error, text):
    with pytest.raises(error, match=text):
        bnspec.BatchNorm(**arguments)


@pytest.mark.parametrize(
    ("axis", "shape", "text"),
    [
        (5, (2, 3), r"axis must be in \[-2, 1\]\. Got shape=\(2, 3\), axis=5\."),
        (-3, (2, 3), r"Got shape=\(2, 3\), axis=-3\."),
        ((1, -1), (2, 3), r"axis must name each axis once\. Got shape=\(2, 3\), axis=\(1, -1\)\."),
        (0, (), r"x must have at least one axis\. Got shape=\(\), axis=0\."),
    ],
)
def test_axis_and_rank(axis, shape, text):
    spec = bnspec.BatchNorm(axis=axis)
    with pytest.raises(ValueError, match=text):
        spec.init(shape, like=X)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("dtype", "name"), [("int32", "int32"), ("uint8", "uint8"), ("bool", "bool"), ("complex64", "complex64")]
)
def test_input_that_is_not_real_floating(dtype, name, training):
    spec, params, state = made()
    with pytest.raises(TypeError, match=rf"x must be real floating: .*\. Got dtype='{name}'\. Convert it first"):
        spec.apply(params, state, X.astype(dtype), training=training)


def test_rank_zero():
    spec, params, state = made()
    with pytest.raises(ValueError, match=r"x must have at least one axis\. Got shape=\(\), axis=-1\."):
        spec.apply(params, state, X[0, 0], training=False)


@pytest.mark.parametrize("field", ["gamma", "beta", "moving_mean", "moving_variance"])
@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3), ()])
def test_parameters_of_another_shape(field, shape):
    spec, params, state = made()
    wrong = {field: np.ones(shape, np.float32)}
    params = params._replace(**wrong) if field in params._fields else params
    state = state._replace(**wrong) if field in state._fields else state
    text = rf"{field} must have shape \(3,\)\. Got shape=\(4, 3\), axis=-1, {field}={tuple(shape)}".replace("(", r"\(")
    with pytest.raises(ValueError, match=text.replace(")", r"\)").replace(r"\\(", r"\(").replace(r"\\)", r"\)")):
        spec.apply(params, state, X, training=True)


def test_parameters_that_are_missing_or_too_many():
    spec, params, state = made()
    with pytest.raises(
        ValueError, match=r"gamma must be an array with center=True, scale=True\. Got gamma=None\. Take"
    ):
        spec.apply(params._replace(gamma=None), state, X, training=True)
    bare, _, state = made(scale=False, center=False)
    with pytest.raises(ValueError, match=r"gamma must be None with center=False, scale=False\. Got gamma=\(3,\)\."):
        bare.apply(params, state, X, training=True)


def test_state_in_half_precision():
    spec, params, state = made()
    half = state._replace(moving_variance=state.moving_variance.astype(np.float16))
    text = r"moving_variance must be float32 or float64\. Got dtype='float16'\. In half precision"
    with pytest.raises(TypeError, match=text):
        spec.apply(params, half, X, training=True)


def test_what_is_no_state_and_no_params():
    spec, params, state = made()
    with pytest.raises(TypeError, match=r"params must be a bnspec\.Params of gamma, beta\. Got type='builtins\.dict'"):
        spec.apply(params._asdict(), state, X, training=True)
    with pytest.raises(
        TypeError, match=r"state must be a bnspec\.State of moving_mean, moving_variance, num_batches, moving_stddev"
    ):
        spec.apply(params, tuple(state), X, training=True)
    for count in (np.zeros(3, np.int32), np.float32(0)):
        with pytest.raises(TypeError, match=r"num_batches must be an integer array of shape \(\)\. Got shape="):
            spec.apply(params, state._replace(num_batches=count), X, training=True)


def test_a_masked_array():
    with pytest.raises(TypeError, match=r"x must be an array without a mask\..*Pass the data, and the mask as weights"):
        bnspec.moments(np.ma.masked_less(X, 0), 0)


@pytest.mark.parametrize(
    ("shape", "error", "text"),
    [
        (3, TypeError, r"shape must be a sequence of integers\. Got shape=3\."),
        ((4, 3.5), TypeError, r"shape must be a sequence of integers\. Got shape=\(4, 3\.5\)\."),
        ((4, -3), ValueError, r"shape must not have negative sizes\. Got shape=\(4, -3\)\."),
    ],
)
def test_shape_of_init(shape, error, text):
    with pytest.raises(error, match=text):
        bnspec.BatchNorm().init(shape, like=X)


@pytest.mark.parametrize(
    ("field", "value"),
    [("momentum_weighs", "NEW"), ("running_variance", "unbiased"), ("one_element", None), ("empty_batch", "")],
)
def test_a_convention_with_an_unknown_value(field, value):
    with pytest.raises(ValueError, match=rf"{field} must be '.+' or '.+'\. Got {field}="):
        replace(TORCH, **{field: value})


def test_arrays_of_two_libraries():
    spec, params, state = made()
    text = r"one array library\. Got x='array_api_strict', gamma='array_api_compat\.numpy'\. Convert gamma"
    with pytest.raises(TypeError, match=text):
        spec.apply(params, state, array_api_strict.asarray(X), training=True)


def test_what_is_no_array():
    spec, params, state = made()
    with pytest.raises(TypeError, match=r"x must be an array of a known library: array-api-strict, .*builtins\.list"):
        spec.apply(params, state, X.tolist(), training=True)
    with pytest.raises(TypeError, match=r"like must be an array of a known library"):
        spec.init((2, 3), like=[1.0])


def test_arrays_of_two_devices():
    first, second = array_api_strict.Device("CPU_DEVICE"), array_api_strict.Device("device1")
    spec = bnspec.BatchNorm()
    x = array_api_strict.asarray(X, device=first)
    params, state = spec.init(x.shape, like=array_api_strict.asarray(X, device=second))
    with pytest.raises(ValueError, match=r"on one device\. Got x=.*CPU_DEVICE.*, gamma=.*device1.*Move them"):
        spec.apply(params, state, x, training=True)


@pytest.mark.parametrize("training", [None, 1, "yes", np.asarray([True]), np.asarray(1)])
def test_training_is_a_bool(training):
    spec, params, state = made()
    with pytest.raises(TypeError, match=r"training must be a bool, or a boolean array of shape \(\)\. Got training="):
        spec.apply(params, state, X, training=training)


@pytest.mark.parametrize(
    ("cotangent", "error", "text"),
    [
        (X[:2], ValueError, r"cotangent must have the shape of y\. Got y=\(4, 3\), cotangent=\(2, 3\)\."),
        (X.astype(np.int32), TypeError, r"cotangent must be real floating"),
        (array_api_strict.asarray(X), TypeError, r"one array library"),
    ],
)
def test_cotangent(cotangent, error, text):
    spec, params, state = made()
    _, _, pullback = spec.vjp(params, state, X, training=True)
    with pytest.raises(error, match=text):
        pullback(cotangent)


def test_one_element_per_channel_under_a_convention_that_refuses_it():
    spec, params, state = made(convention=TORCH)
    text = r"TORCH needs more than one element per channel in training\. Got shape=\(1, 3\), axis=1\. Take a larger"
    with pytest.raises(ValueError, match=text):
        spec.apply(params, state, X[:1], training=True)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"mean": None}, TypeError, r"mean must be an array\. Got mean=None\."),
        ({"mean": X[0, :2]}, ValueError, r"mean must be one-dimensional .*\. Got x=\(4, 3\), mean=\(2,\)\."),
        ({"variance": X[:2]}, ValueError, r"variance must be .*\. Got x=\(4, 3\), variance=\(2, 3\)\."),
        ({"offset": np.ones((1, 1, 3), np.float32)}, ValueError, r"offset must be .*offset=\(1, 1, 3\)\."),
        ({"scale": np.ones((), np.float32)}, ValueError, r"scale must be .*scale=\(\)\."),
        ({"scale": np.ones(3, np.int64)}, TypeError, r"scale must be real floating"),
        ({"x": X[0, 0]}, ValueError, r"mean must be .*x=\(\)"),
        ({"x": X.astype(np.int32)}, TypeError, r"x must be real floating"),
        ({"variance_epsilon": -1.0}, ValueError, r"variance_epsilon must be finite and not negative\."),
        ({"variance_epsilon": "a"}, TypeError, r"variance_epsilon must be a real number\. Got variance_epsilon='a'\."),
    ],
)
def test_batch_normalization(arguments, error, text):
    given = {"x": X, "mean": X[0], "variance": X[1] ** 2, "offset": None, "scale": None, "variance_epsilon": 1e-3}
    with pytest.raises(error, match=text):
        bnspec.batch_normalization(**{**given, **arguments})


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: bnspec.moments(X, 2), ValueError, r"axes must be in \[-2, 1\]\. Got shape=\(4, 3\), axes=2\."),
        (lambda: bnspec.moments(X, (0, -2)), ValueError, r"axes must name each axis once"),
        (lambda: bnspec.moments(X, "0"), TypeError, r"axes must be an integer or a sequence of them\. Got axes='0'\."),
        (lambda: bnspec.moments(X.astype(int), 0), TypeError, r"x must be real floating"),
        (lambda: bnspec.weighted_moments(X, 0, X[0]), ValueError, r"weights must have the rank of x .*weights=\(3,\)"),
        (lambda: bnspec.weighted_moments(X, 0, X[:2]), ValueError, r"weights must have .*weights=\(2, 3\)"),
        (lambda: bnspec.weighted_moments(X, 0, X > 0), TypeError, r"weights must be real floating.*Got dtype='bool'"),
    ],
)
def test_moments(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_call_that_raises_changes_nothing():
    for convention in (KERAS, TORCH):
        spec, params, state = made(convention=convention)
        given = (*params, *state)
        before = [np.asarray(value).tobytes() for value in given]
        for x in (X[:, :2], X.astype(np.int32), X[0, 0], X[:1] if convention is TORCH else X[:, :1]):
            with pytest.raises((TypeError, ValueError)):
                spec.apply(params, state, x, training=True)
        assert [np.asarray(value).tobytes() for value in given] == before


@pytest.mark.parametrize(
    ("settings", "kind", "text"),
    [
        ({"virtual_batch_size": 0}, ValueError, r"virtual_batch_size must be positive\. Got virtual_batch_size=0\."),
        ({"virtual_batch_size": 2.0}, TypeError, r"virtual_batch_size must be an integer or None"),
        ({"renorm": True}, TypeError, r"renorm must be a bnspec\.Renorm or None\. Got renorm=True\."),
        (
            {"convention": EQUINOX, "renorm": bnspec.Renorm()},
            ValueError,
            r"renorm must be None where the running averages normalize.*convention='EQUINOX'",
        ),
        (
            {"convention": replace(KERAS, ghost_update="each"), "renorm": bnspec.Renorm(), "virtual_batch_size": 2},
            ValueError,
            r"or each ghost batch updates them",
        ),
        ({"convention": EQUINOX, "virtual_batch_size": 2}, ValueError, r"virtual_batch_size must be None where"),
    ],
)
def test_parts_that_do_not_fit_are_refused(settings, kind, text):
    with pytest.raises(kind, match=text):
        bnspec.BatchNorm(**settings)


@pytest.mark.parametrize(
    ("settings", "kind", "text"),
    [
        ({"rmin": 1.2, "rmax": 1.1}, ValueError, r"0 <= rmin <= rmax must hold\. Got rmin=1\.2, rmax=1\.1\."),
        ({"rmin": -0.1}, ValueError, r"0 <= rmin <= rmax must hold"),
        ({"dmax": -1.0}, ValueError, r"dmax must not be negative\. Got dmax=-1\.0\."),
        ({"dmax": float("nan")}, ValueError, r"dmax must not be negative"),
        ({"momentum": 1.5}, ValueError, r"momentum of renormalization must be in \[0, 1\]\. Got momentum=1\.5\."),
        ({"rmax": "3"}, TypeError, r"rmax must be a real number\. Got rmax='3'\."),
        ({"momentum": None}, TypeError, r"momentum must be a real number"),
    ],
)
def test_limits_of_renormalization_are_checked(settings, kind, text):
    with pytest.raises(kind, match=text):
        bnspec.Renorm(**settings)


X6 = np.zeros((6, 3))


@pytest.mark.parametrize(
    ("settings", "options", "kind", "text"),
    [
        (
            {"virtual_batch_size": 4},
            {},
            ValueError,
            r"must divide the number of samples.*samples=6, virtual",
        ),
        ({"virtual_batch_size": 2, "axis": 0}, {}, ValueError, r"axis must not contain 0 with virtual_batch_size"),
        (
            {"virtual_batch_size": 2},
            {"adjustment": (np.ones(3), np.ones(3))},
            ValueError,
            r"adjustment must be None with virtual_batch_size",
        ),
        ({}, {"adjustment": np.ones((2, 3))}, TypeError, r"adjustment must be a pair of arrays, scale and bias"),
        ({}, {"adjustment": (np.ones(3), None)}, TypeError, r"adjustment must be a pair of arrays"),
        (
            {},
            {"adjustment": (np.ones(4), np.ones(3))},
            ValueError,
            r"must broadcast to x\. Got x=\(6, 3\), adjustment=",
        ),
        ({}, {"adjustment": (np.ones((1, 6, 3)), np.ones(3))}, ValueError, r"adjustment must broadcast to x"),
        ({}, {"adjustment": (1.0, 0.0)}, TypeError, r"the scale of adjustment"),
        (
            {},
            {"adjustment": (np.ones(3, int), np.ones(3))},
            TypeError,
            r"adjustment must be real floating",
        ),
    ],
)
def test_parts_of_a_call_are_checked(settings, options, kind, text):
    spec = bnspec.BatchNorm(**settings)
    params, state = spec.init((6, 3), like=X6)
    with pytest.raises(kind, match=text):
        spec.apply(params, state, X6, training=True, **options)


def test_the_state_of_renormalization_is_required_and_refused():
    plain, renorm = bnspec.BatchNorm(), bnspec.BatchNorm(renorm=bnspec.Renorm())
    params, state = plain.init((6, 3), like=X6)
    with pytest.raises(ValueError, match=r"moving_stddev must be an array with renorm=Renorm\(.*that init"):
        renorm.apply(params, state, X6, training=True)
    _, more = renorm.init((6, 3), like=X6)
    with pytest.raises(ValueError, match=r"moving_stddev must be None with renorm=None"):
        plain.apply(params, more, X6, training=True)
