"""What the standard leaves out is the same on every backend, to within its bound."""

import sys
from functools import cache
from typing import NamedTuple

import ml_dtypes
import mpmath
import numpy as np
import pytest

import bnspec
from bnspec import registry
from bnspec.arrays import common_namespace
from bnspec_conformance import bounds
from bnspec_conformance.bounds import FORMATS

NUMPY = bnspec.backend("numpy")
DTYPES = ("float16", "bfloat16", "float32", "float64")
FUNCTIONS = ("erf", "erfinv", "lgamma")


class Pair(NamedTuple):
    first: object
    second: object


def make(values, dtype):
    return np.asarray(values).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@cache
def arguments(function, dtype):
    draw = np.random.default_rng(5)
    small = 10.0 ** draw.uniform(-25.0, 0.0, 20) * draw.choice([-1.0, 1.0], 20)
    if function == "erf":
        values = np.concatenate([draw.uniform(-6.5, 6.5, 60), small, [-40.0, 40.0, 2.96]])
    elif function == "erfinv":
        near = 1.0 - 10.0 ** draw.uniform(-15.5, -0.3, 40)
        values = np.concatenate([draw.uniform(-1.0, 1.0, 40), small / 2.0, near, -near])
    else:
        near = np.concatenate([1.0 + small[:10] / 5.0, 2.0 + small[:10] / 5.0])
        values = np.concatenate([draw.uniform(0.0, 9.0, 40), draw.uniform(-30.0, 0.0, 40), near, [170.0, 4e4]])
    given = make(values, dtype)
    wide = given.astype(np.float64)
    fit = np.isfinite(wide) & (np.abs(wide) < 1.0 if function == "erfinv" else wide != np.floor(wide))
    return given[fit]


@cache
def expected(function, dtype):
    """50 digits, and what multiplies a relative change of the argument."""
    with mpmath.workdps(50):
        given = [mpmath.mpf(float(x)) for x in arguments(function, dtype)]
        if function == "erf":
            return [mpmath.erf(x) for x in given], None
        if function == "erfinv":
            # mpmath's Newton method divides by nothing near 0.
            tangent = mpmath.sqrt(mpmath.pi) / 2
            return [mpmath.erfinv(x) if abs(x) > 1e-20 else tangent * x for x in given], None
        values = [mpmath.re(mpmath.loggamma(x)) for x in given]
        return values, np.asarray([float(x * mpmath.digamma(x)) for x in given])


def bound(function, dtype):
    wide = FORMATS["float64" if dtype == "float64" else "float32"]
    values, sensitivity = expected(function, dtype)
    values = np.asarray(values, dtype=np.float64)
    if function == "erf":
        error = bounds.error_function(values, wide)
    elif function == "erfinv":
        error = bounds.inverse_error_function(values, wide)
    else:
        error = bounds.log_gamma(values, sensitivity, wide)
    return error if dtype in {"float32", "float64"} else bounds.rounded(error, values, FORMATS[dtype])


