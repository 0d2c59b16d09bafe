"""The maps of numbers: exact to the last digits towards both ends, with their log-dets and gradients."""

import mpmath
import numpy as np
import pytest

import bnspec
from bnspec.bijectors import AbsoluteValue, Chain, Exp, Invert, Log, Reciprocal, Scale, Sigmoid, Softplus, Tanh
from bnspec.variables import Variable
from bnspec_conformance.definition import receive

from .bijector_helpers import gradient, near, of, same

mpmath.mp.prec = 256
REAL = [-80.0, -20.0, -3.0, -0.75, -(2.0**-10), 0.0, 2.0**-10, 0.5, 3.0, 20.0, 80.0]
ABOVE = [2.0**-100, 2.0**-10, 0.5, 0.75, 1.5, 3.0, 100.0]
UNIT = [2.0**-100, 2.0**-10, 0.25, 0.75, 0.875, 1.0 - 2.0**-20]
# Between -0.42 and -0.36, XLA's log1p loses 7 bits in float64; near 0, -log1p(-y) - log1p(y) cancels.
BOTH = [-1.0 + 2.0**-20, -0.75, -0.4140625, -(2.0**-10), 2.0**-10, 0.375, 0.40625, 0.5, 1.0 - 2.0**-20]


def softplus(x):
    return mpmath.log1p(mpmath.exp(x))


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def below(y):
    return mpmath.log(-mpmath.expm1(-y))


# Per map: inputs, the value and the log-det there; outputs, the value of the inverse and its log-det.
MAPS = {
    "exp": (Exp, REAL, mpmath.exp, lambda x: x, ABOVE, mpmath.log, lambda y: -mpmath.log(y)),
    "log": (Log, ABOVE, mpmath.log, lambda x: -mpmath.log(x), REAL, mpmath.exp, lambda y: y),
    "reciprocal": (
        Reciprocal,
        [-80.0, -1.5, 2.0**-60, 3.0],
        lambda x: 1 / x,
        lambda x: -2 * mpmath.log(abs(x)),
        [-80.0, -1.5, 2.0**-60, 3.0],
        lambda y: 1 / y,
        lambda y: -2 * mpmath.log(abs(y)),
    ),
    "tanh": (
        Tanh,
        REAL,
        mpmath.tanh,
        lambda x: -2 * mpmath.log(mpmath.cosh(x)),
        BOTH,
        mpmath.atanh,
        lambda y: -mpmath.log(1 - y * y),
    ),
    "sigmoid": (
        Sigmoid,
        REAL,
        sigmoid,
        lambda x: -softplus(x) - softplus(-x),
        UNIT,
        lambda y: mpmath.log(y / (1 - y)),
        lambda y: -mpmath.log(y * (1 - y)),
    ),
    "sigmoid between": (
        lambda: Sigmoid(-1.0, 2.0),
        REAL,
        lambda x: 3 * sigmoid(x) - 1,
        lambda x: mpmath.log(3) - softplus(x) - softplus(-x),
        [-1.0 + 2.0**-20, -0.5, 0.5, 1.5, 2.0 - 2.0**-20],
        lambda y: mpmath.log((y + 1) / (2 - y)),
        lambda y: mpmath.log(3 / ((y + 1) * (2 - y))),
    ),
    "softplus": (Softplus, REAL, softplus, lambda x: -softplus(-x), ABOVE, lambda y: y + below(y), lambda y: -below(y)),
    "softplus hinged": (
        lambda: Softplus(0.5, low=-1.0),
        REAL,
        lambda x: softplus(2 * x) / 2 - 1,
        lambda x: -softplus(-2 * x),
        [-1.0 + 2.0**-20, -0.5, 0.0, 80.0],
        lambda y: (y + 1) + below(2 * (y + 1)) / 2,
        lambda y: -below(2 * (y + 1)),
    ),
    "softplus down": (
        lambda: Softplus(-2.0),
        REAL,
        lambda x: -2 * softplus(-x / 2),
        lambda x: -softplus(x / 2),
        [-value for value in ABOVE],
        lambda y: y - 2 * below(-y / 2),
        lambda y: -below(-y / 2),
    ),
}
# The sizes of terms that may cancel. Everywhere else the error is relative to the result.
FORWARD_SIZES = {"sigmoid between": lambda x: 2.0, "softplus hinged": lambda x: abs(x) + 1.0}
LOG_DET_SIZES = {"tanh": lambda x: abs(x) + 1.0, "sigmoid between": lambda x: abs(x) + 2.0}
INVERSE_SIZES = {
    "sigmoid": lambda y: abs(mpmath.log(y)) + abs(mpmath.log(1 - y)),
    "sigmoid between": lambda y: abs(mpmath.log(y + 1)) + abs(mpmath.log(2 - y)) + 2.0,
    "softplus": lambda y: abs(y) + abs(below(y)) + 1,
    "softplus hinged": lambda y: abs(y) + abs(below(2 * (y + 1))) + 2,
    "softplus down": lambda y: abs(y) + 2 * abs(below(-y / 2)) + 2,
}


