"""Backends are found by name, and say clearly why they are not."""

import sys
from importlib.metadata import metadata

import pytest

import bnspec
from bnspec import registry


def test_all_entry_points_are_listed():
    assert registry.names() == {"numpy", "array-api-strict", "torch", "jax", "tensorflow", "cupy"}


def test_a_mistyped_name_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"backend must be registered\. Got backend='torhc'\. Did you mean 'torch'\?"):
        bnspec.backend("torhc")


def test_a_name_like_nothing_lists_all():
    with pytest.raises(ValueError, match=r"Known are: array-api-strict, cupy, jax, numpy, tensorflow, torch\."):
        bnspec.backend("zzzzzz")


def test_a_framework_that_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bnspec_backends._cupy", None)
    with pytest.raises(ImportError, match=r"'cupy' must be importable\..*pip install 'bnspec\[cupy\]'"):
        bnspec.backend("cupy")


def test_an_extra_is_named_after_the_framework():
    extras = set(metadata("bnspec").get_all("Provides-Extra"))
    assert extras >= {name.removeprefix("array-api-") for name in registry.names()} - {"numpy"}


def test_a_device_that_is_missing_says_so(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"torch:cuda must be present\. Got reason='torch.cuda.is_available\(\)"):
        bnspec.backend("torch:cuda")


def test_a_variant_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"jax must have the variant\. Got variant='x65'\. Did you mean 'x64'\?"):
        bnspec.backend("jax:x65")
    with pytest.raises(ValueError, match=r"numpy must have the variant\. Got variant='cuda'\. Known are: none\."):
        bnspec.backend("numpy:cuda")


def test_a_name_round_trips():
    for name in ("numpy", "array-api-strict", "torch", "jax", "jax:x64", "tensorflow"):
        assert bnspec.backend(name).name == name
