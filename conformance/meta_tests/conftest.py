"""What the tests of the project share."""

import pytest
from hypothesis import settings

import bnspec
from bnspec_conformance.subjects import present_backends

pytest_plugins = ["pytester"]

# The same few examples in every ordinary run; the nox sessions ask for the full profile.
settings.register_profile("quick", max_examples=60, derandomize=True, deadline=None, database=None)
settings.register_profile("full", max_examples=10_000, deadline=None, database=None, print_blob=True)
settings.load_profile("quick")

BACKENDS = tuple(present_backends()[0])


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Every backend that is here, inside its own context."""
    found = bnspec.backend(request.param)
    with found.context():
        yield found
