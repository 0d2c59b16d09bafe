"""Samples: by seed the same everywhere, of the right shapes, and of the distribution that they are said to be of."""

import math

import numpy as np
import pytest

import bnspec
from bnspec.arrays import random_key, random_normal, random_uniform
from bnspec.bijectors import Exp, Shift, Sigmoid
from bnspec.distributions import Independent, MultivariateNormalDiag, Normal, Sample, TransformedDistribution
from bnspec_conformance import bounds
from bnspec_conformance.bounds import FORMATS

from .distribution_helpers import array

NUMPY = bnspec.backend("numpy")
SEED = 2**40 + 17


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_seed_gives_the_numbers_of_its_key_on_every_backend(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    xp = backend.namespace()
    normal = Normal(array(backend, 0.0, dtype), array(backend, 4.0, dtype))
    found = normal.sample((9, 11), seed=SEED)
    assert backend.owns(found)
    key = random_key(SEED, xp=xp)
    for wanted in (random_normal(key, (9, 11), found.dtype, xp) * 4.0, normal.sample((9, 11), seed=key)):
        np.testing.assert_array_equal(backend.to_numpy(found), backend.to_numpy(wanted))
    there = Normal(np.zeros((), dtype), np.full((), 4.0, dtype)).sample((9, 11), seed=SEED)
    uniform = random_uniform(random_key(SEED, xp=np), (50, 2), np.dtype(dtype), np).astype(np.float64)
    bound = 4.0 * bounds.normals(uniform, FORMATS[dtype]).reshape(-1)[:99].reshape(9, 11)
    apart = np.abs(backend.to_numpy(found).astype(np.float64) - there.astype(np.float64))
    assert (apart <= 2.0 * bound).all()


def test_samples_depend_on_shapes_alone(backend):
    one = Normal(array(backend, 1.0), 2.0).sample((4, 3), seed=SEED)
    others = [
        Normal(array(backend, [1.0] * 3), 2.0).sample(4, seed=SEED),
        Independent(Normal(array(backend, [1.0] * 3), 2.0), 1).sample(4, seed=SEED),
        MultivariateNormalDiag(array(backend, [1.0]), [2.0] * 3).sample(4, seed=SEED),
        Shift([1.0] * 3)(Normal(array(backend, 0.0), 2.0)).sample(4, seed=SEED),
    ]
    for other in others:
        np.testing.assert_array_equal(backend.to_numpy(one), backend.to_numpy(other))


def test_shapes_of_samples(backend):
    normal = Normal(array(backend, [[0.0], [1.0]]), [1.0, 2.0, 3.0])
    for given, shape in (((), ()), (5, (5,)), ([4, 2], (4, 2)), ((0,), (0,)), (np.int64(2), (2,))):
        assert tuple(normal.sample(given, seed=3).shape) == (*shape, 2, 3)
    several = Sample(normal, (4, 5))
    assert (several.batch_shape, several.event_shape) == ((2, 3), (4, 5))
    drawn, log_prob = several.sample_and_log_prob(7, seed=3)
    assert (tuple(drawn.shape), tuple(log_prob.shape)) == ((7, 2, 3, 4, 5), (7, 2, 3))
    vectors = Independent(several, 1)
    assert (vectors.batch_shape, vectors.event_shape) == ((2,), (3, 4, 5))
    again = Sample(MultivariateNormalDiag(array(backend, [[0.0, 0.0]] * 3)), 4)
    assert (again.batch_shape, again.event_shape) == ((3,), (4, 2))
    assert tuple(again.sample(seed=1).shape) == (3, 4, 2)
    assert tuple(again.log_prob([1.0, 2.0]).shape) == (3,)


def test_a_sample_without_a_seed_is_fresh_and_can_be_read_back():
    normal = Normal(0.0, 1.0)
    assert normal.last_seed is None
    first = normal.sample(100)
    seed = normal.last_seed
    second, _ = normal.sample_and_log_prob(100)
    assert 0 <= seed < 2**64
    assert normal.last_seed != seed
    assert (first != second).all()
    np.testing.assert_array_equal(normal.sample(100, seed=seed), first)
    assert normal.sample(seed=3) == Normal(0.0, 1.0).sample(seed=3)
    assert normal == Normal(0.0, 1.0)


def test_a_compiler_needs_a_key(backend):
    if "compile" in backend.gaps() or backend.framework == "torch":  # torch's compiler refuses to draw by itself
        pytest.skip(backend.gaps().get("compile") or "torch's compiler refuses to draw a seed by itself")
    normal = Normal(array(backend, 0.0), 1.0)
    with pytest.raises(ValueError, match=r"seed must be given inside a compiler, .* Pass a key, an argument"):
        backend.compile(lambda x: normal.sample() + x)(array(backend, 0.0))
    assert normal.last_seed is None


def test_drawn_inside_a_compiler(backend, monkeypatch):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    xp = backend.namespace()
    base = Independent(Normal(array(backend, [0.0, 1.0]), [1.0, 2.0]), 1)
    flow = TransformedDistribution(base, Exp())
    if backend.framework == "torch":  # which takes long to compile the bits; they have a test of their own
        monkeypatch.setattr(
            "bnspec.distributions._gaussian.random_normal",
            lambda key, shape, dtype, xp: xp.astype(xp.broadcast_to(key, shape), dtype),
        )
    key = random_key(5, xp=xp)
    eager = flow.sample_and_log_prob(3, seed=key)
    compiled = backend.compile(lambda key: flow.sample_and_log_prob(3, seed=key))(key)
    for one, other in zip(eager, compiled, strict=True):
        wide = backend.to_numpy(one).astype(np.float64)
        # Draws of a few units: log, cos and sin, the exponential, and sums of four terms, each of less than 8.
        error = bounds.accumulated(64.0, FORMATS["float32"].roundoff) * (np.abs(wide) + 8.0)
        assert (np.abs(backend.to_numpy(other) - wide) <= error).all()


def test_the_library_of_numbers_is_that_of_the_key(backend):
    key = random_key(9, xp=backend.namespace())
    drawn = Normal(0, 1).sample(4, seed=key)
    assert backend.owns(drawn)
    assert isinstance(Normal(0, 1).sample(4, seed=9), np.ndarray)
    flow = Shift(array(backend, 0.0))(Normal(0, 1))
    assert backend.owns(flow.sample(4, seed=9))


def test_the_default_backend_draws(backend):
    before = bnspec.registry.default_backend().name
    bnspec.registry.set_default_backend(backend.name)
    try:
        assert backend.owns(Normal(0, 1).sample(3, seed=1))
        assert backend.owns(Normal(0, 1).log_prob([1.0, 2.0]))
        assert backend.owns(Normal(0, 1).mean())
    finally:
        bnspec.registry.set_default_backend(before)


def test_half_precision_is_rounded_once(backend):
    if "bfloat16" in backend.gaps():
        pytest.skip(backend.gaps()["bfloat16"])
    xp = backend.namespace()
    loc = xp.astype(array(backend, 0.0), array(backend, 0.0, "float16").dtype)
    normal = Normal(loc, 2.0)
    drawn = normal.sample(50, seed=4)
    assert drawn.dtype == loc.dtype
    wanted = xp.astype(Normal(array(backend, 0.0), 2.0).sample(50, seed=4), loc.dtype)
    np.testing.assert_array_equal(backend.to_numpy(drawn), backend.to_numpy(wanted))


def phi(z):
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


@pytest.mark.parametrize(
    ("distribution", "cdf"),
    [
        (Normal(1.0, 2.0), lambda x: phi((x - 1.0) / 2.0)),
        (MultivariateNormalDiag([1.0], [-2.0]), lambda x: phi((x - 1.0) / 2.0)),
        (Exp()(Normal(0.5, 0.75)), lambda x: phi((math.log(x) - 0.5) / 0.75)),
        (Sigmoid()(Normal(0.0, 1.5)), lambda x: phi(math.log(x / (1.0 - x)) / 1.5)),
    ],
)
def test_samples_follow_the_distribution(distribution, cdf):
    count = 20_000
    found = np.sort(np.reshape(distribution.sample(count, seed=SEED), -1))
    exact = np.asarray([cdf(float(x)) for x in found])
    steps = np.arange(count + 1) / count
    distance = max(np.abs(exact - steps[1:]).max(), np.abs(exact - steps[:-1]).max())
    assert distance <= bounds.empirical(count, 1e-6)
    assert distance > 1e-4  # they are random, and not a grid


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda n: n.sample(seed=-1), ValueError, r"seed must be in \[0, 2\^64\)\. Got seed=-1\."),
        (lambda n: n.sample(seed=0.5), TypeError, r"seed must be an integer\. Got seed=0\.5\."),
        (lambda n: n.sample(seed=np.zeros(2)), TypeError, r"key must be of int32\."),
        (lambda n: n.sample(seed=np.zeros(3, np.int32)), ValueError, r"key must have the shape \(2,\)"),
        (lambda n: n.sample(-3), ValueError, r"sample_shape must be a size or a sequence .*Got sample_shape=-3\."),
        (lambda n: n.sample((2, 0.5)), TypeError, r"sample_shape must be a size .*Got sample_shape=\(2, 0\.5\)\."),
        (lambda n: Sample(n, -2), ValueError, r"sample_shape must be a size .*Got sample_shape=-2\."),
        (lambda n: Sample(3, 2), TypeError, r"distribution must be a Distribution\. Got type='int'\."),
        (lambda n: Independent(n, True), TypeError, r"reinterpreted_batch_ndims must be an integer\."),
        (lambda n: Independent(n, -1), ValueError, r"reinterpreted_batch_ndims must be at least 0\."),
        (
            lambda n: Independent(n, 2),
            ValueError,
            (
                r"reinterpreted_batch_ndims must be at most the rank of the batch\. Got reinterpreted_batch_ndims=2, "
                r"batch_shape=\(2,\)\. Sample\(distribution, shape\)"
            ),
        ),
        (lambda n: Sample(n, 2).cdf(1.0), NotImplementedError, r"SampleNormal must have a formula for cdf"),
        (lambda n: Sample(n, 2).kl_divergence(n), NotImplementedError, r"kl_divergence from Sample to Normal"),
        (
            lambda n: Sample(n, 2).kl_divergence(Sample(n, 3)),
            ValueError,
            r"both must have one event_shape\. Got self=\(2,\), other=\(3,\)",
        ),
        (lambda n: Sample(n, 2).log_prob([1.0] * 3), ValueError, r"value must be broadcastable"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call(Normal([0.0, 1.0], 1.0))


def test_a_key_of_another_library_is_refused(backend):
    if backend.framework == "numpy":
        return
    with pytest.raises(TypeError, match=r"All arrays must be of one array library"):
        Normal(np.float32([0.0]), 1.0).sample(seed=random_key(1, xp=backend.namespace()))


def test_extensions_sum_what_they_are_made_of(backend):
    normal = Normal(array(backend, [0.0, 1.0]), [1.0, 2.0])
    value = array(backend, np.random.default_rng(2).integers(-3, 4, (5, 2, 3)))
    xp = backend.namespace()
    terms = normal.log_prob(xp.permute_dims(value, (0, 2, 1)))
    several = Sample(normal, 3)
    wide = backend.to_numpy(terms).astype(np.float64)
    error = bounds.accumulated(3.0, FORMATS["float32"].roundoff) * np.abs(wide).sum(axis=1)
    assert (np.abs(backend.to_numpy(several.log_prob(value)) - wide.sum(axis=1)) <= error).all()
    joint = Independent(normal, 1).log_prob(xp.permute_dims(value, (0, 2, 1)))
    error = bounds.accumulated(2.0, FORMATS["float32"].roundoff) * np.abs(wide).sum(axis=2)
    assert (np.abs(backend.to_numpy(joint) - wide.sum(axis=2)) <= error).all()
    for pair in (several.sample_and_log_prob(4, seed=8), Independent(several, 1).sample_and_log_prob(4, seed=8)):
        drawn = pair[0]
        owner = several if len(pair[1].shape) == 2 else Independent(several, 1)
        np.testing.assert_array_equal(backend.to_numpy(drawn), backend.to_numpy(owner.sample(4, seed=8)))
        again = backend.to_numpy(owner.log_prob(drawn)).astype(np.float64)
        error = bounds.accumulated(16.0, FORMATS["float32"].roundoff) * (np.abs(again) + 8.0)
        assert (np.abs(backend.to_numpy(pair[1]) - again) <= error).all()


def test_statistics_of_extensions(backend):
    several = Sample(Normal(array(backend, [0.5, 1.0]), [2.0, 4.0]), (3, 1))
    wanted = {"mean": [0.5, 1.0], "mode": [0.5, 1.0], "stddev": [2.0, 4.0], "variance": [4.0, 16.0]}
    for method, each in wanted.items():
        found = backend.to_numpy(getattr(several, method)())
        np.testing.assert_array_equal(found, np.broadcast_to(np.reshape(each, (2, 1, 1)), (2, 3, 1)))
        joint = getattr(Independent(several.distribution, 1), method)()
        np.testing.assert_array_equal(backend.to_numpy(joint), each)
    entropy = backend.to_numpy(several.distribution.entropy())
    np.testing.assert_array_equal(backend.to_numpy(several.entropy()), entropy * np.float32(3.0))
    other = Sample(Normal([2.5, 1.0], [2.0, 4.0]), (3, 1))
    np.testing.assert_array_equal(backend.to_numpy(several.kl_divergence(other)), [1.5, 0.0])
    joint = Independent(several.distribution, 1), Independent(other.distribution, 1)
    assert float(joint[0].kl_divergence(joint[1])) == 0.5
    assert joint[0] != joint[1]
    assert repr(several).startswith("Sample('SampleNormal', batch_shape=(2,), event_shape=(3, 1), dtype=float32")
