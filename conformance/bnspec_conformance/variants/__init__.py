"""Correct variants: the right answer by other routes. None of them may ever be accused."""

from ._complete import COMPLETE
from ._flows import FLOW_VARIANTS
from ._variants import VARIANTS as _PLAIN
from ._variants import BlockedSums, SequentialSums

__all__ = ["FLOW_VARIANTS", "VARIANTS", "BlockedSums", "SequentialSums"]

VARIANTS = _PLAIN + COMPLETE
"""Every variant, those that have every part last."""
