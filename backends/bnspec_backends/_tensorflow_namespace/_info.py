"""What the namespace is able to do, as the standard asks for it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bnspec_backends._tensorflow_namespace._creation import DEFAULTS
from bnspec_backends._tensorflow_namespace._dtypes import KINDS, isdtype

__all__ = ["__array_namespace_info__"]

# What every backend of the standard has; half precision is ours beside it.
_STANDARD = {dtype.name: dtype for dtype in KINDS if dtype not in (tf.float16, tf.bfloat16)}


class Info:
    """The inspection API of the standard."""

    def capabilities(self) -> dict[str, Any]:
        """Return what depends on data: shapes may, where a function is called eagerly."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 8}

    def default_device(self) -> str:
        """Return the device on which arrays are made."""
        return self.devices()[0]

    def default_dtypes(self, *, device: Any = None) -> dict[str, Any]:
        """Return the dtypes of arrays that are made from Python scalars."""
        return {
            "real floating": DEFAULTS[float],
            "complex floating": DEFAULTS[complex],
            "integral": DEFAULTS[int],
            "indexing": tf.int64,
        }

    def devices(self) -> list[str]:
        """Return the devices, a GPU before the CPU."""
        names = [device.name for device in tf.config.list_logical_devices()]
        return sorted(names, key=lambda name: "CPU" in name)

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, Any]:
        """Return the dtypes of the standard, or those of a kind, by name."""
        return {name: dtype for name, dtype in _STANDARD.items() if kind is None or isdtype(dtype, kind)}


def __array_namespace_info__() -> Info:  # noqa: N807 - the standard's name
    """Return the inspection API."""
    return Info()
