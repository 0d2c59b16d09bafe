"""The TensorFlow namespace, held to array-api-strict: values, shapes and dtypes, at once and with unknown sizes."""

import re
from pathlib import Path

import array_api_strict as strict
import numpy as np
import pytest

import bnspec

tf = pytest.importorskip("tensorflow")

BACKEND = bnspec.backend("tensorflow")
XP = BACKEND.namespace()
UNKNOWN = "tf.function, unknown dimensions"

F = np.asarray([[1.5, -2.0, 0.0, 3.25], [-0.0, 4.0, 2.0, -1.0], [0.5, 2.0, -2.0, 8.0]])
N = np.asarray([[5, -3, 0, 7], [2, 2, -8, 1], [-1, 4, 3, 6]])
U = np.abs(N)
B = F > 0
NUMERIC = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
REAL_FLOATING = ("float32", "float64")
INTEGER = NUMERIC[:8]

# name: dtypes, then calls: functions of (namespace, the matrix above in the dtype)
CALLS = {
    "abs": (NUMERIC, [lambda xp, x: xp.abs(x)]),
    "add": (NUMERIC, [lambda xp, x: xp.add(x, x[:1, ...]), lambda xp, x: xp.add(x, 1)]),
    "subtract": (NUMERIC, [lambda xp, x: xp.subtract(x, x[:1, ...])]),
    "multiply": (NUMERIC, [lambda xp, x: xp.multiply(x, x[:, :1])]),
    "negative": (NUMERIC, [lambda xp, x: xp.negative(x)]),
    "positive": (NUMERIC, [lambda xp, x: xp.positive(x)]),
    "square": (NUMERIC, [lambda xp, x: xp.square(x)]),
    "sign": (NUMERIC, [lambda xp, x: xp.sign(x)]),
    "maximum": (NUMERIC, [lambda xp, x: xp.maximum(x, x[:1, ...]), lambda xp, x: xp.maximum(x, 2)]),
    "minimum": (NUMERIC, [lambda xp, x: xp.minimum(x, x[:1, ...])]),
    "clip": (NUMERIC, [lambda xp, x: xp.clip(x, 1, 3), lambda xp, x: xp.clip(x, max=x[:1, ...])]),
    "floor_divide": (NUMERIC, [lambda xp, x: xp.floor_divide(x, 3)]),
    "remainder": (NUMERIC, [lambda xp, x: xp.remainder(x, 3)]),
    "pow": (NUMERIC, [lambda xp, x: xp.pow(x, 2)]),
    "floor": (NUMERIC, [lambda xp, x: xp.floor(x)]),
    "ceil": (NUMERIC, [lambda xp, x: xp.ceil(x)]),
    "trunc": (NUMERIC, [lambda xp, x: xp.trunc(x)]),
    "round": (NUMERIC, [lambda xp, x: xp.round(x)]),
    "copysign": (REAL_FLOATING, [lambda xp, x: xp.copysign(x, xp.flip(x))]),
    "signbit": (REAL_FLOATING, [lambda xp, x: xp.signbit(x)]),
    "equal": ((*NUMERIC, "bool"), [lambda xp, x: xp.equal(x, xp.flip(x))]),
    "less": (NUMERIC, [lambda xp, x: xp.less(x, xp.flip(x))]),
    "isfinite": (NUMERIC, [lambda xp, x: xp.isfinite(x)]),
    "isnan": (NUMERIC, [lambda xp, x: xp.isnan(x)]),
    "logical_and": (("bool",), [lambda xp, x: xp.logical_and(x, xp.flip(x))]),
    "logical_or": (("bool",), [lambda xp, x: xp.logical_or(x, xp.flip(x))]),
    "logical_not": (("bool",), [lambda xp, x: xp.logical_not(x)]),
    "bitwise_and": ((*INTEGER, "bool"), [lambda xp, x: xp.bitwise_and(x, xp.flip(x))]),
    "bitwise_xor": ((*INTEGER, "bool"), [lambda xp, x: xp.bitwise_xor(x, xp.flip(x))]),
    "bitwise_invert": ((*INTEGER, "bool"), [lambda xp, x: xp.bitwise_invert(x)]),
    "bitwise_left_shift": (INTEGER, [lambda xp, x: xp.bitwise_left_shift(x, 2)]),
    "bitwise_right_shift": (INTEGER, [lambda xp, x: xp.bitwise_right_shift(x, 1)]),
    "where": (NUMERIC, [lambda xp, x: xp.where(x > 1, x, xp.zeros_like(x)), lambda xp, x: xp.where(x > 1, x, 0)]),
    "broadcast_to": (NUMERIC, [lambda xp, x: xp.broadcast_to(x[:1, ...], (3, 4))]),
    "concat": (NUMERIC, [lambda xp, x: xp.concat([x, x], axis=-1), lambda xp, x: xp.concat([x, x], axis=None)]),
    "expand_dims": (NUMERIC, [lambda xp, x: xp.expand_dims(x, axis=-1)]),
    "squeeze": (NUMERIC, [lambda xp, x: xp.squeeze(x[:, :1], axis=1)]),
    "flip": (NUMERIC, [lambda xp, x: xp.flip(x), lambda xp, x: xp.flip(x, axis=-1)]),
    "permute_dims": (NUMERIC, [lambda xp, x: xp.permute_dims(x, (1, 0))]),
    "moveaxis": (NUMERIC, [lambda xp, x: xp.moveaxis(x, 0, -1)]),
    "reshape": (NUMERIC, [lambda xp, x: xp.reshape(x, (2, -1))]),
    "roll": (NUMERIC, [lambda xp, x: xp.roll(x, 2), lambda xp, x: xp.roll(x, (1, -5), axis=(0, 1))]),
    "stack": (NUMERIC, [lambda xp, x: xp.stack([x, x], axis=-1)]),
    "tile": (NUMERIC, [lambda xp, x: xp.tile(x, (2,)), lambda xp, x: xp.tile(x, (2, 1, 3))]),
    "repeat": (NUMERIC, [lambda xp, x: xp.repeat(x, 3), lambda xp, x: xp.repeat(x, 2, axis=1)]),
    "tril": (NUMERIC, [lambda xp, x: xp.tril(x), lambda xp, x: xp.tril(x, k=-1)]),
    "triu": (NUMERIC, [lambda xp, x: xp.triu(x, k=2)]),
    "take": (NUMERIC, [lambda xp, x: xp.take(x, xp.asarray([2, 0, -1]), axis=1)]),
    "take_along_axis": (NUMERIC, [lambda xp, x: xp.take_along_axis(x, xp.asarray([[2, 0, -1]]), axis=1)]),
    "argsort": (NUMERIC, [lambda xp, x: xp.argsort(x), lambda xp, x: xp.argsort(x, axis=0, descending=True)]),
    "sort": (NUMERIC, [lambda xp, x: xp.sort(x, axis=0), lambda xp, x: xp.sort(x, descending=True)]),
    "searchsorted": (NUMERIC, [lambda xp, x: xp.searchsorted(xp.sort(x[0, ...]), x[1, ...], side="right")]),
    "argmax": (NUMERIC, [lambda xp, x: xp.argmax(x), lambda xp, x: xp.argmin(x, axis=0, keepdims=True)]),
    "count_nonzero": (NUMERIC, [lambda xp, x: xp.count_nonzero(x, axis=1)]),
    "nonzero": (NUMERIC, [lambda xp, x: xp.nonzero(x)]),
    "diff": (NUMERIC[:4] + REAL_FLOATING, [lambda xp, x: xp.diff(x), lambda xp, x: xp.diff(x, axis=0, n=2, prepend=x)]),
    "all": ((*NUMERIC, "bool"), [lambda xp, x: xp.all(x, axis=1), lambda xp, x: xp.all(x, keepdims=True)]),
    "any": ((*NUMERIC, "bool"), [lambda xp, x: xp.any(x, axis=(0, 1))]),
    "max": (NUMERIC, [lambda xp, x: xp.max(x, axis=0), lambda xp, x: xp.max(x)]),
    "min": (NUMERIC, [lambda xp, x: xp.min(x, axis=1, keepdims=True)]),
    # The matrix is made of few bits: sums and products are exact whatever their order.
    "sum": (NUMERIC, [lambda xp, x: xp.sum(x), lambda xp, x: xp.sum(x, axis=(-1,), keepdims=True)]),
    "prod": (NUMERIC, [lambda xp, x: xp.prod(x, axis=0)]),
    "mean": (REAL_FLOATING, [lambda xp, x: xp.mean(x, axis=1)]),
    "var": (REAL_FLOATING, [lambda xp, x: xp.var(x[:2, :], axis=0, keepdims=True), lambda xp, x: xp.var(x[:, :0])]),
    "cumulative_sum": (
        NUMERIC,
        [
            lambda xp, x: xp.cumulative_sum(xp.square(x), axis=1),
            lambda xp, x: xp.cumulative_sum(xp.square(x), axis=0, include_initial=True),
        ],
    ),
    "cumulative_prod": (NUMERIC, [lambda xp, x: xp.cumulative_prod(x, axis=1, include_initial=True)]),
    "matmul": (
        NUMERIC,
        [lambda xp, x: xp.matmul(x, xp.permute_dims(x, (1, 0)))],
    ),
    "matmul of vectors": (
        NUMERIC,
        [lambda xp, x: xp.matmul(x, x[0, ...]), lambda xp, x: xp.matmul(x[0, ...], x[1, ...])],
    ),
    "tensordot": (NUMERIC, [lambda xp, x: xp.tensordot(x, x, axes=((0,), (0,)))]),
    "vecdot": (NUMERIC, [lambda xp, x: xp.vecdot(x, x[:1, ...])]),
    "astype": (NUMERIC, [lambda xp, x: xp.astype(x, xp.float64), lambda xp, x: xp.astype(x, xp.bool)]),
    "full_like": (NUMERIC, [lambda xp, x: xp.full_like(x, 3)]),
    "ones_like": (NUMERIC, [lambda xp, x: xp.ones_like(x, dtype=xp.int16)]),
}
CREATION = [
    lambda xp: xp.arange(7, dtype=xp.int32),
    lambda xp: xp.arange(5, -4, -2, dtype=xp.int16),
    lambda xp: xp.arange(0.0, 1.0, 0.25, dtype=xp.float64),
    lambda xp: xp.arange(3, 3, dtype=xp.uint8),
    lambda xp: xp.arange(2**63, 2**63 + 3, dtype=xp.uint64),
    lambda xp: xp.linspace(-1, 2, 7, dtype=xp.float64),
    lambda xp: xp.linspace(-1, 2, 6, dtype=xp.float32, endpoint=False),
    lambda xp: xp.eye(3, 5, k=1, dtype=xp.float32),
    lambda xp: xp.eye(4, k=-2, dtype=xp.int64),
    lambda xp: xp.full((2, 3), 7, dtype=xp.uint16),
    lambda xp: xp.full((), -0.0, dtype=xp.float32),
    lambda xp: xp.zeros((0, 4), dtype=xp.float32),
    lambda xp: xp.ones(3, dtype=xp.bool),
    lambda xp: xp.asarray([[1, 2], [3, 4]], dtype=xp.float64),
    lambda xp: xp.asarray([True, False]),
    lambda xp: xp.tril(xp.ones((3, 4), dtype=xp.int8), k=1),
]


