"""Flows as a whole: what lies between the blocks, levels, and the density after training."""

from math import log, sqrt

import numpy as np
import pytest

import bnspec
from bnspec.arrays import common_namespace, random_key
from bnspec.bijectors import BatchNormalization, Chain, Invert, MaskedAutoregressiveFlow, Permute, RealNVP, Shift
from bnspec.distributions import MultivariateNormalDiag, Normal, TransformedDistribution
from bnspec.flows import (
    Levels,
    LogLikelihood,
    dequantized,
    estimate_averages,
    log_likelihood,
    masked_autoregressive_flow,
    real_nvp,
)
from bnspec.layers import BatchNormalization as Layer
from bnspec_conformance import bounds
from bnspec_conformance.definition import receive

from .bijector_helpers import near, of

MAKERS = {"Real NVP": real_nvp, "MAF": masked_autoregressive_flow}
X = np.random.default_rng(7).normal(2.0, 3.0, (60, 5)).astype(np.float32)


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def parts(flow):
    return flow.bijector.bijectors


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_batch_normalization_follows_each_block(make, blocks):
    flow = make(5, num_blocks=blocks, hidden_units=[4], epsilon=1e-4, momentum=0.7)
    normalizations = [part for part in parts(flow) if isinstance(part, BatchNormalization)]
    assert len(normalizations) == blocks
    assert isinstance(parts(flow)[-1], BatchNormalization)
    assert {(part.batchnorm.spec.epsilon, part.batchnorm.spec.momentum) for part in normalizations} == {(1e-4, 0.7)}
    without = make(5, num_blocks=blocks, hidden_units=[4], batch_norm=False)
    assert len(parts(without)) == len(parts(flow)) - blocks
    with pytest.raises(TypeError, match="must know its conditions"):
        without.log_prob(X, training=True)


def test_gamma_stays_positive(make):
    flow = make(5, num_blocks=1, hidden_units=[4], like=X)
    gamma = parts(flow)[-1].batchnorm.gamma
    gamma.assign(np.asarray([-1.0, 0.0, 2.0, 3.0, -4.0], np.float32))
    flow.apply_constraints()
    assert (gamma.numpy() > 0).all()


def test_like_makes_the_variables_and_moves_nothing(backend, make):
    flow = make(5, num_blocks=2, hidden_units=[4], seed=1, like=backend.asarray(X))
    assert flow.built
    assert all(backend.owns(variable.value) for variable in flow.variables)
    later = make(5, num_blocks=2, hidden_units=[4], seed=1)
    assert not later.built
    later.log_prob(X, training=False)
    for one, other in zip(flow.get_weights(), later.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    kernels = [value for value in flow.get_weights() if value.ndim == 2]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)  # each network draws its own
    other = make(5, num_blocks=2, hidden_units=[4], seed=2, like=X).get_weights()
    assert any((one != two).any() for one, two in zip(flow.get_weights(), other, strict=True))


def moved(flow, block):
    """Which units of the data the shift of a coupling layer depends on, and which it moves."""
    coupling = [part for part in parts(flow) if isinstance(part, RealNVP)][block]
    event = np.arange(5.0)
    kept = []
    number = coupling.parameters["num_masked"]
    probe = RealNVP(number, None, lambda x, units: (kept.append(x) or [1.0] * units, None))
    ordered = parts(flow)[0].inverse(event)
    changed = ordered[probe.forward(ordered) != ordered]
    return {int(unit) for unit in kept[0]}, {int(unit) for unit in changed}


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ({}, {0, 2, 4}),
        ({"order": [4, 3, 2, 1, 0]}, {4, 3, 2}),
        ({"num_masked": 2}, {0, 2}),
        ({"num_masked": 4}, {0, 1, 2, 4}),
    ],
)
def test_halves_take_turns(arguments, first):
    flow = real_nvp(5, num_blocks=3, hidden_units=[4], **arguments)
    others = set(range(5)) - first
    assert [moved(flow, block) for block in range(3)] == [(first, others), (others, first), (first, others)]


def test_orders_alternate():
    flow = masked_autoregressive_flow(
        3, num_blocks=2, hidden_units=[8], activation="tanh", batch_norm=False, seed=3, like=X
    )
    x = np.asarray([[0.5, -1.0, 2.0]], np.float32)
    for part, order in zip(parts(flow), ([0, 1, 2], [2, 1, 0]), strict=True):
        base = part.inverse(x)
        for unit in range(3):
            changed = x.copy()
            changed[0, unit] += 1.0
            differing = {int(k) for k in np.flatnonzero(part.inverse(changed)[0] != base[0])}
            assert differing == set(order[order.index(unit) :])


