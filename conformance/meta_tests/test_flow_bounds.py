"""Plain formulas are within the bounds of bijectors, densities and coupling, and wrong ones are not."""

from itertools import product

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import FORMATS
from bnspec_conformance.checks import LawBroken

from .flow_helpers import (
    BIJECTORS,
    CLOSE,
    DRAW,
    DTYPES,
    METHODS,
    NORMAL,
    POSITIVE,
    REAL,
    UNIT,
    batch,
    make,
    network,
    numbers,
    points,
    require,
)


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
    if kind != "Identity":
        tiny = FORMATS["float64" if dtype == "float64" else "float32"].tiny
        none = x.dtype.type(0)
        flushed = computed(kind, method, np.where(np.abs(x) < tiny, none, x), parameters)
        require(f"{name} {method}, flushed", np.where(np.abs(flushed) < tiny, none, flushed), exact, bound, dtype)
    assert np.isfinite(bound).mean() > 0.5
    if np.any(exact.numerators != 0):
        # Half precision cannot tell 1e-3; four of its own units must do.
        change = 1e-3 if dtype in {"float32", "float64"} else 16.0 * FORMATS[dtype].roundoff
        with np.errstate(over="ignore"):
            wrong = (seen.astype(np.float64) * (1.0 + change)).astype(seen.dtype)
        with pytest.raises(LawBroken):
            require("wrong", wrong, exact, bound, dtype)
    assert checks.worst is not None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["forward", "forward_log_det"])
def test_softplus_may_be_log1p_of_an_exponential_where_a_grade_says_so(method, dtype):
    x = np.linspace(0.0, 30.0, 301).astype(dtype)
    x = x if method == "forward" else -x
    exact = getattr(oracle.Softplus(), method)(x)
    # As in TensorFlow's kernel, whose exponential is off by up to two units.
    power = np.exp(np.abs(x))
    seen = np.log1p(np.nextafter(np.nextafter(power, np.inf), np.inf)) * (1 if method == "forward" else -1)
    sharp, loose = (
        bounds.bijector("Softplus", method, x.astype(np.float64), bounds.Arithmetic(FORMATS[dtype], of_exp)).error
        for of_exp in (bounds.DEFINITION.softplus_of_exp, bounds.NAIVE.softplus_of_exp)
    )
    require("softplus", seen, exact, loose, dtype)
    with pytest.raises(LawBroken):
        require("softplus", seen, exact, sharp, dtype)
    with pytest.raises(LawBroken):
        require("wrong", seen * x.dtype.type(1.001), exact, loose, dtype)


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
    offset = (beta * dtype(1e4)).astype(dtype)
    far = oracle.BatchBijector((3,), eps, mean, variance, gamma, offset)
    rescale = np.sqrt(variance + dtype(eps)) / gamma
    seen = x * rescale + (mean - offset * rescale)
    rows, wide = x.astype(np.float64), (gamma.astype(np.float64), offset.astype(np.float64))
    loose = bounds.denormalized(rows, moving, eps, *wide, form, folded=True)
    require("forward, folded", seen, far.forward(x), loose.error, name)
    with pytest.raises(LawBroken):
        require("forward, folded", seen * dtype(1.001), far.forward(x), loose.error, name)
    near = (offset - x[:1, :1, :1, :]).astype(dtype)
    seen = near * rescale + (mean - offset * rescale)
    bound = bounds.denormalized(near.astype(np.float64), moving, eps, *wide, form)
    with pytest.raises(LawBroken):  # what cancels there is beyond the bound of the other form
        require("forward, folded", seen, far.forward(near), bound.error, name)


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
