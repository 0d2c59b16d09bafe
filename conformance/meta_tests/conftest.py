"""What the tests of the project share."""

import pytest

import bnspec
from bnspec_conformance.subjects import present_backends

pytest_plugins = ["pytester"]

BACKENDS = tuple(present_backends()[0])


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Every backend that is here, inside its own context."""
    found = bnspec.backend(request.param)
    with found.context():
        yield found
