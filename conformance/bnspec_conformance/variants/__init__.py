"""Correct variants: the right answer by other routes. None of them may ever be accused."""

from ._variants import VARIANTS

__all__ = ["VARIANTS"]
