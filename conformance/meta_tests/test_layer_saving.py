"""Configurations and files: the way out, the way back, and every way in which a file can be wrong."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import bnspec
from bnspec import conventions
from bnspec.layers import L1, BatchNormalization, Constant, MinMaxNorm, RandomNormal
from bnspec_conformance.definition import receive

from .layer_helpers import SECOND, X, bits, values

ARGUMENTS = {
    "default": {},
    "all": {
        "axis": [1, -1],
        "momentum": 0.5,
        "epsilon": 0.25,
        "scale": False,
        "beta_initializer": RandomNormal(1.0, 2.0, seed=3),
        "gamma_initializer": "ones",
        "moving_mean_initializer": Constant(0.5),
        "moving_variance_initializer": Constant(2.0),
        "beta_regularizer": L1(0.5),
        "gamma_regularizer": "l1_l2",
        "beta_constraint": MinMaxNorm(0.5, 3.0, 0.5, axis=(0, 1)),
        "gamma_constraint": "non_neg",
        "renorm": True,
        "renorm_clipping": {"rmax": 3.0, "dmax": 5.0},
        "renorm_momentum": 0.75,
        "fused": False,
        "trainable": False,
        "virtual_batch_size": 3,
        "name": "seventh",
        "dtype": "float64",
        "convention": "keras",
        "defer_updates": True,
    },
    "no momentum": {"momentum": None, "center": False, "renorm_clipping": {"rmin": 0.5}},
    "own convention": {"convention": replace(conventions.TORCH, name="MINE", one_element="update")},
    "changed convention": {"convention": replace(conventions.TORCH, one_element="update")},
}


def trained(backend=None, **arguments):
    send = backend.asarray if backend else np.asarray
    layer = BatchNormalization(**arguments)
    layer(send(X), training=True)
    layer(send(SECOND), training=True)
    for update in layer.updates:
        update()
    return layer


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_configuration_makes_the_same_layer(arguments):
    layer = BatchNormalization(**arguments)
    config = layer.get_config()
    other = BatchNormalization.from_config(json.loads(json.dumps(config)))
    assert other.get_config() == config
    assert other.spec == layer.spec
    assert other.name == layer.name
    assert set(config) == set(bnspec.layers.BatchNormalization.__init__.__annotations__) - {"adjustment", "return"}
    left, right = (trained(**arguments), trained(**config))
    assert [value.tobytes() for value in left.get_weights()] == [value.tobytes() for value in right.get_weights()]


def test_a_named_convention_is_saved_by_its_name():
    assert BatchNormalization().get_config()["convention"] == "TF_LAYERS"
    assert BatchNormalization(**ARGUMENTS["changed convention"]).get_config()["convention"]["one_element"] == "update"


def test_a_configuration_knows_what_has_become_of_the_layer():
    layer = BatchNormalization()
    layer.trainable = False
    layer.build((None, 3), like=np.zeros(1))
    config = layer.get_config()
    assert (config["trainable"], config["dtype"], config["name"]) == (False, "float64", "batch_normalization")


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_file_brings_the_layer_back(backend, tmp_path, arguments):
    if arguments.get("dtype") in backend.gaps():
        pytest.skip("not of this dtype")
    layer, path = trained(backend, **arguments), tmp_path / "layer.safetensors"
    layer.save(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    x = backend.asarray(SECOND)
    loaded = BatchNormalization.load(path, like=x)
    assert loaded.get_config() == layer.get_config()
    assert loaded.input_shape == layer.input_shape
    assert bits(backend, loaded(x)) == bits(backend, layer(x))
    plain = BatchNormalization.load(str(path))
    for name, value in values(plain).items():
        assert value.tobytes() == values(layer)[name].tobytes()
    again = trained(backend, **arguments)
    again(x, training=True)
    again.load_weights(path)
    assert bits(backend, again(x)) == bits(backend, layer(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_keeps_its_bits(backend, tmp_path, dtype):
    if dtype in backend.gaps():
        pytest.skip("not of this dtype")
    kind = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype
    arguments = {"convention": "haiku", "momentum": 0.7, "gamma_initializer": RandomNormal(seed=4)}
    layer, path = BatchNormalization(**arguments), tmp_path / "half"
    layer(backend.asarray(X.astype(kind)), training=True)
    assert values(layer)["gamma"].dtype == dtype
    layer.save(path)
    other = BatchNormalization(**arguments)
    other.build(X.shape, like=backend.asarray(X.astype(kind)))
    other.load_weights(path)
    assert [value.tobytes() for value in other.get_weights()] == [value.tobytes() for value in layer.get_weights()]
    assert load_file(path)["gamma"].dtype == ("uint16" if dtype == "bfloat16" else "float16")


def test_a_file_is_read_where_no_framework_is(tmp_path):
    path = tmp_path / "layer"
    layer = trained(bnspec.backend("torch") if "torch" in sys.modules else None, renorm=True)
    layer.save(path)
    code = f"""
