"""Shapes, and axes as the caller writes them, and as non-negative tuples."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex

from bnspec.errors import message
from bnspec.registry import backend_of

__all__ = ["as_axes", "as_shape", "broadcast_shapes", "fits", "is_known", "resolve_axes", "shape_of", "sizes_of"]


def shape_of(array: Any) -> tuple[int | None, ...]:
    """Return the shape of an array as a tuple; TensorFlow's is another class.

    Parameters
    ----------
    array : array
        An array of any library.

    Returns
    -------
    tuple of int or None
        The sizes of its axes; None for one that is not known before the call runs, as the standard has it.

    Raises
    ------
    ValueError
        If TensorFlow does not know the rank.
    """
    shape = array.shape
    if getattr(shape, "rank", 0) is None:
        raise ValueError(
            message("the rank must be known", "Trace with an input signature, [None, None] for a matrix.", shape=shape)
        )
    return tuple(shape)


def sizes_of(array: Any) -> tuple[Any, ...]:
    """Return the sizes of an array's axes as numbers to compute with.

    Parameters
    ----------
    array : array
        An array of any library.

    Returns
    -------
    tuple of int or array
        As :func:`shape_of`, with an integer array of shape () for each size that is not known before the call runs.
    """
    shape = shape_of(array)
    if None not in shape:
        return shape
    sizes: tuple[Any, ...] = backend_of(array).sizes(array)
    return sizes


def is_known(size: Any) -> bool:
    """Tell whether a size is a number rather than an array of shape ()."""
    return isinstance(size, int) or not hasattr(size, "dtype")  # torch's compiler has no attributes of an integer


def fits(shape: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Tell whether two shapes are the same as far as they are known before the call runs.

    Parameters
    ----------
    shape, wanted : sequence
        Sizes: integers, or None or an array where they are not known.

    Returns
    -------
    bool
        False only where they can not be the same.
    """
    return len(shape) == len(wanted) and all(
        size == other
        for size, other in zip(shape, wanted, strict=True)
        if isinstance(size, int) and isinstance(other, int)
    )


def broadcast_shapes(*shapes: Sequence[int | None]) -> tuple[int | None, ...]:
    """Broadcast shapes.

    Parameters
    ----------
    *shapes : sequence of int or None
        None is a size that is not known before the call runs.

    Returns
    -------
    tuple of int or None
        ``()`` of no shape. A size that is not known is taken to fit.

    Raises
    ------
    ValueError
        If two sizes differ and neither is 1.
    """
    rank = max([0] + [len(shape) for shape in shapes])
    result: list[int | None] = [1] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, start=rank - len(shape)):
            known = result[axis]
            if known is not None and size is not None and known != size and 1 not in (known, size):
                raise ValueError(
                    message("shapes must be broadcastable: sizes equal, or 1", shapes=[tuple(each) for each in shapes])
                )
            if known == 1 or (known is None and size != 1 and size is not None):
                result[axis] = size
    return tuple(result)


def as_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Take a shape from the caller.

    Parameters
    ----------
    shape : sequence of int
        What came.

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        If it is not a sequence of integers.
    ValueError
        If a size is negative.
    """
    try:
        sizes = tuple(index(size) for size in shape)
    except TypeError:
        raise TypeError(message("shape must be a sequence of integers", shape=shape)) from None
    if any(size < 0 for size in sizes):
        raise ValueError(message("shape must not have negative sizes", shape=sizes))
    return sizes


def as_axes(name: str, axes: int | Sequence[int]) -> tuple[int, ...]:
    """Turn one axis or several into a tuple of integers.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    axes : int or sequence of int
        What the caller wrote.

    Returns
    -------
    tuple of int
        The axes, not yet resolved against a rank.

    Raises
    ------
    TypeError
        If an axis is not an integer.
    """
    several = axes if isinstance(axes, Sequence) else (axes,)
    if any(isinstance(axis, bool) or hasattr(axis, "shape") or not isinstance(axis, SupportsIndex) for axis in several):
        raise TypeError(message(f"{name} must be an integer or a sequence of them", **{name: axes}))
    return tuple(index(axis) for axis in several)


def resolve_axes(name: str, axes: tuple[int, ...], shape: Sequence[Any]) -> tuple[int, ...]:
    """Resolve axes against a shape.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    axes : tuple of int
        Axes, negative ones counted from the end.
    shape : sequence
        The shape that they index; only its length counts.

    Returns
    -------
    tuple of int
        The same axes, non-negative and ascending.

    Raises
    ------
    ValueError
        If an axis is out of range or named twice.
    """
    rank = len(shape)
    shown = axes[0] if len(axes) == 1 else axes
    shape = tuple(size if is_known(size) else None for size in shape)
    for axis in axes:
        if not -rank <= axis < rank:
            raise ValueError(message(f"{name} must be in [{-rank}, {rank - 1}]", shape=shape, **{name: shown}))
    resolved = tuple(sorted(axis % rank for axis in axes))
    if len(set(resolved)) < len(resolved):
        raise ValueError(message(f"{name} must name each axis once", shape=shape, **{name: shown}))
    return resolved
