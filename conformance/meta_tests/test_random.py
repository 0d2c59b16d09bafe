"""Random bits have known answers, are the same everywhere, and give the numbers that are promised."""

from functools import cache

import ml_dtypes
import mpmath
import numpy as np
import pytest

import bnspec
from bnspec.arrays import fold_in, random_bits, random_key, random_normal, random_uniform
from bnspec_conformance.bounds import FORMATS, normals, rounded

NUMPY = bnspec.backend("numpy")
XP = NUMPY.namespace()
SEED = 0x13198A2E_03707344
# threefry2x32_R20 of the file kat_vectors of Random123: key, counter, result.
KNOWN = [
    (0, 0, "6b20015999ba4efe"),
    (2**64 - 1, 2**64 - 1, "1cb996fcbb002be7"),
    (SEED, 0x243F6A88_85A308D3, "c4923a9c483df7a0"),
]


def words(array):
    return array.astype(np.uint32)


def expected_bits(seed, shape):
    """The definition with Python integers."""
    count = int(np.prod(shape))
    key = divmod(seed, 2**32)
    pairs = [threefry(key, (0, j)) for j in range((count + 1) // 2)]
    return np.asarray(pairs, dtype=np.uint32).reshape(-1)[:count].reshape(shape)


def threefry(key, counter):
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    keys = (*key, key[0] ^ key[1] ^ 0x1BD11BDA)
    x, y = ((counter[i] + key[i]) % 2**32 for i in range(2))
    for turn in range(20):
        r = rotations[turn % 8]
        x = (x + y) % 2**32
        y = ((y << r | y >> (32 - r)) % 2**32) ^ x
        if turn % 4 == 3:
            j = turn // 4 + 1
            x, y = (x + keys[j % 3]) % 2**32, (y + keys[(j + 1) % 3] + j) % 2**32
    return x, y


@pytest.mark.parametrize(("seed", "counter", "result"), KNOWN)
def test_known_answers(backend, seed, counter, result):
    xp = backend.namespace()
    key = fold_in(random_key(seed, xp=xp), counter, xp)
    assert backend.owns(key)
    assert "".join(f"{word:08x}" for word in words(backend.to_numpy(key))) == result


@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 7)])
def test_bits_are_the_same_everywhere(backend, shape):
    xp = backend.namespace()
    bits = backend.to_numpy(random_bits(random_key(SEED, xp=xp), shape, xp))
    assert bits.dtype == np.int32
    np.testing.assert_array_equal(words(bits), expected_bits(SEED, shape))


