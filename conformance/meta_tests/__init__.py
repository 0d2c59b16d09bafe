"""Tests of the project itself; a package, so that the modules with shared helpers can be imported."""

import pytest

# Of the modules in here that are not tests, pytest would leave the assertions without an explanation.
pytest.register_assert_rewrite(f"{__name__}.flow_helpers", f"{__name__}.oracle_helpers")
