"""What the tests of the first oracle share: exact reading, closeness, and references in mpmath and fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import ml_dtypes
import mpmath
import numpy as np
import pytest
from mpmath import mpf

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)]

# The oracle promises 2**-192, absolute and relative. The rest is room for the references, which mpmath rounds
# at 2**-1000, and for finite differences, whose step of 1e-60 leaves a relative error near 1e-115.
BOUND = Fraction(1, 2**190)
STEP = mpf(10) ** -60


@pytest.fixture(autouse=True)
def thousand_bits():
    """Let mpmath compute with the precision that `BOUND` counts on; a module imports it to apply it."""
    with mpmath.workprec(1000):
        yield


def number(value):
    """Convert a NumPy scalar to a fraction; every dtype here is a subset of the Python floats."""
    return Fraction(float(value))


def mp(value):
    if isinstance(value, Fraction):
        return mpf(value.numerator) / value.denominator
    return mpf(float(value))


def rational(value):
    """Convert an mpf, which is a dyadic number, to the same fraction."""
    if isinstance(value, Fraction | int):
        return Fraction(value)
    sign, mantissa, exponent, _ = value._mpf_
    return (-1) ** sign * mantissa * Fraction(2) ** exponent


def held(exact):
    """List the numbers in an `Exact`, in C order."""
    return [Fraction(n, 2**exact.bits) for n in exact.numerators.ravel().tolist()]


def assert_close(exact, expected, shape, bound=BOUND):
    """Require that each element be off by at most `bound`, and by at most `bound` of its own magnitude."""
    assert exact.shape == shape
    assert exact.numerators.dtype == np.dtype(object)
    found = held(exact)
    assert all(type(n) is int for n in exact.numerators.ravel().tolist())
    expected = [rational(e) for e in expected]
    assert len(found) == len(expected)
    for index, (seen, wanted) in enumerate(zip(found, expected, strict=True)):
        limit = bound * min(Fraction(1), abs(wanted))
        assert abs(seen - wanted) <= limit, f"element {index}: {float(seen)} instead of {float(wanted)}"


def channels(shape, features):
    """Yield for each channel its place in a parameter and the indices of its elements, in C order."""
    features = [f % len(shape) for f in features]
    for place in product(*(range(shape[f]) for f in sorted(features))):
        wanted = dict(zip(sorted(features), place, strict=True))
        yield place, [i for i in np.ndindex(*shape) if all(i[f] == v for f, v in wanted.items())]


def reference(x, features, gamma, beta, epsilon, statistics=None):
    """Normalize a dict from index to mpf, channel by channel, in the words of the definition."""
    y = {}
    for c, (_, indices) in enumerate(channels(x["shape"], features)):
        n = len(indices)
        if statistics is None:
            mean = sum(x[i] for i in indices) / n
            variance = sum((x[i] - mean) ** 2 for i in indices) / n
        else:
            mean, variance = statistics[0][c], statistics[1][c]
        for i in indices:
            y[i] = gamma[c] * (x[i] - mean) / mpmath.sqrt(variance + mpf(epsilon)) + beta[c]
    return y


def reference_values(x, epsilon):
    """Normalize an array of shape (N, C) without parameters; in C order."""
    y = reference(as_dict(x), (1,), [1] * x.shape[1], [0] * x.shape[1], epsilon)
    return [y[i] for i in np.ndindex(*x.shape)]


def as_dict(x):
    return {"shape": x.shape} | {i: mp(x[i]) for i in np.ndindex(*x.shape)}


def flat(parameter, count, default):
    return [mpf(default)] * count if parameter is None else [mp(v) for v in parameter.ravel()]


def draw(seed, shape, dtype=np.float64, loc=0.0, scale=1.0):
    return (loc + scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def two_pass(values, weights):
    total = sum(weights, Fraction())
    mean = sum((w * v for w, v in zip(weights, values, strict=True)), Fraction()) / total
    variance = sum((w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)), Fraction()) / total
    return total, mean, variance


HARD = {
    "plain": draw(3, (7, 3)),
    "far from zero": draw(4, (5, 3)) * [[1e-8, 1e-12, 1e-15]] + [[1e7, 0.01, -1.0]],
    "variance 1e-24": draw(5, (6, 2), scale=1e-12),
    "float32 at 4096": draw(6, (9, 2), np.float32, 4096, 1e-3),
    "float16": draw(7, (9, 2), np.float16, 3),
    "bfloat16": draw(8, (9, 2), BFLOAT16, 3),
    "subnormal": np.asarray([[5e-324, 1e-310], [-1e-323, 0.0], [2.0**-1022, 3e-308]]),
    "both ends of the exponent": np.asarray([[1e300, 5e-324], [-1e300, 1e-300], [1e308, 1e300]]),
    "constant": np.full((3, 2), 0.1),
}
