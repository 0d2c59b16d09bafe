"""Two oracles, by different routes, agree to the last bit that the first one claims."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import mpmath
import numpy as np
import pytest

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance import oracle
from bnspec_conformance.oracle import Exact, _forward, multiprecision

from .oracle_helpers import DTYPES

# `Exact` promises less than one step of its grid, 2**-bits. Its bits exceed 192 + max(h, -log2(m)) by 3 at
# most, with h and m as in `multiprecision`: `Exact` takes them from bit lengths, which bound m and square
# roots within a factor of 8. Hence the 2**-320 * min(1, 2**-h, m) of `multiprecision` is below
# 2**-(bits + 125), and this share of a grid step is more than it needs by 61 bits.
SHARE = mpmath.ldexp(1, -64)


def numbers(exact):
    """Convert an `Exact` to an array of mpf without rounding; None and arrays stay as they are."""
    if not isinstance(exact, Exact):
        return exact
    found = np.empty(exact.shape, dtype=object)
    for index in np.ndindex(*exact.shape):
        found[index] = mpmath.mp.make_mpf(mpmath.libmp.from_man_exp(exact.numerators[index], -exact.bits))
    return found


def assert_agree(exact, found, *, extra=0, relative=True):
    """Hold an `Exact` to all that it promises about the numbers found by the second oracle.

    `extra` is an error that is promised in addition. Not `relative` are sums with beta: the grid then follows
    the size of ``y - beta``, which is not at hand.
    """
    assert exact.shape == found.shape
    assert exact.bits >= 192
    # The precision of the limits, whose own rounding the share covers; differences are exact.
    with mpmath.workprec(128):
        grid = mpmath.ldexp(1, -exact.bits)
        extra = np.broadcast_to(np.asarray(extra, dtype=object), exact.shape)
        nonzero = [abs(+r) for r in found.ravel().tolist() if abs(r) > grid * SHARE]
        if relative:
            # The slack is for the rounding of m itself, where it is a power of 2.
            assert mpmath.ldexp(grid, 192) <= min(nonzero, default=mpmath.mpf(1)) * (1 + SHARE)
        values = numbers(exact)
        for index in np.ndindex(*exact.shape):
            distance = abs(mpmath.fsub(values[index], found[index], exact=True))
            assert distance <= (grid + extra[index]) * (1 + SHARE), f"at {index}: {distance / grid} grid steps"
            # Where the true value is 0, the second oracle finds less than a share of the step.
            assert not relative or (values[index] == 0) == (abs(found[index]) <= grid * SHARE), f"zero at {index}"


def assert_all_agree(pair):
    for exact, found in zip(*pair, strict=True):
        assert (exact is None) == (found is None)
        if exact is not None:
            assert_agree(exact, found)


def both(name, *arguments, **options):
    """Call a function of both oracles; None if both refuse."""
    answers = []
    for module in (oracle, multiprecision):
        convert = numbers if module is multiprecision else (lambda value: value)
        given, named = [convert(a) for a in arguments], {k: convert(v) for k, v in options.items()}
        try:
            answers.append(getattr(module, name)(*given, **named))
        except ValueError as error:
            answers.append(error)
    refused = [isinstance(answer, ValueError) for answer in answers]
    assert refused[0] == refused[1], answers
    return None if refused[0] else answers


def plain(rng, shape, dtype):
    return (0.5 + 2 * rng.standard_normal(shape)).astype(dtype)


def far(rng, shape, dtype):
    """Draw multiples of the spacing around 1536: in float64, 2**51 standard deviations from 0."""
    fraction_bits = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}[np.dtype(dtype).name]
    return (1536 + 2.0 ** (10 - fraction_bits) * rng.integers(-3, 4, shape)).astype(dtype)


def tiny(rng, shape, dtype):
    """Draw subnormal numbers; the least ones also in a dtype with as few bits as bfloat16."""
    least = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}
    return (rng.integers(-9, 10, shape) * least[np.dtype(dtype).name]).astype(dtype)


def wide(rng, shape, dtype):
    """Draw numbers whose exponents span those of the dtype."""
    largest = {"float16": 15, "bfloat16": 127, "float32": 127, "float64": 1023}[np.dtype(dtype).name]
    mantissas = rng.uniform(1, 2, shape) * rng.choice([-1, 1], shape)
    return np.ldexp(mantissas, rng.integers(1 - largest, largest, shape)).astype(dtype)


KINDS = {f.__name__: f for f in (plain, far, tiny, wide)}
# Small, as each derivative by the second oracle costs a forward pass, with 55 000 bits at the ends of float64.
LAYOUTS = {
    "last": ((3, 2), (-1,)),
    "first": ((2, 2, 2, 1), (1,)),
    "two features": ((2, 3, 1), (0, 2)),
    "no feature": ((2, 2), ()),
    "rows": ((2, 4), (0,)),
}
EPSILONS = {"no": 0.0, "small": 1e-12, "like the variance": None}
# Each dtype and kind meet each layout and, over the layouts, each epsilon.
DRAWN = [
    pytest.param(dtype, kind, layout, list(EPSILONS)[(d + k + i) % 3], id=f"{dtype}-{kind}-{layout}")
    for (d, dtype), (k, kind), (i, layout) in product(enumerate(DTYPES), enumerate(KINDS), enumerate(LAYOUTS))
]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_kind = pytest.mark.parametrize("kind", KINDS)
each_drawn = pytest.mark.parametrize(("dtype", "kind", "layout", "epsilon"), DRAWN)


def generator(*names):
    return np.random.default_rng(list("/".join(map(str, names)).encode()))


def parameter_shape(shape, axis):
    """Return the shapes of parameters: for callers, and of x's rank."""
    features = [a % len(shape) for a in axis]
    kept = tuple(n if i in features else 1 for i, n in enumerate(shape))
    return ((shape[features[0]],) if len(features) == 1 else kept), kept