def exact(function, points):
    return [float(function(mpmath.mpf(float(point)))) for point in points]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAPS)
def test_forward_is_accurate_towards_both_ends(backend, name, dtype):
    make, points, value, log_det, *_ = MAPS[name]
    x = of(backend, points, dtype)
    size = exact(FORWARD_SIZES[name], points) if name in FORWARD_SIZES else None
    near(backend, make().forward(x), exact(value, points), size, dtype)
    size = exact(LOG_DET_SIZES[name], points) if name in LOG_DET_SIZES else None
    near(backend, make().forward_log_det_jacobian(x), exact(log_det, points), size, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MAPS)
def test_inverse_is_accurate_towards_both_ends(backend, name, dtype):
    make, _, _, _, points, value, log_det = MAPS[name]
    y = of(backend, points, dtype)
    size = exact(INVERSE_SIZES[name], points) if name in INVERSE_SIZES else None
    near(backend, make().inverse(y), exact(value, points), size, dtype)
    near(backend, make().inverse_log_det_jacobian(y), exact(log_det, points), size, dtype)


@pytest.mark.parametrize("name", MAPS)
def test_derivatives_of_values_are_exponentials_of_log_dets(backend, name):
    make, points, _, log_det, others, _, inverse_log_det = MAPS[name]
    sign = -1.0 if name == "reciprocal" else 1.0
    expected = np.asarray(exact(lambda x: mpmath.exp(log_det(x)), points))
    near(backend, gradient(backend, make().forward, of(backend, points)), sign * expected, np.maximum(expected, 1.0))
    expected = np.asarray(exact(lambda y: mpmath.exp(inverse_log_det(y)), others))
    # 1 - y^2 of a rounded square loses what 1 - y keeps.
    size = expected * np.maximum(expected, 1.0)
    near(backend, gradient(backend, make().inverse, of(backend, others)), sign * expected, np.maximum(size, 1.0))


@pytest.mark.parametrize("name", MAPS)
def test_derivatives_of_log_dets_are_exact(backend, name):
    make, points, _, log_det, others, _, inverse_log_det = MAPS[name]
    for method, where, function in (
        ("forward_log_det_jacobian", points, log_det),
        ("inverse_log_det_jacobian", others, inverse_log_det),
    ):
        expected = np.asarray(exact(lambda at, function=function: mpmath.diff(function, at), where))
        found = gradient(backend, getattr(make(), method), of(backend, where))
        near(backend, found, expected, np.maximum(np.abs(expected), 1.0))


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "sigmoid between", "softplus", "softplus hinged", "softplus down"])
def test_nothing_breaks_at_the_largest_numbers(backend, name):
    bijector = MAPS[name][0]()
    largest = float(np.finfo(np.float32).max)
    x = of(backend, [-largest / 4, -1e30, -1e4, 1e4, 1e30, largest / 4])
    y, log_det = bijector.forward_and_log_det(x)
    assert np.isfinite(receive(backend, y)).all()
    assert np.isfinite(receive(backend, log_det)).all()
    if "autodiff" not in backend.gaps():
        for method in (bijector.forward, bijector.forward_log_det_jacobian):
            assert np.isfinite(receive(backend, gradient(backend, method, x))).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "softplus hinged"])
def test_ends_are_reached_at_infinity(backend, name):
    bijector = MAPS[name][0]()
    ends = {"tanh": [-1.0, 1.0], "sigmoid": [0.0, 1.0], "softplus": [0.0, np.inf], "softplus hinged": [-1.0, np.inf]}
    same(backend, bijector.forward(of(backend, [-np.inf, np.inf])), ends[name])


