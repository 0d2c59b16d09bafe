"""The oracle of bijectors, densities and coupling, and the bounds of all of them."""

from itertools import pairwise, product

import ml_dtypes
import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import FORMATS
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.oracle.multiprecision import log_abs_det, normalization_log_det

DTYPES = ("float16", "bfloat16", "float32", "float64")
METHODS = ("forward", "inverse", "forward_log_det", "inverse_log_det")
CLOSE = mpf(2) ** -180


def make(values, dtype):
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def numbers(exact):
    with mpmath.workprec(3000):
        return [mpf(n) / mpf(2) ** exact.bits for n in exact.numerators.ravel().tolist()]


def require(what, seen, exact, bound, dtype):
    checks = Checks()
    checks.close(what, np.asarray(seen), exact, np.asarray(bound), dtype)
    return checks


def signs(values):
    return np.concatenate([values, -values])


DRAW = np.random.default_rng(3)
REAL = signs(np.concatenate([10.0 ** DRAW.uniform(-30, 3, 60), DRAW.uniform(0, 12, 60), [88.0, 1e10]]))
UNIT = np.concatenate(
    [DRAW.uniform(0, 1, 60), 10.0 ** DRAW.uniform(-20, -0.3, 30), 1 - 10.0 ** DRAW.uniform(-6, -1, 30)]
)
POSITIVE = np.concatenate([np.abs(REAL[:122]), 1.0 + UNIT / 8])
# name, parameters, points of x, points of y
BIJECTORS = {
    "Identity": ("Identity", {}, REAL, REAL),
    "Shift": ("Shift", {"shift": -1.7}, REAL, REAL),
    "Scale": ("Scale", {"scale": -1.7}, REAL, REAL),
    "Scale by a logarithm": ("Scale", {"log_scale": -3.3}, REAL, REAL),
    "Exp": ("Exp", {}, REAL, POSITIVE),
    "Log": ("Log", {}, POSITIVE, REAL),
    "Reciprocal": ("Reciprocal", {}, REAL, REAL),
    "Sigmoid": ("Sigmoid", {}, REAL, UNIT),
    "Sigmoid between": ("Sigmoid", {"low": -1.5, "high": 3.25}, REAL, UNIT * 4.75 - 1.5),
    "Softplus": ("Softplus", {}, REAL, POSITIVE),
    "Softplus hinge": ("Softplus", {"hinge_softness": 0.7, "low": -2.0}, REAL, POSITIVE - 2.0),
    "Softplus below": ("Softplus", {"hinge_softness": -0.7}, REAL, -POSITIVE),
    "Tanh": ("Tanh", {}, REAL, signs(UNIT)),
}


