"""Transformed distributions: densities, one pass, batches, statistics, conditions."""

import numpy as np
import pytest

import bnspec
from bnspec.arrays import broadcast_shapes, common_namespace
from bnspec.bijectors import (
    AbsoluteValue,
    BatchNorm,
    Bijector,
    Blockwise,
    Chain,
    Exp,
    Invert,
    Permute,
    Reshape,
    Scale,
    ScaleMatvecDiag,
    Shift,
    Tanh,
)
from bnspec.distributions import Independent, MultivariateNormalDiag, Normal, Sample, TransformedDistribution
from bnspec.layers import BatchNormalization
from bnspec.variables import Variable
from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import FORMATS

from .distribution_helpers import Coupling, array
from .flow_helpers import POSITIVE, make, require


class Counting(Bijector):
    """Scale by 2, count the inverses in a variable, and say so in the log-det that is returned with them."""

    def __init__(self, count):
        super().__init__(forward_min_event_ndims=0, parameters={"count": count})
        self.count = count

    def _forward_and_log_det(self, x):
        return x * 2.0, lambda: 0.0 * x - self.count.value

    def _inverse_and_log_det(self, y):
        self.count.assign(self.count.value + 1.0)
        now = self.count.value
        return y / 2.0, lambda: 0.0 * y + now


def test_the_examples_of_the_documents_run():
    assert Normal(0.0, 1.0).sample(100).shape == (100,)
    log_normal = Exp()(Normal(0, 1))
    assert log_normal == TransformedDistribution(Normal(0, 1), Exp())
    assert repr(log_normal) == "TransformedDistribution('expNormal', batch_shape=(), event_shape=())"
    assert log_normal.sample(3).shape == (3,)
    nvp = TransformedDistribution(distribution=MultivariateNormalDiag(loc=[0.0, 0.0, 0.0]), bijector=Coupling())
    assert nvp.log_prob(nvp.sample()).shape == nvp.log_prob([0.0, 0.0, 0.0]).shape == ()
    assert Exp()([-1.0, 0.0, 1.0]).shape == (3,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_density_is_that_of_the_oracle(backend, dtype):
    if dtype in backend.gaps():
        pytest.skip(backend.gaps()[dtype])
    form, y = FORMATS[dtype], make(POSITIVE[(POSITIVE > 1e-6) & (POSITIVE < 1e6)], dtype)
    base = oracle.Normal(make(0.4, dtype), make(1.3, dtype))
    exact = oracle.transformed_log_prob(base, oracle.Exp().inverse(y), oracle.Exp().inverse_log_det(y))
    r, wide = bounds.Arithmetic(form), y.astype(np.float64)
    of_base = bounds.normal(
        "log_prob", bounds.bijector("Exp", "inverse", wide, r), float(base.loc), float(base.scale), form
    )
    bound = bounds.transformed_density(of_base, bounds.bijector("Exp", "inverse_log_det", wide, r), form).error
    flow = Exp()(Normal(backend.asarray(base.loc), backend.asarray(base.scale)))
    require("log_prob", backend.to_numpy(flow.log_prob(backend.asarray(y))), exact, bound, dtype)


def test_all_preimages_count(backend):
    folded = AbsoluteValue()(Normal(array(backend, 1.0), 2.0))
    y = np.float32([0.0, 0.5, 3.0])
    both = [Normal(np.float64(1.0), 2.0).log_prob(sign * y.astype(np.float64)) for sign in (-1.0, 1.0)]
    wanted = np.logaddexp(*both)
    error = bounds.accumulated(16.0, FORMATS["float32"].roundoff) * (1.0 + np.abs(both).max(axis=0))
    assert (np.abs(backend.to_numpy(folded.log_prob(array(backend, y))) - wanted) <= error).all()
    drawn, log_prob = folded.sample_and_log_prob(50, seed=1)
    assert (backend.to_numpy(drawn) >= 0.0).all()
    np.testing.assert_array_equal(backend.to_numpy(log_prob), backend.to_numpy(folded.log_prob(drawn)))
    nested = Exp()(folded)
    assert isinstance(nested.distribution, TransformedDistribution)
    assert tuple(nested.log_prob(array(backend, [1.5, 2.0])).shape) == (2,)


def test_a_base_that_normalizes_by_a_batch_is_asked_once_for_all_preimages():
    layer = BatchNormalization(center=False, scale=False, epsilon=0.0, momentum=0.5)
    flow = TransformedDistribution(MultivariateNormalDiag([0.0]), BatchNorm(layer))
    folded = TransformedDistribution(flow, AbsoluteValue())
    y = np.float32([[2.0], [2.0], [2.0]])
    found = folded.log_prob(y)
    assert layer.num_batches.value == 1
    np.testing.assert_array_equal(layer.moving_mean.value, [0.0])  # of -2 and 2 together, and not of one of them
    # Each preimage is one deviation from the mean; the two densities are equal, and the deviation is 2.
    standard = np.float64(Normal(np.float64(0.0), 1.0).log_prob(1.0))
    error = bounds.accumulated(64.0, FORMATS["float32"].roundoff) * 8.0
    assert (np.abs(found - standard) <= error).all()  # log 2 - log 2
    assert folded.log_prob(y, training=False).shape == (3,)
    assert layer.num_batches.value == 1


def test_a_base_that_counts_axes_from_the_front_sees_its_own_under_all_preimages(backend):
    y = array(backend, [[0.5, 1.0, 2.0], [1.5, 0.25, 1.0], [3.0, 2.0, 0.75], [1.0, 4.0, 2.0]])
    found = []
    for axis in (1, -1):
        layer = BatchNormalization(axis=axis, momentum=0.5)
        flow = TransformedDistribution(
            MultivariateNormalDiag([0.0] * 3), Chain([Scale([2.0, 4.0, 0.5]), BatchNorm(layer)])
        )
        folded = TransformedDistribution(flow, AbsoluteValue())
        found.append(
            [
                folded.log_prob(y),
                folded.log_prob(y, training=False),
                folded.sample(5, seed=1),
                layer.moving_variance.value,
            ]
        )
        assert tuple(layer.input_shape) == (8, 3)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(one), backend.to_numpy(other))


