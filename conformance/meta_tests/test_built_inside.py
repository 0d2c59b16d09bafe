"""What is built inside a compiled function is what is built outside."""

import numpy as np
import pytest

from bnspec.bijectors import Blockwise, Chain, Identity, Invert, JointMap, RealNVP, Scale, Shift
from bnspec_conformance.definition import receive

X = np.asarray([[1.0, 2.0], [-0.5, 4.0], [0.25, -8.0]], np.float32)
"""Exact in all that follows: factors are powers of two."""


def one_scale(kept, units):
    return Scale(2.0 * kept, name="scale of a unit")


def chained(kept, units):
    return Chain([Shift(kept), Invert(Scale(2.0 * kept)), Identity()])


BUILT = {
    "Chain": lambda x: Chain([Shift(x), Scale([2.0, -0.5])]).forward_and_log_det(x),
    "Invert": lambda x: Invert(Shift(x, validate_args=True)).inverse_and_log_det(x),
    "Blockwise": lambda x: Blockwise([Shift(1.0), Identity()], [1, 1]).forward_and_log_det(x),
    "JointMap": lambda x: tuple(JointMap([Shift(1.0), Identity()]).forward([x, x])),
    "RealNVP": lambda x: (RealNVP(num_masked=1, bijector_fn=one_scale).forward(x),),
    "RealNVP of a chain": lambda x: (RealNVP(num_masked=-1, bijector_fn=chained).inverse(x),),
}


@pytest.mark.parametrize("name", BUILT)
def test_a_bijector(backend, name):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    x = backend.asarray(X)
    eager, seen = receive(backend, BUILT[name](x)), receive(backend, backend.compile(BUILT[name])(x))
    assert len(seen) == len(eager)
    assert all((one == other).all() for one, other in zip(seen, eager, strict=True))