def matrix(dtype):
    return {"b": B, "i": N, "u": U, "f": F}[np.dtype(dtype).kind].astype(dtype)


def leaves(value):
    return list(value) if isinstance(value, (tuple, list)) else [value]


def require_same(found, wanted):
    for ours, theirs in zip(leaves(found), leaves(wanted), strict=True):
        ours, theirs = ours.numpy(), np.asarray(theirs)  # noqa: PLW2901
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert np.array_equal(ours, theirs, equal_nan=theirs.dtype.kind == "f")
        assert np.array_equal(np.signbit(ours), np.signbit(theirs)) or theirs.dtype.kind != "f"


@pytest.mark.parametrize("mode", ["", UNKNOWN], ids=["eager", "unknown"])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore:(Mean of empty slice|Degrees of freedom|invalid value|divide by zero)")
def test_a_function_is_that_of_array_api_strict(name, mode):
    dtypes, calls = CALLS[name]
    for dtype in dtypes:
        for call in calls:

            def ours(x, call=call):
                return call(XP, x)

            run = BACKEND.modes()[mode](ours) if mode else ours
            require_same(run(tf.constant(matrix(dtype))), call(strict, strict.asarray(matrix(dtype))))


@pytest.mark.parametrize("call", CREATION, ids=range(len(CREATION)))
def test_creation_is_that_of_array_api_strict(call):
    require_same(call(XP), call(strict))


