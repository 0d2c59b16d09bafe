"""What the tests of the project share."""

import sys

import pytest
from hypothesis import settings

import bnspec
from bnspec_conformance.subjects import present_backends

pytest_plugins = ["pytester"]

# The same few examples in every ordinary run; the nox sessions ask for the full profile.
settings.register_profile("quick", max_examples=25, derandomize=True, deadline=None, database=None)
settings.register_profile("full", max_examples=10_000, deadline=None, database=None, print_blob=True)
settings.load_profile("quick")

BACKENDS = tuple(present_backends()[0])


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Every backend that is here, inside its own context."""
    found = bnspec.backend(request.param)
    with found.context():
        yield found


@pytest.fixture(scope="module")
def isolation(tmp_path_factory):
    """Where the adapters of strangers are tried."""
    from bnspec_conformance.check import Isolation  # noqa: PLC0415 - an extra, which not every session has

    from .strangers import ADAPTERS  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("strangers")
    (folder / "strangers.py").write_text(ADAPTERS)
    (folder / "broken_module.py").write_text("import no_such_package\n")
    (folder / "leaving_module.py").write_text("import os\nos._exit(5)\n")
    sys.path.insert(0, str(folder))
    with Isolation() as found:
        yield found
    sys.path.remove(str(folder))
