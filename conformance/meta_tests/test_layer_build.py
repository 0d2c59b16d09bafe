"""Variables: which there are, what they begin with, and how they are replaced."""

import array_api_strict
import numpy as np
import pytest

import bnspec
from bnspec.layers import BatchNormalization, Constant, Ones, RandomNormal, RandomUniform, TruncatedNormal, Zeros
from bnspec.layers import _initializers as initializers
from bnspec_conformance.definition import receive

from .layer_helpers import X, values

NAMES = ["gamma", "beta", "moving_mean", "moving_variance", "num_batches"]
RENORM = ["gamma", "beta", "moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"]


def built(shape=(None, 3), like=X, **arguments):
    layer = BatchNormalization(**arguments)
    layer.build(shape, like=like)
    return layer


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, NAMES),
        ({"center": False}, [name for name in NAMES if name != "beta"]),
        ({"scale": False}, NAMES[1:]),
        ({"renorm": True}, [*RENORM, "num_batches"]),
    ],
)
def test_the_variables_and_their_order(backend, arguments, names):
    layer = built(like=backend.asarray(X), **arguments)
    assert [variable.name for variable in layer.variables] == names
    trainable = [name for name in names if name in ("gamma", "beta")]
    assert [variable.name for variable in layer.trainable_variables] == trainable
    assert [variable.name for variable in layer.trainable_weights] == trainable
    assert [variable.name for variable in layer.non_trainable_weights] == names[len(trainable) :]
    assert layer.weights == layer.variables
    for name in {*RENORM, *NAMES}:
        variable = getattr(layer, name)
        assert (variable is None) == (name not in names)
        assert variable is None or variable in layer.variables
    for variable in layer.variables:
        assert backend.owns(variable.value)
        assert variable.shape == (() if variable.name == "num_batches" else (3,))
        assert str(variable.numpy().dtype) == ("int32" if variable.name == "num_batches" else "float32")
        assert variable.dtype == variable.value.dtype
    assert layer.count_params() == 3 * (len(names) - 1) + 1


@pytest.mark.parametrize(
    ("axis", "shape", "wanted"),
    [(-1, (None, None, 3), (3,)), (1, (None, 5, None), (5,)), ([1, -1], (None, 5, None, 3), (1, 5, 1, 3))],
)
def test_sizes_that_are_not_features_need_not_be_known(axis, shape, wanted):
    layer = built(shape, axis=axis)
    assert layer.gamma.shape == wanted
    assert layer.input_shape == layer.output_shape == shape


def test_before_and_after_the_build():
    layer = BatchNormalization(name="bn")
    assert not layer.built
    assert layer.variables == layer.weights == []
    assert layer.gamma is layer.input_shape is layer.output_shape is layer.dtype is None
    layer(X)
    assert layer.built
    assert layer.input_shape == X.shape
    assert layer.dtype == "float32"
    assert repr(layer.gamma) == "Variable('gamma', shape=(3,), dtype=float32, trainable=True)"


def test_the_output_has_the_shape_of_the_input():
    layer = BatchNormalization(axis=1)
    assert layer.compute_output_shape([None, 3, 5]) == (None, 3, 5)
    with pytest.raises(ValueError, match=r"axis must be in \[-1, 0\]\. Got shape=\(4,\), axis=1\."):
        layer.compute_output_shape((4,))


def test_every_variable_begins_with_its_own_initializer(backend):
    layer = built(
        like=backend.asarray(X),
        renorm=True,
        gamma_initializer=Constant(2.0),
        beta_initializer={"class_name": "Constant", "config": {"value": -3.0}},
        moving_mean_initializer="ones",
        moving_variance_initializer=lambda shape, like: np.full(shape, 4.0, np.float32),
    )
    expected = {
        "gamma": 2,
        "beta": -3,
        "moving_mean": 1,
        "moving_variance": 4,
        "moving_stddev": 2,
        "renorm_mean": 1,
        "renorm_stddev": 2,
        "num_batches": 0,
    }
    found = values(layer)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert (found[name] == value).all()


def test_an_initializer_may_return_an_array_of_the_backend_which_is_copied(backend):
    own = backend.asarray(np.asarray([1.0, 2.0, 3.0], np.float32))
    layer = built(like=own, gamma_initializer=lambda shape, like: own)
    assert layer.gamma.value is not own
    np.testing.assert_array_equal(values(layer)["gamma"], [1, 2, 3])


