"""The catalogue of all entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._catalogue import MAPS
from ._images import IMAGES
from ._splines import SPLINES
from ._structured import STRUCTURED

if TYPE_CHECKING:
    from ._entry import Entry

__all__ = ["CATALOGUE"]

CATALOGUE: dict[str, Entry] = {**MAPS, **STRUCTURED, **SPLINES, **IMAGES}
"""Every entry by its id."""