def test_another_rank_than_the_layer_was_built_with_is_refused_where_it_counts(backend):
    y = array(backend, np.ones((3, 3)))
    for axis in (1, -1):
        layer = BatchNormalization(axis=axis)
        layer.build((3, 3), like=y)
        # The base has the batch of the input: what holds both preimages has one more axis.
        base = TransformedDistribution(MultivariateNormalDiag(array(backend, np.zeros((3, 3)))), BatchNorm(layer))
        folded = TransformedDistribution(base, AbsoluteValue())
        if axis < 0:
            assert tuple(folded.log_prob(y).shape) == (3,)
            continue
        with pytest.raises(
            ValueError,
            match=r"must have the rank that the layer was built with, since its axis is not negative\. Got axis=1, "
            r"shape=\(2, 3, 3\), built=\(3, 3\)\. Count the axis of the layer from the end",
        ):
            folded.log_prob(y)


def test_preimages_are_broadcast_to_the_batch_of_the_base(backend):
    base = MultivariateNormalDiag(array(backend, [[1.0, 2.0]] * 3))
    folded = AbsoluteValue()(base)
    signs = np.float32([[1.0, 1.0], [-1.0, -1.0]])
    y = np.float32([0.5, 0.25])
    both = [backend.to_numpy(base.log_prob(backend.asarray(sign * y))).astype(np.float64) for sign in signs]
    found = backend.to_numpy(folded.log_prob(backend.asarray(y)))
    error = bounds.accumulated(64.0, FORMATS["float32"].roundoff) * 8.0
    assert found.shape == (3,)
    assert (np.abs(found - np.logaddexp(*both)) <= error).all()
    assert tuple(folded.log_prob(array(backend, np.ones((4, 1, 2)))).shape) == (4, 3)


def test_a_network_runs_once_in_each_method():
    coupling = Coupling()
    flow = TransformedDistribution(MultivariateNormalDiag([0.0] * 4), coupling)
    for call, wanted in (
        (lambda: flow.sample(3, seed=1), [1.0]),
        (lambda: flow.sample_and_log_prob(3, seed=1), [1.0]),
        (lambda: flow.log_prob([0.0] * 4), [-1.0]),
        (lambda: (flow.batch_shape, flow.event_shape), []),
    ):
        coupling.calls.clear()
        call()
        assert coupling.calls == wanted