import sys
from bnspec.layers import BatchNormalization
layer = BatchNormalization.load({str(path)!r})
print(layer.moving_mean.numpy().tobytes().hex(), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [values(layer)["moving_mean"].tobytes().hex(), "False"]


def test_importing_bnspec_does_not_load_safetensors():
    code = "import sys, bnspec.layers; print('safetensors' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def damaged(path, how):
    data = path.read_bytes()
    path.write_bytes(how(data))


@pytest.mark.parametrize(
    "how",
    [lambda d: d[:-1], lambda d: d[: len(d) // 2], lambda d: d[:4], lambda d: b"", lambda d: b"\xff" * 64],
    ids=range(5),
)
def test_a_damaged_file_changes_nothing(tmp_path, how):
    path, layer = tmp_path / "layer", trained()
    layer.save(path)
    damaged(path, how)
    before = layer.get_weights()
    text = r"the file must be a whole safetensors file\. Got path='.*layer', error="
    with pytest.raises(ValueError, match=text):
        layer.load_weights(path)
    with pytest.raises(ValueError, match=text):
        BatchNormalization.load(path)
    assert [value.tobytes() for value in layer.get_weights()] == [value.tobytes() for value in before]


def test_a_bit_that_has_turned_is_noticed(tmp_path):
    path, layer = tmp_path / "layer", trained()
    layer.save(path)
    data, before = path.read_bytes(), layer.get_weights()
    for place in range(0, len(data), 5):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ValueError, match=r"the file must (be|have) .*Got path='.*layer'"):
            layer.load_weights(path)
    assert [value.tobytes() for value in layer.get_weights()] == [value.tobytes() for value in before]


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        ({"convention": "torch", "axis": -1}, r"must be of the layer's convention\. .*layer='TF_LAYERS', file='TORCH'"),
        ({"scale": False}, r"must have the layer's variables: gamma, .*layer={'gamma': .*}, file={'gamma': None}"),
        ({"renorm": True}, r"layer={.*'moving_stddev': None.*}, file={.*'moving_stddev': \(\(3,\), 'float32'\)"),
        ({"axis": 1}, r"layer={'gamma': \(\(3,\), 'float32'\), .*file={'gamma': \(\(4,\), 'float32'\), "),
        ({"dtype": "float64"}, r"layer={'gamma': \(\(3,\), 'float32'\), .*file={'gamma': \(\(3,\), 'float64'\), "),
    ],
)
def test_a_file_of_another_layer_changes_nothing(tmp_path, other, shown):
    path, layer = tmp_path / "layer", trained()
    trained(**other).save(path)
    before = layer.get_weights()
    with pytest.raises(ValueError, match=shown):
        layer.load_weights(path)
    assert [value.tobytes() for value in layer.get_weights()] == [value.tobytes() for value in before]


def test_a_file_of_somebody_else(tmp_path):
    path, layer = tmp_path / "other", trained()
    save_file({"gamma": np.ones(3, np.float32)}, path)
    with pytest.raises(
        ValueError, match=r"must have the format 'bnspec\.layers 1'\. Got path='.*other', format=None\."
    ):
        layer.load_weights(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        BatchNormalization.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        trained().save(tmp_path / "none" / "layer")


def test_a_file_that_the_library_has_no_dtype_for(tmp_path):
    path = tmp_path / "layer"
    layer = BatchNormalization(convention="haiku", momentum=0.7)
    layer.build((None, 3), like=np.zeros(1, np.float16))
    layer.save(path)
    like = bnspec.backend("array-api-strict").asarray(X)
    with pytest.raises(TypeError, match=r"dtype must be one of array_api_strict\. Got dtype='float16'\."):
        BatchNormalization.load(path, like=like)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: BatchNormalization().save("x"), r"batch_normalization must have its variables\. Build it"),
        (
            lambda: BatchNormalization().load_weights("x"),
            r"batch_normalization must have its variables\. Build it",
        ),
        (
            lambda: BatchNormalization(adjustment=lambda shape: None).get_config(),
            r"adjustment is a function and must be None to be saved\. Got adjustment=<function .*Keep get_weights\(\)",
        ),
        (
            lambda: BatchNormalization(gamma_initializer=lambda shape, like: None).get_config(),
            r"gamma_initializer must be one of bnspec\.layers to be saved: Zeros, .*Got gamma_initializer=<function",
        ),
        (
            lambda: BatchNormalization(beta_constraint=abs).get_config(),
            r"beta_constraint must be one of bnspec\.layers to be saved: NonNeg, .*Got beta_constraint=<built-in",
        ),
        (
            lambda: BatchNormalization.from_config({"momentun": 0.5}),
            r"config must have known arguments\. Got argument='momentun'\. Did you mean 'momentum'\?",
        ),
    ],
)
def test_what_cannot_be_saved(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_the_layer_is_the_same_after_a_round_trip_between_backends(backend, tmp_path):
    path = tmp_path / "layer"
    trained(backend).save(path)
    loaded = BatchNormalization.load(path)
    assert receive(bnspec.backend("numpy"), loaded.gamma.value).tobytes() == np.ones(3, np.float32).tobytes()
