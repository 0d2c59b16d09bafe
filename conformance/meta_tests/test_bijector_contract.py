"""The contract of bijectors: ranks, log-dets, shapes, names, copies, calls, and what is refused."""

import numpy as np
import pytest

import bnspec
from bnspec.bijectors import (
    AbsoluteValue,
    Bijector,
    Chain,
    Exp,
    Identity,
    Inline,
    Invert,
    JointMap,
    Permute,
    Reshape,
    Scale,
    ScaleMatvecDiag,
    Shift,
    Sigmoid,
    Softplus,
    Tanh,
)
from bnspec.variables import Variable
from bnspec_conformance.definition import receive

from .bijector_helpers import ONES, POSITIVE, near, of, same


@pytest.mark.parametrize("name", ONES)
def test_there_and_back(backend, name):
    bijector = ONES[name]()
    x = of(backend, POSITIVE)
    y, log_det = bijector.forward_and_log_det(x)
    back, inverse_log_det = bijector.inverse_and_log_det(y)
    near(backend, back, POSITIVE, size=16.0 * np.ones_like(POSITIVE))
    near(backend, inverse_log_det, -receive(backend, log_det), size=16.0 + 0.0 * receive(backend, log_det))
    same(backend, bijector.forward(x), receive(backend, y))
    same(backend, bijector.inverse(y), receive(backend, back))
    same(backend, bijector.forward_log_det_jacobian(x), receive(backend, log_det))
    same(backend, bijector.inverse_log_det_jacobian(y), receive(backend, inverse_log_det))
    assert bijector.forward_event_shape(POSITIVE.shape) == receive(backend, y).shape
    assert bijector.inverse_event_shape(receive(backend, y).shape) == POSITIVE.shape


@pytest.mark.parametrize("name", ONES)
def test_a_log_det_is_summed_over_larger_events(backend, name):
    bijector = ONES[name]()
    x = of(backend, np.stack([POSITIVE, POSITIVE / 2.0]))
    minimum = bijector.forward_min_event_ndims
    full = receive(backend, bijector.forward_log_det_jacobian(x))
    assert full.shape == (2, 2, 3)[: 3 - minimum]
    for ndims in range(minimum, 4):
        axes = tuple(range(3 - ndims, 3 - minimum))
        wide = np.float64(full)
        found = bijector.forward_log_det_jacobian(x, event_ndims=ndims)
        near(backend, found, wide.sum(axis=axes), size=np.abs(wide).sum(axis=axes))
        y = bijector.forward(x)
        rank = bijector.forward_event_ndims(ndims)
        assert bijector.inverse_event_ndims(rank) == ndims
        back = bijector.inverse_log_det_jacobian(y, event_ndims=rank)
        near(backend, back, -wide.sum(axis=axes), size=16.0 + np.abs(wide).sum(axis=axes))