def test_only_densities_change_variables_and_take_the_log_det_of_that_inverse():
    count = Variable("count", np.float32(0.0)[None], trainable=False)
    flow = Counting(count)(Normal(np.float32([0.0]), 1.0))
    assert flow.non_trainable_variables == [count]
    base = flow.distribution.log_prob([0.0])
    np.testing.assert_array_equal(flow.log_prob([0.0]), base + np.float32(1.0))
    assert count.value == 1.0
    np.testing.assert_array_equal(flow.log_prob([0.0]), base + np.float32(2.0))
    flow.sample(seed=1)
    flow.sample_and_log_prob(seed=1)
    Invert(Counting(count))(flow.distribution).sample(seed=1)
    assert count.value == 2.0
    found, (after,) = flow.stateless_call([], [count.value], [0.0], method="log_prob")
    assert (after[0], count.value[0]) == (3.0, 2.0)
    np.testing.assert_array_equal(found, base + np.float32(3.0))


def test_the_batch_of_the_parameters(backend):
    flow = Chain([Shift([1.0, 2.0, 4.0]), Scale(array(backend, [[2.0], [4.0]]))])(Normal(0.0, 1.0))
    assert (flow.batch_shape, flow.event_shape) == ((2, 3), ())
    drawn, log_prob = flow.sample_and_log_prob(5, seed=3)
    assert tuple(drawn.shape) == tuple(log_prob.shape) == (5, 2, 3)
    noise = (backend.to_numpy(drawn) - np.float32([1.0, 2.0, 4.0])) / np.float32([[2.0], [4.0]])
    assert len(np.unique(noise)) == 30
    assert tuple(flow.log_prob(0.0).shape) == (2, 3)
    vectors = ScaleMatvecDiag(array(backend, [[1.0, 2.0]] * 3))(MultivariateNormalDiag([0.0, 0.0]))
    assert (vectors.batch_shape, vectors.event_shape) == ((3,), (2,))
    assert tuple(vectors.sample(4, seed=1).shape) == (4, 3, 2)
    blocks = Blockwise([Shift([[1.0], [2.0]]), Exp()], [2, 1])(MultivariateNormalDiag(array(backend, [0.0] * 3)))
    assert tuple(blocks.sample(4, seed=1).shape) == (4, *blocks.batch_shape, 3) == (4, 2, 3)
    matrices = Reshape([2, 2])(MultivariateNormalDiag(array(backend, [0.0] * 4)))
    assert (matrices.batch_shape, matrices.event_shape) == ((), (2, 2))
    assert tuple(matrices.log_prob(matrices.sample(3, seed=1)).shape) == (3,)
    assert Invert(Reshape([2, 2], [4]))(matrices).event_shape == (4,)


def test_shapes_broadcast():
    assert broadcast_shapes() == ()
    assert broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert broadcast_shapes((None, 1), (1, None), (4, 1, 5)) == (4, None, 5)
    assert broadcast_shapes((None,), (3,)) == broadcast_shapes((3,), (None,)) == (3,)
    assert broadcast_shapes((0,), (1,)) == (0,)
    with pytest.raises(ValueError, match=r"shapes must be broadcastable.*Got shapes=\[\(2,\), \(3,\)\]\."):
        broadcast_shapes((2,), (3,))


def test_divergences_need_equal_bijectors():
    one, other = (Exp()(Normal(loc, 1.0)) for loc in (0.0, 2.0))
    assert one.kl_divergence(other) == 2.0
    with pytest.raises(NotImplementedError, match=r"kl_divergence where the bijectors differ\. Estimate it by the log"):
        one.kl_divergence(Tanh()(Normal(0.0, 1.0)))
    with pytest.raises(NotImplementedError, match=r"kl_divergence where the bijectors differ"):
        one.kl_divergence(Normal(0.0, 1.0))
    folded = [TransformedDistribution(Normal(loc, 1.0), AbsoluteValue()) for loc in (1.0, -1.0)]
    with pytest.raises(
        NotImplementedError, match=r"kl_divergence where several inputs have one output\. Estimate it by"
    ):
        folded[0].kl_divergence(folded[1])  # 0, where that of the bases is 2


