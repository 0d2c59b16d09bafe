"""The catalogue of all entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._catalogue import MAPS
from ._images import IMAGES
from ._splines import SPLINES

if TYPE_CHECKING:
    from ._entry import Entry

__all__ = ["CATALOGUE"]

CATALOGUE: dict[str, Entry] = {**MAPS, **SPLINES, **IMAGES}
"""Every entry by its id."""
