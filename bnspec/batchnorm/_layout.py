"""Layout: which axes are features, what is averaged, and how parameters lie against the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bnspec.arrays import as_axes, blocked_sum, reduced_count, resolve_axes, to_rows
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """The geometry of one call.

    Attributes
    ----------
    shape : tuple of int or array
        The shape S of the input; a size that is not known before the call runs is an array of shape ().
    features : tuple of int
        The feature axes, non-negative and ascending.
    groups : int, optional
        The axis of the ghost batches: each has statistics of its own, and parameters are shared.
    """

    shape: tuple[Any, ...]
    features: tuple[int, ...]
    groups: int | None = None

    @classmethod
    def of(cls, shape: tuple[Any, ...], axis: int | Sequence[int]) -> Layout:
        """Resolve the feature axes against a shape.

        Parameters
        ----------
        shape : tuple of int or array
            The shape of the input.
        axis : int or sequence of int
            The feature axis or axes.

        Returns
        -------
        Layout

        Raises
        ------
        ValueError
            If the input has no axes, or an axis is out of range or repeated.
        """
        if not shape:
            raise ValueError(message("x must have at least one axis", shape=shape, axis=axis))
        return cls(shape, resolve_axes("axis", as_axes("axis", axis), shape))

    @property
    def reduced(self) -> tuple[int, ...]:
        """The axes that are averaged over."""
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.features and axis != self.groups)

    @property
    def count(self) -> Any:
        """N, the number of elements per channel and ghost batch; an array of shape () where it is not known."""
        return reduced_count(self.shape, self.reduced)

    @property
    def broadcast_shape(self) -> tuple[Any, ...]:
        """The input's shape with 1 on all axes but the feature axes."""
        return tuple(size if axis in self.features else 1 for axis, size in enumerate(self.shape))

    @property
    def statistic_shape(self) -> tuple[Any, ...]:
        """The input's shape with 1 on the reduced axes."""
        return tuple(1 if axis in self.reduced else size for axis, size in enumerate(self.shape))

    @property
    def parameter_shape(self) -> tuple[Any, ...]:
        """K: (C,) with one feature axis, with several the broadcast shape of a batch that is not cut."""
        if len(self.features) == 1:
            return (self.shape[self.features[0]],)
        return tuple(size for axis, size in enumerate(self.broadcast_shape) if axis != self.groups)

    def spread(self, parameter: Any, xp: Any) -> Any:
        """Reshape a value per channel so that it broadcasts against the input.

        Parameters
        ----------
        parameter : array
            One element per channel.
        xp : namespace
            Its namespace.

        Returns
        -------
        array, of the broadcast shape
        """
        return xp.reshape(parameter, self.broadcast_shape)

    def total(self, x: Any, xp: Any) -> Any:
        """Sum an array of the input's shape per ghost batch and channel, by the one reduction.

        Parameters
        ----------
        x : array, shape S
            The terms.
        xp : namespace
            Its namespace.

        Returns
        -------
        array, of the statistic shape
        """
        return self.lay(blocked_sum(to_rows(x, self.reduced, xp), xp), xp)

    def lay(self, statistic: Any, xp: Any) -> Any:
        """Reshape a value per ghost batch and channel so that it broadcasts against the input.

        Parameters
        ----------
        statistic : array
            One element per ghost batch and channel, the ghost batches first.
        xp : namespace
            Its namespace.

        Returns
        -------
        array, of the statistic shape
        """
        return xp.reshape(statistic, self.statistic_shape)

    def gathered(self, totals: Any, xp: Any) -> Any:
        """Sum totals over the ghost batches, by the one reduction.

        Parameters
        ----------
        totals : array, of the statistic shape
            What :meth:`total` returns.
        xp : namespace
            Its namespace.

        Returns
        -------
        array, of the broadcast shape
        """
        if self.groups is None:
            return totals
        return self.spread(blocked_sum(to_rows(totals, (self.groups,), xp), xp), xp)
