"""Released layers at what their conventions say of them. One file is one library."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.check")
