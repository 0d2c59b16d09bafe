"""Released libraries at the bounds of a stranger: the sound one is not accused, the others are, for what they do."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import bnspec
from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.adapter import Config
from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.definition import DefinitionAdapter
from bnspec_conformance.laws import Subject, trials

# Keras calls np.array on a TensorFlow variable, which has no copy= yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


class Torch:
    """torch.nn.BatchNorm1d, 2d and 3d."""

    convention = TORCH
    gaps = dict.fromkeys(("rank 1", "axis 0", "axis -1", "inner axis", "several axes"), "the feature axis is 1") | {
        "scale=False": "affine is one switch for both",
        "center=False": "affine is one switch for both",
    }

    def __init__(self, config):
        kind = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}
        affine = config.center or config.scale
        arguments = (config.num_features, config.epsilon, config.momentum, affine)
        self.layer = kind[len(config.shape)](*arguments, dtype=torch.float64 if config.dtype == "float64" else None)

    def load(self, gamma, beta, moving_mean, moving_variance):
        names = {"weight": gamma, "bias": beta, "running_mean": moving_mean, "running_var": moving_variance}
        self.layer.load_state_dict({k: torch.tensor(v) for k, v in names.items() if v is not None}, strict=False)

    def __call__(self, x, training):
        self.layer.train(training)
        return receive(self.layer(send(x)))

    def read(self):
        return self.layer.running_mean.numpy().copy(), self.layer.running_var.numpy().copy()

    def gradients(self, x, cotangent, training):
        self.layer.train(training)
        given = send(x).requires_grad_()
        self.layer.zero_grad()
        self.layer(given).backward(send(cotangent))
        found = {"x": receive(given.grad)}
        if self.layer.affine:
            found |= {"gamma": receive(self.layer.weight.grad), "beta": receive(self.layer.bias.grad)}
        return found


def send(x):
    if x.dtype.name == "bfloat16":
        return torch.tensor(x.view(np.int16)).view(torch.bfloat16)
    return torch.tensor(x)


def receive(y):
    y = y.detach()
    if y.dtype == torch.bfloat16:
        return y.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return y.numpy()


class Keras:
    """keras.layers.BatchNormalization on the backend that Keras has chosen."""

    convention = KERAS
    gaps = dict.fromkeys(("float16", "bfloat16"), "the output has the dtype of the policy") | {
        "momentum=None": "no cumulative average",
        "several axes": "axis is an integer",
    }

    def __init__(self, config):
        self.layer = keras.layers.BatchNormalization(
            axis=config.axis[0],
            momentum=config.momentum,
            epsilon=config.epsilon,
            center=config.center,
            scale=config.scale,
            dtype=config.dtype,
        )
        self.layer.build(config.shape)

    def load(self, gamma, beta, moving_mean, moving_variance):
        self.layer.set_weights([v for v in (gamma, beta, moving_mean, moving_variance) if v is not None])

    def __call__(self, x, training):
        return keras.ops.convert_to_numpy(self.layer(x, training=training))

    def read(self):
        return tuple(keras.ops.convert_to_numpy(v).copy() for v in (self.layer.moving_mean, self.layer.moving_variance))


class TensorFlow:
    """tf.nn.moments and tf.nn.batch_normalization, put together as their documentation says."""

    convention = KERAS
    gaps = dict.fromkeys(("float16", "bfloat16"), "tf.nn.moments returns statistics in half precision") | {
        "momentum=None": "no cumulative average",
        "compile": "see nox -s modes",
    }

    def __init__(self, config):
        self.config = config
        self.reduced = [axis for axis in range(len(config.shape)) if axis not in config.axis]

    def load(self, gamma, beta, moving_mean, moving_variance):
        shape = [size if axis in self.config.axis else 1 for axis, size in enumerate(self.config.shape)]
        self.parameters = [None if v is None else tf.constant(v.reshape(shape)) for v in (beta, gamma)]
        self.averages = [v.copy() for v in (moving_mean, moving_variance)]
        self.shape = shape

    def normalized(self, x, statistics):
        return tf.nn.batch_normalization(x, *statistics, *self.parameters, self.config.epsilon)

    def __call__(self, x, training):
        if not training:
            return self.normalized(tf.constant(x), [tf.constant(v.reshape(self.shape)) for v in self.averages]).numpy()
        statistics = tf.nn.moments(tf.constant(x), self.reduced, keepdims=True)
        if x.size:
            share = x.dtype.type(1 - self.config.momentum)
            for average, batch in zip(self.averages, statistics, strict=True):
                average += (batch.numpy().reshape(average.shape) - average) * share  # noqa: PLW2901 - in place
        return self.normalized(tf.constant(x), statistics).numpy()

    def read(self):
        return tuple(v.copy() for v in self.averages)

    def hessian_vector_product(self, x, cotangent, tangent):
        x = tf.constant(x)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = self.normalized(x, tf.nn.moments(x, self.reduced, keepdims=True))
            gradient = inner.gradient(y, x, cotangent)
        return outer.gradient(gradient, x, tangent).numpy()

    @staticmethod
    def moments(x, axes, keepdims):
        axes = [axes] if isinstance(axes, int) else list(axes)
        return tuple(v.numpy() for v in tf.nn.moments(tf.constant(x), axes, keepdims=keepdims))


ADAPTERS = {
    f"torch {torch.__version__.partition('+')[0]}": Torch,
    f"keras {keras.__version__}": Keras,
    f"tensorflow {tf.__version__}": TensorFlow,
}


def broken(adapter):
    found, tried = set(), 0
    for trial in trials(Subject("original", (adapter,), NAIVE)):
        if not trial.missing:
            tried += 1
            try:
                trial.run(Checks())
            except LawBroken:
                found.add(f"{trial.law.group}.{trial.law.name}")
    return found, tried


def findings():
    """The rows of docs/findings.md: library, law, and the percentage that the text names, if any."""
    text = (Path(__file__).parents[2] / "docs/findings.md").read_text()
    rows = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in text.splitlines() if line[:1] == "|"]
    return rows[2:]


@pytest.mark.parametrize("library", ADAPTERS)
def test_the_findings_are_all_that_is_found(library):
    found, tried = broken(ADAPTERS[library])
    assert found == {law for name, law, _ in findings() if name == library}
    assert tried > 50


def test_each_finding_is_about_an_installed_library():
    assert {name for name, _, _ in findings()} == ADAPTERS.keys()


@pytest.mark.parametrize(
    ("library", "law", "text"), [row for row in findings() if row[1] == "normalization.evaluation"]
)
def test_the_folded_mean_is_off_by_as_much_as_is_said(library, law, text):
    pattern = np.asarray([-3.0, -1.0, 1.0, 3.0])
    x = (4099.0 + pattern / 2048.0).astype(np.float32)[:, None]
    config = Config(
        shape=(4, 1), axis=(1,), momentum=0.1, epsilon=1e-12, center=True, scale=True, dtype="float32",
        convention=ADAPTERS[library].convention,
    )  # fmt: skip
    layer = ADAPTERS[library](config)
    one = np.ones(1, np.float32)
    layer.load(one, 0 * one, 4099 * one, one * 5 / 2048**2)
    off = np.abs(layer(x, False)[:, 0] - pattern / np.sqrt(5.0)).max()
    assert "off by more than 5 percent of a standard deviation" in text
    assert off > 0.05


def test_second_derivatives_match_finite_differences_and_those_of_tf_nn_moments_do_not():
    rng = np.random.default_rng(22)
    x, cotangent, tangent = rng.normal(size=(3, 7, 3))
    config = Config(
        shape=(7, 3), axis=(1,), momentum=0.5, epsilon=1e-3, center=True, scale=True, dtype="float64",
        convention=KERAS,
    )  # fmt: skip
    ours, theirs = DefinitionAdapter(bnspec.backend("tensorflow"), KERAS)(config), TensorFlow(config)
    parameters = rng.normal(size=(4, 3))
    for layer in (ours, theirs):
        layer.load(*parameters)

    def difference(step):
        ahead, behind = (ours.gradients(x + h * tangent, cotangent, True)["x"] for h in (step, -step))
        return (ahead - behind) / (2 * step)

    # Richardson's extrapolation of two steps.
    expected = (4 * difference(1e-3) - difference(2e-3)) / 3
    found = (layer.hessian_vector_product(x, cotangent, tangent) for layer in (ours, theirs))
    right, wrong = (np.abs(value - expected).max() / np.abs(expected).max() for value in found)
    (text,) = (text for name, law, text in findings() if "hessian_vector_product" in law)
    assert "off by more than 5 percent" in text
    assert wrong > 0.05
    assert right < wrong / 1e9
