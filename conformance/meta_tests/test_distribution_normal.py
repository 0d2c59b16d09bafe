"""Normal distributions are exact to within their bounds on every backend, far into their tails."""

import mpmath
import numpy as np
import pytest

import bnspec
from bnspec.distributions import MultivariateNormalDiag, Normal
from bnspec.variables import Variable
from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import FORMATS

from .flow_helpers import DTYPES, make, require

NUMPY = bnspec.backend("numpy")
METHODS = {
    "log_prob": "log_prob",
    "prob": "prob",
    "cdf": "cdf",
    "log_cdf": "log_cdf",
    "survival": "survival_function",
    "log_survival": "log_survival_function",
}
DRAW = np.random.default_rng(31)
VALUES = np.concatenate([DRAW.uniform(-60.0, 60.0, 60), DRAW.normal(0.0, 2.0, 60), [-40.0, 0.0, 1e-30, 0.7, -1.5]])
PROBABILITIES = np.concatenate([10.0 ** DRAW.uniform(-30.0, -0.3, 40), DRAW.uniform(0.0, 1.0, 40), [0.25, 0.5, 0.75]])
LOC, SCALE = -0.3, 1.7


def skip_without(backend, *needed):
    for need in needed:
        if need in backend.gaps():
            pytest.skip(backend.gaps()[need])


def wide_of(dtype):
    return FORMATS["float64" if dtype == "float64" else "float32"]