def test_the_scale_is_bounded_by_its_factor():
    flow = real_nvp(4, num_blocks=1, hidden_units=[8], batch_norm=False, seed=1, like=X)
    coupling = parts(flow)[1]
    scales = coupling.parameters["shift_and_log_scale_fn"]
    assert scales.factor.numpy().tolist() == [1.0, 1.0]
    scales.factor.assign(np.asarray([0.5, 2.0], np.float32))
    _, log_scale = scales(np.full((1, 2), 1e4, np.float32), 2)
    assert np.abs(log_scale).tolist() == [[0.5, 2.0]]  # tanh is 1 there
    plain = real_nvp(4, num_blocks=1, hidden_units=[8], batch_norm=False, seed=1, like=X, bounded_scale=False)
    _, log_scale = parts(plain)[1].parameters["shift_and_log_scale_fn"](np.full((1, 2), 1e4, np.float32), 2)
    assert np.abs(log_scale).max() > 2.0


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"event_size": 1}, ValueError, "event_size must be at least 2"),
        ({"event_size": 2.5}, TypeError, "event_size"),
        ({"num_blocks": 0}, ValueError, "num_blocks must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be in"),
        ({"epsilon": -1.0}, ValueError, "epsilon must"),
        ({"activation": "rely"}, ValueError, "Did you mean 'relu'"),
    ],
)
def test_what_no_flow_can_be_made_of(make, arguments, error, text):
    with pytest.raises(error, match=text):
        make(**{"event_size": 5, **arguments})


def test_an_order_of_another_size_is_refused():
    with pytest.raises(ValueError, match="must have the 4 elements of the permutation"):
        real_nvp(5, order=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="num_masked must"):
        real_nvp(5, num_masked=0)
    with pytest.raises(ValueError, match="num_masked must leave a unit"):
        real_nvp(5, num_masked=5, like=X)


# Levels


def test_levels_are_the_logit_of_the_paper(backend):
    x = backend.asarray(np.asarray([[0.25, 8.5, 16.75]], np.float32))
    found, log_det = Levels(17, 0.05).inverse_and_log_det(x, event_ndims=1)
    p = 0.05 + 0.9 * receive(backend, x).astype(np.float64) / 17.0
    logit = np.log(p) - np.log1p(-p)
    expected = np.log(0.9 / 17.0 / (p * (1.0 - p))).sum(axis=-1)
    size = 17.0 / 0.9 * np.asarray([1.0 / 0.05])  # what is lost where the logit is steep
    assert (np.abs(receive(backend, found) - logit) <= bounds.sum_of_kernels(size, "float32")).all()
    assert (np.abs(receive(backend, log_det) - expected) <= bounds.sum_of_kernels(3.0 * size, "float32")).all()
    assert Levels(17, 0.05) == Levels(17, 0.05).copy() != Levels(16, 0.05)


@pytest.mark.parametrize("alpha", [0.05, 1e-6, 2e-8, 0.4999])
def test_levels_have_all_digits_at_both_ends(backend, alpha):
    bijector, y = Levels(256, alpha), [0.0, 2.0**-20, 128.0, 256.0 - 2.0**-15, 256.0]
    found, log_det = bijector.inverse_and_log_det(of(backend, y))
    share = alpha + (1.0 - 2.0 * alpha) * np.asarray(y) / 256.0
    rest = alpha + (1.0 - 2.0 * alpha) * (256.0 - np.asarray(y)) / 256.0
    logit = np.log1p((1.0 - 2.0 * alpha) * (2.0 * np.asarray(y) / 256.0 - 1.0) / rest)
    near(backend, found, logit, size=4.0 * np.abs(logit))
    near(backend, log_det, np.log((1.0 - 2.0 * alpha) / 256.0) - np.log(share) - np.log(rest), size=16.0)
    # What comes back has the digits of the distance to the nearer end of the sigmoid, and of the number itself.
    beyond = 256.0 * alpha / (1.0 - 2.0 * alpha)
    nearer = np.minimum(y, 256.0 - np.asarray(y)) + beyond
    near(backend, bijector.forward(found), y, size=nearer * (4.0 + 4.0 * np.abs(logit)) + np.asarray(y))
    near(backend, bijector.forward_log_det_jacobian(found), -receive(backend, log_det).astype(np.float64), size=32.0)