def epsilon_for(name, x):
    if EPSILONS[name] is not None:
        return EPSILONS[name]
    variance = oracle.moments(x, tuple(range(x.ndim))).variance.to_float()
    return float(np.minimum(variance, np.finfo(np.float64).max))


def positive(rng, shape, dtype):
    return np.abs(plain(rng, shape, dtype)) + np.asarray(0.25, dtype)


@each_drawn
def test_moments(dtype, kind, layout, epsilon):
    (shape, axis), rng = LAYOUTS[layout], generator("moments", dtype, kind, layout)
    x, rank = KINDS[kind](rng, shape, dtype), len(shape)
    features = {a % rank for a in axis}
    axes = tuple(i if i % 2 else i - rank for i in range(rank) if i not in features)
    for keepdims in (False, True):
        assert_all_agree(both("moments", x, axes, keepdims=keepdims))
    for weight_shape in (shape, (shape[0], *(1 for _ in shape[1:]))):
        weights = np.abs(KINDS[kind](rng, weight_shape, np.float32))
        weights[rng.random(weight_shape) < 0.25] = 0
        holes = np.where(np.broadcast_to(weights, shape) == 0, np.asarray(rng.choice([np.nan, np.inf]), dtype), x)
        assert_all_agree(both("moments", holes, axes, weights) or ((), ()))  # both refuse a total of 0


@each_dtype
@each_kind
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 3), (4, 1)], ids=str)
def test_normalization(dtype, kind, epsilon, shape):
    rng = generator("normalization", dtype, kind, epsilon, shape)
    x, mean = KINDS[kind](rng, (4, 3), dtype), KINDS[kind](rng, shape, dtype)
    scale, offset, variance = plain(rng, shape, dtype), plain(rng, shape, dtype), positive(rng, shape, dtype)
    eps = epsilon_for(epsilon, x)
    assert_agree(*both("batch_normalization", x, mean, variance, None, None, eps))
    assert_agree(*both("batch_normalization", x, mean, variance, None, scale, eps))
    assert_agree(*both("batch_normalization", x, mean, variance, offset, scale, eps), relative=False)


@each_dtype
@each_kind
def test_normalization_with_exact_statistics(dtype, kind):
    x = KINDS[kind](generator("exact statistics", dtype, kind), (4, 2), dtype)
    found = oracle.moments(x, (0,))
    assert_agree(*both("batch_normalization", x, found.mean, found.variance, None, None, 0.0))
    assert_agree(*both("batch_normalization", x, found.mean, found.variance, found.mean, None, 1e-12), relative=False)


