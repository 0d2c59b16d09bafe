"""The released layers, identified from the outside."""

from functools import cache

import pytest

from bnspec.conventions import named
from bnspec_conformance.identify import identify
from bnspec_conformance.peers import PEERS, peer

from .layer import module

# What each is named, and which of its modules must be here.
NAMES = {
    "torch": ("TORCH", ("torch",)),
    "keras": ("KERAS", ("keras",)),
    "tf_keras": ("TF_KERAS", ("tensorflow", "tf_keras")),
    "tf_keras fused": ("TF_KERAS_FUSED", ("tensorflow", "tf_keras")),
    "flax": ("FLAX", ("jax", "flax.linen")),
    "flax nnx": ("FLAX_NNX", ("jax", "flax.nnx")),
    "haiku": ("HAIKU", ("jax", "haiku")),
    "equinox ema": ("EQUINOX", ("jax", "equinox")),
    "equinox batch": ("EQUINOX_BATCH", ("jax", "equinox")),
    "onnxruntime": ("ONNX", ("onnx", "onnxruntime")),
    "nflows": ("NFLOWS", ("torch", "nflows.transforms")),
    "tfp": ("TFP", ("tensorflow", "tf_keras", "tensorflow_probability")),
}
# Who comes with a name because no field that differs can be seen: those with replicas, or those of the same numbers.
TOGETHER = {
    "flax": {"FLAX", "FLAX_NNX"},
    "flax nnx": {"FLAX", "FLAX_NNX"},
    "onnxruntime": {"ONNX", "MXNET", "PADDLE"},
    "tfp": {"KERAS", "TF_KERAS", "TFP"},
}
POISONED = "empty_batch"
# What agrees with no value, because the release departs from every convention.
UNEXPLAINED = {
    "torch": set(),
    "tf_keras fused": {POISONED, "mask"},  # which is ignored
    "nflows": {POISONED, "one_element"},
}
SEEN_OF_ALL = {"momentum_weighs", "running_variance", "average", "statistics", "epsilon", "momentum"}
NOT_SEEN_OF = {
    "nflows": {"axis"},  # 1 and -1 are one axis of its inputs
    "onnxruntime": {"initial_variance"},  # an operator has no state of its own
}


@cache
def found(name):
    for each in NAMES[name][1]:
        module(each)
    return identify(peer(name))


def values(name, topic):
    return {each.where: each.value for each in found(name).findings if each.topic == topic}


def test_every_peer_is_tried():
    assert NAMES.keys() == PEERS.keys()


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_named(name):
    seen = found(name)
    assert set(seen.names) == TOGETHER.get(name, {NAMES[name][0]})
    assert not seen.nearest[0].differences
    convention = named(NAMES[name][0])
    known = {each.name for each in seen.fields if each.known}
    assert SEEN_OF_ALL | ({"axis", "initial_variance"} - NOT_SEEN_OF.get(name, set())) <= known
    for each in seen.fields:
        assert each.allows(getattr(convention, each.name))
        assert each.evidence if each.known else each.reason
    assert {each.name for each in seen.unexplained} == UNEXPLAINED.get(name, {POISONED})


# TensorFlow's tf.nn.moments stops the gradient of the mean inside the squares.
SECOND = {
    "torch": "through mean and variance",
    "keras": "not through the mean inside the variance",
    "tf_keras": "not through the mean inside the variance",
    "tf_keras fused": "through mean and variance",
    "tfp": "not through the mean inside the variance",
    "flax": "through mean and variance",
    "haiku": "through mean and variance",
    "equinox batch": "through mean and variance",
}
VARIANCE = {"flax": "one pass", "flax nnx": "one pass", "haiku": "one pass, and may be negative"}
FOLDED = {"torch", "keras", "tf_keras", "tfp", "onnxruntime"}
LOADED = {"equinox batch"}  # it divides what was loaded by 1 - m^n too


@pytest.mark.parametrize("name", PEERS)
def test_what_is_found_beside_the_convention(name):
    assert values(name, "variance algorithm")["float32"] == VARIANCE.get(name, "two passes, or as good")
    assert values(name, "output in evaluation")["float32"] == ("folded" if name in FOLDED else "centred")
    assert values(name, "accumulation")["float32"] == "float32"
    grades = {value for where, value in values(name, "grade").items() if where.startswith("float32,")}
    assert (grades == {"below naive"}) == (name in VARIANCE)
    loaded = values(name, "moving_variance from a loaded state")["float32"]
    assert loaded == ("not as the convention says" if name in LOADED else "as the convention says")
    if name != "onnxruntime":
        assert set(values(name, "first-order gradient, gradients").values()) == {"through mean and variance"}
    if name in SECOND:
        assert set(values(name, "second-order gradient").values()) == {SECOND[name]}