def points(name, method, dtype):
    kind, parameters, x, y = BIJECTORS[name]
    given = make(x if method.startswith("forward") else y, dtype)
    parameters = {key: make(value, dtype) for key, value in parameters.items()}
    size = given.astype(np.float64)
    fit = np.isfinite(size) & ((size != 0) | (kind not in {"Log", "Exp", "Reciprocal"}))
    if method.startswith("inverse"):
        low, high = (
            parameters.get(key, default).astype(np.float64) if key in parameters else default
            for key, default in (("low", 0.0), ("high", 1.0))
        )
        if kind == "Sigmoid":
            fit &= (size > low) & (size < high)
        if kind == "Softplus":
            c = float(parameters.get("hinge_softness", 1.0))
            fit &= (size - low) * c > 0
        if kind == "Tanh":
            fit &= np.abs(size) < 1
    return given[fit], parameters


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sensible(kind, method, x, p):
    """Evaluate plain formulas in the dtype of x."""
    one, two = x.dtype.type(1), x.dtype.type(2)
    none = np.zeros_like(x)
    low, high = p.get("low", none[0]), p.get("high", one)
    c, scale = p.get("hinge_softness", one), p.get("scale")
    log_scale = p.get("log_scale")
    if kind == "Log":
        other = {"forward": "inverse", "inverse": "forward", "forward_log_det": "inverse_log_det"}
        return sensible("Exp", other.get(method, "forward_log_det"), x, p)
    table = {
        "Identity": lambda: (x, x, none, none),
        "Shift": lambda: (x + p["shift"], x - p["shift"], none, none),
        "Exp": lambda: (np.exp(x), np.log(np.abs(x)), x, -np.log(np.abs(x))),
        "Reciprocal": lambda: (one / x, one / x, -two * np.log(np.abs(x)), -two * np.log(np.abs(x))),
        "Tanh": lambda: (
            np.tanh(x),
            np.arctanh(x),
            two * (np.log(two) - x - softplus(-two * x)),
            -np.log1p(-x * x),
        ),
    }
    if kind == "Scale" and log_scale is None:
        found = x * scale, x / scale, none + np.log(np.abs(scale)), none - np.log(np.abs(scale))
    elif kind == "Scale":
        found = x * np.exp(log_scale), x / np.exp(log_scale), none + log_scale, none - log_scale
    elif kind == "Sigmoid":
        z = (x - low) / (high - low)
        width = np.log(high - low)
        share = np.where(x > 0, one / (one + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (one + np.exp(-np.abs(x))))
        found = (
            low + (high - low) * share,
            np.log(z) - np.log1p(-z),
            width - softplus(x) - softplus(-x),
            -(width + np.log(z) + np.log1p(-z)),
        )
    elif kind == "Softplus":
        z = (x - low) / c
        found = (
            c * softplus(x / c) + low,
            c * (z + np.log(-np.expm1(-z))),
            -softplus(-x / c),
            -np.log(-np.expm1(-z)),
        )
    else:
        found = table[kind]()
    return found[METHODS.index(method)]


def computed(kind, method, given, parameters):
    wide = np.float64 if given.dtype == np.float64 else np.float32
    with np.errstate(all="ignore"):
        found = sensible(
            kind, method, given.astype(wide), {key: value.astype(wide) for key, value in parameters.items()}
        )
        return np.broadcast_to(found, given.shape).astype(given.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BIJECTORS)
def test_bijectors_are_within_their_bounds_and_these_mean_something(name, method, dtype):
    kind, given = BIJECTORS[name][0], points(name, method, dtype)
    x, parameters = given
    exact = getattr(getattr(oracle, kind)(**parameters), method)(x)
    wide = {key: value.astype(np.float64) for key, value in parameters.items()}
    bound = bounds.bijector_error(kind, method, x.astype(np.float64), dtype, **wide)
    seen = computed(kind, method, x, parameters)
    checks = require(f"{name} {method}", seen, exact, bound, dtype)
    assert np.isfinite(bound).mean() > 0.5
    if np.any(exact.numerators != 0):
        # Half precision cannot tell 1e-3; four of its own units must do.
        change = 1e-3 if dtype in {"float32", "float64"} else 16.0 * FORMATS[dtype].roundoff
        with np.errstate(over="ignore"):
            wrong = (seen.astype(np.float64) * (1.0 + change)).astype(seen.dtype)
        with pytest.raises(LawBroken):
            require("wrong", wrong, exact, bound, dtype)
    assert checks.worst is not None


@pytest.mark.parametrize("name", BIJECTORS)
def test_log_dets_are_those_of_high_precision_differences(name):
    kind = BIJECTORS[name][0]
    x, parameters = points(name, "forward", "float64")
    x = np.asarray([value for value in x if 1e-3 < abs(value) < 30.0])
    bijector = getattr(oracle, kind)(**parameters)
    with mpmath.workprec(1200):
        step = mpf(2) ** -300
        for value, seen in zip(x, numbers(bijector.forward_log_det(x)), strict=True):
            near = [
                type(bijector)._forward(mpf(float(value)) + side * step, *(p.item() for p in bijector._parameters()))
                for side in (1, -1)
            ]
            slope = (near[0] - near[1]) / (2 * step)
            assert abs(seen - mpmath.log(abs(slope))) < CLOSE * max(1, abs(seen))


@pytest.mark.parametrize("name", BIJECTORS)
def test_inverses_undo(name):
    kind = BIJECTORS[name][0]
    y, parameters = points(name, "inverse", "float64")
    y = np.asarray([value for value in y if 1e-3 < abs(value) < 30.0])
    bijector = getattr(oracle, kind)(**parameters)
    x = bijector.inverse(y)
    for value, back in zip(y, numbers(bijector.forward(x)), strict=True):
        assert abs(back - mpf(float(value))) < CLOSE * 100
    for one, other in zip(numbers(bijector.inverse_log_det(y)), numbers(bijector.forward_log_det(x)), strict=True):
        assert abs(one + other) < CLOSE * 100


def test_the_absolute_value_has_two_preimages():
    y = np.asarray([0.0, 2.5, 1e-300])
    absolute = oracle.AbsoluteValue()
    np.testing.assert_array_equal(absolute.forward(-y).to_float(), y)
    for found, wanted in zip(absolute.inverse(y), (-y, y), strict=True):
        np.testing.assert_array_equal(found.to_float(), wanted)
    assert all(not numbers(part)[1] for part in absolute.inverse_log_det(y))
    with pytest.raises(ValueError, match=r"an absolute value must not be negative\. Got -1\.0\."):
        absolute.inverse(np.asarray([-1.0]))
    with pytest.raises(NotImplementedError, match="must not be asked for its forward log-det"):
        absolute.forward_log_det(y)
    np.testing.assert_array_equal(bounds.bijector_error("AbsoluteValue", "inverse", y, "float64"), [0, 0, 0])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: oracle.Scale(), r"either scale or log_scale must be given\. Got Scale\("),
        (lambda: oracle.Sigmoid(low=1.0), r"low and high must be given together\. Got Sigmoid\(low=1\.0"),
        (lambda: oracle.Log().forward(np.zeros(1)), r"inside of the domain\. Got a logarithm of 0\.0\."),
        (lambda: oracle.Reciprocal().forward(np.zeros(1)), r"inside of the domain\. Got a division by 0\."),
        (lambda: oracle.Tanh().inverse(np.ones(1)), r"inside of the domain\. Got tanh\(x\) = 1\.0\."),
        (
            lambda: oracle.ScaleMatvecDiag(np.ones(1)).forward(np.ones((2, 3))),
            r"along the last axis\. Got \(1,\) and \(3,\)\.",
        ),
        (lambda: oracle.Normal(0, -1.0).prob(np.ones(1)), r"scale must be positive\. Got -1\.0\."),
        (lambda: oracle.Normal().quantile(np.ones(1)), r"between 0 and 1\. Got 1\.0\."),
        (
            lambda: oracle.MultivariateNormalDiag(0.0, np.zeros(2)).entropy(),
            r"scale_diag must not be 0\. Got an element",
        ),
        (lambda: oracle.MultivariateNormalDiag(0.0, np.ones(())).entropy(), r"at least one axis\. Got none\."),
        (lambda: oracle.masked_count(1.0, 3), r"inside of \(-1, 1\)\. Got fraction_masked=1\.0\."),
        (lambda: oracle.halves(-3, 3), r"smaller than the event size 3\. Got num_masked=-3\."),
        (lambda: oracle.dense_conditioner(np.ones(2), [(np.ones((2, 3)), None)]), r"even number of outputs\. Got 3\."),
        (
            lambda: oracle.transformed_log_prob(oracle.MultivariateNormalDiag(0.0, np.ones(2)), None, None),
            r"at least 1\. Got",
        ),
    ],
)
def test_bad_input_is_refused(call, text):
    with pytest.raises((ValueError, TypeError), match=text):
        call()