def test_bits_are_the_same_compiled(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    xp = backend.namespace()
    bits = backend.compile(lambda key: random_bits(key, (3, 5), xp))(random_key(SEED, xp=xp))
    np.testing.assert_array_equal(words(backend.to_numpy(bits)), expected_bits(SEED, (3, 5)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_the_same_compiled(backend, monkeypatch, dtype):
    if "compile" in backend.gaps() or dtype in backend.gaps():
        pytest.skip(backend.gaps().get("compile") or backend.gaps()[dtype])
    xp = backend.namespace()
    bits = random_bits(random_key(SEED, xp=xp), (600,) if dtype == "float64" else (300,), xp)
    # torch takes long to compile the bits, which have a test of their own.
    monkeypatch.setattr("bnspec.arrays._random.random_bits", lambda key, shape, xp: xp.reshape(key, shape))
    normal = backend.compile(lambda bits: random_normal(bits, (23, 13), getattr(xp, dtype), xp))(bits)
    monkeypatch.undo()
    require_normal(backend.to_numpy(normal), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_uniform_numbers_are_exact(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    xp = backend.namespace()
    shape = (150, 2)
    uniform = random_uniform(random_key(SEED, xp=xp), shape, dtype_of(backend, dtype), xp)
    uniform = backend.to_numpy(uniform)
    assert uniform.dtype.name == dtype
    if dtype == "float64":
        pairs = expected_bits(SEED, (*shape, 2)).astype(np.uint64)
        wanted = np.ldexp(((pairs[..., 0] >> 5) * 2**26 + (pairs[..., 1] >> 6) + 1).astype(np.float64), -53)
    else:
        wanted = np.ldexp(((expected_bits(SEED, shape) >> 8) + 1).astype(np.float32), -24).astype(uniform.dtype)
    np.testing.assert_array_equal(uniform, wanted)


def dtype_of(backend, name):
    return backend.asarray(np.ones(1, dtype=ml_dtypes.bfloat16 if name == "bfloat16" else name)).dtype


def test_uniform_numbers_end_at_one(backend, monkeypatch):
    xp = backend.namespace()
    for word, least in ((0, 2.0**-24), (-1, 1.0)):
        full = xp.full((3,), word, dtype=xp.int32)
        monkeypatch.setattr("bnspec.arrays._random.random_bits", lambda *_, full=full: full)
        uniform = backend.to_numpy(random_uniform(random_key(1, xp=xp), (3,), xp.float32, xp))
        np.testing.assert_array_equal(uniform, [least] * 3)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_normal_numbers_are_within_their_bound(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    xp = backend.namespace()
    found = backend.to_numpy(random_normal(random_key(SEED, xp=xp), (23, 13), dtype_of(backend, dtype), xp))
    assert found.dtype.name == dtype
    require_normal(found, dtype)


def require_normal(found, dtype):
    wide = "float64" if dtype == "float64" else "float32"
    uniform = random_uniform(NUMPY_KEY, (150, 2), np.dtype(wide), XP).astype(np.float64)
    exact = exact_normals(wide)
    bound = normals(uniform, FORMATS[wide])
    if dtype != wide:
        bound = rounded(bound, np.asarray(exact, dtype=np.float64), FORMATS[dtype])
    with mpmath.workdps(30):
        errors = np.asarray(
            found.astype(np.float64).astype(object) - np.reshape(exact, -1)[: found.size].reshape(found.shape)
        )
    assert (np.abs(errors).astype(np.float64) <= bound.reshape(-1)[: found.size].reshape(found.shape)).all()


@cache
def exact_normals(dtype):
    rows = random_uniform(NUMPY_KEY, (150, 2), np.dtype(dtype), XP).astype(np.float64).tolist()
    with mpmath.workdps(30):
        polar = [(mpmath.sqrt(-2 * mpmath.log(u)), 2 * mpmath.pi * v) for u, v in rows]
        return np.asarray([[r * mpmath.cos(angle), r * mpmath.sin(angle)] for r, angle in polar], dtype=object)


NUMPY_KEY = random_key(SEED, xp=XP)


def test_normal_numbers_have_the_moments_of_normal_numbers():
    sample = random_normal(NUMPY_KEY, (100_000,), np.float64, XP)
    count = sample.size
    # Five standard deviations of each moment: 1, sqrt(2), sqrt(15), sqrt(96) over sqrt(N).
    for power, (mean, spread) in enumerate([(0, 1), (1, 2), (0, 15), (3, 96)], start=1):
        assert abs(np.mean(sample**power) - mean) < 5 * np.sqrt(spread / count)


def test_keys_made_from_a_key_differ():
    keys = {tuple(fold_in(NUMPY_KEY, number, XP).tolist()) for number in range(100)}
    assert len(keys) == 100


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: random_key(0.5, xp=XP), TypeError, r"seed must be an integer\. Got seed=0\.5\."),
        (lambda: random_key(-1, xp=XP), ValueError, r"seed must be in \[0, 2\^64\)\. Got seed=-1\."),
        (lambda: random_key(2**64, xp=XP), ValueError, r"Got seed=18446744073709551616\."),
        (lambda: fold_in(NUMPY_KEY, -3, XP), ValueError, r"number must be in \[0, 2\^64\)\. Got number=-3\."),
        (lambda: fold_in(NUMPY_KEY[:1], 3, XP), ValueError, r"key must have the shape \(2,\)\. Got shape=\(1,\)\."),
        (lambda: random_bits(np.zeros(2), (3,), XP), TypeError, r"key must be of int32\. Got dtype='float64'\. Make"),
        (lambda: random_bits(NUMPY_KEY, (-3,), XP), ValueError, r"shape must not have negative sizes"),
        (
            lambda: random_bits(NUMPY_KEY, (2**20, 2**13), XP),
            ValueError,
            r"shape must have at most 2\^32 elements\. Got shape=\(1048576, 8192\)\. Draw parts with fold_in\.",
        ),
        (
            lambda: random_uniform(NUMPY_KEY, (3,), np.int32, XP),
            TypeError,
            r"dtype must be real floating: float16, bfloat16, float32, float64\. Got dtype='int32'\.",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