@pytest.mark.parametrize("values", [[-0.5, 3.0], [3.0, 17.5], [float("nan"), 3.0]])
def test_what_is_no_level_is_refused(backend, values):
    x = backend.asarray(np.asarray(values, np.float32))
    with pytest.raises(
        ValueError, match=r"data must be in \[0, 17\], the levels and their noise\. Got failing=1\. Say"
    ):
        Levels(17).inverse(x)


@pytest.mark.parametrize("values", [[-1.0, 3.0], [3.0, 17.0], [2.5, 3.0], [float("nan"), 3.0]])
def test_noise_is_added_to_levels_alone(backend, values):
    xp = backend.namespace()
    with pytest.raises(ValueError, match=r"x must be integers from 0 to 16\. Got failing=1\. Say how many"):
        dequantized(backend.asarray(np.asarray(values, np.float32)), 17, random_key(1, xp=xp))


def test_noise_is_the_same_everywhere_and_within_the_level(backend):
    x = np.tile(np.arange(17.0, dtype=np.float32), 40)
    found = receive(backend, dequantized(backend.asarray(x), 17, random_key(3, xp=backend.namespace())))
    assert (found == dequantized(x, 17, random_key(3, xp=common_namespace(x=x)))).all()
    assert ((found >= x) & (found <= x + 1)).all()
    assert len(np.unique(found)) > 600
    assert (found != dequantized(x, 17, random_key(4, xp=common_namespace(x=x)))).any()


@pytest.mark.parametrize("alpha", [0.0, 0.5, -0.1])
def test_alpha_is_inside(alpha):
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1/2\)"):
        Levels(17, alpha)


# The density after training


def by_hand(flow, x):
    """Normalize layer by layer by the whole data set, in NumPy."""
    for part in parts(flow):
        if isinstance(part, BatchNormalization):
            yield x.mean(axis=0), x.var(axis=0)
            layer = part.batchnorm
            x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + layer.spec.epsilon)
            x = x * layer.gamma.numpy() + layer.beta.numpy()
        else:
            x = part.inverse(x)


@pytest.mark.parametrize("batch_size", [7, 60, 1000])
def test_averages_are_those_of_the_whole_data_layer_by_layer(backend, make, batch_size):
    if "float64" in backend.gaps():
        pytest.skip(backend.gaps()["float64"])
    x = X.astype(np.float64)
    flow = make(5, num_blocks=3, hidden_units=[4], seed=1, like=backend.asarray(x))
    twin = make(5, num_blocks=3, hidden_units=[4], seed=1, like=x)
    for own in (flow, twin):
        gammas = [part.batchnorm.gamma for part in parts(own) if isinstance(part, BatchNormalization)]
        for gamma in gammas:
            gamma.assign(np.linspace(0.5, 2.0, 5))
    estimate_averages(flow, backend.asarray(x), batch_size=batch_size)
    layers = [part.batchnorm for part in parts(flow) if isinstance(part, BatchNormalization)]
    expected = list(by_hand(twin, x))
    assert len(layers) == len(expected) == 3
    for layer, (mean, variance) in zip(layers, expected, strict=True):
        scale = np.abs(expected[0][0]).max() + np.sqrt(expected[0][1].max())
        slack = bounds.accumulated(4096, 2.0**-53) * 100.0 * scale * scale
        assert np.abs(layer.moving_mean.numpy() - mean).max() <= slack
        assert np.abs(layer.moving_variance.numpy() - variance).max() <= slack
        assert layer.num_batches.numpy() == 0


def test_an_estimate_in_float32_is_close_to_the_training_density(make):
    """With averages of the whole set, evaluation is what training on the whole set is."""
    x = X.astype(np.float64)
    flow = make(5, num_blocks=2, hidden_units=[4], seed=1, like=x)
    estimate_averages(flow, x)
    difference = np.abs(flow.log_prob(x, training=False) - flow.log_prob(x, training=True))
    assert difference.max() <= bounds.accumulated(4096, 2.0**-53) * 1000.0


def test_the_estimator_is_that_of_the_convention():
    x = X.astype(np.float64)
    layer = Layer(momentum=0.1, convention="torch")
    flow = TransformedDistribution(MultivariateNormalDiag([0.0] * 5), Chain([BatchNormalization(layer)]))
    estimate_averages(flow, x, batch_size=7)
    error = np.abs(layer.moving_variance.numpy() - x.var(axis=0, ddof=1))
    assert (error <= bounds.accumulated(1000, 2.0**-53) * x.var(axis=0)).all()


