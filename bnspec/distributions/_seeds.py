"""Seeds: integers, or keys of the counter-based generator."""

from __future__ import annotations

from secrets import randbits
from typing import Any

from bnspec.arrays import common_namespace, device_of, random_key
from bnspec.errors import message
from bnspec.variables import has_values

__all__ = ["fresh_seed", "is_key", "key_of"]


def is_key(seed: Any) -> bool:
    """Tell whether a seed is a key array, rather than an integer."""
    return hasattr(seed, "dtype") and len(seed.shape) == 1


def key_of(seed: Any, like: Any) -> Any:
    """Make a key from a seed.

    Parameters
    ----------
    seed : int or array, shape (2,), int32
        An integer in [0, 2^64), or a key.
    like : array
        Of the library and on the device of what is to be drawn.

    Returns
    -------
    array, shape (2,), int32

    Raises
    ------
    TypeError
        If it is neither, or a key of another library.
    ValueError
        If it is out of range, or a key on another device.
    """
    xp = common_namespace(like=like)
    if not is_key(seed):
        return random_key(seed, xp=xp, device=device_of(like))
    common_namespace(seed=seed, **{"the parameters": like})
    return seed


def fresh_seed(like: Any) -> int:
    """Draw a seed that nobody can foresee.

    Parameters
    ----------
    like : array
        What tells whether a compiler traces the call.

    Returns
    -------
    int
        In [0, 2^64).

    Raises
    ------
    ValueError
        If it does: the seed would be a constant of the compiled function, and all its draws the same.
    """
    if not has_values(like):
        raise ValueError(
            message(
                "seed must be given inside a compiler, where a fresh one would be the same in every call",
                "Pass a key, an argument of the compiled function.",
            )
        )
    return randbits(64)
