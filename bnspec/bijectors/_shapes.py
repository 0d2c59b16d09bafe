"""What can be said of a bijector without an input: shapes, ranks and dtypes."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import broadcast_shapes, common_namespace, device_of, dtype_name, shape_of
from bnspec.bijectors._contract import Contract
from bnspec.errors import message
from bnspec.variables import default_like, from_numpy, has_values, parameter_shape, require_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OTHER", "Shapes", "as_ndims"]

OTHER = {"forward": "inverse", "inverse": "forward"}
"""The other direction."""


class Shapes(Contract):
    """Shapes, ranks and dtypes before and after; by default they stay as they are."""

    def forward_event_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of an event after ``forward``.

        Parameters
        ----------
        input_shape : sequence of int or None
            The shape of an event before. Axes in front of it are taken along.

        Returns
        -------
        tuple of int or None

        Raises
        ------
        ValueError
            If it is no shape of an event.
        """
        return self._moved("forward", input_shape)

    def inverse_event_shape(self, output_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of an event before ``forward``; see :meth:`forward_event_shape`."""
        return self._moved("inverse", output_shape)

    def forward_event_shape_tensor(self, input_shape: Any, name: str = "forward_event_shape_tensor") -> Any:
        """Return the shape of an event after ``forward`` as an array.

        Parameters
        ----------
        input_shape : array, shape (R,), integer, or sequence of int
            The shape of an event before.
        name : str
            Accepted for TFP's sake.

        Returns
        -------
        array, shape (R',), int32
            Of the library of `input_shape`, or of the default backend.
        """
        require_name(name)
        return self._moved_array("forward", input_shape)

    def inverse_event_shape_tensor(self, output_shape: Any, name: str = "inverse_event_shape_tensor") -> Any:
        """Return the shape of an event before ``forward`` as an array; see :meth:`forward_event_shape_tensor`."""
        require_name(name)
        return self._moved_array("inverse", output_shape)

    def forward_event_ndims(self, event_ndims: Any, **kwargs: Any) -> Any:
        """Return the rank of an event after ``forward``.

        Parameters
        ----------
        event_ndims : int or None, or structure of them
            The rank of an event before; None where it is not known.
        **kwargs
            Conditions, which change no rank.

        Returns
        -------
        int or None, or structure of them

        Raises
        ------
        TypeError, ValueError
            If it is no integer, or below :attr:`forward_min_event_ndims`.
        """
        return self._risen("forward", event_ndims)

    def inverse_event_ndims(self, event_ndims: Any, **kwargs: Any) -> Any:
        """Return the rank of an event before ``forward``; see :meth:`forward_event_ndims`."""
        return self._risen("inverse", event_ndims)

    def parameter_batch_shape(self, event_ndims: int | None = None) -> tuple[int | None, ...]:
        """Return the shape of the batch that the parameters give to an output, whatever the batch of the input.

        Parameters
        ----------
        event_ndims : int, optional
            The rank of an event of the input; by default :attr:`forward_min_event_ndims`.

        Returns
        -------
        tuple of int or None
            What the batch of the input is broadcast with.

        Raises
        ------
        TypeError, ValueError
            If `event_ndims` is no integer or below the minimum, or parameters have shapes that do not fit.
        NotImplementedError
            If structures of arrays are mapped, each of which has a batch of its own.
        """
        minimum = self.forward_min_event_ndims
        if not isinstance(minimum, int):
            raise NotImplementedError(
                message(f"{self.name} must map arrays to have one batch of parameters", "Ask its parts.")
            )
        return self._parameter_batch_shape(
            minimum if event_ndims is None else as_ndims("event_ndims", event_ndims, minimum)
        )

    def forward_dtype(self, dtype: Any = None, name: str = "forward_dtype", **kwargs: Any) -> Any:
        """Return the dtype of the output of ``forward``, which is that of the input.

        Parameters
        ----------
        dtype : dtype, optional
            That of the input.
        name : str
            Accepted for TFP's sake.
        **kwargs
            Conditions, which change no dtype.

        Returns
        -------
        dtype or None
            None where any is taken, and none was given.

        Raises
        ------
        TypeError
            If it is not the one that inputs must have.
        """
        require_name(name)
        return self._typed(dtype)

    def inverse_dtype(self, dtype: Any = None, name: str = "inverse_dtype", **kwargs: Any) -> Any:
        """Return the dtype of the output of ``inverse``, which is that of the input; see :meth:`forward_dtype`."""
        require_name(name)
        return self._typed(dtype)

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Map the shape of an event, of at least the minimal rank; sizes are int, None or arrays of shape ()."""
        return shape

    def _inverse_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Map the shape of an event back."""
        return shape

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        """Find it for parameters that are broadcast with the input; others are to be treated by the subclass."""
        shapes = [parameter_shape(value) for value in self._parameters.values()]
        return broadcast_shapes(*(shape[: max(len(shape) - event_ndims, 0)] for shape in shapes))

    def _moved(self, direction: str, shape: Sequence[Any]) -> tuple[Any, ...]:
        if isinstance(shape, (int, str)) or not hasattr(shape, "__iter__"):
            raise TypeError(message("a shape must be a sequence of sizes", shape=shape))
        sizes = tuple(shape)
        minimum = getattr(self, f"{direction}_min_event_ndims")
        if isinstance(minimum, int) and len(sizes) < minimum:
            raise ValueError(
                message(f"the shape of an event of {self.name} must have at least {minimum} axes", shape=sizes)
            )
        known = tuple(size if size is None or _is_traced(size) else index(size) for size in sizes)
        if any(isinstance(size, int) and size < 0 for size in known):
            raise ValueError(message("a shape must not have negative sizes", "Write None for a size.", shape=known))
        moved: tuple[Any, ...] = getattr(self, f"_{direction}_event_shape")(known)
        return moved

    def _moved_array(self, direction: str, shape: Any) -> Any:
        if not hasattr(shape, "dtype"):
            like = default_like()
            sizes = self._moved(direction, shape)
            return from_numpy(np.asarray(sizes, dtype=np.int32), like)
        xp, device = common_namespace(shape=shape), device_of(shape)
        rank = shape_of(shape)
        if len(rank) != 1 or rank[0] is None or not xp.isdtype(shape.dtype, "integral"):
            raise ValueError(
                message(
                    "a shape must be a vector of integers of known length", shape=rank, dtype=dtype_name(shape.dtype)
                )
            )
        if has_values(shape):
            sizes = self._moved(direction, [int(shape[axis]) for axis in range(rank[0])])
        else:
            sizes = self._moved(direction, [shape[axis] for axis in range(rank[0])])
        parts = [
            xp.astype(size, xp.int32) if hasattr(size, "dtype") else xp.asarray(size, dtype=xp.int32, device=device)
            for size in sizes
        ]
        return xp.stack(parts) if parts else xp.zeros((0,), dtype=xp.int32, device=device)

    def _risen(self, direction: str, ndims: Any) -> Any:
        if ndims is None:
            return None
        before, after = (getattr(self, f"{each}_min_event_ndims") for each in (direction, OTHER[direction]))
        return as_ndims("event_ndims", ndims, before) - before + after

    def _typed(self, dtype: Any) -> Any:
        own = self.dtype
        if dtype is None or own is None:
            return own if dtype is None else dtype
        if dtype_name(dtype) != dtype_name(own):
            raise TypeError(message(f"{self.name} takes one dtype", dtype=dtype_name(dtype), required=dtype_name(own)))
        return dtype


def _is_traced(size: Any) -> bool:
    """Tell whether a size is an array that stands for one that is not known yet."""
    return hasattr(size, "dtype") and not isinstance(size, np.generic) and not has_values(size)


def as_ndims(name: str, ndims: Any, minimum: int) -> int:
    """Take the rank of an event.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    ndims : int
        What came.
    minimum : int
        The least that it may be.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is below the least.
    """
    try:
        rank = index(ndims)
    except TypeError:
        rank = None
    if rank is None or isinstance(ndims, bool):
        raise TypeError(message(f"{name} must be an integer", **{name: ndims}))
    if rank < minimum:
        raise ValueError(message(f"{name} must be at least {minimum}", **{name: rank}))
    return rank
