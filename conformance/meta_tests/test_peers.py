"""The adapters of released libraries, as far as they go without their libraries."""

import subprocess
import sys

import numpy as np
import pytest

from bnspec.conventions import ALL
from bnspec_conformance.adapter import load
from bnspec_conformance.identify import identify
from bnspec_conformance.peers import PEERS, peer


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_an_adapter_with_a_named_convention(name):
    adapter = peer(name)
    assert load(PEERS[name]) is adapter
    assert adapter.convention in ALL
    assert {"load", "read", "__call__"} <= set(dir(adapter.layer))
    assert callable(adapter.default)


def test_a_peer_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="name must be that of a peer"):
        peer("tf keras")


def test_naming_the_peers_imports_none_of_their_libraries():
    named = "from bnspec_conformance.peers import PEERS, peer; [peer(name) for name in PEERS]"
    code = f"import sys; {named}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    libraries = {"torch", "keras", "tf_keras", "tensorflow", "flax", "haiku", "jax", "equinox", "onnxruntime", "nflows"}
    assert not (libraries | {"tensorflow_probability"}) & set(done.stdout.split())


def test_torch_is_identified_with_its_gradients():
    found = identify(peer("torch"))
    assert found.names == ("TORCH",)
    assert found.field("momentum").value == 0.1
    assert found.field("empty_batch").value == "count"
    orders = [each.value for each in found.findings if each.topic.endswith(("gradient", "gradient, gradients"))]
    assert orders == ["through mean and variance"] * 2


def test_torch_copies_what_it_is_given_and_what_it_gives():
    layer = peer("torch").default((4, 3), "float32")
    mean = np.ones(3, np.float32)
    layer.load(mean, mean, mean, mean)
    kept = layer.read()[0]
    layer(np.arange(12, dtype=np.float32).reshape(4, 3), True)
    assert (mean == 1).all()
    assert (kept == 1).all()
    assert not (layer.read()[0] == 1).any()
