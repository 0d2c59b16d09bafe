"""What lies between the specification and the Array API: namespaces, dtypes, axes, the one reduction."""

from bnspec.arrays._axes import as_axes, as_shape, resolve_axes, shape_of
from bnspec.arrays._dtypes import ACCUMULATES_IN, accumulation_dtype, dtype_name, require_real_floating
from bnspec.arrays._namespace import common_namespace, detached, device_of
from bnspec.arrays._reduce import BLOCK, blocked_sum, reduced_count, settled, to_rows

__all__ = [
    "ACCUMULATES_IN",
    "BLOCK",
    "accumulation_dtype",
    "as_axes",
    "as_shape",
    "blocked_sum",
    "common_namespace",
    "detached",
    "device_of",
    "dtype_name",
    "reduced_count",
    "require_real_floating",
    "resolve_axes",
    "settled",
    "shape_of",
    "to_rows",
]
