"""Numbers on which every intermediate result is representable: there is one right answer, to the bit."""

import numpy as np
import pytest

from bnspec_conformance.adapter import Config
from bnspec_conformance.subjects import backend_subject

# Mean 4096, deviations -1 and 1, variance 1 + epsilon 3 = 4, so that the inverse deviation is one half.
X = 4096.0 + np.asarray([[1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]])
GAMMA, BETA = np.asarray([-3.0, 0.5]), np.asarray([0.25, -8.0])
MEAN, VARIANCE = np.asarray([4000.0, -16.0]), np.asarray([61.0, 13.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_the_answer_is_exact_to_the_bit(backend, dtype, mode):
    if dtype in backend.gaps() or (mode == "compiled" and "compile" in backend.gaps()):
        pytest.skip(backend.gaps().get(dtype) or backend.gaps()["compile"])
    keras, torch = backend_subject(backend.name).adapters[:2]
    for adapter, bessel in ((keras, 1.0), (torch, 4.0 / 3.0)):
        layer = adapter(
            Config(
                shape=(4, 2),
                axis=(1,),
                momentum=0.75 if adapter is keras else 0.25,
                epsilon=3.0,
                center=True,
                scale=True,
                dtype=dtype,
                convention=adapter.convention,
            )
        )
        layer.load(*(value.astype(dtype) for value in (GAMMA, BETA, MEAN, VARIANCE)))
        layer = layer.compile() if mode == "compiled" else layer
        y = layer(X.astype(dtype), True)
        mean, variance = layer.read()
        np.testing.assert_array_equal(y, (X - 4096.0) * 0.5 * GAMMA + BETA)
        np.testing.assert_array_equal(mean, 0.75 * MEAN + 0.25 * 4096.0)
        if bessel == 1.0:
            np.testing.assert_array_equal(variance, 0.75 * VARIANCE + 0.25)
