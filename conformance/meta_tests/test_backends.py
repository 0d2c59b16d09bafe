"""Each backend copies in and out without loss, and does what it declares."""

import warnings

import ml_dtypes
import numpy as np
import pytest

from bnspec.arrays import common_namespace

DTYPES = ("float16", "bfloat16", "float32", "float64")
VALUES = [-0.0, 1.0 / 3.0, -7.25, 1e-3, 640.0, 2.0**-14]


def make(dtype):
    return np.asarray(VALUES).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_back_to_the_byte(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    given = make(dtype)
    there = backend.asarray(given)
    assert backend.owns(there)
    back = backend.to_numpy(there)
    assert back.dtype == given.dtype
    assert back.tobytes() == given.tobytes()


def test_copies_share_no_memory(backend):
    given = make("float32")
    there = backend.asarray(given)
    given[1] = 99.0
    back = backend.to_numpy(there)
    assert back[1] == np.float32(1.0 / 3.0)
    back[2] = 99.0
    assert backend.to_numpy(there)[2] == -7.25


def test_scalars_and_read_only_arrays_are_taken(backend):
    scalar = np.asarray(-0.0, dtype=np.float32)
    assert np.signbit(backend.to_numpy(backend.asarray(scalar)))
    fixed = make("float32")
    fixed.flags.writeable = False
    assert backend.to_numpy(backend.asarray(fixed)).tobytes() == fixed.tobytes()
    count = np.asarray(3, dtype=np.int32)
    assert backend.to_numpy(backend.asarray(count)).dtype == np.int32


def test_foreign_arrays_are_not_owned(backend):
    if backend.framework == "numpy":
        assert not backend.owns([1.0])
    else:
        assert not backend.owns(np.ones(3))


def test_the_namespace_is_found_from_the_array(backend):
    assert common_namespace(x=backend.asarray(make("float32"))) is backend.namespace()


def test_a_compiled_function_gives_the_same(backend):
    xp = backend.namespace()
    x = backend.asarray(make("float32"))
    if "compile" in backend.gaps():
        with pytest.raises(NotImplementedError, match=r"must have a compiler\. Got reason='.+'"):
            backend.compile(lambda t: t)
        return
    compiled = backend.compile(lambda pair: (pair[0] + pair[1], xp.sqrt(pair[1])))
    total, root = compiled((x, x * x))
    backend.synchronize(total)
    np.testing.assert_array_equal(backend.to_numpy(root), np.abs(VALUES).astype(np.float32))
    np.testing.assert_array_equal(backend.to_numpy(total), backend.to_numpy(x + x * x))


def test_many_functions_can_be_compiled(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    if backend.framework == "torch":
        pytest.importorskip("torch")
    x = backend.asarray(make("float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for factor in range(10):  # torch gives up recompiling one code object at eight
            seen = backend.compile(lambda t, k=factor: t * k)(x)
            np.testing.assert_array_equal(backend.to_numpy(seen), make("float32") * factor)


def test_gradients_can_be_nested(backend):
    xp = backend.namespace()
    x = backend.asarray(np.asarray([1.0, 2.0, 3.0], dtype=np.float32))
    if "autodiff" in backend.gaps():
        with pytest.raises(NotImplementedError, match=r"must have automatic differentiation\. Got reason='.+'"):
            backend.value_and_grad(lambda t: t)
        return
    cube = backend.value_and_grad(lambda values: xp.sum(values[0] * values[0] * values[0], axis=0))
    value, (slope,) = cube((x,))
    assert float(value) == 36.0
    np.testing.assert_array_equal(backend.to_numpy(slope), [3.0, 12.0, 27.0])
    _, (second,) = backend.value_and_grad(lambda values: xp.sum(cube(values)[1][0], axis=0))((x,))
    np.testing.assert_array_equal(backend.to_numpy(second), [6.0, 12.0, 18.0])


def test_the_version_and_the_devices_are_told(backend):
    assert backend.version[0].isdigit()
    assert all(isinstance(reason, str) for reason in backend.variants().values())