@pytest.mark.parametrize("first", NUMERIC)
@pytest.mark.parametrize("second", NUMERIC)
def test_promotion_is_that_of_array_api_strict(first, second):
    try:
        wanted = strict.result_type(getattr(strict, first), getattr(strict, second))
    except TypeError:
        with pytest.raises(TypeError, match="of one kind"):
            XP.result_type(getattr(XP, first), getattr(XP, second))
    else:
        assert str(wanted).endswith(XP.result_type(getattr(XP, first), getattr(XP, second)).name)


def test_half_precision_promotes_to_what_holds_both():
    assert XP.result_type(XP.float16, XP.bfloat16) == XP.float32
    assert XP.result_type(XP.bfloat16, 1.0) == XP.bfloat16
    assert XP.finfo(XP.bfloat16).bits == 16


@pytest.mark.parametrize(
    ("call", "error", "shown"),
    [
        (lambda x: XP.add(x, tf.constant([1])), TypeError, "first='float32', second='int32'"),
        (lambda x: XP.bitwise_and(tf.constant([1]), 1.5), TypeError, "scalar=1.5"),
        (lambda x: XP.squeeze(x, axis=0), ValueError, "size 1"),
        (lambda x: XP.flip(x, axis=2), IndexError, r"axis must be in \[-2, 1\]. Got axis=2"),
        (lambda x: XP.sqrt(tf.constant([1])), TypeError, "dtype='int32'"),
        (lambda x: XP.asarray([1.0], copy=False), ValueError, "copy=False"),
        (lambda x: XP.nonzero(tf.constant(1.0)), ValueError, "at least one axis"),
        (lambda x: XP.matmul(x, tf.constant(1.0)), ValueError, "at least one axis"),
        (lambda x: XP.result_type(1, 2.0), TypeError, "an array or a dtype"),
    ],
)
def test_what_the_standard_does_not_define_is_refused(call, error, shown):
    with pytest.raises(error, match=shown):
        call(tf.ones((2, 3)))