def test_compiled_is_eager(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    check_mode(backend, backend.compile)


@pytest.mark.parametrize("mode", ["tf.function, unknown dimensions", "XLA", "vectorized_map"])
def test_every_mode_is_eager(mode):
    pytest.importorskip("tensorflow")
    backend = bnspec.backend("tensorflow")
    check_mode(backend, backend.modes()[mode])


def check_mode(backend, mode):
    bijectors = [make() for make in ONES.values()]
    joint = JointMap([Exp(), ScaleMatvecDiag([-2.0, 0.5, 4.0])])

    def everything(x):
        found = []
        for bijector in bijectors:
            y, log_det = bijector.forward_and_log_det(x)
            found += [y, log_det, *bijector.inverse_and_log_det(y), bijector.forward_log_det_jacobian(x, event_ndims=2)]
        (y, other), log_det = joint.forward_and_log_det([x[..., 0], x], event_ndims=[1, 2])
        return (*found, y, other, log_det)

    x = of(backend, POSITIVE)
    eager, compiled = receive(backend, everything(x)), mode(everything)(x)
    assert len(compiled) == 5 * len(ONES) + 3
    for seen, expected in zip(compiled, eager, strict=True):
        near(backend, seen, expected, size=16.0 + np.abs(expected))


@pytest.mark.parametrize("name", ONES)
def test_copies_are_equal(name):
    first, second = ONES[name](), ONES[name]()
    if name != "absolute size":  # of new functions
        assert first == second
        assert hash(first) == hash(second)
    copy = first.copy(name="another")
    assert copy == first
    assert hash(copy) == hash(first)
    assert copy.name == "another"
    assert first.name != "another"
    assert copy.parameters == {**first.parameters, "name": "another"}
    assert repr(copy).startswith(f"{type(first).__name__}('another', min_event_ndims={first.forward_min_event_ndims}")
    assert first.copy(validate_args=True).validate_args
    assert first.copy(validate_args=True) != first
    assert first != Exp
    with pytest.raises(TypeError, match=r"must have the argument. Got argument='nmae'. Did you mean 'name'?"):
        first.copy(nmae="x")


def test_parameters_are_compared_by_value_and_variables_by_identity(backend):
    two, three = of(backend, [2.0]), of(backend, [3.0])
    assert Scale(two) == Scale(of(backend, [2.0]))
    assert Scale(two) != Scale(three)
    assert Scale(two) != Scale(2.0)
    assert Scale([2.0, 1.0]) == Scale((2.0, 1.0))
    assert Scale(2.0) != Shift(2.0)
    assert Chain([Scale(two), Exp()]) == Chain([Scale(of(backend, [2.0])), Exp()])
    assert Chain([Exp(), Scale(two)]) != Chain([Scale(two), Exp()])
    variable, other = (Variable("v", two, trainable=True) for _ in range(2))
    assert Scale(variable) == Scale(variable)
    assert Scale(variable) != Scale(other)
    assert Scale(variable).copy().scale is variable
    assert Scale(two) != Scale(of(backend, [[2.0]]))
    assert len({Scale(two), Scale(of(backend, [2.0])), Scale(three)}) == 2


def test_names():
    assert [make().name for make in (Exp, Identity, Tanh, Sigmoid, Softplus, AbsoluteValue)] == [
        "exp", "identity", "tanh", "sigmoid", "softplus", "absolute_value",
    ]  # fmt: skip
    assert ScaleMatvecDiag([1.0]).name == "scale_matvec_diag"
    assert Exp(name="a/b c").name == "a_b_c"
    for call in (lambda: Exp(name=3), lambda: Exp().forward([1.0], name=3), lambda: Exp().forward_dtype(name=3)):
        with pytest.raises(TypeError, match=r"name must be a string or None. Got name=3"):
            call()
    assert Exp().forward([0.0], name="any") == 1.0
    assert repr(Reshape([2, 3])) == "Reshape('reshape', min_event_ndims=1->2)"
    assert repr(Scale(np.asarray([1.0]))) == "Scale('scale', min_event_ndims=0, dtype=float64)"


def test_a_call_maps_or_composes(backend):
    x = of(backend, [1.0, 2.0])
    same(backend, Scale(2.0)(x), [2.0, 4.0])
    assert Exp()([0.0, 0.0]).tolist() == [1.0, 1.0]
    assert Exp()(0.0) == 1.0
    composed = Shift(1.0)(Scale(2.0))
    assert composed == Chain([Shift(1.0), Scale(2.0)])
    same(backend, composed(x), [3.0, 5.0])
    flat = Exp()(Chain([Shift(1.0), Scale(2.0)], name="inner"))
    assert [part.name for part in flat.bijectors] == ["exp", "shift", "scale"]
    assert flat.name == "inner"
    assert Exp()(Chain([Exp()], validate_args=True)).validate_args
    assert not Exp()(Chain([Exp()], validate_args=True), validate_args=False).validate_args
    assert len(Chain([Exp(), Exp()])(Scale(2.0)).bijectors) == 2
    assert Exp()(Scale(2.0), name="both").name == "both"
    times = Inline(lambda x, factor: x * factor)
    same(backend, times(x, factor=2.0), [2.0, 4.0])


def test_numbers_take_the_default_backend(backend):
    bnspec.registry.set_default_backend(backend.name)
    try:
        found = Exp()([-1.0, 0.0, 1.0])
        assert backend.owns(found)
        near(backend, found, np.exp([-1.0, 0.0, 1.0]), dtype=receive(backend, found).dtype.name)
        assert backend.owns(Reshape([2, 3]).forward_event_shape_tensor([6]))
    finally:
        bnspec.registry.set_default_backend("numpy")


def test_bad_inputs_are_refused(backend):
    with pytest.raises(TypeError, match=r"x must be real floating.*Got dtype='int32'"):
        Exp().forward(backend.asarray(np.asarray([1], np.int32)))
    with pytest.raises(TypeError, match="y must be a number, a list of numbers, an array or a Variable"):
        Exp().inverse("1")
    with pytest.raises(ValueError, match="x must be a list of which all parts have one shape"):
        Exp().forward([[1.0], [1.0, 2.0]])
    if backend.framework != "numpy":
        with pytest.raises(TypeError, match="All arrays must be of one array library"):
            Shift(of(backend, [1.0])).forward(np.asarray([1.0], np.float32))


def test_bad_ranks_are_refused(backend):
    x = of(backend, [1.0, 2.0])
    for given in (1.0, "1", True, [1], np.float32(1)):
        with pytest.raises(TypeError, match=r"event_ndims must be an integer. Got event_ndims="):
            Exp().forward_log_det_jacobian(x, event_ndims=given)
    with pytest.raises(ValueError, match=r"event_ndims must be at least 0. Got event_ndims=-1"):
        Exp().inverse_log_det_jacobian(x, event_ndims=-1)
    with pytest.raises(
        ValueError, match=r"input of exp must have the rank of an event. Got shape=\(2,\), event_ndims=2"
    ):
        Exp().forward_log_det_jacobian(x, event_ndims=2)
    near(backend, Exp().forward_log_det_jacobian(x, event_ndims=np.int64(1)), 3.0)
    with pytest.raises(ValueError, match=r"event_ndims must be at least 1. Got event_ndims=0"):
        Permute([0, 1]).forward_event_ndims(0)
    with pytest.raises(ValueError, match=r"must have at least 1 axes. Got shape=\(\)"):
        Permute([0, 1]).forward_event_shape(())
    assert Exp().forward_event_ndims(None) is None


def test_parameters_must_not_be_larger_than_an_event(backend):
    for x, scale in (([1.0], [2.0, 3.0, 4.0]), (1.0, [2.0, 3.0])):
        y, log_det = Scale(scale).forward_and_log_det(of(backend, x))
        near(backend, y, scale)
        near(backend, log_det, np.log(scale))
    with pytest.raises(
        ValueError, match=r"parameters of scale must not be larger than an event. Got x=\(1,\), y=\(3,\)"
    ):
        Scale([2.0, 3.0, 4.0]).forward_log_det_jacobian(of(backend, [1.0]), event_ndims=1)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)], ids=str)