def rounding_of_the_mean(step, state, axis, epsilon, gamma):
    """Return what `oracle.trajectory` promises in evaluation on top of `Exact`: the moving mean is rounded."""
    bits, (_, kept) = Exact.from_floats(step).bits, parameter_shape(step.shape, axis)
    with mpmath.workprec(192):
        gains = [abs(mpmath.mpf(float(g))) for g in np.ravel(1.0 if gamma is None else gamma)]
        means, variances = (part.ravel().tolist() for part in (state.moving_mean, state.moving_variance))
        found = np.empty(len(means), dtype=object)
        for c, (mean, variance) in enumerate(zip(means, variances, strict=True)):
            size = min(mpmath.ldexp(1, -bits - 193), mpmath.ldexp(abs(mean), -192))
            found[c] = gains[c % len(gains)] * size / mpmath.sqrt(variance + mpmath.mpf(epsilon))
    return np.broadcast_to(found.reshape(kept), step.shape)


def assert_layers_agree(steps, **options):
    pair = both("trajectory", steps, **options)
    if pair is None:
        return None
    last = multiprecision.State(_forward.read(options["moving_mean"]), _forward.read(options["moving_variance"]), 0)
    for (x, training), exact, found in zip(steps, *pair, strict=True):
        extra = 0
        if not training and x.size:
            extra = rounding_of_the_mean(x, last, options["axis"], options["epsilon"], options["gamma"])
        assert_agree(exact.y, found.y, extra=extra, relative=training and options["beta"] is None)
        assert_all_agree((exact.state[:2], found.state[:2]))
        assert exact.state.num_batches == found.state.num_batches
        assert (exact.mean is None) == (found.mean is None) == (exact.variance is None) == (found.variance is None)
        if found.mean is not None:
            assert_all_agree((exact[2:4], found[2:4]))
        last = found.state
    return pair


@each_drawn
def test_layers(dtype, kind, layout, epsilon):
    (shape, axis), rng = LAYOUTS[layout], generator("layers", dtype, kind, layout, epsilon)
    draw, (parameter, _) = KINDS[kind], parameter_shape(shape, axis)
    x, more = draw(rng, shape, dtype), draw(rng, shape, dtype)
    options = {
        "axis": axis,
        "epsilon": epsilon_for(epsilon, x),
        "momentum": float(rng.choice([0.99, 0.1, 0.5])),
        "convention": [KERAS, TORCH][rng.integers(2)],
        "gamma": plain(rng, parameter, dtype) if rng.integers(2) else None,
        "beta": plain(rng, parameter, dtype) if rng.integers(2) else None,
        "moving_mean": draw(rng, parameter, dtype),
        "moving_variance": positive(rng, parameter, dtype),
    }
    assert_layers_agree([(x, False), (x, True), (more, True), (x, False)], **options)


@pytest.mark.parametrize("weighs", ["old", "new"])
@pytest.mark.parametrize("estimator", ["population", "bessel"])
@pytest.mark.parametrize("one_element", ["update", "raise"])
@pytest.mark.parametrize("empty_batch", ["keep", "count"])
@pytest.mark.parametrize("momentum", [0.99, 0.1, 0.0, 1.0, None], ids=str)
def test_conventions(weighs, estimator, one_element, empty_batch, momentum):
    changes = {"momentum_weighs": weighs, "running_variance": estimator}
    changes |= {"one_element": one_element, "empty_batch": empty_batch}
    rng = generator(weighs, estimator, one_element, empty_batch, momentum)
    options = {"axis": (1,), "epsilon": 1e-3, "momentum": momentum, "convention": replace(KERAS, **changes)}
    options |= {"gamma": plain(rng, 2, np.float32), "beta": None, "num_batches": int(rng.integers(3))}
    options |= {"moving_mean": plain(rng, 2, np.float32), "moving_variance": positive(rng, 2, np.float32)}
    sizes = [(3, True), (0, True), (0, False), (5, True), (2, False), (2, True)]
    steps = [(plain(rng, (n, 2), np.float32), training) for n, training in sizes]
    assert assert_layers_agree(steps, **options)
    one = plain(rng, (1, 2), np.float32)
    assert assert_layers_agree([*steps[:2], (one, False)], **options)
    pair = assert_layers_agree([*steps[:2], (one, True), (plain(rng, (4, 2, 3), np.float16), True)], **options)
    assert (pair is None) == (one_element == "raise")


def test_state_may_be_handed_on():
    rng = generator("handed on")
    steps = [(plain(rng, (n, 2), np.float64), True) for n in (3, 2, 4)]
    options = {"axis": (1,), "epsilon": 1e-3, "momentum": None, "convention": TORCH, "gamma": None, "beta": None}
    start = {"moving_mean": np.zeros(2), "moving_variance": np.ones(2)}
    whole = oracle.trajectory(steps, **options, **start)[-1].state
    first = multiprecision.trajectory(steps[:1], **options, **start)[0].state
    found = multiprecision.trajectory(steps[1:], **options, **first._asdict())[-1].state
    assert_all_agree((whole[:2], found[:2]))
    assert whole.num_batches == found.num_batches == 3