@pytest.mark.parametrize(
    "call",
    [
        XP.sum,
        XP.flip,
        lambda x: XP.full_like(x, 1),
        XP.argsort,
        lambda x: bnspec.moments(x, 0),
    ],
)
def test_an_unknown_rank_is_refused(call):
    function = tf.function(call, input_signature=[tf.TensorSpec(None, tf.float32)], autograph=False)
    with pytest.raises(ValueError, match=r"the rank must be known.*\[None, None\]"):
        function.get_concrete_function()


@pytest.mark.parametrize(
    ("sparse", "cure"),
    [
        (tf.ragged.constant([[1.0], [2.0, 3.0]]), "to_tensor"),
        (tf.sparse.from_dense([[1.0, 0.0]]), "to_dense"),
        (tf.IndexedSlices(tf.ones((1, 2)), tf.constant([0])), "convert_to_tensor"),
    ],
    ids=["ragged", "sparse", "slices"],
)
def test_what_is_not_dense_is_refused(sparse, cure):
    with pytest.raises(TypeError, match=f"x must be dense.*{cure}"):
        XP.exp(sparse)
    with pytest.raises(TypeError, match=f"x must be dense.*{cure}"):
        bnspec.moments(sparse, 0)


def test_a_variable_of_keras_is_read():
    keras = pytest.importorskip("keras")
    variable = keras.Variable(np.ones(3, np.float32))
    with tf.GradientTape() as tape:
        value = XP.sum(XP.multiply(tf.constant([1.0, 2.0, 3.0]), variable) + XP.add(variable, variable))
    assert tape.gradient(value, variable.value).numpy().tolist() == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    x = tf.cast([[5.5, -3.0, 0.25], [7.0, 2.0, -1.5]], dtype)
    y = tf.cast([2.0, -2.0, 0.75], dtype)
    for name in ("floor_divide", "remainder"):
        found = getattr(XP, name)(x, y)
        wanted = getattr(XP, name)(tf.cast(x, tf.float32), tf.cast(y, tf.float32))
        assert found.dtype == dtype
        assert found.numpy().astype(np.float32).tolist() == wanted.numpy().tolist()
    many = tf.cast(tf.fill((70000,), 3.0), dtype)
    assert float(XP.mean(many)) == 3.0
    assert float(XP.var(many)) == 0.0
    with pytest.raises(TypeError, match="nextafter needs float32 or float64"):
        XP.nextafter(x, y)


