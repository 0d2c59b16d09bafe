"""What conventions add to the definition in the second oracle: ghost batches, estimators, corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

from ._dual import real
from ._forward import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec import Renorm
    from bnspec.conventions import Convention

    from ._forward import Index, Layout, ObjectArray

__all__ = [
    "Ghosts",
    "broadcast_pair",
    "correction_towards",
    "estimate",
    "require_parts",
]


class Ghosts(NamedTuple):
    """How a batch is cut: into `groups` ghost batches of `size` samples each; one of all samples if size is None."""

    groups: int
    size: int | None
    strided: bool

    @classmethod
    def of(cls, layout: Layout, size: int | None, convention: Convention | None) -> Ghosts:
        """Cut a batch, or refuse to."""
        if size is None:
            return cls(1, None, False)
        if size < 1 or not layout.shape or 0 in layout.features or layout.shape[0] % size:
            raise ValueError(
                "virtual_batch_size must be positive and divide axis 0 of x, which must be no feature axis. "
                f"Got virtual_batch_size={size}, shape={layout.shape}, axis={layout.features}."
            )
        strided = convention is not None and convention.ghost_grouping == "strided"
        return cls(layout.shape[0] // size, size, strided)

    def number(self, sample: int) -> int:
        """Return the number of the ghost batch that a sample is in."""
        if self.size is None:
            return 0
        return sample % self.groups if self.strided else sample // self.size

    def split(self, indices: Sequence[Index]) -> list[list[Index]]:
        """Split the indices of a channel's elements; one list for each ghost batch, in order."""
        if self.size is None:
            return [list(indices)]
        found: list[list[Index]] = [[] for _ in range(self.groups)]
        for i in indices:
            found[self.number(i[0])].append(i)
        return found

    def filled(self, group: int | None, layout: Layout, weights: ObjectArray) -> bool:
        """Return whether there are elements in a ghost batch, or in the batch, and not all their weights are 0.

        `weights` are as they were given, with size 1 where they are shared.
        """
        if group is not None and self.size is not None and weights.shape[0] > 1:
            weights = weights[[sample for sample in range(layout.shape[0]) if self.number(sample) == group]]
        return layout.elements > 0 and (not weights.size or any(weights.ravel().tolist()))


def estimate(kind: str, variance: Any, total: Any, epsilon: Any) -> Any:
    """Estimate the variance of one channel, mpf or Dual, from that of the population and the total weight.

    `kind` is "population", "bessel" or "bessel_epsilon"; the divisor is less than the total by nothing, by 1 or by
    1 + epsilon, and is not less where it would not be positive.
    """
    less = {"population": mpmath.mpf(0), "bessel": mpmath.mpf(1), "bessel_epsilon": 1 + epsilon}[kind]
    if kind == "population" or not real(total) > less:
        return variance
    return variance * total / (total - less)


def correction_towards(
    mean: Any, variance: Any, epsilon: Any, renorm: Renorm, renorm_mean: Any, renorm_stddev: Any
) -> tuple[Any, Any]:
    """Return the correction (r, d) of one channel."""
    deviation = max(renorm_stddev, mpmath.sqrt(epsilon))
    if not deviation > 0:
        raise ValueError(f"renorm_stddev or epsilon must be positive. Got {float(renorm_stddev)}, {float(epsilon)}.")
    lowest, highest, farthest = (number(limit, finite=False) for limit in (renorm.rmin, renorm.rmax, renorm.dmax))
    r = min(max(mpmath.sqrt(variance + epsilon) / deviation, lowest), highest)
    d = min(max((mean - renorm_mean) / deviation, -farthest), farthest)
    return r, d


def broadcast_pair(pair: tuple[ObjectArray, ObjectArray] | None, shape: Index) -> tuple[ObjectArray, ObjectArray]:
    """Broadcast a factor and an addend to a shape by NumPy's rules; they are 1 and 0 if there are none."""
    if pair is None:
        return np.full(shape, mpmath.mpf(1), dtype=object), np.full(shape, mpmath.mpf(0), dtype=object)
    first, second = pair
    for part in pair:
        if np.broadcast_shapes(part.shape, shape) != shape:
            raise ValueError(f"an adjustment must broadcast to the shape {shape} of x. Got shape={part.shape}.")
    return np.broadcast_to(first, shape), np.broadcast_to(second, shape)


def require_parts(
    convention: Convention | None, ghosts: bool, renorm: bool, adjustment: bool, *, entering: bool = True
) -> None:
    """Refuse parts that have no meaning together; `entering` says that batches enter the averages."""
    if ghosts and adjustment:
        raise ValueError("an adjustment requires virtual_batch_size=None.")
    if convention is None:
        return
    if convention.statistics == "running" and (ghosts or renorm):
        raise ValueError("statistics='running' requires virtual_batch_size=None and no renormalization.")
    if entering and convention.ghost_update == "each" and ghosts and renorm:
        raise ValueError("renormalization requires another ghost_update than 'each', or virtual_batch_size=None.")
