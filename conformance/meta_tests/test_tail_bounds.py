"""The roundings of the kernel of the tails hold in both formats, and are not many more than those that are seen."""

import mpmath
import numpy as np
import pytest

from bnspec.distributions._standard_normal import _scaled_erfc
from bnspec_conformance.bounds import FORMATS
from bnspec_conformance.bounds._tails import tail_roundings


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_keeps_to_its_roundings(dtype):
    z = np.concatenate([np.linspace(0.67, 6.0, 600), np.linspace(6.0, 60.0, 200)]).astype(dtype)
    seen = _scaled_erfc(z, np)
    assert seen.dtype == dtype
    with mpmath.workprec(200):
        points = [mpmath.mpf(float(each)) / mpmath.sqrt(2) for each in z]
        exact = [mpmath.exp(y * y) * mpmath.erfc(y) for y in points]
        off = np.asarray(
            [abs(mpmath.mpf(float(a)) / b - 1) for a, b in zip(seen, exact, strict=True)], dtype=np.float64
        )
    fraction = off / (tail_roundings(z) * FORMATS[dtype].roundoff)
    assert fraction.max() <= 1.0
    assert fraction.max() > 0.05


def test_they_are_few_and_grow_to_where_the_series_begins():
    found = tail_roundings(np.asarray([0.0, 0.66, 2.0, 5.65, 5.66, 60.0]))
    assert found[0] == found[1] < found[2] < found[3] < 27.0
    assert 6.0 < found[5] < found[4] < 8.0
