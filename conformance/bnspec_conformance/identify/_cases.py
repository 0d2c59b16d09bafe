"""The data of the probes: small, on no fixed point, with an epsilon of the size of the variance."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.cases import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]

__all__ = [
    "CHANNELS",
    "LAYOUTS",
    "MOMENTUM",
    "BooleanMask",
    "FromZero",
    "Loaded",
    "cast",
    "compared_cases",
    "in_layout",
    "layout_of",
    "missing",
]

MOMENTUM = 0.25
"""What layers are built with, whatever it multiplies: a new batch has this weight, or one minus it."""

CHANNELS = 3

# The feature axis is not counted from the end here. What most adapters have comes first.
LAYOUTS = ((2, 1), (4, 3), (4, 1), (3, 2), (3, 1), (5, 4), (5, 1), (2, 0))
"""Rank and feature axis of the inputs that are tried, in this order."""


class Loaded(Case):
    """A case whose gamma every layer can have: nflows' is larger than epsilon."""

    @cached_property
    def gamma(self) -> Array | None:
        """Positive scales, larger than epsilon and none of them 1."""
        shape = self.parameter_shape
        return self._cast(0.75 + 0.5 * np.arange(np.prod(shape)).reshape(shape), self.parameter_dtype)


class FromZero(Loaded):
    """A case whose averages start at 0, where each kind of average moves differently."""

    @cached_property
    def moving_mean(self) -> Array:
        """Zeros."""
        return np.zeros(self.parameter_shape, self.parameter_dtype)

    @cached_property
    def moving_variance(self) -> Array:
        """Zeros."""
        return np.zeros(self.parameter_shape, self.parameter_dtype)


class BooleanMask(FromZero):
    """A case whose weights are read as booleans."""

    @cached_property
    def weights(self) -> tuple[Array | None, ...]:
        """Ones where there is any weight."""
        return tuple(None if each is None else (each != 0).astype(each.dtype) for each in super().weights)


def in_layout(rank: int, axis: int, count: int) -> tuple[int, ...]:
    """Return a shape with `count` elements per channel, all of them along one axis."""
    sizes = [1] * rank
    sizes[axis] = CHANNELS
    if rank > 1:
        sizes[1 if axis == 0 else 0] = count
    return tuple(sizes)


@cache
def compared_cases() -> tuple[Loaded, ...]:
    """Return the cases on which two implementations are compared: each layout, and dtypes and far means in a few.

    Every layer can have their gamma, and none is on a fixed point.
    """
    hard: dict[str, dict[str, Any]] = {
        "float16": {"dtype": "float16"},
        "bfloat16": {"dtype": "bfloat16"},
        "float64": {"dtype": "float64"},
        "far from 0": {"mean": 2.0**12, "deviation": 1.0},
    }
    kinds = [("float32", {}, LAYOUTS), *((name, changes, LAYOUTS[:3]) for name, changes in hard.items())]
    return tuple(
        Loaded(
            id=f"{name}, rank {rank}, axis {axis}",
            shapes=tuple(in_layout(rank, axis, count) for count in (5, 4)),
            axis=(axis,),
            epsilon=0.1,
            take=MOMENTUM,
            **changes,
        )
        for name, changes, layouts in kinds
        for rank, axis in layouts
    )


def missing(case: Case, gaps: Mapping[str, str]) -> str:
    """Return the first gap that a case needs, with its reason, or an empty string."""
    return next((f"{name}: {gaps[name]}" for name in sorted(case.requires) if name in gaps), "")


def layout_of(gaps: Mapping[str, str], allowed: Callable[[int, int], bool] = lambda rank, axis: True) -> Any:
    """Return the first layout that an adapter has, or None."""
    base = FromZero(id="layout", shapes=((2, 2),), axis=(1,))
    for rank, axis in LAYOUTS:
        case = replace(base, shapes=(in_layout(rank, axis, 4),), axis=(axis,))
        needs = case.requires - {"float32"}
        if allowed(rank, axis) and not any(name in gaps for name in needs):
            return rank, axis
    return None


def cast(values: Any, dtype: str) -> Array:
    """Round to a dtype, bfloat16 included."""
    return Case._cast(np.asarray(values, np.float64), dtype)  # noqa: SLF001 - cases are what casts
