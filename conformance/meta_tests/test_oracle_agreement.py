"""Two oracles, by different routes, agree to the last bit that the first one claims."""

from __future__ import annotations

from dataclasses import replace

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
    with mpmath.workprec(128):  # of the limits; differences are exact
        grid = mpmath.ldexp(1, -exact.bits)
        extra = np.broadcast_to(np.asarray(extra, dtype=object), exact.shape)
        nonzero = [abs(+r) for r in found.ravel().tolist() if abs(r) > grid * SHARE]
        if relative:
            # The slack is for the rounding of m itself, where it is a power of 2.
            assert mpmath.ldexp(grid, 192) <= min(nonzero, default=mpmath.mpf(1)) * (1 + SHARE)
        values = numbers(exact)
        for index in np.ndindex(*exact.shape):
            distance = abs(mpmath.fsub(values[index], found[index], exact=True))
            assert distance <= grid * (1 + SHARE) + extra[index], f"at {index}: {distance / grid} grid steps"
            # Where the true value is 0, the second oracle finds less than a share of the step.
            assert not relative or (values[index] == 0) == (abs(found[index]) <= grid * SHARE), f"zero at {index}"


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
    """Draw multiples of the spacing around 1536: a mean of up to 2**53 times the standard deviation."""
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
LAYOUTS = {
    "last": ((5, 3), (-1,)),
    "first": ((2, 3, 2, 2), (1,)),
    "two features": ((2, 5, 2), (0, 2)),
    "no feature": ((3, 4), ()),
    "rows": ((2, 6), (0,)),
}
EPSILONS = {"no": 0.0, "small": 1e-12, "like the variance": None}
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_kind = pytest.mark.parametrize("kind", KINDS)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)
each_epsilon = pytest.mark.parametrize("epsilon", EPSILONS)


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


@each_dtype
@each_kind
@each_layout
def test_moments(dtype, kind, layout):
    (shape, axis), rng = LAYOUTS[layout], generator("moments", dtype, kind, layout)
    x, rank = KINDS[kind](rng, shape, dtype), len(shape)
    features = {a % rank for a in axis}
    axes = tuple(i if i % 2 else i - rank for i in range(rank) if i not in features)
    for keepdims in (False, True):
        for exact, found in zip(*both("moments", x, axes, keepdims=keepdims), strict=True):
            assert_agree(exact, found)
    for weight_shape in (shape, (shape[0], *(1 for _ in shape[1:]))):
        weights = np.abs(KINDS[kind](rng, weight_shape, np.float32))
        weights[rng.random(weight_shape) < 0.25] = 0
        holes = np.where(np.broadcast_to(weights, shape) == 0, np.asarray(rng.choice([np.nan, np.inf]), dtype), x)
        pair = both("moments", holes, axes, weights)
        for exact, found in zip(*pair, strict=True) if pair else ():
            assert_agree(exact, found)


@each_dtype
@each_kind
@each_epsilon
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
    # Subnormal numbers have no positive variance in any other sense than this one.
    assert_agree(*both("batch_normalization", x, found.mean, found.variance, None, None, 0.0))
    assert_agree(*both("batch_normalization", x, found.mean, found.variance, found.mean, None, 1e-12), relative=False)


def rounding_of_the_mean(step, state, axis, epsilon, gamma):
    """Return what `oracle.trajectory` promises in evaluation on top of `Exact`: the moving mean is rounded."""
    bits, (_, kept) = Exact.from_floats(step).bits, parameter_shape(step.shape, axis)
    with mpmath.workprec(192):  # an error of 2**-190 of this is far below the share of a grid step
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
    last = multiprecision.State(options["moving_mean"], options["moving_variance"], 0)
    for (x, training), exact, found in zip(steps, *pair, strict=True):
        extra = 0
        if not training and x.size:
            state = multiprecision.State(*(_forward.read(part) for part in last[:2]), 0)
            extra = rounding_of_the_mean(x, state, options["axis"], options["epsilon"], options["gamma"])
        assert_agree(exact.y, found.y, extra=extra, relative=training and options["beta"] is None)
        assert_agree(exact.state.moving_mean, found.state.moving_mean)
        assert_agree(exact.state.moving_variance, found.state.moving_variance)
        assert exact.state.num_batches == found.state.num_batches
        assert (exact.mean is None) == (found.mean is None) == (exact.variance is None) == (found.variance is None)
        if found.mean is not None:
            assert_agree(exact.mean, found.mean)
            assert_agree(exact.variance, found.variance)
        last = found.state
    return pair


@each_dtype
@each_kind
@each_layout
@each_epsilon
def test_layers(dtype, kind, layout, epsilon):
    (shape, axis), rng = LAYOUTS[layout], generator("layers", dtype, kind, layout, epsilon)
    parameter, _ = parameter_shape(shape, axis)
    draw = KINDS[kind]
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
    assert_agree(whole.moving_mean, found.moving_mean)
    assert_agree(whole.moving_variance, found.moving_variance)
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


@each_dtype
@each_kind
@each_layout
@each_epsilon
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_gradients(dtype, kind, layout, epsilon, training):
    x, g, _, options, moving = derivative_case(dtype, kind, layout, epsilon)
    for exact, found in zip(*both("gradients", x, g, training=training, **options, **moving), strict=True):
        assert_agree(exact, found)


@each_dtype
@each_kind
@each_layout
@each_epsilon
def test_hessian_vector_products(dtype, kind, layout, epsilon):
    x, g, u, options, _ = derivative_case(dtype, kind, layout, epsilon)
    assert_agree(*both("hessian_vector_product", x, g, u, **options))