def test_empty_inputs_have_empty_outputs(backend, shape):
    y, log_det = Chain([Tanh(), Scale(2.0)]).forward_and_log_det(of(backend, np.zeros(shape)), event_ndims=1)
    same(backend, y, np.zeros(shape))
    same(backend, log_det, np.zeros(shape[:-1]))


def test_shapes_as_arrays(backend):
    given = backend.asarray(np.asarray([5, 6], np.int32))
    same(backend, Exp().forward_event_shape_tensor(given), [5, 6], "int32")
    same(backend, Identity().inverse_event_shape_tensor(backend.asarray(np.zeros(0, np.int32))), np.zeros(0), "int32")
    for bad in (np.zeros((1, 1), np.int32), np.zeros(1, np.float32)):
        with pytest.raises(ValueError, match=r"a shape must be a vector of integers of known length"):
            Exp().forward_event_shape_tensor(backend.asarray(bad))
    with pytest.raises(ValueError, match=r"must have the shape \(6,\) to become"):
        Reshape([2, 3]).forward_event_shape_tensor(backend.asarray(np.asarray([5], np.int32)))


def test_shapes_are_traced(backend):
    if backend.framework not in ("jax", "tensorflow"):
        pytest.skip("traces no array of integers")
    shape = backend.compile(Reshape([-1, 3], [-1]).forward_event_shape_tensor)(
        backend.asarray(np.asarray([4, 12], np.int32))
    )
    same(backend, shape, [4, 4, 3], "int32")