def test_divergences_have_the_full_batch(backend):
    shift = Shift(array(backend, [[1.0], [2.0]]))
    one, other = (shift(Normal(loc, 1.0)) for loc in (0.0, [2.0, 4.0, 0.0]))
    for seen, wanted in (
        (one.kl_divergence(one), [[0.0], [0.0]]),
        (one.kl_divergence(other), [[2.0, 8.0, 0.0]] * 2),
        (Independent(other, 2).kl_divergence(Independent(other, 2)), 0.0),
        (Independent(shift(Normal(0.0, 1.0)), 1).kl_divergence(Independent(shift(Normal(2.0, 1.0)), 1)), [2.0, 2.0]),
    ):
        np.testing.assert_array_equal(backend.to_numpy(seen), wanted)
        assert tuple(seen.shape) == np.shape(wanted)


def test_the_bijector_checks_values_if_the_distribution_was_told_so():
    for build in (Exp(), Chain([Exp(), Shift(0.0)])):
        flow = TransformedDistribution(Normal(0.0, 1.0), build, validate_args=True)
        for method in ("log_prob", "cdf"):
            with pytest.raises(ValueError, match=r"y must be positive"):
                getattr(flow, method)(-1.0)
    zero = TransformedDistribution(Normal(0.0, 1.0), Scale(np.float32([0.0])), validate_args=True)
    for call in (lambda: zero.sample(seed=1), lambda: zero.sample_and_log_prob(seed=1), zero.mean, zero.entropy):
        with pytest.raises(ValueError, match=r"scale must not be zero"):
            call()


def test_applying_to_what_is_transformed_makes_a_chain():
    inner = Scale(2.0)(Normal(0.0, 1.0), name="inner")
    flow = Exp()(inner, name="outer", validate_args=True)
    assert (inner.name, flow.name, flow.validate_args) == ("inner", "outer", True)
    assert flow.distribution == Normal(0.0, 1.0)
    assert flow.bijector == Chain([Exp(), Scale(2.0)])
    assert flow.copy(bijector=Exp()) == TransformedDistribution(Normal(0.0, 1.0), Exp(), validate_args=True)