def test_no_two_variables_share_an_array():
    layer = built(renorm=True, gamma_initializer="zeros")
    arrays = [variable.value for variable in layer.variables]
    assert not any(np.shares_memory(a, b) for n, a in enumerate(arrays) for b in arrays[:n])


@pytest.mark.parametrize(
    ("initializer", "low", "high"),
    [
        (RandomUniform(-3.0, -1.0, seed=5), -3, -1),
        (RandomNormal(10.0, 0.1, seed=5), 9, 11),
        (TruncatedNormal(1.0, 0.5, seed=5), 0, 2),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_random_numbers_are_the_same_on_every_backend(backend, initializer, low, high, dtype):
    if dtype in backend.gaps():
        pytest.skip("not of this dtype")
    shape = (4, 250)
    found = receive(backend, initializer(shape, like=backend.asarray(np.zeros(2, dtype))))
    plain = initializer(shape, like=np.zeros(2, dtype))
    assert found.dtype == dtype
    assert found.tobytes() == plain.tobytes()
    assert ((low <= found) & (found <= high)).all()
    assert len(np.unique(found)) > 50
    other = type(initializer)(*list(initializer.get_config().values())[:2], seed=6)
    assert not np.array_equal(other(shape, like=np.zeros(2, dtype)), plain)


def test_the_moments_of_random_numbers():
    like = np.zeros(0)
    uniform = RandomUniform(1.0, 4.0, seed=1)((20_000,), like=like)
    normal = RandomNormal(1.0, 4.0, seed=1)((20_000,), like=like)
    truncated = TruncatedNormal(1.0, 4.0, seed=1)((20_000,), like=like)
    # The variance of a normal number that is cut off at two deviations is 0.7737 of what it was.
    for drawn, mean, variance in ((uniform, 2.5, 0.75), (normal, 1.0, 16.0), (truncated, 1.0, 0.7737 * 16.0)):
        sigma = (variance / drawn.size) ** 0.5
        assert abs(drawn.mean() - mean) < 5 * sigma
        assert 0.95 < drawn.var() / variance < 1.05
    assert abs(truncated - 1.0).max() <= 8.0


def test_a_seed_that_is_not_given_is_drawn_and_kept():
    first, second = RandomNormal(), RandomNormal()
    assert first.seed != second.seed
    like = np.zeros(0)
    again = RandomNormal(**first.get_config())
    assert again == first
    assert hash(again) == hash(first)
    assert again((5,), like=like).tobytes() == first((5,), like=like).tobytes()
    assert first != second
    assert Zeros() != Ones()
    assert repr(Constant(2)) == "Constant(value=2.0)"


def test_every_name_of_an_initializer():
    for name in ("zeros", "ones", "constant", "random_uniform", "random_normal", "truncated_normal", "glorot_uniform"):
        initializer = initializers.INITIALIZERS.get("gamma_initializer", name)
        assert initializer((2,), like=X).shape == (2,)


@pytest.mark.parametrize(("given", "kept"), [("float64", "float64"), (np.float16, "float16"), (X.dtype, "float32")])
def test_a_dtype_that_was_asked_for(given, kept):
    layer = built(like=np.zeros(1, np.int64), dtype=given)
    assert layer.dtype == kept
    assert values(layer)["gamma"].dtype == ("float64" if kept == "float64" else "float32")


def test_a_convention_may_keep_half_precision():
    layer = built(dtype="float16", convention="haiku", momentum=0.9)
    assert layer.spec.convention.state_dtype == "input"
    assert values(layer)["moving_mean"].dtype == "float16"
    with pytest.raises(TypeError, match=r"dtype must be one of array_api_strict\. Got dtype='float16'\."):
        built(like=array_api_strict.asarray([1.0]), dtype="float16", convention="haiku", momentum=0.9)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: built((None, None)),
            ValueError,
            r"feature axes must be known\. Got input_shape=\(None, None\), axis=-1",
        ),
        (lambda: built((3,), axis=1), ValueError, r"axis must be in \[-1, 0\]\. Got shape=\(3,\), axis=1\."),
        (lambda: built(like=np.zeros(2, int)), TypeError, r"like must be real floating: .*Got dtype='int64'"),
        (lambda: built(like=[1.0]), TypeError, r"like must be an array of a known library"),
        (
            lambda: built(gamma_initializer=lambda shape, like: np.zeros(2, np.float32)),
            ValueError,
            r"gamma must have shape \(3,\) and dtype float32\. Got shape=\(2,\), dtype='float32'\.",
        ),
        (
            lambda: built(beta_initializer=lambda shape, like: np.zeros(3)),
            TypeError,
            r"beta must have shape \(3,\) and dtype float32\. Got shape=\(3,\), dtype='float64'\. Convert it first\.",
        ),
        (
            lambda: built(beta_initializer=lambda shape, like: 0.0),
            TypeError,
            r"beta must be an array of a known library",
        ),
        (lambda: RandomNormal(seed=-1), ValueError, r"seed must be in \[0, 2\^64\)\. Got seed=-1\."),
        (lambda: RandomNormal(seed=0.5), TypeError, r"seed must be an integer\. Got seed=0\.5\."),
        (lambda: RandomUniform(minval=None), TypeError, r"minval must be a real number\. Got minval=None\."),
        (lambda: Constant(True), TypeError, r"value must be a real number\. Got value=True\."),
        (
            lambda: BatchNormalization().count_params(),
            ValueError,
            r"batch_normalization must have its variables\. Build it",
        ),
    ],
)
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_layer_is_built_once():
    layer = built()
    text = r"must be built once\. Got built_for=\(None, 3\), input_shape=\(2, 3\)\. Make another layer"
    with pytest.raises(ValueError, match=text):
        layer.build((2, 3), like=X)