def returned(found, dtype):
    return bounds.Arithmetic(wide_of(dtype)).returned(found, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_functions_of_a_value(backend, method, dtype):
    skip_without(backend, dtype)
    value, loc, scale = make(VALUES, dtype), make(LOC, dtype), make(SCALE, dtype)
    normal = Normal(backend.asarray(loc), backend.asarray(scale))
    seen = backend.to_numpy(getattr(normal, METHODS[method])(backend.asarray(value)))
    exact = getattr(oracle.Normal(loc, scale), method)(value)
    bound = bounds.normal(method, *(part.astype(np.float64) for part in (value, loc, scale)), wide_of(dtype))
    require(method, seen, exact, returned(bound, dtype), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_quantiles(backend, dtype):
    skip_without(backend, dtype)
    p, loc, scale = make(PROBABILITIES, dtype), make(LOC, dtype), make(SCALE, dtype)
    p = p[(p > 0) & (p < 1)]
    seen = backend.to_numpy(Normal(backend.asarray(loc), backend.asarray(scale)).quantile(backend.asarray(p)))
    exact, point = oracle.Normal(loc, scale).quantile(p), oracle.Normal().quantile(p).to_float()
    bound = bounds.normal_quantile(point, loc.astype(np.float64), scale.astype(np.float64), wide_of(dtype))
    require("quantile", seen, exact, returned(bound, dtype), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ends(backend, dtype):
    skip_without(backend, dtype)
    normal, inf, nan = Normal(0.0, 1.0), np.inf, np.nan
    value = backend.asarray(make([-inf, inf, nan], dtype))
    wanted = {
        "log_prob": [-inf, -inf, nan],
        "prob": [0.0, 0.0, nan],
        "cdf": [0.0, 1.0, nan],
        "log_cdf": [-inf, 0.0, nan],
        "survival_function": [1.0, 0.0, nan],
        "log_survival_function": [0.0, -inf, nan],
    }
    for method, ends in wanted.items():
        np.testing.assert_array_equal(backend.to_numpy(getattr(normal, method)(value)), ends, err_msg=method)
    p = backend.asarray(make([0.0, 1.0, 0.5, -0.5, 1.5, nan], dtype))
    np.testing.assert_array_equal(backend.to_numpy(normal.quantile(p)), [-inf, inf, 0.0, nan, nan, nan])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slopes_are_right_in_both_tails_and_never_nan(backend, dtype):
    skip_without(backend, dtype, "autodiff")
    xp, normal = backend.namespace(), Normal(0.0, 1.0)
    z = make(np.concatenate([VALUES, [-1e6, 1e6, 0.66, -0.66]]), dtype)

    def slopes(method):
        total = backend.value_and_grad(lambda arrays: xp.sum(getattr(normal, method)(arrays[0])))
        return backend.to_numpy(total((backend.asarray(z),))[1][0]).astype(np.float64)

    with mpmath.workdps(50):
        exact = [mpmath.mpf(float(x)) for x in z]
        score = np.asarray([float(2 * mpmath.npdf(x) / mpmath.erfc(-x / mpmath.sqrt(2))) for x in exact])
    bound = bounds.normal_score(z, FORMATS[dtype])
    assert (np.abs(slopes("log_cdf") - score) <= bound).all()
    np.testing.assert_array_equal(slopes("log_prob"), -z.astype(np.float64))
    assert np.isfinite(slopes("cdf")).all()
    assert np.isfinite(slopes("log_survival_function")).all()
    p = make([0.0, 1.0, 0.5, 1e-20, 0.9, 2.0], dtype)
    steep = backend.value_and_grad(lambda arrays: xp.sum(normal.quantile(arrays[0])))
    assert not np.isnan(backend.to_numpy(steep((backend.asarray(p),))[1][0])).any()


def test_parameters_get_gradients(backend):
    skip_without(backend, "autodiff")
    loc, scale = (Variable(n, backend.asarray(make(v, "float32")), trainable=True) for n, v in (("l", 1.0), ("s", 2.0)))
    normal = Normal(loc, scale)
    assert normal.trainable_variables == [loc, scale]
    value = backend.asarray(make(4.0, "float32"))
    grad = backend.value_and_grad(lambda given: normal.stateless_call(given, [], value, method="log_prob")[0])
    found = grad((loc.value, scale.value))[1]
    # z / scale, and (z^2 - 1) / scale, with z = 3/2
    assert [float(part) for part in found] == [0.75, 0.625]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_entropies_and_divergences(backend, dtype):
    skip_without(backend, dtype)
    scale = make([0.3, 1.0, 70.0], dtype)
    normal = Normal(backend.asarray(make(0.25, dtype)), backend.asarray(scale))
    bound = bounds.normal_entropy(scale.astype(np.float64), FORMATS[dtype]).error
    seen = backend.to_numpy(normal.entropy())
    require("entropy", seen, oracle.Normal(0.25, scale).entropy(), bound, dtype)
    same = backend.to_numpy(normal.kl_divergence(Normal(0.25, backend.asarray(scale))))
    np.testing.assert_array_equal(same, [0.0] * 3)
    moved = backend.to_numpy(normal.kl_divergence(Normal([0.25, 2.25, 0.25], backend.asarray(scale))))
    np.testing.assert_array_equal(moved, [0.0, 2.0, 0.0])


def test_a_divergence_of_other_scales():
    scale, other = np.float32([0.3, 5.0, 1.0]), np.float32([0.7, 0.1, 1.001])
    r = bounds.Arithmetic(FORMATS["float32"])
    ratio = r.subtract(r.log(r.given(scale)), r.log(r.given(other)))
    found = r.subtract(r.doubled(r.expm1(r.doubled(ratio, 2.0)), 0.5), ratio)
    seen = Normal(0.0, scale).kl_divergence(Normal(0.0, other))
    assert (np.abs(seen - found.value) <= found.error).all()
    assert (found.error < np.float32([1e-2, 1.0, 1e-5])).all()


def test_statistics_have_the_full_shape(backend):
    normal = Normal([[1.0], [2.0]], backend.asarray(make([3.0, 4.0, 5.0], "float32")))
    assert (normal.batch_shape, normal.event_shape) == ((2, 3), ())
    for method, wanted in {
        "mean": [[1.0] * 3, [2.0] * 3],
        "mode": [[1.0] * 3, [2.0] * 3],
        "stddev": [[3.0, 4.0, 5.0]] * 2,
        "variance": [[9.0, 16.0, 25.0]] * 2,
    }.items():
        found = getattr(normal, method)()
        assert backend.owns(found)
        np.testing.assert_array_equal(backend.to_numpy(found), wanted)
    np.testing.assert_array_equal(backend.to_numpy(normal.batch_shape_tensor()), [2, 3])
    assert tuple(normal.event_shape_tensor().shape) == (0,)
    assert tuple(normal.log_prob(0.0).shape) == (2, 3)
    assert tuple(normal.entropy().shape) == (2, 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors(backend, dtype):
    skip_without(backend, dtype)
    value, loc = make(DRAW.normal(0.0, 3.0, (7, 40)), dtype), make(DRAW.normal(0.0, 1.0, 40), dtype)
    scale = make(DRAW.normal(0.0, 2.0, 40), dtype)
    wide = [part.astype(np.float64) for part in (value, loc, scale)]
    vectors = MultivariateNormalDiag(backend.asarray(loc), backend.asarray(scale))
    exact = oracle.MultivariateNormalDiag(loc, scale)
    bound = bounds.normal_diag_log_prob(*wide, bounds.DEFINITION, wide_of(dtype))
    seen = backend.to_numpy(vectors.log_prob(backend.asarray(value)))
    require("log_prob", seen, exact.log_prob(value), returned(bound, dtype), dtype)
    bound = bounds.normal_entropy(wide[2], wide_of(dtype), axes=1, grade=bounds.DEFINITION)
    seen = backend.to_numpy(vectors.entropy())
    require("entropy", seen, exact.entropy(), returned(bound, dtype), dtype)


def test_shapes_and_statistics_of_vectors(backend):
    vectors = MultivariateNormalDiag([1.0], backend.asarray(make([[2.0, -4.0], [1.0, 0.5]], "float32")))
    assert (vectors.batch_shape, vectors.event_shape) == ((2,), (2,))
    assert tuple(vectors.sample(3, seed=1).shape) == (3, 2, 2)
    for method, wanted in {
        "mean": [[1.0, 1.0]] * 2,
        "mode": [[1.0, 1.0]] * 2,
        "stddev": [[2.0, 4.0], [1.0, 0.5]],
        "variance": [[4.0, 16.0], [1.0, 0.25]],
        "covariance": [[[4.0, 0.0], [0.0, 16.0]], [[1.0, 0.0], [0.0, 0.25]]],
    }.items():
        np.testing.assert_array_equal(backend.to_numpy(getattr(vectors, method)()), wanted)
    moved = MultivariateNormalDiag([[5.0, 9.0], [2.0, 2.0]], vectors.scale_diag)
    np.testing.assert_array_equal(backend.to_numpy(vectors.kl_divergence(moved)), [4.0, 2.5])
    assert tuple(vectors.log_prob([0.0, 1.0]).shape) == (2,)
    assert tuple(MultivariateNormalDiag(loc=[0.0, 0.0, 0.0]).log_prob([[0.0, 0.0, 0.0]]).shape) == (1,)


X32, X64 = np.float32([1.0, 2.0]), np.asarray([1.0, 2.0])
NORMAL, VECTORS = Normal(X32, 1.0), MultivariateNormalDiag(X32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Normal(0.0, None), TypeError, r"scale must be given\. Got scale=None\."),
        (lambda: Normal("a", 1.0), TypeError, r"loc must be a number, .*Got type='builtins\.str'\."),
        (lambda: Normal(X32, X64), TypeError, r"all arrays must have one dtype\. .*scale='float64'"),
        (lambda: Normal(X32, [1.0] * 3), ValueError, r"loc and scale must have shapes .*loc=\(2,\), scale=\(3,\)\."),
        (lambda: Normal(0.0, -1.0, validate_args=True), ValueError, r"scale must be positive\. Got scale=-1\.0\."),
        (lambda: Normal(0.0, 1.0, validate_args=1), TypeError, r"validate_args must be a bool\. Got validate_args=1\."),
        (lambda: Normal(0.0, 1.0, name=3), TypeError, r"name must be a string or None\. Got name=3\."),
        (lambda: NORMAL.log_prob(X64), TypeError, r"value must have the dtype of the parameters\."),
        (lambda: NORMAL.log_prob("x"), TypeError, r"value must be a number"),
        (
            lambda: NORMAL.log_prob([1.0, 2.0, 3.0]),
            ValueError,
            (
                r"value must be broadcastable to the batch and the event\. Got shape=\(3,\), batch_shape=\(2,\), "
                r"event_shape=\(\)\."
            ),
        ),
        (lambda: VECTORS.log_prob([1.0, 2.0, 3.0]), ValueError, r"Got shape=\(3,\), batch_shape=\(\), event_shape="),
        (
            lambda: MultivariateNormalDiag([1.0]).log_prob([1.0, 2.0, 3.0]),
            ValueError,
            r"shape=\(3,\), batch_shape=\(\), event_shape=\(1,\)",
        ),
        (lambda: NORMAL.log_prob(1.0, c=1.0), TypeError, r"Normal must know its conditions\. Got condition='c'\."),
        (lambda: NORMAL.mean(c=1.0), TypeError, r"Normal must know its conditions\."),
        (lambda: NORMAL.sample(c=1.0), TypeError, r"Normal must know its conditions\."),
        (lambda: NORMAL.log_prob(1.0, name=1), TypeError, r"name must be a string or None"),
        (NORMAL.covariance, NotImplementedError, r"Normal must have a formula for covariance\. Estimate it"),
        (lambda: VECTORS.cdf([1.0, 1.0]), NotImplementedError, r"must have a formula for cdf\. Estimate it"),
        (lambda: NORMAL.kl_divergence(3.0), TypeError, r"other must be a distribution\. Got type='float'\."),
        (lambda: NORMAL.kl_divergence(VECTORS), NotImplementedError, r"kl_divergence from Normal to Multivar"),
        (
            lambda: VECTORS.kl_divergence(MultivariateNormalDiag([1.0])),
            ValueError,
            r"both must have one event_shape\. Got self=\(2,\), other=\(1,\)\.",
        ),
        (lambda: NORMAL.copy(low=1.0), TypeError, r"Normal must have the argument\. Got argument='low'\. Did you mean"),
        (MultivariateNormalDiag, ValueError, r"loc or scale_diag must be given\. Without one"),
        (lambda: MultivariateNormalDiag(1.0), ValueError, r"loc must have at least one axis\. Got loc=1\.0\. Make it"),
        (
            lambda: MultivariateNormalDiag([1.0], scale_diag=2.0),
            ValueError,
            r"scale_diag must have at least one axis\. Got scale_diag=2\.0\. Make it a list, for example \[1\.0\]\.",
        ),
        (
            lambda: MultivariateNormalDiag(scale_diag=[1.0, 0.0], validate_args=True),
            ValueError,
            r"scale_diag must not be 0\.",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_libraries_do_not_mix(backend):
    if backend.framework == "numpy":
        return
    with pytest.raises(TypeError, match=r"All arrays must be of one array library\. Got value="):
        NORMAL.log_prob(backend.asarray(X32))


def test_a_variable_is_checked_at_each_call():
    scale = Variable("scale", np.float32(1.0)[None], trainable=True)
    normal = Normal(0.0, scale, validate_args=True)
    assert normal.sample(seed=1).shape == (1,)
    scale.assign(np.float32([-2.0]))
    for call in (normal.sample, normal.mean, lambda: normal.log_prob(0.0), lambda: normal.kl_divergence(normal)):
        with pytest.raises(ValueError, match=r"scale must be positive\. Got scale=\[-2\.\]\."):
            call()


def test_names_equality_and_copies():
    normal = Normal(X32, 2.0, name="a b")
    assert (normal.name, normal.dtype, normal.validate_args) == ("a_b", np.float32, False)
    assert repr(normal) == "Normal('a_b', batch_shape=(2,), event_shape=(), dtype=float32)"
    assert repr(Normal(0, 1)) == "Normal('Normal', batch_shape=(), event_shape=())"
    assert normal == Normal(X32.copy(), 2.0)
    assert hash(normal) == hash(Normal(X32.copy(), 2.0))
    assert normal != Normal(X32 + 1.0, 2.0)
    assert normal != MultivariateNormalDiag(X32)
    other = normal.copy(loc=[3.0])
    assert other.parameters == {"loc": (3.0,), "scale": 2.0, "validate_args": False, "name": "a b"}
    assert (normal.scale, other.loc) == (2.0, (3.0,))