def test_sigmoid_stays_between_its_ends_and_keeps_digits_at_both(backend):
    low, high = 0.1, 0.7
    y = receive(backend, Sigmoid(low, high).forward(of(backend, np.linspace(-120.0, 120.0, 4001))))
    assert (y >= np.float32(low)).all()
    assert (y <= np.float32(high)).all()
    near(backend, Sigmoid(-1.0, 0.0).forward(of(backend, [60.0])), exact(lambda x: -sigmoid(-x), [60.0]))


def test_halves_are_computed_in_float32(backend):
    for dtype in ("float16", "bfloat16"):
        if dtype not in backend.gaps():
            x = of(backend, [0.25, 3.0], dtype)
            y, log_det = Tanh().forward_and_log_det(x)
            wide = np.tanh(np.float64(receive(backend, x).astype(np.float32)))
            np.testing.assert_array_equal(receive(backend, y), wide.astype(receive(backend, y).dtype))
            assert receive(backend, log_det).dtype.name == dtype
            assert [one.dtype.name for one in receive(backend, AbsoluteValue().inverse(x))] == [dtype, dtype]


def test_absolute_value_has_two_inverses(backend):
    bijector = AbsoluteValue()
    assert not bijector.is_injective
    same(backend, bijector.forward(of(backend, [-2.0, 3.0])), [2.0, 3.0])
    y = of(backend, [[2.0, 3.0], [1.0, 4.0]])
    (left, right), (first, second) = bijector.inverse_and_log_det(y, event_ndims=1)
    same(backend, left, [[-2.0, -3.0], [-1.0, -4.0]])
    same(backend, right, [[2.0, 3.0], [1.0, 4.0]])
    same(backend, first, [0.0, 0.0])
    same(backend, second, [0.0, 0.0])
    assert [one.shape for one in receive(backend, bijector.inverse_log_det_jacobian(y))] == [(2, 2), (2, 2)]
    for method in (bijector.forward_log_det_jacobian, bijector.forward_and_log_det):
        with pytest.raises(NotImplementedError, match="absolute_value must be injective to have a forward log-det"):
            method(y)


def test_what_is_not_injective_can_be_chained_and_not_inverted(backend):
    chain = Chain([Scale(2.0), AbsoluteValue()])
    same(backend, chain.forward(of(backend, [-2.0, 3.0])), [4.0, 6.0])
    assert not chain.is_injective
    with pytest.raises(NotImplementedError, match=r"must be injective to have a forward log-det"):
        chain.forward_log_det_jacobian(of(backend, [-2.0]))
    with pytest.raises(NotImplementedError, match=r"injective for an inverse. Got part='absolute_value'"):
        chain.inverse(of(backend, [2.0]))
    with pytest.raises(NotImplementedError, match=r"bijector must be injective to be inverted"):
        Invert(AbsoluteValue())


REFUSED = [
    (Exp, "inverse", [0.0], "y must be positive"),
    (Log, "forward", [-1.0], "x must be positive"),
    (Reciprocal, "forward", [0.0], "must not be zero"),
    (Reciprocal, "inverse", [0.0], "must not be zero"),
    (Tanh, "inverse", [1.0], r"y must be in \(-1, 1\)"),
    (AbsoluteValue, "inverse", [-1.0], "y must not be negative"),
    (Sigmoid, "inverse", [1.0], "y must be between low and high"),
    (lambda **k: Sigmoid(-1.0, 2.0, **k), "inverse", [0.0, -1.5], "y must be between low and high. Got failing=1"),
    (Softplus, "inverse", [0.0], "y must be beyond low"),
    (lambda **k: Softplus(-1.0, 2.0, **k), "inverse", [2.5], "y must be beyond low"),
    (lambda **k: Softplus(0.0, **k), "forward", [2.5], "hinge_softness must not be zero"),
    (lambda **k: Scale([1.0, 0.0], **k), "forward", [2.5, 1.0], "scale must not be zero"),
    (Exp, "inverse", [np.nan], "y must be positive"),
]


