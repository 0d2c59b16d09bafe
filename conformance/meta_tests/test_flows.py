"""Whole flows: batch normalization, couplings and permutations in one chain, as densities that train."""

import numpy as np
import pytest

from bnspec.bijectors import (
    BatchNormalization,
    Chain,
    Invert,
    Permute,
    RealNVP,
    Reshape,
    checkerboard_permutation,
    real_nvp_default_template,
)
from bnspec.distributions import MultivariateNormalDiag, TransformedDistribution
from bnspec_conformance.bounds import FORMATS, accumulated, empirical, function_gradient
from bnspec_conformance.definition import receive

from .layer_helpers import assert_rounded, bits

DATA = np.random.default_rng(11).normal(2.0, 3.0, (32, 4)).astype(np.float32)


def flow_on(backend, shift_only=False):
    """Two blocks, off every fixed point."""

    def network(seed):
        return real_nvp_default_template([8], shift_only=shift_only, activation="tanh", seed=seed)

    parts = [
        BatchNormalization(name="first"),
        RealNVP(num_masked=2, shift_and_log_scale_fn=network(1)),
        Permute([3, 1, 0, 2]),
        BatchNormalization(name="second"),
        RealNVP(num_masked=-1, shift_and_log_scale_fn=network(2)),
    ]
    base = MultivariateNormalDiag(loc=backend.asarray(np.zeros(4, np.float32)))
    flow = TransformedDistribution(base, Chain(parts))
    flow.log_prob(backend.asarray(DATA))
    return flow, [parts[0].batchnorm, parts[3].batchnorm]


def counts(layers):
    return [int(layer.num_batches.numpy()) for layer in layers]


def owned(flow):
    return tuple(tuple(v.value for v in group) for group in (flow.trainable_variables, flow.non_trainable_variables))


def test_a_training_density_takes_the_batch_and_moves_the_averages_once(backend):
    flow, layers = flow_on(backend)
    x = backend.asarray(DATA)
    assert counts(layers) == [1, 1]
    before = bits(backend, (*owned(flow)[0], *owned(flow)[1]))
    inside, log_det = flow.bijector.inverse_and_log_det(x)
    expected = receive(backend, flow.distribution.log_prob(inside)) + receive(backend, log_det)
    again = flow_on(backend)[0]
    assert bits(backend, (*owned(again)[0], *owned(again)[1])) == before
    assert_rounded(receive(backend, again.log_prob(x)) + 100, expected + 100, 4)
    # The averages that this call has moved do not enter it, nor do those before it.
    again.log_prob(x * 2.0)
    assert_rounded(receive(backend, again.log_prob(x)) + 100, expected + 100, 4)
    for call in (
        lambda: flow.sample(3, seed=1),
        lambda: flow.sample_and_log_prob(3, seed=1),
        lambda: flow.bijector.inverse_log_det_jacobian(x),
        lambda: flow.bijector.forward(x),
        lambda: flow.log_prob(x, training=False),
        lambda: flow.prob(x, training=False),
        lambda: flow.event_shape,
        lambda: flow.batch_shape,
    ):
        call()
        assert counts(layers) == [2, 2]
    flow.prob(x)
    assert counts(layers) == [3, 3]


def test_in_evaluation_samples_have_the_density_that_log_prob_says(backend):
    flow, _ = flow_on(backend)
    x, log_prob = flow.sample_and_log_prob(16, seed=3, training=False)
    assert_rounded(receive(backend, flow.log_prob(x, training=False)) + 100, receive(backend, log_prob) + 100, 200)
    assert bits(backend, x) == bits(backend, flow.sample(16, seed=3))


def test_it_is_a_pure_function_that_trains_in_a_compiler(backend):
    if {"compile", "autodiff"} & set(backend.gaps()):
        pytest.skip("has no compiler or no automatic differentiation")
    flow, layers = flow_on(backend)
    xp, x = backend.namespace(), backend.asarray(DATA)
    trainable, others = owned(flow)

    def loss(trainable, others, x):
        log_prob, _ = flow.stateless_call(trainable, others, x, method="log_prob")
        return -xp.mean(log_prob)

    def step(trainable, others, x):
        value, gradients = backend.value_and_grad(loss)(trainable, others, x)
        _, others = flow.stateless_call(trainable, others, x, method="log_prob")
        return value, tuple(v - 0.01 * g for v, g in zip(trainable, gradients, strict=True)), others

    compiled = backend.compile(step)
    values, eager = [], (trainable, others)
    for _ in range(3):
        value, trainable, others = compiled(trainable, others, x)
        expected, *eager = step(*eager, x)
        assert_rounded(receive(backend, value) + 10, receive(backend, expected) + 10, 200)
        values.append(float(receive(backend, value)))
    assert values[0] > values[1] > values[2]
    assert counts(layers) == [1, 1]  # the flow itself has not changed
    assert sorted(int(receive(backend, v)) for v in others if receive(backend, v).dtype == "int32") == [4, 4]


