"""Degrees and masks: which unit of a network may see which, so that each output sees the inputs before it alone."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import common_namespace, fold_in, random_bits, random_key, random_uniform
from bnspec.bijectors._integers import as_integers
from bnspec.errors import message, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Degrees = np.ndarray[Any, Any]

__all__ = ["as_hidden_degrees", "as_order", "degrees_of", "masks_of"]

ORDERS = ("left-to-right", "random", "right-to-left")


def as_order(given: Any, size: int | None) -> str | tuple[int, ...]:
    """Take an order of the inputs.

    Parameters
    ----------
    given : str or sequence of int
        A name, or the place of each input in the order: 1 is the first.
    size : int or None
        The number of inputs, where it is known.

    Returns
    -------
    str or tuple of int

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If there is no such name, or it is no permutation of 1, ..., D.
    """
    if isinstance(given, str):
        if given not in ORDERS:
            raise ValueError(
                message("input_order must name an order, or list one", nearest(given, ORDERS), input_order=given)
            )
        return given
    order = as_integers("input_order", given)
    count = len(order) if size is None else size
    if sorted(order) != list(range(1, count + 1)):
        raise ValueError(
            message(
                f"input_order must hold each of 1, ..., {count} once",
                "Say for each input at which place it comes.",
                input_order=order,
            )
        )
    return order


def as_hidden_degrees(given: Any) -> str:
    """Take the name of a method that assigns degrees to hidden units.

    Parameters
    ----------
    given : {"equal", "random", "blocks"}

    Returns
    -------
    str

    Raises
    ------
    TypeError, ValueError
        If it is no string, or no such name.
    """
    if not isinstance(given, str):
        raise TypeError(
            message("hidden_degrees must be a name", f"Known are: {', '.join(sorted(HIDDEN))}.", hidden_degrees=given)
        )
    if given not in HIDDEN:
        raise ValueError(message("hidden_degrees must name a method", nearest(given, HIDDEN), hidden_degrees=given))
    return given


def degrees_of(size: int, units: Sequence[int], order: str | tuple[int, ...], hidden: str, seed: int) -> list[Degrees]:
    """Assign degrees to all units but the outputs, which have those of the inputs that they are for [1]_.

    Parameters
    ----------
    size : int
        D, the number of inputs.
    units : sequence of int
        The number of units of each hidden layer.
    order : str or tuple of int
        As :func:`as_order` returns.
    hidden : str
        How degrees are assigned to hidden units.
    seed : int
        Where something is random. The inputs draw from fold 0 of it, and hidden layer l from fold l.

    Returns
    -------
    list of array, shape (D,), and (U,) for each hidden layer; int64
        An input of degree d is the d-th in the order. A hidden unit of degree d sees the inputs of degrees up to d.

    Raises
    ------
    ValueError
        If a layer has too few units for the method.

    References
    ----------
    .. [1] M. Germain, K. Gregor, I. Murray, H. Larochelle, MADE: Masked autoencoder for distribution estimation,
       arXiv:1502.03509.
    """
    found = [_inputs(size, order, _key(seed, 0))]
    for number, count in enumerate(units, start=1):
        found.append(HIDDEN[hidden](size, count, int(found[-1].min()), _key(seed, number)))
    return found


def masks_of(degrees: Sequence[Degrees], params: int) -> list[np.ndarray[Any, Any]]:
    """Say which entries of the kernels may differ from 0.

    Parameters
    ----------
    degrees : sequence of array
        As of :func:`degrees_of`.
    params : int
        P, the number of outputs for each input, which lie side by side.

    Returns
    -------
    list of array, shape (I, O), bool
        One for each layer. A hidden unit sees units of its degree and below, and an output those below its own.
    """
    hidden = [before[:, None] <= after[None, :] for before, after in pairwise(degrees)]
    return [*hidden, degrees[-1][:, None] < np.repeat(degrees[0], params)[None, :]]


def _inputs(size: int, order: str | tuple[int, ...], key: Any) -> Degrees:
    if isinstance(order, tuple):
        return np.asarray(order, dtype=np.int64)
    first = np.arange(1, size + 1, dtype=np.int64)
    if order == "random":
        words = random_bits(key, (size,), common_namespace(key=key))
        return first[np.argsort(words, kind="stable")]
    return first if order == "left-to-right" else first[::-1]


def _equal(size: int, count: int, least: int, key: Any) -> Degrees:
    """Give each degree the same number of units, but for the remainder; no degree is below all of the last layer."""
    places = np.arange(1, count + 1, dtype=np.int64) * (size - 1)
    return np.maximum(min(least, size - 1), -(-places // (count + 1)))


def _random(size: int, count: int, least: int, key: Any) -> Degrees:
    """Draw degrees below D, none of which is below all of the last layer."""
    low = min(least, size - 1)
    drawn = random_uniform(key, (count,), np.dtype("float64"), common_namespace(key=key))
    found: Degrees = low - 1 + np.ceil(drawn * (size - low)).astype(np.int64)
    return found


def _blocks(size: int, count: int, least: int, key: Any) -> Degrees:
    """Give the degrees 0, ..., D - 1 to blocks of equal size, and D, which no output sees, to the remainder."""
    if count < size:
        raise ValueError(
            message(
                "hidden layers must have a unit for each unit of the event, at least",
                "Make them wider.",
                units=count,
                event_size=size,
            )
        )
    return np.minimum(np.arange(count, dtype=np.int64) // (count // size), size)


HIDDEN: dict[str, Callable[[int, int, int, Any], Degrees]] = {"equal": _equal, "random": _random, "blocks": _blocks}
"""How degrees are assigned to hidden units: from D, the units, the least degree of the last layer, and a key."""


def _key(seed: int, number: int) -> Any:
    xp = common_namespace(key=np.zeros(0))
    return fold_in(random_key(seed, xp=xp), number, xp)