LAYOUTS = [
    ((3, 4), (1,), 1),
    ((4, 2, 2, 3), (-1,), 3),
    ((3, 2, 2, 2), (1,), 3),
    ((3, 3, 2, 2), (1, 3), 3),
    ((2, 3, 2), (0, 2), 2),
    ((5, 3), (-1,), 2),
]


def batch(shape, axis, dtype=np.float64):
    draw = np.random.default_rng(len(shape) + shape[1])
    parameter = (shape[axis[0]],) if len(axis) == 1 else tuple(n if i in axis else 1 for i, n in enumerate(shape))
    gamma, beta, mean = (draw.normal(0.0, 2.0, parameter).astype(dtype) for _ in range(3))
    y, variance = draw.normal(3.0, 2.0, shape).astype(dtype), draw.uniform(0.1, 3.0, parameter).astype(dtype)
    pair = (
        draw.normal(1.0, 0.2, shape).astype(dtype),
        draw.normal(0.0, 0.2, (shape[0], *(1,) * (len(shape) - 1))).astype(dtype),
    )
    return y, gamma, beta, mean, variance, pair


@pytest.mark.parametrize("absent", ["", "gamma", "beta", "both"])
@pytest.mark.parametrize(("shape", "axis", "event_ndims"), LAYOUTS)
def test_log_dets_of_batch_normalization_are_determinants(shape, axis, event_ndims, absent):
    y, gamma, beta, mean, variance, pair = batch(shape, axis)
    gamma, beta = None if absent in {"gamma", "both"} else gamma, None if absent in {"beta", "both"} else beta
    layer = oracle.BatchBijector(axis, 1e-3, mean, variance, gamma, beta)
    for training, adjustment in ((False, None), (True, None), (True, pair)):
        found = layer.inverse_log_det(y, training=training, event_ndims=event_ndims, adjustment=adjustment)
        assert found.shape == shape[: len(shape) - event_ndims]
        statistics = None if training else (mean, variance)
        with mpmath.workprec(800):
            given = {"statistics": statistics, "gamma": gamma, "beta": beta, "adjustment": adjustment}
            wanted = normalization_log_det(y, axis, 1e-3, event_ndims, **given)
            assert all(abs(a - b) < CLOSE for a, b in zip(numbers(found), wanted.ravel().tolist(), strict=True))
        terms = layer.inverse_log_det(y, training=training, adjustment=adjustment)
        assert terms.shape == shape
    x = layer.inverse(y, training=False)
    assert all(abs(a - mpf(float(b))) < CLOSE * 100 for a, b in zip(numbers(layer.forward(x)), y.ravel(), strict=True))
    back, there = (numbers(e) for e in (layer.forward_log_det(x), layer.inverse_log_det(y, training=False)))
    assert all(abs(a + b) < CLOSE for a, b in zip(back, there, strict=True))


