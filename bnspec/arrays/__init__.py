"""What lies between the specification and the Array API: namespaces, dtypes, axes, the one reduction, random bits."""

from bnspec.arrays._axes import as_axes, as_shape, broadcast_shapes, fits, is_known, resolve_axes, shape_of, sizes_of
from bnspec.arrays._dtypes import ACCUMULATES_IN, accumulation_dtype, dtype_name, require_real_floating
from bnspec.arrays._namespace import common_namespace, detached, device_of
from bnspec.arrays._random import fold_in, random_bits, random_key, random_normal, random_uniform
from bnspec.arrays._reduce import BLOCK, as_divisor, blocked_sum, reduced_count, settled, to_rows

__all__ = [
    "ACCUMULATES_IN",
    "BLOCK",
    "accumulation_dtype",
    "as_axes",
    "as_divisor",
    "as_shape",
    "blocked_sum",
    "broadcast_shapes",
    "common_namespace",
    "detached",
    "device_of",
    "dtype_name",
    "fits",
    "fold_in",
    "is_known",
    "random_bits",
    "random_key",
    "random_normal",
    "random_uniform",
    "reduced_count",
    "require_real_floating",
    "resolve_axes",
    "settled",
    "shape_of",
    "sizes_of",
    "to_rows",
]