@pytest.mark.parametrize("mode", ["", UNKNOWN, "XLA"], ids=["eager", "unknown", "XLA"])
def test_nan_on_either_side_is_kept(mode):
    run = BACKEND.modes()[mode] if mode else lambda function: function
    one, nan = tf.ones(3), tf.fill((3,), np.float32(np.nan))
    for name in ("maximum", "minimum", "hypot", "logaddexp", "add"):
        for pair in ((one, nan), (nan, one)):
            assert np.isnan(run(getattr(XP, name))(*pair).numpy()).all(), name
    assert np.isnan(run(XP.clip)(one, nan).numpy()).all()
    assert np.isnan(run(XP.max)(tf.constant([1.0, np.nan, 2.0])).numpy())


@pytest.mark.parametrize("mode", ["", UNKNOWN, "XLA"], ids=["eager", "unknown", "XLA"])
def test_nan_is_sorted_behind_numbers(mode):
    run = BACKEND.modes()[mode] if mode else lambda function: function
    x = tf.constant([np.nan, 1.0, np.inf, np.nan, -1.0])
    np.testing.assert_array_equal(run(XP.sort)(x), [-1.0, 1.0, np.inf, np.nan, np.nan])
    assert run(lambda x: XP.argsort(x, descending=True))(x).numpy().tolist() == [2, 1, 4, 0, 3]


@pytest.mark.parametrize("mode", ["", UNKNOWN, "XLA"], ids=["eager", "unknown", "XLA"])
@pytest.mark.parametrize(
    ("x", "hessian"),
    [([0.0, 2.0, 3.0], [[0, 3, 2], [3, 0, 0], [2, 0, 0]]), ([0.0, 2.0, 0.0], [[0, 0, 2], [0, 0, 0], [2, 0, 0]])],
)
def test_the_second_derivative_of_a_product_with_zeros(mode, x, hessian):
    run = BACKEND.modes()[mode] if mode else lambda function: function

    def row(x, direction):
        slope = BACKEND.value_and_grad(lambda values: XP.prod(values[0]))
        return BACKEND.value_and_grad(lambda values: XP.sum(slope(values)[1][0] * direction))((x,))[1][0]

    for direction, wanted in zip(np.eye(3, dtype=np.float32), hessian, strict=True):
        assert run(row)(tf.constant(x), tf.constant(direction)).numpy().tolist() == wanted


@pytest.mark.parametrize(
    ("call", "error", "shown"),
    [
        (lambda: XP.asarray(2**63), OverflowError, "too large"),
        (lambda: XP.asarray([300], dtype=XP.uint8), OverflowError, "300"),
        (lambda: XP.asarray("a"), TypeError, "obj must be numbers"),
        (lambda: XP.asarray(None), TypeError, "obj must be numbers"),
        (lambda: XP.arange(tf.constant(2.5)), TypeError, "tensors of integers"),
    ],
)
def test_what_is_no_number_of_the_dtype_is_refused(call, error, shown):
    with pytest.raises(error, match=shown):
        call()


