"""Hessian-vector products by every framework's own differentiation, by all arguments, against exact differences."""

from fractions import Fraction

import numpy as np
import pytest

import bnspec
from bnspec.conventions import EQUINOX, HAIKU, KERAS, NFLOWS, TF_LAYERS
from bnspec_conformance import bounds, oracle
from bnspec_conformance.subjects import present_backends

SHAPE, STEP = (8, 3), 2.0**-30
RANDOM = np.random.default_rng(11)


def dyadic(values, bits=8):
    """Round to a grid that leaves room for a small step."""
    return np.round(np.asarray(values) * 2**bits) / 2**bits


VALUES = {
    "x": dyadic(RANDOM.normal(2.0, 1.5, SHAPE)),
    "gamma": dyadic(RANDOM.normal(0.4, 1.1, 3)),
    "beta": dyadic(RANDOM.normal(0.0, 1.0, 3)),
    "moving_mean": dyadic(RANDOM.normal(1.5, 0.5, 3)),
    "moving_variance": dyadic(RANDOM.uniform(0.8, 3.0, 3)),
    "weights": dyadic(RANDOM.uniform(0.25, 2.0, (8, 1))),
}
TANGENTS = {name: dyadic(RANDOM.normal(0.3, 1.0, value.shape), 4) for name, value in VALUES.items()}
COTANGENT = dyadic(RANDOM.normal(0.5, 1.0, SHAPE))
PAIR = (dyadic(RANDOM.uniform(0.8, 1.3, 3)), dyadic(RANDOM.normal(0.1, 0.3, 3)))

# What is differentiated by, the convention, and the options.
TRAINING = ("x", "gamma", "beta")
GIVEN = ("moving_mean", "moving_variance")
CONFIGURATIONS = {
    "training": (TRAINING, KERAS, {}),
    "evaluation": ((*TRAINING, *GIVEN), KERAS, {"training": False}),
    "weights": ((*TRAINING, "weights"), KERAS, {}),
    "ghosts": (TRAINING, TF_LAYERS, {"virtual_batch_size": 4}),
    "weighted ghosts": ((*TRAINING, "weights"), KERAS, {"virtual_batch_size": 2}),
    "renorm": (TRAINING, KERAS, {"renorm": bnspec.Renorm(rmax=1.25, dmax=0.5)}),
    "adjustment": (TRAINING, KERAS, {"adjustment": PAIR}),
    "debiased": (TRAINING, HAIKU, {}),
    "Bessel normalizes": ((*TRAINING, "weights"), NFLOWS, {}),
    "averages normalize": ((*TRAINING, *GIVEN), EQUINOX, {}),
}
EPSILON, MOMENTUM, COUNT = 0.25, 0.75, 2


def exact_gradients(configuration, values):
    names, convention, options = configuration
    training = options.get("training", True)
    weights = values["weights"] if "weights" in names else None
    renorm = options.get("renorm")
    correction = None
    if renorm is not None:  # a constant for differentiation, also for the second one
        step = oracle.trajectory(
            [(VALUES["x"], True, weights)],
            axis=(1,),
            epsilon=EPSILON,
            momentum=MOMENTUM,
            convention=convention,
            gamma=VALUES["gamma"],
            beta=VALUES["beta"],
            moving_mean=VALUES["moving_mean"],
            moving_variance=VALUES["moving_variance"],
            renorm=renorm,
            moving_stddev=VALUES["moving_variance"],
            renorm_mean=VALUES["moving_mean"],
            renorm_stddev=VALUES["moving_variance"],
        )[0]
        correction = step.correction
    return oracle.gradients(
        values["x"],
        COTANGENT,
        axis=(1,),
        epsilon=EPSILON,
        gamma=values["gamma"],
        moving_mean=values["moving_mean"],
        moving_variance=values["moving_variance"],
        training=training,
        weights=weights,
        convention=convention,
        momentum=MOMENTUM,
        num_batches=COUNT,
        virtual_batch_size=options.get("virtual_batch_size"),
        correction=correction,
        adjustment=options.get("adjustment"),
    )


