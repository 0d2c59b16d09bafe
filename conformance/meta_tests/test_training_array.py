"""``training`` as a boolean array: one compiled function serves both modes, with the bits of neither changed."""

from dataclasses import replace

import numpy as np
import pytest

import bnspec
from bnspec.conventions import EQUINOX, KERAS, TF_LAYERS
from bnspec_conformance.subjects import present_backends

X = np.random.default_rng(5).normal(3.0, 2.0, (8, 3)).astype(np.float32)
DY = np.random.default_rng(6).normal(0.5, 1.0, (8, 3)).astype(np.float32)
WEIGHTS = np.asarray([[1.0], [0.0], [2.0], [0.5], [1.0], [3.0], [0.0], [1.0]], np.float32)

SPECS = {
    "plain": (bnspec.BatchNorm(), {}),
    "weights": (bnspec.BatchNorm(), {"weights": WEIGHTS}),
    "ghosts": (bnspec.BatchNorm(convention=TF_LAYERS, virtual_batch_size=4), {}),
    "renorm": (bnspec.BatchNorm(renorm=bnspec.Renorm(rmax=1.5, dmax=0.5)), {}),
    "adjustment": (
        bnspec.BatchNorm(),
        {"adjustment": (np.full((3,), 1.1, np.float32), np.full((3,), 0.2, np.float32))},
    ),
    "running": (bnspec.BatchNorm(convention=EQUINOX), {}),
    "cumulative": (bnspec.BatchNorm(momentum=None), {}),
}


@pytest.fixture(params=[name for name in present_backends()[0] if ":" not in name])
def backend(request):
    chosen = bnspec.backend(request.param)
    with chosen.context():
        yield chosen


def sent(backend, options):
    return {
        name: tuple(map(backend.asarray, value)) if isinstance(value, tuple) else backend.asarray(value)
        for name, value in options.items()
    }


def same(backend, found, wanted):
    if wanted is None:
        return found is None
    found, wanted = backend.to_numpy(found), backend.to_numpy(wanted)
    return found.dtype == wanted.dtype and np.array_equal(found, wanted, equal_nan=True)


def near(backend, found, wanted):
    found, wanted = backend.to_numpy(found), backend.to_numpy(wanted)
    return np.abs(found - wanted).max() <= 64 * np.finfo(np.float32).eps * np.abs(wanted).max()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SPECS)
def test_an_array_decides_as_a_bool_does(backend, name, training):
    spec, options = SPECS[name]
    x, dy, options = backend.asarray(X), backend.asarray(DY), sent(backend, options)
    params, state = spec.init(X.shape, like=x)
    _, state = spec.apply(params, state, x + 1.0, training=True)
    xp = backend.namespace()
    y, after, pullback = spec.vjp(params, state, x, training=xp.asarray(training), **options)
    wanted_y, wanted, wanted_pullback = spec.vjp(params, state, x, training=training, **options)
    assert same(backend, y, wanted_y)
    assert all(same(backend, *pair) for pair in zip(after, wanted, strict=True))
    for found, expected in zip(pullback(dy), wanted_pullback(dy), strict=True):
        # In evaluation, the sums of ghost batches are added, where there would be one sum.
        assert same(backend, found, expected) or (name == "ghosts" and not training and near(backend, found, expected))


def test_one_compiled_function_serves_both_modes(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    spec = bnspec.BatchNorm(convention=replace(KERAS, one_element="raise"))
    x, xp = backend.asarray(X), backend.namespace()
    params, state = spec.init(X.shape, like=x)
    compiled = backend.compile(lambda params, state, x, training: spec.apply(params, state, x, training=training))
    for training in (True, False, True):
        y, after = compiled(params, state, x, xp.asarray(training))
        wanted_y, wanted = spec.apply(params, state, x, training=training)
        # A compiler rounds in an order of its own; what is wrong by a mode is wrong by far more.
        for found, expected in ((y, wanted_y), *zip(after[:3], wanted[:3], strict=True)):
            assert near(backend, found, expected)


def test_what_is_not_finite_leaves_no_trace_in_the_gradient_of_evaluation():
    torch = pytest.importorskip("torch")
    x = torch.asarray(X.copy())
    x[0, 0] = float("nan")
    x.requires_grad_()
    spec = bnspec.BatchNorm()
    params, state = spec.init(X.shape, like=x)
    y, _ = spec.apply(params, state, x, training=torch.asarray(False))
    (gradient,) = torch.autograd.grad(y[1:].sum(), x)
    assert bool(torch.isfinite(gradient).all())