def test_the_determinant_needs_pivots():
    with mpmath.workprec(300):
        matrix = np.asarray([[mpf(0), mpf(2)], [mpf(3), mpf(5)]], dtype=object)
        assert abs(log_abs_det(matrix) - mpmath.log(6)) < mpf(2) ** -250
        with pytest.raises(ValueError, match=r"must not be singular\. Got one that is\."):
            log_abs_det(matrix * 0)


def test_normalization_agrees_with_the_other_oracle():
    y, gamma, beta, mean, variance, _ = batch((5, 3), (1,))
    layer = oracle.BatchBijector((1,), 1e-3, mean, variance, gamma, beta)
    wanted = oracle.batch_normalization(y, mean, variance, beta, gamma, 1e-3)
    assert all(
        abs(a - b) < CLOSE for a, b in zip(numbers(layer.inverse(y, training=False)), numbers(wanted), strict=True)
    )
    batch_moments = oracle.moments(y, (0,))
    wanted = oracle.batch_normalization(y, batch_moments.mean, batch_moments.variance, beta, gamma, 1e-3)
    assert all(
        abs(a - b) < CLOSE for a, b in zip(numbers(layer.inverse(y, training=True)), numbers(wanted), strict=True)
    )


@pytest.mark.parametrize(
    ("change", "call", "text"),
    [
        ({"gamma": np.zeros(3)}, {"training": False}, r"gamma must not be 0\. Got a channel where it is\."),
        (
            {},
            {"training": False, "adjustment": (np.ones(()), np.ones(()))},
            r"must come with training\. Got one without\.",
        ),
        ({}, {"training": True, "adjustment": (np.zeros(()), np.ones(()))}, r"a of an adjustment must not be 0\. Got"),
        ({}, {"training": True, "event_ndims": 3}, r"between 0 and the rank 2\. Got event_ndims=3\."),
    ],
)
def test_a_batch_that_has_no_log_det(change, call, text):
    layer = oracle.BatchBijector((1,), 1e-3, np.zeros(3), np.ones(3), **change)
    with pytest.raises(ValueError, match=text):
        layer.inverse_log_det(np.arange(6.0).reshape(2, 3), **call)
    with pytest.raises(ValueError, match=r"a batch must have elements\. Got shape=\(0, 3\)\."):
        oracle.BatchBijector((1,), 1e-3, np.zeros(3), np.ones(3)).inverse(np.zeros((0, 3)), training=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
def test_bounds_of_batch_normalization(dtype, training):
    shape, name = (64, 3, 3, 5), np.dtype(dtype).name
    form, grade, eps = FORMATS[name], bounds.NAIVE, 1e-3
    y, gamma, beta, mean, variance, (a, _) = batch(shape, (3,), dtype)
    y = (y * 10.0 ** np.arange(-2.0, 3.0)).astype(dtype)
    layer = oracle.BatchBijector((3,), eps, mean, variance, gamma, beta)
    rows = y.reshape(-1, 5).astype(np.float64)
    given = bounds.exact_statistics(mean.astype(np.float64), variance.astype(np.float64))
    v, factor = variance, None
    if training:
        exact = oracle.moments(rows, (0,))
        given = bounds.batch_statistics(rows, exact.mean.to_float(), exact.variance.to_float(), grade, form)
        v, factor = y.var(axis=(0, 1, 2)), a
    term = np.log(np.abs(gamma)) - dtype(0.5) * np.log(v + dtype(eps))
    terms = np.broadcast_to(term, shape) + (np.log(np.abs(factor)) if training else dtype(0))
    adjustment = (a, np.zeros((), dtype)) if training else None
    for event_ndims in (0, 3):
        seen = terms.sum(axis=(1, 2, 3)) if event_ndims else terms
        wanted = layer.inverse_log_det(y, training=training, event_ndims=event_ndims, adjustment=adjustment)
        wide = None if factor is None else factor.astype(np.float64)
        bound = bounds.batch_log_det(
            given, eps, gamma.astype(np.float64), shape, (1, 1, 1, 5), event_ndims, grade, form, wide
        )
        require("log-det", seen, wanted, bound.error, name)
        for wrong in (seen * dtype(1.001), seen + np.log(v).sum(dtype=dtype), seen - seen / dtype(45)):
            with pytest.raises(LawBroken):
                require("log-det", wrong, wanted, bound.error, name)
    x = y[:4]
    seen = (x - beta) * (np.sqrt(variance + dtype(eps)) / gamma) + mean
    moving = bounds.exact_statistics(mean.astype(np.float64), variance.astype(np.float64))
    bound = bounds.denormalized(
        x.astype(np.float64), moving, eps, gamma.astype(np.float64), beta.astype(np.float64), form
    )
    require("forward", seen, layer.forward(x), bound.error, name)
    with pytest.raises(LawBroken):
        require("forward", (x - beta) * (np.sqrt(variance) / gamma) + mean, layer.forward(x), bound.error, name)


NORMAL = ("log_prob", "prob", "cdf", "log_cdf", "survival", "log_survival")


def test_densities_integrate_to_one_and_to_their_probabilities():
    normal = oracle.Normal(0.25, 1.5)

    def density(x):
        value = np.asarray(float(x))
        return numbers(normal.prob(value))[0]

    points = [-14.0, -2.0, 0.25, 2.0, 16.0]
    with mpmath.workdps(25):
        # The nodes are rounded to float64, so that the integral is good to about 1e-15.
        whole = sum(mpmath.quad(density, pair) for pair in pairwise(points))
        assert abs(whole - 1) < 1e-13
        below = sum(mpmath.quad(density, pair) for pair in pairwise(points[:3]))
        assert abs(below - numbers(normal.cdf(np.asarray(0.25)))[0]) < 1e-13


def test_functions_of_a_normal_distribution_agree():
    x = np.asarray([-1e19, -38.5, -8.0, -1.0, 0.0, 1e-20, 0.7, 9.0, 40.0])
    normal = oracle.Normal()
    with mpmath.workprec(4000):
        for value, *found in zip(x, *(numbers(getattr(normal, name)(x)) for name in NORMAL), strict=True):
            z = mpf(float(value))
            below, above = (mpmath.erfc(side * z / mpmath.sqrt(2)) / 2 for side in (-1, 1))
            log_prob = -z * z / 2 - mpmath.log(2 * mpmath.pi) / 2
            wanted = (log_prob, mpmath.exp(log_prob), below, mpmath.log(below), above, mpmath.log(above))
            for seen, true in zip(found, wanted, strict=True):
                assert abs(seen - true) <= max(CLOSE * abs(true), mpf(2) ** -1300)
        p = np.asarray([5e-324, 1e-30, 0.1, 0.5, 0.5 + 2.0**-53, 0.975])
        for value, z in zip(p, numbers(normal.quantile(p)), strict=True):
            assert abs(mpmath.erfc(-z / mpmath.sqrt(2)) / 2 / mpf(float(value)) - 1) < CLOSE * 2000
        slope = oracle.Normal(3.0, 2.0).entropy()
        assert abs(numbers(slope)[0] - mpmath.log(2 * mpmath.pi * mpmath.e * 4) / 2) < CLOSE


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", NORMAL)
def test_bounds_of_a_normal_distribution(method, dtype):
    """SciPy's kernels in float64, rounded to float32, and plain formulas otherwise."""
    special = pytest.importorskip("scipy.special")
    form = FORMATS[dtype]
    value = make(np.concatenate([REAL[np.abs(REAL) < 1e3], DRAW.uniform(-40.0, 40.0, 80), [-40.0]]), dtype)
    loc, scale = make(-0.3, dtype), make(1.7, dtype)
    wide = [part.astype(np.float64) for part in (value, loc, scale)]
    exact = getattr(oracle.Normal(loc, scale), method)(value)
    bound = bounds.normal(method, *wide, form)
    z = (value - loc) / scale
    half = z.dtype.type(0.5)
    log_prob = -half * z * z - (half * np.log(z.dtype.type(2 * np.pi)) + np.log(scale))
    with np.errstate(under="ignore"):
        seen = {
            "log_prob": lambda: log_prob,
            "prob": lambda: np.exp(log_prob),
            "cdf": lambda: special.ndtr(z),
            "log_cdf": lambda: special.log_ndtr(z),
            "survival": lambda: special.ndtr(-z),
            "log_survival": lambda: special.log_ndtr(-z),
        }[method]()
    require(method, seen.astype(dtype), exact, bound.error, dtype)
    assert np.isfinite(bound.error).all()
    with pytest.raises(LawBroken):
        require(method, (seen * (1 + 1e-3)).astype(dtype), exact, bound.error, dtype)
    if "prob" not in method:
        loose = bounds.normal(method, *wide, form, through_erf=True).error
        side = -z if "survival" in method else z
        # SciPy's erf is defined by erfc for large arguments; the formula loses its tail all the same.
        seen = half * (1 + special.erf(side / np.sqrt(z.dtype.type(2))))
        with np.errstate(divide="ignore"):
            seen = np.log(seen) if "log" in method else seen
        require(method, seen.astype(dtype), exact, loose, dtype)
        with pytest.raises(LawBroken):
            require(method, seen.astype(dtype), exact, bound.error, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bounds_of_quantiles_and_entropies(dtype):
    special = pytest.importorskip("scipy.special")
    form, p = FORMATS[dtype], make(UNIT[(UNIT < 1) & (UNIT > 1e-30)], dtype)
    loc, scale = make(-0.3, dtype), make(1.7, dtype)
    exact, point = oracle.Normal(loc, scale).quantile(p), oracle.Normal().quantile(p).to_float()
    wide = [part.astype(np.float64) for part in (loc, scale)]
    bound = bounds.normal_quantile(point, *wide, form).error
    seen = loc + scale * special.ndtri(p.astype(np.float64)).astype(dtype)
    require("quantile", seen, exact, bound, dtype)
    with pytest.raises(LawBroken):
        require("quantile", seen * p.dtype.type(1.001), exact, bound, dtype)
    root, two = np.sqrt(p.dtype.type(2)), p.dtype.type(2)
    seen = loc + scale * (root * special.erfinv((two * p - 1).astype(np.float64)).astype(dtype))
    loose = bounds.normal_quantile(point, *wide, form, through_erf=True).error
    require("quantile", seen, exact, loose, dtype)
    scales = make(POSITIVE[(POSITIVE < 1e3) & (POSITIVE > 1e-3)], dtype)
    seen = p.dtype.type(0.5 + 0.5 * np.log(2 * np.pi)) + np.log(scales)
    bound = bounds.normal_entropy(scales.astype(np.float64), form).error
    require("entropy", seen, oracle.Normal(0.0, scales).entropy(), bound, dtype)
    with pytest.raises(LawBroken):
        require("entropy", seen + p.dtype.type(1e-3), oracle.Normal(0.0, scales).entropy(), bound, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_vectors_of_normal_variables(dtype):
    form, grade = FORMATS[dtype], bounds.NAIVE
    value, loc = make(DRAW.normal(0, 3, (7, 40)), dtype), make(DRAW.normal(0, 1, 40), dtype)
    scale = make(DRAW.normal(0, 2, 40), dtype)
    base = oracle.MultivariateNormalDiag(loc, scale)
    with mpmath.workprec(500):
        by_elements = numbers(oracle.Normal(loc, np.abs(scale)).log_prob(value))
        wanted = [sum(by_elements[40 * k : 40 * k + 40]) for k in range(7)]
        assert all(abs(a - b) < CLOSE * 1000 for a, b in zip(numbers(base.log_prob(value)), wanted, strict=True))
    half = value.dtype.type(0.5)
    z = (value - loc) / scale
    constant = value.dtype.type(20 * np.log(2 * np.pi))
    seen = -half * (z * z).sum(axis=-1) - np.log(np.abs(scale)).sum() - constant
    wide = [part.astype(np.float64) for part in (value, loc, scale)]
    bound = bounds.normal_diag_log_prob(*wide, grade, form).error
    require("log_prob", seen, base.log_prob(value), bound, dtype)
    with pytest.raises(LawBroken):
        require("log_prob", seen + np.log(np.abs(scale[3])), base.log_prob(value), bound, dtype)
    seen = np.asarray(np.log(np.abs(scale)).sum() + constant + value.dtype.type(20))
    bound = bounds.normal_entropy(wide[2], form, axes=1, grade=grade).error
    require("entropy", seen, base.entropy(), bound, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transformed_densities(dtype):
    form, y = FORMATS[dtype], make(POSITIVE[(POSITIVE > 1e-6) & (POSITIVE < 1e6)], dtype)
    exp, base = oracle.Exp(), oracle.Normal(make(0.4, dtype), make(1.3, dtype))
    exact = oracle.transformed_log_prob(base, exp.inverse(y), exp.inverse_log_det(y))
    with mpmath.workprec(500):
        for value, found in zip(y, numbers(exact), strict=True):
            log = mpmath.log(mpf(float(value)))
            z = (log - mpf(float(base.loc))) / mpf(float(base.scale))
            wanted = -z * z / 2 - mpmath.log(2 * mpmath.pi) / 2 - mpmath.log(mpf(float(base.scale))) - log
            assert abs(found - wanted) < CLOSE * 1000
    r, wide = bounds.Arithmetic(form), y.astype(np.float64)
    x = bounds.bijector("Exp", "inverse", wide, r)
    log_prob = bounds.normal("log_prob", x, float(base.loc), float(base.scale), form)
    bound = bounds.transformed_density(log_prob, bounds.bijector("Exp", "inverse_log_det", wide, r), form).error
    z = (np.log(y) - base.loc) / base.scale
    seen = -y.dtype.type(0.5) * z * z - y.dtype.type(0.5 * np.log(2 * np.pi)) - np.log(base.scale) - np.log(y)
    require("log_prob", seen, exact, bound, dtype)
    with pytest.raises(LawBroken):
        require("log_prob", seen + np.log(y), exact, bound, dtype)


def test_densities_of_events_and_of_two_preimages():
    y = np.asarray([[0.5, 2.0], [1.0, 3.0]])
    absolute, base = oracle.AbsoluteValue(), oracle.Normal(0.5, 2.0)
    folded = oracle.transformed_log_prob(base, absolute.inverse(y), absolute.inverse_log_det(y))
    with mpmath.workprec(500):
        wanted = [mpmath.log(a + b) for a, b in zip(numbers(base.prob(y)), numbers(base.prob(-y)), strict=True)]
        assert all(abs(a - b) < CLOSE for a, b in zip(numbers(folded), wanted, strict=True))
        exp = oracle.Exp()
        single = numbers(oracle.transformed_log_prob(base, exp.inverse(y), exp.inverse_log_det(y)))
        event = oracle.transformed_log_prob(base, exp.inverse(y), exp.inverse_log_det(y), 1)
        assert all(abs(a - sum(single[2 * k : 2 * k + 2])) < CLOSE for k, a in enumerate(numbers(event)))


@pytest.mark.parametrize(
    ("fraction", "size", "count"),
    [
        (0.29, 100, 29),
        (-0.1, 5, 0),
        (-0.5, 5, -2),
        (0.7, 10, 7),
        (0.5, 3, 1),
        (-0.29, 100, -29),
        (0.999, 4, 3),
        (0.0, 9, 0),
    ],
)
def test_a_fraction_is_the_decimal_that_is_written(fraction, size, count):
    assert oracle.masked_count(fraction, size) == count


def network(dtype, inputs, outputs):
    draw = np.random.default_rng(17)
    sizes = [inputs, 6, 5, outputs]
    return [
        (make(draw.normal(0, 0.6, pair), dtype), make(draw.normal(0, 0.6, pair[1]), dtype)) for pair in pairwise(sizes)
    ]


@pytest.mark.parametrize(
    ("dtype", "activation", "masked"), list(product(["float32", "float64"], ["relu", "tanh"], [2, -2, 0]))
)
def test_coupling_with_a_network(dtype, activation, masked):
    form, grade, size = FORMATS[dtype], bounds.NAIVE, 5
    x = make(np.random.default_rng(23).normal(0, 2, (4, size)), dtype)
    given, moved = oracle.halves(masked, size)
    units = size - abs(masked)
    layers = network(dtype, abs(masked), 2 * units)
    conditioned = oracle.dense_conditioner(x[:, given], layers, activation)
    coupling = oracle.AffineCoupling(masked, *conditioned)
    y, log_det = coupling.forward(x), coupling.forward_log_det(x)
    assert log_det.shape == (4,)
    np.testing.assert_array_equal(y.to_float()[:, given], x[:, given])
    pairs = zip(numbers(coupling.inverse(y)), x.ravel(), strict=True)
    assert all(abs(a - mpf(float(b))) < CLOSE * 1e6 for a, b in pairs)
    assert all(abs(a + b) < CLOSE for a, b in zip(numbers(coupling.inverse_log_det(y)), numbers(log_det), strict=True))

    values = x[:, given]
    for k, (kernel, bias) in enumerate(layers):
        if k:
            values = np.tanh(values) if activation == "tanh" else np.maximum(values, 0)
        values = values @ kernel + bias
    wide = [tuple(part.astype(np.float64) for part in layer) for layer in layers]
    found = bounds.dense_network(x[:, given].astype(np.float64), wide, form, activation)
    require("network", values, oracle.dense(x[:, given], layers, activation), found.error, dtype)
    shift, log_scale = (
        bounds.Uncertain(found.value[:, part], found.error[:, part]) for part in (slice(units), slice(units, None))
    )
    seen = x[:, moved] * np.exp(values[:, units:]) + values[:, :units]
    bound = bounds.coupled(x[:, moved].astype(np.float64), shift, log_scale, form)
    exact = oracle.Exact(y.numerators[:, moved], y.bits)
    require("forward", seen, exact, bound.error, dtype)
    total = bounds.coupled_log_det(log_scale, (4, units), grade, form)
    require("log-det", values[:, units:].sum(axis=-1), log_det, total.error, dtype)
    for wrong, wanted, error in (
        (seen * x.dtype.type(1.001), exact, bound.error),
        (x[:, moved] * np.exp(values[:, units:]), exact, bound.error),
        (values[:, units:-1].sum(axis=-1), log_det, total.error),
    ):
        with pytest.raises(LawBroken):
            require("wrong", wrong, wanted, error, dtype)
    back = (x[:, moved] - values[:, :units]) * np.exp(-values[:, units:])
    undone = coupling.inverse(x)
    bound = bounds.coupled(x[:, moved].astype(np.float64), shift, log_scale, form, inverse=True)
    require("inverse", back, oracle.Exact(undone.numerators[:, moved], undone.bits), bound.error, dtype)


def test_coupling_without_shift_or_scale():
    x = np.asarray([[1.0, 2.0, 3.0]])
    assert oracle.AffineCoupling(1).forward(x).to_float().tolist() == x.tolist()
    assert oracle.AffineCoupling(1, np.asarray(2.0)).forward(x).to_float().tolist() == [[1.0, 4.0, 5.0]]
    assert oracle.AffineCoupling(-1, None, np.asarray([0.5])).forward_log_det(x).to_float().tolist() == [1.0]
