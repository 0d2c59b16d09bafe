"""What expectations have in common: rows of a case, by ghost batches, and its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec_conformance import bounds
from bnspec_conformance.cases import from_rows, to_rows

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance import oracle
    from bnspec_conformance.cases import Case

    Array = np.ndarray[Any, Any]

__all__ = ["Expected", "affine", "as_rows", "flat", "formats", "frequencies", "groups", "joined"]


class Expected(NamedTuple):
    """An exact value and how far a computed one may be from it."""

    exact: oracle.Exact
    bound: Array


def formats(case: Case, convention: Convention | None = None) -> tuple[bounds.Format, bounds.Format]:
    """Return what is computed in, and what the output, or without a convention the gradient of x, is rounded to."""
    out = case.dtype if convention is None else case.output_dtype(convention)
    return bounds.FORMATS[case.parameter_dtype], bounds.FORMATS[out]


def affine(case: Case) -> tuple[Array | float, Array | float]:
    """Return gamma and beta as vectors of float64; 1 and 0 where there are none."""
    gamma = 1.0 if case.gamma is None else case.gamma.astype(np.float64).reshape(-1)
    beta = 0.0 if case.beta is None else case.beta.astype(np.float64).reshape(-1)
    return gamma, beta


def flat(exact: oracle.Exact) -> Array:
    """Return exact values of any shape as a vector of float64."""
    return np.asarray(exact.to_float()).reshape(-1)


def frequencies(weights: Array | None, x: Array) -> Array:
    """Lay weights out in the shape of x; ones where there are none."""
    if weights is None:
        return np.ones(x.shape)
    return np.broadcast_to(weights, x.shape)


def groups(x: Array, case: Case, convention: Convention) -> list[Any]:
    """Return what selects each ghost batch from the first axis; all of it where there are none."""
    if case.ghosts is None:
        return [slice(None)]
    number = len(x) // case.ghosts
    index = np.arange(len(x))
    belongs = index % number if convention.ghost_grouping == "strided" else index // case.ghosts
    return [np.flatnonzero(belongs == group) for group in range(number)]


def as_rows(array: Array, group: Any, case: Case) -> Array:
    """Lay one ghost batch out as rows (N, C), in float64."""
    return to_rows(array[group], case.axis)


def joined(parts: list[Array], x: Array, selected: list[Any], case: Case) -> Array:
    """Put rows of ghost batches where their elements are in x."""
    found = np.zeros(x.shape)
    for rows, group in zip(parts, selected, strict=True):
        found[group] = from_rows(rows, x[group].shape, case.axis)
    return found