def test_conditions_reach_those_that_take_them():
    flow = TransformedDistribution(MultivariateNormalDiag([0.0, 0.0]), Coupling())
    assert flow.condition_names == {"coupling", "offset", "bijector_kwargs", "distribution_kwargs"}
    plain = flow.log_prob([0.0, 3.0], offset=3.0)
    assert plain == flow.distribution.log_prob([0.0, 0.0])
    for kwargs in ({"bijector_kwargs": {"offset": 3.0}}, {"coupling": {"offset": 3.0}}):
        assert flow.log_prob([0.0, 3.0], **kwargs) == plain
        np.testing.assert_array_equal(flow.sample(seed=1, **kwargs), flow.sample(seed=1, offset=3.0))
    outer = Shift(0.0)(TransformedDistribution(flow, Coupling("second")))
    assert outer.log_prob([0.0, 3.0], distribution_kwargs={"bijector_kwargs": {"offset": 3.0}}) == plain
    assert outer.log_prob([0.0, 6.0], offset=3.0) == plain
    wrapped = Sample(flow, 2)
    assert wrapped.log_prob([[0.0, 3.0]] * 2, offset=3.0) == 2.0 * plain
    by_hand = flow.copy(kwargs_split_fn=lambda kwargs: ({}, {"offset": kwargs["c"]}))
    assert by_hand.log_prob([0.0, 3.0], c=3.0) == plain
    for kwargs, text in (
        ({"ofset": 1.0}, r"must know its conditions\. Got condition='ofset'\. Did you mean 'offset'\?"),
        ({"bijector_kwargs": {"c": 1.0}}, r"coupling must know its conditions\. Got condition='c'\."),
        ({"distribution_kwargs": {"offset": 1.0}}, r"MultivariateNormalDiag must know its conditions\."),
        ({"bijector_kwargs": 3}, r"bijector_kwargs must be a mapping\. Got bijector_kwargs=3\."),
    ):
        with pytest.raises(TypeError, match=text):
            flow.log_prob([0.0, 0.0], **kwargs)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: TransformedDistribution(Normal(0.0, 1.0), Permute([1, 0])),
            ValueError,
            (
                r"the event of the distribution must have the rank that the bijector maps\. Got event_shape=\(\), "
                r"forward_min_event_ndims=1\. Wrap it in Sample\(distribution, shape\)"
            ),
        ),
        (lambda: Permute([1, 0])(Sample(Normal(0.0, 1.0), 3)), ValueError, r"must have the 2 elements"),
        (lambda: TransformedDistribution(3, Exp()), TypeError, r"distribution must be a Distribution\. Got type='int'"),
        (
            lambda: TransformedDistribution(Normal(0.0, 1.0), Exp(), kwargs_split_fn=5),
            TypeError,
            r"kwargs_split_fn must be a function of all conditions, or None\. Got kwargs_split_fn=5\.",
        ),
        (lambda: TransformedDistribution(Normal(0.0, 1.0), 3), TypeError, r"bijector must be bijectors\. Got part=3"),
        (
            lambda: Shift(np.float32([1.0]))(Normal(np.asarray([1.0]), 1.0)),
            TypeError,
            r"all parts must have one dtype\. Got distribution='float64', bijector='float32'\.",
        ),
        (lambda: Shift([1.0, 2.0])(Normal([0.0] * 3, 1.0)), ValueError, r"shapes must be broadcastable"),
        (
            lambda: Shift([1.0, 2.0])(MultivariateNormalDiag([0.0])).sample(seed=1),
            ValueError,
            r"the parameters of shift must not be larger than an event and the batch\. Got required=\(1,\), shape=\(2,",
        ),
        (lambda: Shift([1.0, 2.0])(MultivariateNormalDiag([0.0])).log_prob([0.0]), ValueError, r"not be larger"),
        (lambda: Exp()(Normal(0.0, 1.0)).covariance(), NotImplementedError, r"formula for covariance"),
        (
            lambda: Exp()(Normal(0.0, Variable("s", np.float32(-1.0)[None], trainable=True), True).copy()),
            ValueError,
            r"scale must be positive",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_compiled_equals_eager_and_gradients_flow(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    scale = Variable("scale", array(backend, [2.0, 0.5, 1.0]), trainable=True)
    flow = Chain([Shift([1.0, -1.0, 0.0]), ScaleMatvecDiag(scale)])(MultivariateNormalDiag(loc=[0.0, 0.0, 0.0]))
    x = array(backend, [[3.0, 0.0, 1.0], [1.0, -2.0, 2.0]])

    def loss(given, x):
        return common_namespace(x=x).sum(flow.stateless_call(list(given), [], x, method="log_prob")[0])

    grad = backend.value_and_grad(loss)
    eager, (slope,) = grad((scale.value,), x)
    # By the diagonal: sum of (z^2 - 1) / s, with z = (x - shift) / s.
    z = (backend.to_numpy(x) - np.float32([1.0, -1.0, 0.0])) / np.float32([2.0, 0.5, 1.0])
    np.testing.assert_array_equal(backend.to_numpy(slope), ((z * z - 1.0) / np.float32([2.0, 0.5, 1.0])).sum(axis=0))
    compiled = backend.compile(lambda value, x: loss((value,), x))(scale.value, x)
    error = bounds.accumulated(64.0, FORMATS["float32"].roundoff) * (abs(float(eager)) + 8.0)
    assert abs(float(compiled) - float(eager)) <= error


def test_sizes_that_are_not_known_before_the_call():
    tf = pytest.importorskip("tensorflow")
    backend = bnspec.backend("tensorflow")
    base = Independent(Normal(array(backend, [0.0, 1.0]), [1.0, 2.0]), 1)
    x = np.float32([[1.0, 2.0], [0.5, 4.0], [2.0, 2.0]])
    for flow in (
        Exp()(base),
        Sample(Exp()(Normal(array(backend, 0.0), 1.0)), 2),
        Exp()(MultivariateNormalDiag([0.0] * 2)),
        AbsoluteValue()(base),
    ):
        eager = flow.log_prob(array(backend, x))
        for spec in ([None, 2], [None, None]):
            traced = tf.function(flow.log_prob, input_signature=[tf.TensorSpec(spec, tf.float32)], autograph=False)
            error = bounds.accumulated(64.0, FORMATS["float32"].roundoff) * (np.abs(eager) + 8.0)
            assert (np.abs(np.asarray(traced(x)) - np.asarray(eager)) <= error).all()