def derivative_case(*names):
    dtype, kind, layout, epsilon = names
    (shape, axis), rng = LAYOUTS[layout], generator("derivatives", *names)
    parameter, _ = parameter_shape(shape, axis)
    x, g, u = KINDS[kind](rng, shape, dtype), plain(rng, shape, dtype), plain(rng, shape, dtype)
    gamma = plain(rng, parameter, dtype) if rng.integers(2) else None
    options = {"axis": axis, "epsilon": epsilon_for(epsilon, x), "gamma": gamma}
    moving = {"moving_mean": plain(rng, parameter, dtype), "moving_variance": positive(rng, parameter, dtype)}
    return x, g, u, options, moving


@each_drawn
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_gradients(dtype, kind, layout, epsilon, training):
    x, g, _, options, moving = derivative_case(dtype, kind, layout, epsilon)
    assert_all_agree(both("gradients", x, g, training=training, **options, **moving))


@each_drawn
def test_hessian_vector_products(dtype, kind, layout, epsilon):
    x, g, u, options, _ = derivative_case(dtype, kind, layout, epsilon)
    assert_agree(*both("hessian_vector_product", x, g, u, **options))


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_many_elements(epsilon):
    (x, g, u), rng = (far(generator("many", k), (20, 1), np.float32) for k in range(3)), generator("many")
    gamma, eps = plain(rng, 1, np.float32), epsilon_for(epsilon, x)
    moving = {"moving_mean": np.zeros(1), "moving_variance": np.ones(1), "gamma": gamma}
    assert_all_agree(both("gradients", x, g, axis=(1,), epsilon=eps, training=True, **moving))
    assert_agree(*both("hessian_vector_product", x, g, u, axis=(1,), epsilon=eps, gamma=gamma))
    assert_all_agree(both("moments", far(rng, (300, 2), np.float32), (0,)))


@pytest.mark.parametrize("elements", [0, 1, 2])
def test_derivatives_of_few_elements(elements):
    x, g, u = (plain(generator("few", k), (elements, 3), np.float64) for k in range(3))
    options = {"axis": (-1,), "gamma": None}
    moving = {"moving_mean": np.ones(3), "moving_variance": np.ones(3)}
    # Of two elements without epsilon, y is -1 and 1 wherever they are, so that every derivative by x is 0: which
    # neither oracle shall miss by a rounding error.
    epsilon = 0.0 if elements == 2 else 0.5
    for training in (False, True):
        pair = both("gradients", x, g, epsilon=epsilon, training=training, **options, **moving)
        assert_all_agree(pair)
    assert not pair[0].x.numerators.any()
    pair = both("hessian_vector_product", x, g, u, epsilon=epsilon, **options)
    assert_agree(*pair)
    assert not pair[0].numerators.any()