def test_images_are_normalized_by_channel():
    x = np.random.default_rng(1).normal(1.0, 2.0, (20, 3, 2, 4))
    layer = Layer()
    base = MultivariateNormalDiag([0.0] * 24)
    flow = TransformedDistribution(base, Chain([BatchNormalization(layer), bnspec.bijectors.Reshape([3, 2, 4])]))
    estimate_averages(flow, x, batch_size=6)
    error = np.abs(layer.moving_mean.numpy() - x.mean(axis=(0, 1, 2)))
    assert (error <= bounds.accumulated(1000, 2.0**-53) * 10.0).all()


def test_a_normalization_that_is_hidden_is_refused_and_nothing_changes():
    flow = real_nvp(5, num_blocks=1, hidden_units=[4], like=X)
    hidden = TransformedDistribution(flow, Invert(Chain([BatchNormalization(Layer(), name="deep")])))
    before = flow.get_weights()
    with pytest.raises(ValueError, match=r"must be a link of the flow's chain\. Got part='invert_chain_of_deep'\. Put"):
        estimate_averages(hidden, X)
    assert all((one == two).all() for one, two in zip(before, flow.get_weights(), strict=True))
    with pytest.raises(TypeError, match="flow must be a TransformedDistribution"):
        estimate_averages(Normal(0.0, 1.0), X)
    with pytest.raises(ValueError, match="x must have events of the distribution along its first axis, 1 or more"):
        estimate_averages(flow, X[:0])


def test_a_flow_on_a_flow_is_estimated_to_its_base():
    x = X.astype(np.float64)
    flow = real_nvp(5, num_blocks=1, hidden_units=[4], seed=1, like=x)
    above = TransformedDistribution(flow, Chain([Shift([1.0] * 5)]))
    estimate_averages(above, x)
    twin = real_nvp(5, num_blocks=1, hidden_units=[4], seed=1, like=x)
    estimate_averages(twin, x - 1.0)
    for one, two in zip(flow.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_mean_and_its_standard_error(backend):
    x = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    found = log_likelihood(MultivariateNormalDiag([0.0] * 3), backend.asarray(x), batch_size=7)
    density = -0.5 * (x.astype(np.float64) ** 2).sum(axis=1) - 1.5 * log(2.0 * np.pi)
    slack = bounds.accumulated(200, 2.0**-24) * np.abs(density).max()
    assert abs(found.mean - density.mean()) <= slack
    assert abs(found.standard_error - density.std(ddof=1) / sqrt(50)) <= slack
    assert found.events == 50


def test_bits():
    assert LogLikelihood(-2.0 * log(2.0), 0.5 * log(2.0), 9).bits_per_dimension(2) == (1.0, 0.25)
    with pytest.raises(ValueError, match="event_size must"):
        LogLikelihood(0.0, 1.0, 9).bits_per_dimension(0)


@pytest.mark.parametrize("x", [X[:1], X[0, 0]])
def test_one_event_has_no_standard_error(x):
    with pytest.raises(ValueError, match="2 or more"):
        log_likelihood(MultivariateNormalDiag([0.0] * 5), np.asarray(x))


def test_permutations_may_lie_between():
    flow = TransformedDistribution(MultivariateNormalDiag([0.0] * 5), Chain([Permute([4, 3, 2, 1, 0])]))
    estimate_averages(flow, X)  # nothing to estimate
    assert flow.variables == []


def test_no_gradient_passes_estimated_averages():
    torch = pytest.importorskip("torch")
    x = torch.asarray(X, dtype=torch.float64)
    slopes = []
    for marked in (True, False):  # before, the graph of the estimate would hang on the averages
        flow = real_nvp(5, num_blocks=2, hidden_units=[4], seed=1, like=x)
        trainable = [variable.value for variable in flow.trainable_variables]
        if marked:
            trainable = [value.requires_grad_() for value in trainable]
        estimate_averages(flow, x)
        assert not any(variable.value.requires_grad for variable in flow.non_trainable_variables)
        trainable = [value.requires_grad_() for value in trainable]
        for _ in range(2):  # twice: a graph is let go by the first
            loss = -flow.log_prob(x[:10], training=False).mean()
            found = torch.autograd.grad(loss, trainable)
        slopes.append(found)
    assert all(torch.equal(one, two) for one, two in zip(*slopes, strict=True))


def one_layer(layer):
    return TransformedDistribution(MultivariateNormalDiag([0.0] * 5), Chain([BatchNormalization(layer)]))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (X[:1], r"averages must be finite\. Got part='batch_normalization', events=1\. .* more than 1\.0 for each"),
        (np.where(X > 5.0, np.nan, X), r"averages must be finite\. Got part='batch_normalization', events=60"),
        (X[:, :3], r"x must have events of the distribution .*Got x=\(60, 3\), event=\(5,\)"),
        (X.reshape(12, 5, 5), r"x must have events of the distribution .*Got x=\(12, 5, 5\), event=\(5,\)"),
    ],
)
def test_data_without_averages_are_refused_and_nothing_changes(data, text):
    flow = one_layer(Layer(convention="torch"))
    flow.log_prob(X, training=True)
    before = flow.get_weights()
    with pytest.raises(ValueError, match=text):
        estimate_averages(flow, data)
    assert all((one == two).all() for one, two in zip(before, flow.get_weights(), strict=True))


