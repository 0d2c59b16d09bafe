"""Ghost batches as an axis of their own, so that each has its statistics by the same sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._parts import Layout, layout_of

if TYPE_CHECKING:
    from ._exact import ObjectArray
    from ._rules import Rules

__all__ = ["Grouping", "group"]


class Grouping(NamedTuple):
    """How a batch of shape (*S) falls into G groups; one, without ghost batches.

    Notes
    -----
    With ghost batches of k elements, the first axis, of size ``G k``, becomes two: (G, k) if element i belongs to
    group ``i // k``, and (k, G) if it belongs to group ``i % G``. Both are a reshape, which its inverse undoes.
    """

    whole: Layout  # of the batch
    layout: Layout  # of the batch with an axis of groups, which counts as a feature axis
    shape: tuple[int, ...]  # of the batch with an axis of groups
    axis: int | None  # the axis of groups; None without ghost batches
    groups: int  # G

    def spread(self, values: ObjectArray) -> ObjectArray:
        """Give values of the batch's kept shape, which groups have in common, the rank of `shape`."""
        return values if self.axis is None else values[None]

    def split(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Split the first axis of a shape that broadcasts to the batch's."""
        if self.axis is None:
            return shape
        return ((1, 1) if shape[0] == 1 else self.shape[:2]) + shape[1:]

    def listed(self, values: ObjectArray) -> ObjectArray:
        """Turn values of the grouped kept shape into shape (G, *K), K being the shape of parameters."""
        return values.reshape(self.groups, *self.whole.parameter)

    def attended(self, weights: npt.NDArray[Any] | None) -> list[bool]:
        """Tell of each group whether it counts as a batch: it has elements, and not all weights 0."""
        if self.whole.elements == 0:
            return [False] * self.groups
        if weights is None or np.size(weights) == 0:
            return [True] * self.groups
        nonzero = np.asarray(weights) != 0
        if self.axis is None or nonzero.shape[0] == 1:
            return [bool(np.any(nonzero))] * self.groups
        parts = np.moveaxis(nonzero.reshape(self.split(nonzero.shape)), self.axis, 0)
        return [bool(np.any(part)) for part in parts]


def group(shape: tuple[int, ...], axis: tuple[int, ...], rules: Rules, *, adjusted: bool = False) -> Grouping:
    """Divide a training batch into ghost batches, if there are any.

    Parameters
    ----------
    shape : tuple of int
        Shape (*S) of the batch.
    axis : tuple of int
        Feature axes.
    rules : Rules
        Supplies the number k of elements along the first axis that a ghost batch has.
    adjusted : bool
        Whether there is an adjustment.

    Returns
    -------
    Grouping

    Raises
    ------
    ValueError
        If k does not divide the first axis, that is a feature axis, or there is an adjustment.
    """
    whole, size = layout_of(shape, axis), rules.ghost
    if size is None:
        return Grouping(whole, whole, shape, None, 1)
    if 0 not in whole.reduced or shape[0] % size:
        raise ValueError(f"the first axis must be divisible by {size}, and no feature axis. Got {shape}, axis={axis}.")
    if adjusted:
        raise ValueError("an adjustment must come without ghost batches. Got both.")
    count, place = shape[0] // size, 1 if rules.strided else 0
    split = (size, count) if rules.strided else (count, size)
    features = [i for i in range(len(shape)) if i not in whole.reduced]
    layout = layout_of((*split, *shape[1:]), (place, *(i + 1 for i in features)))
    return Grouping(whole, layout, (*split, *shape[1:]), place, count)