def test_weights_go_in_and_out(backend):
    first, second = (built(like=backend.asarray(X), renorm=True) for _ in range(2))
    first(backend.asarray(X), training=True)
    kept = first.get_weights()
    second.set_weights(kept)
    assert [value.tobytes() for value in second.get_weights()] == [value.tobytes() for value in kept]
    third = built(like=backend.asarray(X), renorm=True)
    third.set_weights([variable.value for variable in second.variables])
    assert [value.tobytes() for value in third.get_weights()] == [value.tobytes() for value in kept]
    assert all(backend.owns(variable.value) for variable in third.variables)


def test_weights_are_copied():
    layer = built()
    given = [value + 1 for value in layer.get_weights()]
    layer.set_weights(given)
    given[0][:] = 7.0
    layer.get_weights()[0][:] = 9.0
    assert (values(layer)["gamma"] == 2).all()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda w: w[:-1], ValueError, r"weights must be 5 arrays: gamma, beta, .*num_batches\. Got count=4\."),
        (lambda w: [*w[:1], w[1][:2], *w[2:]], ValueError, r"beta must have shape \(3,\) .*Got shape=\(2,\)"),
        (lambda w: [*w[:-1], w[-1].astype(float)], TypeError, r"num_batches must .* dtype int32\. Got .*'float64'"),
        (
            lambda w: [*w[:1], array_api_strict.asarray(w[1]), *w[2:]],
            TypeError,
            r"one array library\. Got the old beta=",
        ),
        (lambda w: [*w[:1], [0.0] * 3, *w[2:]], TypeError, r"beta must be an array of a known library"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(change, error, text):
    layer = built()
    before = [value.tobytes() for value in layer.get_weights()]
    with pytest.raises(error, match=text):
        layer.set_weights(change([value + 1 for value in layer.get_weights()]))
    assert [value.tobytes() for value in layer.get_weights()] == before


def test_a_variable_keeps_the_array_that_is_assigned(backend):
    layer = built(like=backend.asarray(X))
    new = backend.asarray(np.asarray([1.0, 2.0, 4.0], np.float32))
    layer.gamma.assign(new)
    assert layer.gamma.value is new
    layer.gamma.assign(np.asarray([3.0, 2.0, 1.0], np.float32))
    assert backend.owns(layer.gamma.value)
    np.testing.assert_array_equal(layer.gamma.numpy(), [3, 2, 1])
    with pytest.raises(ValueError, match=r"gamma must have shape \(3,\) and dtype float32\. Got shape=\(\)"):
        layer.gamma.assign(backend.asarray(np.zeros((), np.float32)))


def test_variables_stay_on_their_device():
    device = array_api_strict.Device("device1")
    layer = built(like=array_api_strict.asarray(X, device=device), gamma_initializer=RandomNormal(seed=1))
    layer.set_weights(layer.get_weights())
    layer.beta.assign(np.ones(3, np.float32))
    assert {str(variable.value.device) for variable in layer.variables} == {str(device)}
    y = layer(array_api_strict.asarray(X, device=device), training=True)
    assert y.device == device


def test_the_layer_is_reached_from_the_top():
    assert bnspec.layers.BatchNormalization is BatchNormalization
