"""What the tests of bijectors share: one of each, inputs for it, and how results are compared."""

import numpy as np
import pytest

from bnspec.bijectors import (
    Blockwise,
    Chain,
    Exp,
    Identity,
    Inline,
    Invert,
    Log,
    Permute,
    RationalQuadraticSpline,
    Reciprocal,
    Reshape,
    Scale,
    ScaleMatvecDiag,
    Shift,
    Sigmoid,
    Softplus,
    Tanh,
)
from bnspec_conformance.bounds import sum_of_kernels
from bnspec_conformance.definition import receive

POSITIVE = np.asarray([[0.5, 0.25, 0.75], [0.125, 0.625, 0.375]])
ONES = {
    "absolute size": lambda: Inline(lambda x: 3.0 * x, lambda y: y / 3.0, inverse_log_det_jacobian_fn=lambda y: -1.5),
    "blocks": lambda: Blockwise([Exp(), ScaleMatvecDiag([2.0, -4.0])], [1, 2]),
    "chain": lambda: Chain([Shift([1.0, 2.0, 3.0]), Exp(), Permute([2, 0, 1]), Scale(2.0)]),
    "exp": Exp,
    "identity": Identity,
    "inverted": lambda: Invert(Softplus()),
    "log": Log,
    "permute": lambda: Permute([1, 2, 0]),
    "permute rows": lambda: Permute([1, 0], axis=-2),
    "reciprocal": Reciprocal,
    "reshape": lambda: Reshape([3, 1]),
    "scale": lambda: Scale([-2.0, 0.5, 4.0]),
    "log scale": lambda: Scale(log_scale=[-2.0, 0.5, 3.0]),
    "diagonal": lambda: ScaleMatvecDiag([-2.0, 0.5, 4.0]),
    "shift": lambda: Shift([-2.0, 0.5, 4.0]),
    "sigmoid": Sigmoid,
    "sigmoid between": lambda: Sigmoid(-1.0, 2.0),
    "softplus": Softplus,
    "spline": lambda: RationalQuadraticSpline([0.5, 1.5], [1.25, 0.75], 2.5, range_min=-1.0),
    "softplus hinged": lambda: Softplus(0.5, low=-1.0),
    "softplus down": lambda: Softplus(-2.0, low=1.0),
    "tanh": Tanh,
}
"""One of each kind; all map POSITIVE."""


def of(backend, values, dtype="float32"):
    """An array of the backend, or a skip where it has no such dtype."""
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    kind = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype
    return backend.asarray(np.asarray(values, dtype=kind))


def same(backend, found, expected, dtype="float32"):
    """Fail unless an array is the backend's own, and has exactly a value, a shape and a dtype."""
    seen = receive(backend, found)
    wanted = np.asarray(expected, dtype=seen.dtype)
    assert seen.dtype.name == dtype
    assert seen.shape == wanted.shape
    np.testing.assert_array_equal(seen, wanted)


def near(backend, found, expected, size=None, dtype="float32"):
    """Fail unless an array is within the bound of a sum of kernels, whose terms have a size."""
    seen, wanted = receive(backend, found), np.asarray(expected, np.float64)
    assert seen.dtype.name == dtype
    assert seen.shape == wanted.shape
    bound = sum_of_kernels(np.abs(wanted) if size is None else np.asarray(size, np.float64), dtype)
    assert (np.abs(seen - wanted) <= bound).all(), (seen, wanted, np.abs(seen - wanted) / bound)


def differentiable(backend):
    if "autodiff" in backend.gaps():
        pytest.skip(backend.gaps()["autodiff"])


def gradient(backend, function, x):
    """The gradient of the sum of a function of an array."""
    differentiable(backend)
    xp = backend.namespace()
    return backend.value_and_grad(lambda arrays: xp.sum(function(arrays[0])))((x,))[1][0]
