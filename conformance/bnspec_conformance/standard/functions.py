"""What a specification of normalization, bijectors and normal distributions needs of the standard."""

from __future__ import annotations

__all__ = ["HELPERS", "LATER", "NEEDED", "TOPICS", "VERSION"]

VERSION = "2024.12"
"""The version of the standard."""

TOPICS: dict[str, tuple[str, ...]] = {
    topic: tuple(names.split())
    for topic, names in {
        "creation": "arange asarray empty eye full full_like linspace ones ones_like zeros zeros_like",
        "dtypes": "astype finfo isdtype result_type",
        "elementwise": "abs atanh clip cos equal exp expm1 floor isfinite isnan log log1p logaddexp logical_and "
        "logical_not logical_or maximum minimum pow reciprocal remainder sign sin sqrt square tanh where",
        "manipulation": "broadcast_to concat expand_dims flip permute_dims reshape roll squeeze stack tile tril",
        "indexing and searching": "take take_along_axis argsort searchsorted diff",
        "reductions": "all any max mean sum var",
        "linear algebra and accumulation": "matmul linalg.slogdet cumulative_sum",
    }.items()
}
"""The needed functions by topic. A name with a dot lies in an extension of the standard."""

NEEDED = frozenset(name for names in TOPICS.values() for name in names)
"""The needed functions, 67 of them."""

HELPERS = frozenset(
    (
        *("__array_namespace_info__", "e", "inf", "nan", "newaxis", "pi"),
        *("bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor"),
    )
)
"""What comes with them; the operators, the indexing and all else of the array object come with them too."""

LATER = frozenset(("broadcast_shapes", "isin", "linalg.eig", "linalg.eigvals"))
"""Functions of versions after `VERSION`, whose tests are collected and skipped."""