def test_scalars_and_tensors_together():
    assert XP.asarray([tf.constant(1.0), 1]).numpy().tolist() == [1.0, 1.0]
    chosen = XP.where(tf.constant([True, False]), 16777217, 0)
    assert (chosen.dtype, chosen.numpy().tolist()) == (XP.int64, [16777217, 0])
    assert XP.where(tf.constant([True, False]), True, False).dtype == XP.bool


def test_a_variable_is_read():
    variable = tf.Variable([1.0, 2.0])
    assert XP.exp(variable).numpy().tolist() == tf.exp([1.0, 2.0]).numpy().tolist()
    assert XP.add(variable, 1).numpy().tolist() == [2.0, 3.0]


def test_nothing_of_tensorflow_is_patched():
    assert not hasattr(tf.Tensor, "__array_namespace__")
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.constant(1) + tf.constant(1.0)  # numpy behavior would promote


def test_autograph_leaves_every_function_alone():
    functions = {name: getattr(XP, name) for name in XP.__all__ if callable(getattr(XP, name))}
    traced = {name for name, function in functions.items() if not hasattr(function, "autograph_info__")}
    # These compute no tensor.
    asked = {"can_cast", "finfo", "iinfo", "isdtype", "result_type", "__array_namespace_info__"}
    assert {name for name in traced if not isinstance(functions[name], tf.DType)} == asked


def test_negative_zero_survives():
    assert np.signbit(XP.full((2,), -0.0).numpy()).all()
    XP.asarray(0.0)
    assert np.signbit(XP.asarray(-0.0).numpy())


def test_the_wrapper_passes_for_an_array_of_the_standard():
    from bnspec_backends._tensorflow_wrapper import namespace  # noqa: PLC0415

    xp = namespace()
    x = xp.asarray([[1.0, 2.0], [3.0, 4.0]])
    assert x.__array_namespace__() is xp
    assert x.shape == (2, 2)
    x[0, :] = 5
    x[x > 4] += 1
    x @= x
    assert np.asarray(x.mT).tolist() == [[54.0, 30.0], [60.0, 34.0]]
    assert [float(item) for item in x[1, ...]] == [30.0, 34.0]
    shared, copied = xp.asarray(x, copy=False), xp.asarray(x, copy=True)
    x[0, 0] = -1.0
    assert (float(shared[0, 0]), float(copied[0, 0])) == (-1.0, 54.0)
    with pytest.raises(TypeError, match="keep its dtype and shape"):
        x += xp.ones((3, 2, 2))
    with pytest.raises(IndexError, match="name each axis"):
        x[0]
    with pytest.raises(ValueError, match=r"api_version must be at most 2024.12. Got api_version='2030.01'"):
        x.__array_namespace__(api_version="2030.01")
    with pytest.raises(ValueError, match=r"T is of a matrix. Got shape=\(1, 2, 2\)"):
        x[None, ...].T  # noqa: B018
    with pytest.raises(ValueError, match="no streams to choose"):
        x.to_device(x.device, stream=1)
    with pytest.raises(TypeError, match="must promote to the array's dtype"):
        x[0, :] = xp.asarray([1.0, 2.0], dtype=xp.float64)
    with pytest.raises(TypeError, match=r"only an array of shape \(\) is one number"):
        float(x)
    with pytest.raises(IndexError, match="a mask must have the shape of the leading axes"):
        x[xp.ones((3,), dtype=xp.bool)]


def test_the_example_in_the_documentation_runs():
    text = (Path(__file__).parents[2] / "docs/backends.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(example, {})  # noqa: S102 - the page is ours


@pytest.mark.parametrize("mode", ["", *BACKEND.modes()])
def test_a_layer_of_no_units_is_its_bias(mode):
    """oneDNN's kernel for all three at once would end the process."""
    xp = BACKEND.namespace()
    run = BACKEND.modes()[mode] if mode else lambda function: function
    layer = run(lambda x, kernel, bias: xp.tanh(xp.matmul(x, kernel) + bias))
    found = layer(tf.ones((3, 0)), tf.ones((0, 2)), tf.constant([0.0, 30.0]))
    assert found.numpy().tolist() == [[0.0, 1.0]] * 3
