"""Real NVP: which units stay, how the others move, and what its functions may return."""

from fractions import Fraction

import numpy as np
import pytest

import bnspec
from bnspec.arrays import dtype_name, shape_of
from bnspec.bijectors import Chain, Invert, RealNVP, real_nvp_default_template
from bnspec.variables import Variable
from bnspec_conformance.bounds import FORMATS, NAIVE, Arithmetic, coupled
from bnspec_conformance.definition import receive

from .real_nvp_helpers import METHODS, Times, X, conditioner

FLOAT32 = FORMATS["float32"]
MASKS = [0, 1, 2, 4, -1, -3, -4]


def parts(x, number):
    """Tell the units that stay from the others."""
    count = x.shape[-1] - abs(number)
    return (x[..., count:], x[..., :count]) if number < 0 else (x[..., :number], x[..., number:])


def scaled(x, number):
    """The conditioner's results for X, and the units that move."""
    kept, moved = parts(x.astype(np.float64), number)
    return moved, *(np.broadcast_to(part, moved.shape) for part in conditioner(kept, moved.shape[-1]))


class Counting:
    """A function that counts its calls."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, x0, units):
        self.calls += 1
        return self.function(x0, units)


@pytest.mark.parametrize("number", MASKS)
def test_values_and_log_dets(backend, number):
    nvp, x = RealNVP(num_masked=number, shift_and_log_scale_fn=conditioner), backend.asarray(X)
    moved, shift, log_scale = scaled(X, number)
    y, log_det = receive(backend, nvp.forward_and_log_det(x))
    assert (y.dtype, y.shape, log_det.dtype) == (X.dtype, X.shape, X.dtype)
    assert parts(y, number)[0].tobytes() == parts(X, number)[0].tobytes()
    error = np.abs(parts(y, number)[1] - (moved * np.exp(log_scale) + shift))
    assert (error <= coupled(moved, shift, log_scale, FLOAT32).error).all()
    np.testing.assert_array_equal(log_det, log_scale.sum(-1))

    x1, back = receive(backend, nvp.inverse_and_log_det(x))
    assert parts(x1, number)[0].tobytes() == parts(X, number)[0].tobytes()
    error = np.abs(parts(x1, number)[1] - (moved - shift) * np.exp(-log_scale))
    assert (error <= coupled(moved, shift, log_scale, FLOAT32, inverse=True).error).all()
    np.testing.assert_array_equal(back, -log_scale.sum(-1))


@pytest.mark.parametrize("number", MASKS)
def test_the_round_trip(backend, number):
    nvp = RealNVP(num_masked=number, shift_and_log_scale_fn=conditioner)
    moved, shift, log_scale = scaled(X, number)
    found = receive(backend, nvp.inverse(nvp.forward(backend.asarray(X))))
    kept, back = parts(found, number)
    assert kept.tobytes() == parts(X, number)[0].tobytes()
    there = coupled(moved, shift, log_scale, FLOAT32)
    assert (np.abs(back - moved) <= coupled(there, shift, log_scale, FLOAT32, inverse=True).error).all()


@pytest.mark.parametrize("number", MASKS)
def test_the_log_det_is_that_of_the_jacobian(backend, number):
    if "autodiff" in backend.gaps():
        pytest.skip("has no automatic differentiation")
    nvp, xp = RealNVP(num_masked=number, shift_and_log_scale_fn=conditioner), backend.namespace()
    x = backend.asarray(X[0])
    rows = []
    for unit in range(5):
        _, (row,) = backend.value_and_grad(lambda arrays, unit=unit: nvp.forward(arrays[0])[unit])((x,))
        rows.append(receive(backend, row).astype(np.float64))
    jacobian = np.stack(rows)
    triangle = np.triu if number >= 0 else np.tril
    assert not triangle(jacobian, 1 if number >= 0 else -1).any()
    derived = np.log(np.diagonal(jacobian)).sum()
    rounding = Arithmetic(FLOAT32)
    terms = rounding.log(rounding.exp(rounding.given(scaled(X[0], number)[2])))
    bound = rounding.total(terms, np.abs(terms.value), NAIVE, 1).error
    found = receive(backend, nvp.forward_log_det_jacobian(x))
    assert abs(found - derived) <= bound
    assert abs(receive(backend, nvp.inverse_log_det_jacobian(xp.asarray(nvp.forward(x)))) + derived) <= bound


@pytest.mark.parametrize(
    ("fraction", "size", "number"),
    [
        *((0.5, size, count) for size, count in ((2, 1), (3, 1), (5, 2), (7, 3), (9, 4))),
        *((-0.5, size, -count) for size, count in ((2, 1), (3, 1), (5, 2), (7, 3), (9, 4))),
        *((f, 100, n) for f, n in ((0.29, 29), (0.57, 57), (0.58, 58), (-0.29, -29), (0.999, 99), (1e-2, 1))),
        *((f, 10, n) for f, n in ((0.1, 1), (0.3, 3), (0.7, 7), (0.99, 9), (-0.99, -9), (0.0999, 0), (0.0, 0))),
        *((f, 5, 0) for f in (0, 0.1, -0.1, -0.0, -1e-300, 5e-324)),
        (np.float32(0.29), 100, 29),
        (np.float64(0.29), 100, 29),
        (np.float16(0.7), 10, 7),
        (Fraction(1, 3), 9, 3),
        (Fraction(-2, 3), 9, -6),
    ],
)
def test_fractions_are_truncated_exactly(fraction, size, number):
    seen = []

    def fn(x0, units):
        seen.append((x0.tolist(), units))
        return np.float32(1.0), None

    nvp = RealNVP(fraction_masked=fraction, shift_and_log_scale_fn=fn)
    x = np.arange(size, dtype=np.float32)
    kept, moved = parts(x, number)
    for each in (nvp, nvp.copy()):
        y = each.forward(x)
        assert seen.pop() == (kept.tolist(), len(moved))
        same, other = parts(y, number)
        assert same.tolist() == kept.tolist()
        assert other.tolist() == (moved + 1.0).tolist()
    assert nvp == nvp.copy()
    assert nvp.dtype is None


def test_an_object_serves_several_sizes(backend):
    nvp = RealNVP(fraction_masked=-0.5, shift_and_log_scale_fn=conditioner)
    for size in (5, 2, 3):
        y = receive(backend, nvp.forward(backend.asarray(X[:, :size])))
        assert y.shape == (3, size)
        assert parts(y, -(size // 2))[0].tobytes() == parts(X[:, :size], -(size // 2))[0].tobytes()
        assert (parts(y, -(size // 2))[1] != parts(X[:, :size], -(size // 2))[1]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("which", "function"),
    [("shift_and_log_scale_fn", conditioner), ("bijector_fn", lambda x0, units: Times(2.0))],
)
def test_each_method_calls_the_function_once(backend, method, which, function):
    counting = Counting(function)
    chain = Chain([RealNVP(num_masked=2, **{which: counting})])
    getattr(chain, method)(backend.asarray(X))
    assert counting.calls == 1


@pytest.mark.parametrize("number", [2, -2, 0])
def test_nice_has_log_dets_of_zero_in_the_shape_of_the_batch(backend, number):
    nvp = RealNVP(number, None, lambda x0, units: (conditioner(x0, units)[0], None), is_constant_jacobian=True)
    assert nvp.is_constant_jacobian
    moved, shift, _ = scaled(X, number)
    x = backend.asarray(X)
    y, log_det = nvp.forward_and_log_det(x)
    np.testing.assert_array_equal(parts(receive(backend, y), number)[1], moved + shift)
    assert receive(backend, nvp.inverse(y)).tobytes() == X.tobytes()
    for each in (log_det, nvp.inverse_log_det_jacobian(x)):
        assert receive(backend, each).tobytes() == np.zeros(3, np.float32).tobytes()
    assert receive(backend, nvp.forward_log_det_jacobian(x, event_ndims=2)).tobytes() == bytes(4)


def test_without_shift_and_scale_it_is_the_identity(backend):
    nvp = RealNVP(2, None, lambda x0, units: (None, None))
    x = np.asarray([[0.5, 1.0, -0.0, 3.0]], np.float32)
    for direction in (nvp.forward_and_log_det, nvp.inverse_and_log_det):
        y, log_det = direction(backend.asarray(x))
        assert receive(backend, y).tobytes() == x.tobytes()
        assert receive(backend, log_det).tolist() == [0.0]


@pytest.mark.parametrize(
    "log_scale",
    [0.5, [0.5], [0.5, 0.5, 0.5], np.full((1,), 0.5, np.float32), np.full((3, 1), 0.5, np.float32)],
    ids=["number", "list", "units", "array", "batch"],
)
def test_a_scale_of_one_number_counts_all_units(backend, log_scale):
    given = backend.asarray(log_scale) if isinstance(log_scale, np.ndarray) else log_scale
    nvp = RealNVP(2, shift_and_log_scale_fn=lambda x0, units: [None, given])
    x = backend.asarray(X)
    assert receive(backend, nvp.forward_log_det_jacobian(x)).tolist() == [1.5] * 3
    assert receive(backend, nvp.inverse_log_det_jacobian(x, event_ndims=2)).tolist() == -4.5
    y = receive(backend, nvp.forward(x))
    zero = np.zeros((3, 3))
    assert (np.abs(y[:, 2:] - X[:, 2:] * np.exp(0.5)) <= coupled(X[:, 2:], zero, zero + 0.5, FLOAT32).error).all()


def test_a_variable_is_a_result_too(backend):
    shift = Variable("shift", backend.asarray(np.asarray([1.0, 2.0, 3.0], np.float32)), trainable=True)
    nvp = RealNVP(2, shift_and_log_scale_fn=lambda x0, units: (shift, None))
    assert nvp.trainable_variables == [shift]
    assert receive(backend, nvp.forward([0.0, 0.0, 1.0, 1.0, 1.0])).tolist() == [0.0, 0.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("number", [2, -2])
def test_a_condition_may_have_the_larger_batch(backend, number):
    nvp = RealNVP(number, shift_and_log_scale_fn=lambda x0, units, context: (context, context * 0.0))
    context = backend.asarray(np.asarray([[1.0], [2.0]], np.float32))
    y, log_det = nvp.forward_and_log_det(backend.asarray(X[0]), context=context)
    expected = np.stack([X[0], X[0]])
    parts(expected, number)[1][...] += np.asarray([[1.0], [2.0]], np.float32)
    np.testing.assert_array_equal(receive(backend, y), expected)
    assert receive(backend, log_det).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip("not of this dtype")
    seen = []

    def fn(x0, units):
        seen.append(x0.dtype)
        return conditioner(x0, units)[0], None

    x = X.astype(dtype)
    nvp = RealNVP(2, shift_and_log_scale_fn=fn)
    y = receive(backend, nvp.forward(backend.asarray(x)))
    moved, shift, _ = scaled(X, 2)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y[:, 2:], moved + shift)
    assert [dtype_name(each) for each in seen] == ["float32" if dtype == "float16" else "float64"]


@pytest.mark.parametrize("number", [2, -2, 0])
@pytest.mark.parametrize("ndims", [0, 1])
@pytest.mark.parametrize("several", [False, True])
def test_a_bijector_of_scalars_or_vectors(backend, number, ndims, several):
    units = 5 - abs(number)
    factor = [4.0, 0.5, 2.0, 8.0, 0.25][:units] if several else 4.0
    nvp = RealNVP(number, bijector_fn=lambda x0, units: Times(factor, ndims))
    expected = X.copy()
    parts(expected, number)[1][...] *= np.asarray(factor, np.float32)
    y, log_det = nvp.forward_and_log_det(backend.asarray(X))
    np.testing.assert_array_equal(receive(backend, y), expected)
    x, back = nvp.inverse_and_log_det(y)
    assert receive(backend, x).tobytes() == X.tobytes()
    total = sum(factor) if several else units * factor
    assert receive(backend, log_det).tolist() == [total] * 3
    assert receive(backend, back).tolist() == [-total] * 3
    assert receive(backend, nvp.forward_log_det_jacobian(backend.asarray(X), event_ndims=2)) == 3 * total


def test_a_bijector_gets_the_units_that_stay(backend):
    def fn(x0, units, twice):
        assert (shape_of(x0), units) == ((3, 1), 4)
        return Times(x0 * x0 * twice)

    nvp = RealNVP(fraction_masked=-0.2, bijector_fn=fn)
    expected = X.copy()
    expected[:, :-1] *= X[:, -1:] ** 2 * 2.0
    np.testing.assert_array_equal(receive(backend, nvp.forward(backend.asarray(X), twice=2.0)), expected)


def test_what_changes_inside_changes_once_and_in_the_inverse_alone(backend):
    seen = Variable("seen", backend.asarray(np.float32(0.0)), trainable=False)
    nvp = RealNVP(2, bijector_fn=lambda x0, units: Times(2.0, seen=seen))
    x = backend.asarray(X)
    assert nvp.variables == [seen]
    for method in ("forward", "forward_and_log_det", "forward_log_det_jacobian", "inverse_log_det_jacobian"):
        getattr(nvp, method)(x)
        assert seen.numpy() == 0.0
    for number, method in enumerate(("inverse", "inverse_and_log_det"), start=1):
        getattr(Chain([nvp]), method)(x)
        assert seen.numpy() == number
    _, (after,) = nvp.stateless_call([], [seen.value], x, method="inverse")
    assert (receive(backend, after), seen.numpy()) == (3.0, 2.0)


def test_conditions_are_those_of_the_function():
    def names(fn):
        return RealNVP(1, shift_and_log_scale_fn=fn).condition_names

    assert names(conditioner) == frozenset()
    assert names(lambda x0, units, a, *, b=1: None) == {"a", "b"}
    assert names(lambda *args, c: None) == {"c"}
    assert names(lambda x0, /, units, **condition: None) is None
    assert names(Counting(conditioner)) == frozenset()
    assert names(real_nvp_default_template([2])) == frozenset()
    assert names(min) is None  # has no signature


def test_conditions_reach_it_through_a_chain(backend):
    def fn(x0, units, context):
        return context * 1.0, None

    nvp = RealNVP(2, shift_and_log_scale_fn=fn, name="first")
    chain = Chain([Invert(nvp), Times(2.0), nvp])
    x, context = backend.asarray(X), backend.asarray(np.float32(3.0))
    expected = X * 2.0
    expected[:, 2:] += 3.0  # (x + 3) 2 - 3
    np.testing.assert_array_equal(receive(backend, chain.forward(x, context=context)), expected)
    with pytest.raises(
        TypeError, match=r"must know its conditions\. Got condition='contxt'\. Did you mean 'context'\?"
    ):
        chain.forward(x, contxt=context)
    with pytest.raises(
        TypeError, match=r"real_nvp must know its conditions\. Got condition='context'\. Known are: none"
    ):
        RealNVP(2, shift_and_log_scale_fn=real_nvp_default_template([4])).forward(x, context=context)


def flow(backend, **arguments):
    """Two layers with opposite masks, built on X."""
    layers = [
        RealNVP(n, None, real_nvp_default_template([8], activation="tanh", seed=abs(n), **arguments)) for n in (2, -3)
    ]
    chain = Chain(layers)
    chain.forward(backend.asarray(X))
    return chain


def test_all_variables_are_seen(backend):
    chain = Chain([RealNVP(2, None, real_nvp_default_template([8]))])
    assert not chain.built
    assert chain.variables == []
    chain.inverse_log_det_jacobian(backend.asarray(X))
    assert chain.built
    assert [variable.shape for variable in chain.trainable_variables] == [(2, 8), (8,), (8, 6), (6,)]
    assert chain.non_trainable_variables == []
    copy = chain.copy()
    assert copy.variables == chain.variables
    assert copy == chain
    assert chain != Chain([RealNVP(2, None, real_nvp_default_template([8]))])


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_it_can_be_compiled(backend, direction):
    if "compile" in backend.gaps():
        pytest.skip("has no compiler")
    nvp, x = RealNVP(-3, None, real_nvp_default_template([2])), backend.asarray(X)
    nvp.forward(x)
    weights = [np.asarray(w, np.float32) for w in ([[1, -0.5], [0.5, 1], [-1, 0.25]], [0.5, -1])]
    weights += [np.asarray(w, np.float32) for w in ([[1, 2, 0.25, -0.5], [-1, 0.5, 0.125, 0.25]], [0, 1, -0.5, 0.25])]
    values = [backend.asarray(weight) for weight in weights]

    def call(values, x):
        return nvp.stateless_call(values, [], x, method=f"{direction}_and_log_det")[0]

    y, log_det = receive(backend, backend.compile(call)(values, x))
    first, bias, second, offset = (weight.astype(np.float64) for weight in weights)
    out = np.maximum(X[:, 2:] @ first + bias, 0.0) @ second + offset  # exact: few bits
    shift, log_scale, moved = out[:, :2], out[:, 2:], X[:, :2].astype(np.float64)
    expected = moved * np.exp(log_scale) + shift if direction == "forward" else (moved - shift) * np.exp(-log_scale)
    bound = coupled(moved, shift, log_scale, FLOAT32, inverse=direction == "inverse").error
    assert (np.abs(y[:, :2] - expected) <= bound).all()
    assert y[:, 2:].tobytes() == X[:, 2:].tobytes()
    assert log_det.tolist() == (log_scale.sum(-1) * (1 if direction == "forward" else -1)).tolist()


def test_a_compiled_call_takes_the_variables_as_they_are(backend):
    if backend.framework not in ("torch", "jax"):
        pytest.skip("the call itself is compiled where constants are read when it is traced")
    chain, x = flow(backend), backend.asarray(X)
    y = receive(backend, backend.compile(chain.forward)(x))
    assert (np.sign(y) == np.sign(receive(backend, chain.forward(x)))).all()


def test_it_can_be_differentiated_by_its_variables(backend):
    if "autodiff" in backend.gaps():
        pytest.skip("has no automatic differentiation")
    chain, x, xp = flow(backend), backend.asarray(X), backend.namespace()
    last = chain.variables[3]  # the bias of the last layer: [shift | log_scale]

    def loss(values):
        return xp.sum(chain.stateless_call(values, [], x, method="forward_log_det_jacobian")[0])

    _, gradients = backend.value_and_grad(loss)(tuple(variable.value for variable in chain.variables))
    assert last.shape == (6,)
    assert receive(backend, gradients[3]).tolist() == [0.0, 0.0, 0.0, 3.0, 3.0, 3.0]
    assert all(np.isfinite(receive(backend, gradient)).all() for gradient in gradients)
    assert all(receive(backend, gradient).any() for gradient in gradients[:4])


def test_a_first_call_in_a_compiler_is_refused(backend):
    if backend.framework not in ("jax", "tensorflow"):
        pytest.skip("does not say that an array is traced, or traces none")
    nvp = RealNVP(2, None, real_nvp_default_template([4]))
    with pytest.raises(TypeError, match=r"kernel must have values: .*Build it before, and call its stateless_call"):
        backend.compile(nvp.forward)(backend.asarray(X))
    assert not nvp.built


def test_sizes_that_are_not_known():
    tf, backend = pytest.importorskip("tensorflow"), bnspec.backend("tensorflow")
    chain, x = flow(backend), backend.asarray(X)
    values = [variable.value for variable in chain.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, None, 5))], autograph=False)
    def call(x):
        return chain.stateless_call(values, [], x, method="forward_and_log_det")[0]

    y, log_det = call(x[None])
    assert (y.shape, log_det.shape) == ((1, 3, 5), (1, 3))
    assert (np.sign(y[0].numpy()) == np.sign(chain.forward(x).numpy())).all()

    @tf.function(input_signature=[tf.TensorSpec((3, None))], autograph=False)
    def unknown(x):
        return chain.stateless_call(values, [], x, method="forward")[0]

    with pytest.raises(ValueError, match=r"the size of an event must be known\. Got shape=\(3, None\)\. Trace with"):
        unknown(x)


def test_the_example_of_the_document(backend):
    nvp = RealNVP(num_masked=2, shift_and_log_scale_fn=real_nvp_default_template(hidden_layers=[512, 512]))
    x = backend.asarray(np.asarray([0.5, -1.0, 2.0], np.float32))
    y, log_det = nvp.forward_and_log_det(x)
    assert (receive(backend, y).shape, receive(backend, log_det).shape) == ((3,), ())
    zero, log_det = nvp.inverse_and_log_det([0.0, 0.0, 0.0])  # in the library of the network; its biases are zero
    assert receive(backend, zero).tolist() == [0.0, 0.0, 0.0]
    assert receive(backend, log_det) == 0.0
    assert nvp.count_params() == 2 * 512 + 512 + 512 * 512 + 512 + 512 * 2 + 2