def require_special(found, function, dtype):
    assert found.dtype.name == dtype
    with mpmath.workdps(50):
        errors = [
            abs(float(mpmath.mpf(float(one)) - other))
            for one, other in zip(found, expected(function, dtype)[0], strict=True)
        ]
    excess = ~(np.asarray(errors) <= bound(function, dtype))  # NaN too
    assert not excess.any(), arguments(function, dtype)[excess]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_special_functions(backend, function, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    found = getattr(backend, function)(backend.asarray(arguments(function, dtype)))
    assert backend.owns(found)
    require_special(backend.to_numpy(found), function, dtype)


def compilers(backend):
    yield backend.compile
    if backend.framework == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415 - an extra

        yield lambda function: tf.function(function, jit_compile=True, autograph=False)


def test_special_functions_compiled(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    places = [(f, d) for d in ("float32", "float64") if d not in backend.gaps() for f in FUNCTIONS]
    given = tuple(backend.asarray(arguments(*place)) for place in places)

    def all_of_them(given):
        return tuple(getattr(backend, place[0])(x) for place, x in zip(places, given, strict=True))

    for compile_ in compilers(backend):
        for place, found in zip(places, compile_(all_of_them)(given), strict=True):
            require_special(backend.to_numpy(found), *place)


SPECIAL_VALUES = {
    "erf": ([np.inf, -np.inf, np.nan, 0.0, -0.0], [1.0, -1.0, np.nan, 0.0, 0.0]),
    "erfinv": ([1.0, -1.0, 1.5, -np.inf, np.nan, 0.0], [np.inf, -np.inf, np.nan, np.nan, np.nan, 0.0]),
    "lgamma": ([0.0, -1.0, -7.0, np.inf, -np.inf, np.nan], [np.inf, np.inf, np.inf, np.inf, np.inf, np.nan]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_special_values(backend, function, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    given, wanted = SPECIAL_VALUES[function]
    found = backend.to_numpy(getattr(backend, function)(backend.asarray(make(given, dtype))))
    np.testing.assert_array_equal(found.astype(np.float64), wanted)
    scalar = getattr(backend, function)(backend.asarray(make(given[0], dtype)))
    assert tuple(scalar.shape) == ()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ["erf", "erfinv"])
def test_slopes(backend, function, dtype):
    if "autodiff" in backend.gaps() or dtype in backend.gaps():
        pytest.skip(backend.gaps().get("autodiff") or backend.gaps()[dtype])
    xp = backend.namespace()
    given = arguments(function, dtype)
    given = given[np.abs(given) < 4.0] if function == "erf" else given
    slopes = backend.value_and_grad(lambda values: xp.sum(getattr(backend, function)(values[0])))
    found = backend.to_numpy(slopes((backend.asarray(given),))[1][0]).astype(np.float64)
    if function == "erf":
        y = given.astype(np.float64)
        exact = 2.0 / np.sqrt(np.pi) * np.exp(-(y**2))
    else:
        with mpmath.workdps(50):
            y = np.asarray([float(mpmath.erfinv(float(x))) if abs(x) > 1e-20 else 0.0 for x in given])
        exact = np.sqrt(np.pi) / 2.0 * np.exp(y**2)
    excess = ~(np.abs(found - exact) <= bounds.gaussian_slope(exact, y, FORMATS[dtype]))  # NaN too
    assert not excess.any(), (given[excess], found[excess], exact[excess])


def test_a_gradient_stops(backend):
    xp = backend.namespace()
    x = backend.asarray(np.asarray([2.0, -3.0], dtype=np.float32))
    np.testing.assert_array_equal(backend.to_numpy(backend.stop_gradient(x)), [2.0, -3.0])
    if "autodiff" in backend.gaps():
        return
    halted = backend.value_and_grad(lambda values: xp.sum(values[0] * backend.stop_gradient(values[0]), axis=0))
    value, (slope,) = halted((x,))
    assert float(value) == 13.0
    np.testing.assert_array_equal(backend.to_numpy(slope), [2.0, -3.0])


STEPS = np.random.default_rng(7).integers(-3, 4, (4, 3)).astype(np.float32)
START = np.asarray([2.0, -1.0, 3.0], dtype=np.float32)


def step(carry, x):
    """Small integers all the way, so that every order of operations gives the same."""
    total, (count,) = carry
    total = total * x.first + x.second[0]
    return (total, (count + 1.0,)), Pair(total + 1.0, (total * count,))


def scanned(backend, start, steps):
    return backend.scan(step, (start, (start * 0.0,)), Pair(steps, (steps + 1.0,)))


def by_hand():
    total, ys = START, []
    for count, x in enumerate(STEPS):
        total = total * x + (x + 1.0)
        ys.append((total + 1.0, total * count))
    return total, np.asarray([y[0] for y in ys]), np.asarray([y[1] for y in ys])


def test_a_scan_is_a_loop(backend):
    start, steps = backend.asarray(START), backend.asarray(STEPS)
    ways = [lambda function: function]
    if "compile" not in backend.gaps():
        ways += compilers(backend)
    for way in ways:
        (total, (count,)), ys = way(lambda start, steps: scanned(backend, start, steps))(start, steps)
        assert isinstance(ys, Pair)
        wanted = by_hand()
        for found, value in zip((total, ys.first, ys.second[0]), wanted, strict=True):
            np.testing.assert_array_equal(backend.to_numpy(found), value)
        np.testing.assert_array_equal(backend.to_numpy(count), [4.0] * 3)


def test_a_scan_of_one_step(backend):
    _, ys = scanned(backend, backend.asarray(START), backend.asarray(STEPS[:1]))
    np.testing.assert_array_equal(backend.to_numpy(ys.first), by_hand()[1][:1])


def test_gradients_go_through_a_scan(backend):
    if "autodiff" in backend.gaps():
        pytest.skip(backend.gaps()["autodiff"])
    xp = backend.namespace()
    weights = backend.asarray(STEPS + 2.0)

    def looped(values):
        (total, _), ys = scanned(backend, *values)
        return xp.sum(total) + xp.sum(weights * ys.first * ys.first) + xp.sum(ys.second[0])

    def unrolled(values):
        start, steps = values
        total, result = start, 0.0
        for i in range(4):
            total = total * steps[i, ...] + (steps[i, ...] + 1.0)
            result = result + xp.sum(weights[i, ...] * (total + 1.0) * (total + 1.0)) + xp.sum(total * float(i))
        return result + xp.sum(total)

    given = (backend.asarray(START), backend.asarray(STEPS))
    wanted = backend.value_and_grad(unrolled)(given)[1]
    ways = [lambda function: function, *([] if backend.framework == "torch" else compilers(backend))]
    for way in ways:
        found = way(lambda *values: backend.value_and_grad(looped)(values)[1])(*given)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(backend.to_numpy(one), backend.to_numpy(other))


def test_a_scan_in_a_graph_takes_unknown_sizes():
    tf = pytest.importorskip("tensorflow")
    backend = bnspec.backend("tensorflow")
    spec = tf.TensorSpec((None,), tf.float32), tf.TensorSpec((4, None), tf.float32)
    (total, _), ys = tf.function(lambda *given: scanned(backend, *given), input_signature=spec)(START, STEPS)
    np.testing.assert_array_equal(total, by_hand()[0])
    np.testing.assert_array_equal(ys.first, by_hand()[1])


@pytest.mark.parametrize(
    ("shapes", "shown"),
    [([(0, 3)], r"\[\(0, 3\)\]"), ([(2, 3), (3, 3)], r"\[\(2, 3\), \(3, 3\)\]"), ([()], r"\[\(\)\]")],
)
def test_a_scan_must_have_steps(backend, shapes, shown):
    xs = tuple(backend.asarray(np.ones(shape, dtype=np.float32)) for shape in shapes)
    text = rf"xs must have one leading size, known and at least 1\. Got shapes={shown}\. Give each"
    with pytest.raises(ValueError, match=text):
        backend.scan(lambda carry, x: (carry, carry), xs[0], xs)


def triangular(dtype, *, lower, size=5, batch=(2, 3)):
    draw = np.random.default_rng(11)
    a = draw.normal(0.0, 1.0, (*batch, size, size)) + 3.0 * np.eye(size)
    b = draw.normal(0.0, 4.0, (*batch, size, 2))
    other = np.triu(np.ones((size, size), dtype=bool), 1)
    a[..., other if lower else other.T] = np.nan
    return make(a, dtype), make(b, dtype)


def require_solution(a, b, solution, dtype):
    """Compute the residual in 50 digits, where its own rounding does not matter."""
    wide = FORMATS["float64" if dtype == "float64" else "float32"]
    a, solution = (np.where(np.isnan(array), 0.0, array).astype(np.float64) for array in (a, solution))
    error = bounds.triangular_residual(a, solution, wide)
    if dtype not in {"float32", "float64"}:
        error = error + np.matmul(np.abs(a), bounds.rounded(0.0 * np.abs(solution), solution, FORMATS[dtype]))
    with mpmath.workdps(50):
        exact = np.vectorize(mpmath.mpf, otypes=[object])
        residual = np.abs(exact(b.astype(np.float64)) - np.matmul(exact(a), exact(solution)))
    assert (residual.astype(np.float64) <= error).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_triangular_solves(backend, dtype, lower, batch):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    a, b = triangular(dtype, lower=lower, batch=batch)
    solution = backend.to_numpy(backend.triangular_solve(backend.asarray(a), backend.asarray(b), lower=lower))
    assert solution.dtype == b.dtype
    assert solution.shape == b.shape
    require_solution(a, b, solution, dtype)


def test_triangular_solves_compiled(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    a, b = triangular("float32", lower=False)
    for compile_ in compilers(backend):
        solve = compile_(lambda a, b: backend.triangular_solve(a, b, lower=False))
        require_solution(a, b, backend.to_numpy(solve(backend.asarray(a), backend.asarray(b))), "float32")


def test_a_singular_system_and_an_empty_one(backend):
    a, b = (backend.asarray(np.asarray(x, dtype=np.float32)) for x in ([[0.0]], [[2.0]]))
    assert not np.isfinite(backend.to_numpy(backend.triangular_solve(a, b))).any()
    empty = backend.asarray(np.ones((1, 0), dtype=np.float32))
    assert tuple(backend.triangular_solve(a, empty).shape) == (1, 0)


@pytest.mark.parametrize(
    ("a", "b"), [((3, 2), (3, 1)), ((3, 3), (2, 1)), ((2, 3, 3), (3, 1)), ((2, 3, 3), (1, 3, 1)), ((3,), (3,))]
)
def test_shapes_that_do_not_match(backend, a, b):
    left, right = (backend.asarray(np.ones(shape, dtype=np.float32)) for shape in (a, b))
    shown = rf"Got a={a}, b={b}\.".replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"a and b must have the shapes \(\*B, N, N\) and \(\*B, N, K\)\. {shown}"):
        backend.triangular_solve(left, right)


def test_dtypes_that_do_not_match():
    with pytest.raises(TypeError, match=r"a and b must be of one dtype\. Got a='float64', b='float32'\. Convert one"):
        NUMPY.triangular_solve(np.ones((1, 1)), np.ones((1, 1), dtype=np.float32))


def test_integers_are_refused(backend):
    with pytest.raises(TypeError, match=r"x must be real floating: .*Got dtype='int32'\."):
        backend.erf(backend.asarray(np.ones(2, dtype=np.int32)))


def test_a_missing_scipy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r"NumPy must have SciPy beside it\. .*pip install 'bnspec\[scipy\]'\."):
        NUMPY.erf(np.ones(2))


def test_an_array_tells_its_backend(backend):
    x = backend.asarray(START)
    found = registry.backend_of(x)
    assert found.framework == backend.framework
    assert found.namespace() is common_namespace(x=x)
    if "compile" not in backend.gaps():
        seen = []
        backend.compile(lambda x: (seen.append(registry.backend_of(x)), x + 1.0)[1])(x)
        assert seen[0] is found


def test_a_subclass_belongs_to_its_base():
    class Mine(np.ndarray):
        pass

    assert registry.backend_of(START.view(Mine)) is NUMPY


def test_what_is_no_array_has_no_backend():
    text = (
        r"array must be an array of a known library: array-api-strict, cupy, .*Got type='builtins\.list'\. Convert it"
    )
    with pytest.raises(TypeError, match=text):
        registry.backend_of([1.0])
    with pytest.raises(
        TypeError, match=r"x must be an array without a mask\. Got type='numpy\.ma(\.core)?\.MaskedArray'"
    ):
        registry.backend_of(np.ma.masked_array([1.0]), name="x")
