"""Lists of integers, as shapes and permutations are given."""

from __future__ import annotations

from operator import index
from typing import Any

from bnspec.errors import message
from bnspec.registry import backend_of
from bnspec.variables import require_concrete

__all__ = ["as_integers"]


def as_integers(name: str, given: Any) -> tuple[int, ...]:
    """Take a list of integers.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : sequence of int, or array, shape (N,), integer
        What came. An array must have its values: they are looked at once.

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError
        If it is none of these.
    """
    if hasattr(given, "dtype"):
        require_concrete(name, given)
        given = backend_of(given).to_numpy(given)
    try:
        values = tuple(given)
        integers = tuple(index(value) for value in values)
    except TypeError:
        values, integers = (True,), ()
    if any(isinstance(value, bool) for value in values):
        raise TypeError(message(f"{name} must be a list of integers", **{name: given}))
    return integers