def test_dtypes(backend):
    float32 = backend.namespace().float32
    assert Exp().forward_dtype() is None
    assert Exp().forward_dtype(float32) is float32
    bijector = Scale(of(backend, [1.0]))
    assert bijector.inverse_dtype() == of(backend, [1.0]).dtype
    assert bijector.forward_dtype(float32) is float32
    with pytest.raises(TypeError, match=r"scale takes one dtype. Got dtype='int32', required='float32'"):
        bijector.inverse_dtype(backend.namespace().int32)
    assert Chain([Exp(), bijector]).dtype == bijector.dtype
    assert Invert(bijector).dtype == bijector.dtype


class Half(Bijector):
    """A vector map with different ranks before and after, which changes a variable."""

    def __init__(self, counter=None, **options):
        self.counter = counter
        super().__init__(parameters={"counter": counter}, **options)

    def _inverse_and_log_det(self, y, *, scale=2.0):
        if self.counter is not None:
            self.counter.assign(self.counter.value + 1.0)
        return y * scale, lambda: y[..., 0] * 0.0 + 1.5


def test_one_rank_is_the_other():
    assert Half(forward_min_event_ndims=1).inverse_min_event_ndims == 1
    assert Half(inverse_min_event_ndims=2).forward_min_event_ndims == 2
    bijector = Half(forward_min_event_ndims=1, graph_parents=[1], is_constant_jacobian=True)
    assert bijector.graph_parents == [1]
    assert bijector.has_static_min_event_ndims
    assert bijector.event_ndims == 1
    assert bijector.is_constant_jacobian
    assert bijector.is_injective
    assert bijector.condition_names == {"scale"}


def test_bad_bijectors_are_refused():
    with pytest.raises(ValueError, match="forward_min_event_ndims or inverse_min_event_ndims must be given"):
        Half()
    with pytest.raises(ValueError, match=r"forward_min_event_ndims must be at least 0. Got forward_min_event_ndims=-1"):
        Half(forward_min_event_ndims=-1)
    with pytest.raises(TypeError, match="inverse_min_event_ndims must be an integer"):
        Half(inverse_min_event_ndims=1.5)
    with pytest.raises(TypeError, match=r"is_constant_jacobian must be a bool. Got is_constant_jacobian=1"):
        Half(forward_min_event_ndims=0, is_constant_jacobian=1)
    with pytest.raises(TypeError, match="validate_args must be a bool"):
        Exp(validate_args="yes")
    with pytest.raises(TypeError, match=r"must have _forward_and_log_det or _inverse_and_log_det.*type='Bijector'"):
        Bijector(forward_min_event_ndims=0)


def test_only_values_change_variables(backend):
    counter = Variable("counter", of(backend, 0.0), trainable=False)
    bijector = Half(counter, forward_min_event_ndims=1)
    y = of(backend, [[1.0, 2.0]])
    same(backend, bijector.inverse_log_det_jacobian(y), [1.5])
    assert counter.numpy() == 0.0
    bijector.inverse(y)
    assert counter.numpy() == 1.0
    Chain([Identity(), bijector]).inverse_and_log_det(y, scale=3.0)
    assert counter.numpy() == 2.0
    Invert(bijector).forward(y)
    Invert(bijector).forward_log_det_jacobian(y)
    assert counter.numpy() == 3.0
    with pytest.raises(NotImplementedError, match="half must have a forward direction"):
        bijector.forward(y)
    (result, log_det), (after,) = bijector.stateless_call(
        [], [counter.value], y, method="inverse_and_log_det", scale=4.0
    )
    same(backend, result, [[4.0, 8.0]])
    same(backend, log_det, [1.5])
    same(backend, after, 4.0)
    assert counter.numpy() == 3.0