def exact_product(configuration):
    """Differentiate the exact gradient by a central difference, whose error is of the order of STEP^2."""
    names = configuration[0]
    moved = []
    for sign in (1.0, -1.0):
        values = {**VALUES, **{name: VALUES[name] + sign * STEP * TANGENTS[name] for name in names}}
        moved.append(exact_gradients(configuration, values))
    above, below = moved
    found = {}
    for name in names:
        difference = getattr(above, name).fractions() - getattr(below, name).fractions()
        found[name] = np.vectorize(lambda value: float(value / Fraction(2 * STEP)))(difference)
    return found


def product_of(backend, configuration):
    names, convention, options = configuration
    xp = backend.namespace()
    spec = bnspec.BatchNorm(
        axis=1,
        epsilon=EPSILON,
        momentum=MOMENTUM,
        convention=convention,
        renorm=options.get("renorm"),
        virtual_batch_size=options.get("virtual_batch_size"),
    )
    given = {name: backend.asarray(value) for name, value in VALUES.items()}
    cotangent = backend.asarray(COTANGENT)
    pair = options.get("adjustment")
    extra = {} if pair is None else {"adjustment": tuple(map(backend.asarray, pair))}
    count = backend.asarray(np.asarray(COUNT, np.int32))

    def loss(values):
        named = {**given, **dict(zip(names, values, strict=True))}
        state = bnspec.State(named["moving_mean"], named["moving_variance"], count)
        if spec.renorm is not None:
            state = state._replace(
                moving_stddev=given["moving_variance"],
                renorm_mean=given["moving_mean"],
                renorm_stddev=given["moving_variance"],
            )
        weights = {"weights": named["weights"]} if "weights" in names else {}
        params = bnspec.Params(named["gamma"], named["beta"])
        y, _ = spec.apply(params, state, named["x"], training=options.get("training", True), **weights, **extra)
        return xp.sum(y * cotangent)

    gradient = backend.value_and_grad(loss)

    def slope(values):
        parts = gradient(values)[1]
        # beta enters linearly: some frameworks return nothing for it.
        pairs = [(part, TANGENTS[name]) for part, name in zip(parts, names, strict=True) if part is not None]
        total = xp.sum(pairs[0][0] * backend.asarray(pairs[0][1]))
        for part, tangent in pairs[1:]:
            total = total + xp.sum(part * backend.asarray(tangent))
        return total

    found = backend.value_and_grad(slope)(tuple(given[name] for name in names))[1]
    return {
        name: np.zeros(VALUES[name].shape) if part is None else backend.to_numpy(part)
        for name, part in zip(names, found, strict=True)
    }


DIFFERENTIABLE = [
    name
    for name in present_backends()[0]
    if "autodiff" not in bnspec.backend(name).gaps() and "float64" not in bnspec.backend(name).gaps()
]


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("chosen", DIFFERENTIABLE)
def test_a_hessian_vector_product_matches_differences(chosen, name):
    configuration = CONFIGURATIONS[name]
    backend = bnspec.backend(chosen)
    with backend.context():
        found = product_of(backend, configuration)
    wanted = exact_product(configuration)
    limit = bounds.second_derivative_goal(max(np.abs(part).max() for part in wanted.values()))
    for part, expected in wanted.items():
        assert np.abs(found[part] - expected).max() <= limit, part


def test_three_frameworks_are_differentiated():
    if not {"torch", "jax", "tensorflow"} <= {name.partition(":")[0] for name in present_backends()[0]}:
        pytest.skip("torch, JAX and TensorFlow are not all installed")
    assert {name.partition(":")[0] for name in DIFFERENTIABLE} >= {"torch", "jax", "tensorflow"}
