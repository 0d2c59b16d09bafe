"""Ghost batches: a batch cut into groups that are normalized each by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from bnspec.arrays import is_known
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._layout import Layout

__all__ = ["Ghosts"]


@dataclass(frozen=True)
class Ghosts:
    """How one batch is cut.

    Attributes
    ----------
    whole : Layout
        The geometry of the batch.
    cut : Layout
        That of the same batch with an axis more: of shape (G, k, ...) where groups are contiguous, and of shape
        (k, G, ...) where they are strided.
    """

    whole: Layout
    cut: Layout

    @classmethod
    def of(cls, layout: Layout, size: int | None, grouping: Literal["contiguous", "strided"]) -> Ghosts:
        """Cut a batch along its first axis.

        Parameters
        ----------
        layout : Layout
            The geometry of the batch.
        size : int or None
            k, the number of samples in a group; None leaves the batch whole.
        grouping : {"contiguous", "strided"}
            Which samples form a group.

        Returns
        -------
        Ghosts

        Raises
        ------
        ValueError
            If the first axis is a feature axis, or its size is known and not a multiple of k.

        References
        ----------
        .. [1] E. Hoffer, I. Hubara and D. Soudry, Train longer, generalize better, arXiv:1705.08741, algorithm 1.
        """
        if size is None:
            return cls(layout, layout)
        if 0 in layout.features:
            raise ValueError(
                message(
                    "axis must not contain 0 with virtual_batch_size: the first axis is the batch",
                    axis=layout.features,
                    virtual_batch_size=size,
                )
            )
        samples = layout.shape[0]
        if is_known(samples) and samples % size:
            raise ValueError(
                message(
                    "virtual_batch_size must divide the number of samples in training",
                    "Drop the last samples, or take another size.",
                    samples=samples,
                    virtual_batch_size=size,
                )
            )
        number = samples // size
        head, groups = ((number, size), 0) if grouping == "contiguous" else ((size, number), 1)
        features = tuple(axis + 1 for axis in layout.features)
        return cls(layout, replace(layout, shape=(*head, *layout.shape[1:]), features=features, groups=groups))

    def grouped(self, x: Any, xp: Any) -> Any:
        """Cut an array of the batch's shape."""
        return x if self.cut.groups is None else xp.reshape(x, self.cut.shape)

    def joined(self, x: Any, xp: Any) -> Any:
        """Undo :meth:`grouped`."""
        return x if self.cut.groups is None else xp.reshape(x, self.whole.shape)