ONE, X = np.ones(1), np.asarray([[1.0], [0.0], [0.0], [3.0]])  # variance 3/2, and thirds on the way to it
LAYER = {"axis": (1,), "epsilon": 1e-3, "gamma": None, "moving_mean": ONE, "moving_variance": ONE}
RUN = LAYER | {"momentum": 0.5, "convention": TORCH, "beta": None}
HVP = {name: LAYER[name] for name in ("axis", "epsilon", "gamma")}
REFUSED = {
    "no elements": ("moments", (X[:0], (0,)), {}),
    "no weight": ("moments", (X, (0,), 0 * X), {}),
    "negative weight": ("moments", (X, (0,), -X), {}),
    "shape of weights": ("moments", (X, (0,), X[:, 0]), {}),
    "axes beyond": ("moments", (X, (2,)), {}),
    "axes twice": ("moments", (X, (0, -2)), {}),
    "NaN": ("moments", (X * np.nan, (0,)), {}),
    "infinite weight": ("moments", (X, (0,), X + np.inf), {}),
    "variance 0": ("batch_normalization", (X, ONE, 0 * ONE, None, None, 0.0), {}),
    "variance -epsilon": ("batch_normalization", (X, ONE, -ONE, None, None, 1.0), {}),
    "infinite epsilon": ("batch_normalization", (X, ONE, ONE, None, None, np.inf), {}),
    "shape of scale": ("batch_normalization", (X, ONE, ONE, None, np.ones(2), 1.0), {}),
    "constant batch": ("trajectory", ([(0 * X + 0.1, True)],), RUN | {"epsilon": 0.0}),
    "epsilon -variance": ("trajectory", ([(X, True)],), RUN | {"epsilon": -1.5}),
    "NaN momentum": ("trajectory", ([(X, True)],), RUN | {"momentum": np.nan}),
    "shape of gamma": ("trajectory", ([(X, True)],), RUN | {"gamma": np.ones(2)}),
    "shape of an average": ("trajectory", ([(X, True)],), RUN | {"moving_mean": np.ones((1, 1))}),
    "one element": ("trajectory", ([(X[:1], True)],), RUN),
    "shape of the cotangent": ("gradients", (X, X[:1]), LAYER | {"training": True}),
    "gradient at variance 0": ("gradients", (0 * X, X), LAYER | {"training": True, "epsilon": 0.0}),
    "gradient at variance -1": ("gradients", (X, X), LAYER | {"training": False, "moving_variance": -ONE}),
    "shape of the moving mean": ("gradients", (X, X), LAYER | {"training": False, "moving_mean": np.ones(2)}),
    "shape of the tangent": ("hessian_vector_product", (X, X, X[:1]), HVP),
    "HVP at variance 0": ("hessian_vector_product", (0 * X, X, X), HVP | {"epsilon": 0.0}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(name):
    function, arguments, options = REFUSED[name]
    assert both(function, *arguments, **options) is None


def test_both_refuse_integers():
    for module in (oracle, multiprecision):
        with pytest.raises(TypeError, match=r"dtype must be one of float16, .* Got dtype=int64\."):
            module.moments(np.asarray([1, 2]), (0,))


def results(module, x):
    """Compute with one oracle something of each sort; none of it has an error promised in addition."""
    g, u, one = plain(generator(1), x.shape, x.dtype), plain(generator(2), x.shape, x.dtype), np.ones(x.shape[1:])
    layer = {"axis": (1,), "epsilon": 1e-12, "gamma": one + one, "moving_mean": one, "moving_variance": one}
    step = module.trajectory([(x, True)], momentum=0.99, convention=TORCH, beta=None, **layer)[0]
    yield from module.moments(x, (0,), np.abs(g))
    yield module.batch_normalization(x, one, one, None, one, 1e-12)
    yield from (step.y, step.mean, step.variance, step.state.moving_mean, step.state.moving_variance)
    yield from module.gradients(x, g, training=False, **layer)[:-1]
    yield module.gradients(x, g, training=True, **layer).x
    yield module.hessian_vector_product(x, g, u, axis=(1,), epsilon=1e-12, gamma=one)


@each_kind
def test_a_relative_perturbation_of_either_is_seen(kind):
    x = KINDS[kind](generator("perturbation", kind), (4, 2), np.float32)
    for exact, found in zip(results(oracle, x), results(multiprecision, x), strict=True):
        assert_agree(exact, found)
        index = np.unravel_index(np.argmax(exact.numerators != 0), exact.shape)
        for sign in (-1, 1):
            numerators, other = exact.numerators.copy(), found.copy()
            numerators[index] += sign * (numerators[index] >> 150)
            with pytest.raises(AssertionError, match="grid steps"):
                assert_agree(Exact(numerators, exact.bits), found)
            with mpmath.workprec(10_000):
                other[index] *= 1 + sign * mpmath.ldexp(1, -150)
            with pytest.raises(AssertionError, match="grid steps"):
                assert_agree(exact, other)


@each_kind
def test_more_bits_change_nothing_above_the_stated_error(kind, monkeypatch):
    x = KINDS[kind](generator("more bits", kind), (4, 1), np.float64)
    few = list(results(multiprecision, x))
    monkeypatch.setattr(_forward, "MARGIN", _forward.MARGIN + 2000)
    for seen, better in zip(few, results(multiprecision, x), strict=True):
        # 2**-320 as stated, and as much for the error of the other one; true zeros are below any m.
        least = min(abs(r) for r in better.ravel().tolist() if abs(r) > mpmath.ldexp(1, -5000))
        limit = mpmath.ldexp(min(1, least, mpmath.ldexp(1, -_forward.height(_forward.read(x)))), -319)
        for a, b in zip(seen.ravel().tolist(), better.ravel().tolist(), strict=True):
            assert abs(mpmath.fsub(a, b, exact=True)) <= limit