def test_gradients_of_parameters_follow_differences(backend):
    if "autodiff" in backend.gaps() or "float64" in backend.gaps():
        pytest.skip("has no automatic differentiation in float64")
    base = MultivariateNormalDiag(loc=backend.asarray(np.zeros(4)))
    bijector = Chain([BatchNormalization(), RealNVP(2, shift_and_log_scale_fn=real_nvp_default_template([4], seed=5))])
    flow, x, xp = TransformedDistribution(base, bijector), backend.asarray(DATA.astype(np.float64)), backend.namespace()
    flow.log_prob(x)
    trainable, others = owned(flow)

    def loss(trainable):
        return xp.mean(flow.stateless_call(trainable, others, x, method="log_prob")[0])

    _, gradients = backend.value_and_grad(loss)(trainable)

    def slope(number, at, step):
        """Differentiate by central differences."""
        ends = []
        for sign in (1, -1):
            moved = receive(backend, trainable[number]).copy()
            moved.reshape(-1)[at] += sign * step
            ends.append(
                float(receive(backend, loss((*trainable[:number], backend.asarray(moved), *trainable[number + 1 :]))))
            )
        return (ends[0] - ends[1]) / (2 * step), max(map(abs, ends)) / step

    for number, gradient in enumerate(gradients):
        found = receive(backend, gradient).reshape(-1)
        at = len(found) // 2
        (near, size), (far, _) = slope(number, at, 2.0**-14), slope(number, at, 2.0**-13)
        # A third of their distance is what the third derivative does to the nearer one; 2^12 roundings are in each end.
        noise = accumulated(2.0**12, FORMATS["float64"].roundoff) * size
        assert abs(near - found[at]) <= function_gradient(abs(near - far) + noise, abs(found).max())


def test_images_are_masked_by_a_checkerboard(backend):
    """The chain of the documentation: flatten, put the masked half first, couple, and undo both."""
    flatten, order = Reshape([18], [3, 3, 2]), Permute(checkerboard_permutation(3, 3, 2))
    masked = 10  # of 9 sites, 5 are of one colour
    coupling = RealNVP(num_masked=masked, shift_and_log_scale_fn=real_nvp_default_template([8], seed=1))
    normalization = BatchNormalization()
    image = Chain([Invert(flatten), Invert(order), coupling, order, flatten, normalization])
    x = np.random.default_rng(2).normal(1.0, 2.0, (5, 3, 3, 2)).astype(np.float32)
    assert image.forward_min_event_ndims == image.inverse_min_event_ndims == 3
    y, log_det = image.inverse_and_log_det(backend.asarray(x))
    assert receive(backend, y).shape == x.shape
    assert receive(backend, log_det).shape == (5,)
    still = Chain([Invert(flatten), Invert(order), coupling, order, flatten])
    moved = receive(backend, still.forward(backend.asarray(x))) != x
    sites = np.indices((3, 3)).sum(0) % 2 == 1
    assert (moved == np.broadcast_to(sites[:, :, None], x.shape)).all()


def test_samples_of_a_trained_flow_follow_its_density():
    """One variable: the fraction of samples below a point is the density's, by quadrature."""
    base = MultivariateNormalDiag(loc=[0.0])
    normalization = BatchNormalization()
    flow = TransformedDistribution(base, normalization)
    data = np.random.default_rng(0).normal(3.0, 2.0, (256, 1))
    for _ in range(400):
        flow.log_prob(data)
    samples = np.sort(flow.sample(4000, seed=1)[:, 0])
    grid = np.linspace(-12.0, 18.0, 6001)
    density = np.exp(flow.log_prob(grid[:, None], training=False))
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    expected = np.interp(samples, grid, below)
    seen = (np.arange(4000) + 0.5) / 4000
    assert np.abs(expected - seen).max() <= empirical(4000, 1e-6)