@pytest.mark.parametrize(("make", "direction", "values", "text"), REFUSED)
def test_values_are_checked_when_asked_for(backend, make, direction, values, text):
    bijectors = [make(validate_args=True)]
    if bijectors[0].is_injective:
        bijectors += [Chain([make()], validate_args=True), Chain([Chain([make(validate_args=True)])])]
    for bijector in bijectors:
        with pytest.raises(ValueError, match=text):
            getattr(bijector, direction)(of(backend, values))
        with pytest.raises(ValueError, match=text):
            getattr(bijector, f"{direction}_and_log_det")(of(backend, values))


def test_checks_reach_parts_of_parts(backend):
    nested = Chain([Invert(Invert(Chain([Log()])))], validate_args=True)
    with pytest.raises(ValueError, match="x must be positive"):
        nested.forward(of(backend, [-1.0]))
    with pytest.raises(ValueError, match="x must be positive"):
        Invert(Chain([Log()]), validate_args=True).inverse(of(backend, [-1.0]))


def test_checks_are_skipped_in_a_compiler(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    bijector = AbsoluteValue(validate_args=True)
    left, right = backend.compile(bijector.inverse)(of(backend, [-1.0, 2.0]))
    same(backend, left, [1.0, -2.0])
    same(backend, right, [-1.0, 2.0])


def test_checks_do_not_look_at_parameters_that_are_traced(backend):
    scale = Variable("scale", of(backend, [2.0, 0.5]), trainable=True)
    bijector = Scale(scale, validate_args=True)
    x = of(backend, [1.0, 4.0])
    found = gradient(backend, lambda value: bijector.stateless_call([value], [], x, method="forward")[0], scale.value)
    same(backend, found, [1.0, 4.0])


def test_bad_ends_are_refused_when_they_are_given(backend):
    with pytest.raises(ValueError, match=r"low and high must be given together. Got low=1.0, high=None"):
        Sigmoid(low=1.0)
    with pytest.raises(ValueError, match=r"low must be below high. Got low=2.0, high=1"):
        Sigmoid(2.0, 1)
    with pytest.raises(ValueError, match="low must be below high"):
        Sigmoid([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(TypeError, match="low must be a number, a list of numbers, an array or a Variable"):
        Sigmoid("0", "1")
    unordered = Sigmoid(of(backend, [2.0]), of(backend, [1.0]), validate_args=True)
    with pytest.raises(ValueError, match="low must be below high"):
        unordered.forward(of(backend, [1.0]))


def test_ends_have_gradients(backend):
    low, high = of(backend, [-1.0]), of(backend, [3.0])
    x = of(backend, [0.0, 2.0])
    shares = np.asarray(exact(sigmoid, [0.0, 2.0]))
    near(backend, gradient(backend, lambda at: Sigmoid(at, high).forward(x), low), [np.sum(1.0 - shares)])
    near(backend, gradient(backend, lambda at: Sigmoid(low, at).forward(x), high), [np.sum(shares)])


def test_values_that_are_allowed_pass_the_checks(backend):
    x, unit = of(backend, [0.5, 2.0]), of(backend, [0.25, 0.75])
    for make in (Exp, Log, Reciprocal, AbsoluteValue, Softplus, lambda **k: Softplus(0.5, -1.0, **k)):
        same(backend, make(validate_args=True).forward(x), receive(backend, make().forward(x)))
        found, expected = receive(backend, make(validate_args=True).inverse(x)), receive(backend, make().inverse(x))
        np.testing.assert_array_equal(found, expected)
    for make in (Tanh, Sigmoid):
        same(backend, make(validate_args=True).inverse(unit), receive(backend, make().inverse(unit)))
        same(backend, make(validate_args=True).forward(x), receive(backend, make().forward(x)))
    same(backend, Exp(validate_args=True).forward(-x), receive(backend, Exp().forward(-x)))


def test_arguments_can_be_read():
    assert (Sigmoid(1.0, 2.0).low, Sigmoid(1.0, 2.0).high, Sigmoid().low) == (1.0, 2.0, None)
    assert (Softplus(0.5, low=2.0).hinge_softness, Softplus(0.5, low=2.0).low) == (0.5, 2.0)


def test_the_bound_refuses_a_coarse_tail():
    x = np.asarray([-9.5], np.float32)
    coarse = np.exp(x)  # off by exp(-9.5), which is 1,250 roundoffs
    expected = exact(sigmoid, x)
    near(bnspec.backend("numpy"), Sigmoid().forward(x), expected)
    with pytest.raises(AssertionError):
        near(bnspec.backend("numpy"), coarse, expected)
