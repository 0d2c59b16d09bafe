"""What the originals on JAX have in common: most draws run at once, on shapes that are not new, and some compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = ["CHOICES", "pooled"]

CHOICES: Mapping[str, tuple[Any, ...]] = {"compiled": (*(False,) * 7, True), "uneven": (False,)}
"""Compiling takes a second for each shape and configuration."""


def pooled(options: dict[str, Any], random: np.random.Generator) -> None:
    """Give draws that are not compiled a shape of the pool, and one to all their batches."""
    options["pool"] = None if options["compiled"] else int(random.integers(2))