def test_a_layer_cannot_have_the_averages_of_two_places():
    link = BatchNormalization(Layer(name="twice"))
    flow = TransformedDistribution(MultivariateNormalDiag([0.0] * 5), Chain([link, Shift(1.0), link]))
    with pytest.raises(ValueError, match=r"a layer must be in the flow's chain once\. Got layer='twice'"):
        estimate_averages(flow, X)


def test_an_event_without_density_makes_the_mean_infinite():
    found = log_likelihood(Normal(0.0, 1.0), np.asarray([1.0, np.inf, 2.0]))
    assert (found.mean, found.events) == (-np.inf, 3)
    assert np.isnan(found.standard_error)
    assert np.isnan(log_likelihood(Normal(0.0, 1.0), np.asarray([1.0, np.nan])).mean)


@pytest.mark.parametrize("data", [X[:, :3], X.reshape(12, 5, 5)])
def test_events_of_another_shape_have_no_likelihood(data):
    with pytest.raises(ValueError, match=r"x must have events of the distribution.* 2 or more\. Got x="):
        log_likelihood(real_nvp(5, num_blocks=1, hidden_units=[4]), data)


def test_a_batch_of_distributions_has_no_one_likelihood():
    with pytest.raises(ValueError, match=r"must have no batch of its own\. Got batch_shape=\(2,\)"):
        log_likelihood(Normal([0.0, 1.0], 1.0), X[:, 0])


def test_a_density_is_one_number_for_each_event():
    wide = MaskedAutoregressiveFlow(lambda y: (np.zeros((7, 1, 5), np.float32), None))
    flow = TransformedDistribution(MultivariateNormalDiag([0.0] * 5), wide)
    with pytest.raises(ValueError, match=r"one number for each event\. Got x=\(60, 5\), log_prob=\(7, 60\)"):
        log_likelihood(flow, X)


def anything(seen):
    """An autoregressive layer whose function takes any condition."""

    def fn(y, **condition):
        seen.append(condition)
        return 0.0 * y, None

    return MaskedAutoregressiveFlow(fn)


def test_a_function_that_takes_anything_is_not_told_of_training():
    seen, base = [], MultivariateNormalDiag([0.0] * 5)
    flow = TransformedDistribution(base, anything(seen))
    log_likelihood(flow, X)
    link = BatchNormalization(Layer())
    estimate_averages(TransformedDistribution(base, Chain([anything(seen), link])), X)
    assert seen
    assert not any(seen)
    assert (
        np.abs(link.batchnorm.moving_mean.numpy() - X.mean(axis=0)) <= bounds.accumulated(100, 2.0**-24) * 20.0
    ).all()


@pytest.mark.parametrize("around", [lambda link: link, Invert, lambda link: Chain([Invert(Chain([Invert(link)]))])])
def test_a_normalization_beside_such_a_function_is_told(around):
    layer = Layer()
    parts = [anything([]), around(BatchNormalization(layer))]
    flow = TransformedDistribution(MultivariateNormalDiag([0.0] * 5), Chain(parts))
    flow.log_prob(X, training=False)
    before = layer.moving_mean.numpy()
    log_likelihood(flow, X)  # by itself, it would normalize by the batch
    np.testing.assert_array_equal(layer.moving_mean.numpy(), before)
