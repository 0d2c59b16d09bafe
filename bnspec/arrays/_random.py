"""Random bits by counter, equal on every backend and device, and the uniform and normal numbers made from them.

The generator is Threefry-2x32 with 20 rounds [1]_: a bijection of two 32-bit words, chosen by a key of two words.
Words are int32 with wrap-around, because the standard's other integers are not everywhere. A number of 64 bits is
the two words (high, low).

.. [1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

from math import pi, prod
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex

from bnspec.arrays._axes import as_shape
from bnspec.arrays._dtypes import ACCUMULATES_IN, dtype_name
from bnspec.arrays._namespace import device_of
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fold_in", "random_bits", "random_key", "random_normal", "random_uniform"]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_MOST = 2**32


def random_key(seed: SupportsIndex, *, xp: Any, device: Any = None) -> Any:
    """Make a key.

    Parameters
    ----------
    seed : int
        In [0, 2^64).
    xp : namespace
        The Array API namespace of the key.
    device : device, optional
        Where the key lies, and all that is drawn with it.

    Returns
    -------
    array, shape (2,), int32
        The words (high, low) of the seed.

    Raises
    ------
    TypeError
        If the seed is not an integer.
    ValueError
        If it is out of range.
    """
    return xp.asarray(_words("seed", seed), dtype=xp.int32, device=device)


def fold_in(key: Any, number: SupportsIndex, xp: Any) -> Any:
    """Make another key from a key and a number.

    Parameters
    ----------
    key : array, shape (2,), int32
        A key from which nothing is drawn: its bits are the words of the keys that are made from it.
    number : int
        In [0, 2^64).
    xp : namespace
        The Array API namespace of `key`.

    Returns
    -------
    array, shape (2,), int32
        Threefry of the key on the words (high, low) of the number.

    Raises
    ------
    TypeError
        If `key` is not of int32, or `number` is not an integer.
    ValueError
        If `key` is not of shape (2,), or `number` is out of range.
    """
    _require_key(key)
    high, low = (_full(word, key, xp) for word in _words("number", number))
    return xp.concat(_threefry(key, high, low, xp), axis=0)


def random_bits(key: Any, shape: Sequence[int], xp: Any) -> Any:
    """Draw random words.

    Parameters
    ----------
    key : array, shape (2,), int32
        A key; the same one gives the same bits.
    shape : sequence of int
        S, of at most 2^32 elements.
    xp : namespace
        The Array API namespace of `key`.

    Returns
    -------
    array, shape S, int32
        Element i, in C order, is word i % 2 of Threefry of the key on the counter with the words (0, i // 2).

    Raises
    ------
    TypeError
        If `key` is not of int32, or `shape` is not a sequence of integers.
    ValueError
        If `key` is not of shape (2,), or `shape` has a negative size or too many elements.
    """
    _require_key(key)
    sizes = as_shape(shape)
    count = prod(sizes)
    if count > _MOST:
        raise ValueError(message("shape must have at most 2^32 elements", "Draw parts with fold_in.", shape=sizes))
    low = xp.arange((count + 1) // 2, dtype=xp.int32, device=device_of(key))
    pairs = xp.stack(_threefry(key, xp.zeros_like(low), low, xp), axis=1)
    return xp.reshape(xp.reshape(pairs, (-1,))[:count], sizes)


def random_uniform(key: Any, shape: Sequence[int], dtype: Any, xp: Any) -> Any:
    """Draw uniform numbers in (0, 1], equal to the bit on every backend.

    Parameters
    ----------
    key : array, shape (2,), int32
        A key; the same one gives the same numbers.
    shape : sequence of int
        S.
    dtype : dtype
        float16, bfloat16, float32 or float64.
    xp : namespace
        The Array API namespace of `key`.

    Returns
    -------
    array, shape S, of `dtype`
        In float32, element i is (b + 1) / 2^24, b being the upper 24 bits of word i of :func:`random_bits`; in
        float64, (b + 1) / 2^53, b being the upper 27 bits of word 2 i followed by the upper 26 bits of word
        2 i + 1. Half precision is rounded from float32.

    Raises
    ------
    TypeError
        If `dtype` is not real floating; and as :func:`random_bits`.
    ValueError
        As :func:`random_bits`.
    """
    sizes, wide = as_shape(shape), _wide(dtype, xp)
    if wide == xp.float64:
        words = random_bits(key, (prod(sizes), 2), xp)
        high = xp.astype(_shifted(words[:, 0], 5, xp), wide)
        uniform = (high * 2.0**26 + xp.astype(_shifted(words[:, 1], 6, xp), wide) + 1.0) * 2.0**-53
    else:
        words = random_bits(key, (prod(sizes),), xp)
        uniform = (xp.astype(_shifted(words, 8, xp), wide) + 1.0) * 2.0**-24
    return xp.astype(xp.reshape(uniform, sizes), dtype)


def random_normal(key: Any, shape: Sequence[int], dtype: Any, xp: Any) -> Any:
    """Draw standard normal numbers, equal on every backend but for the rounding of log, cos and sin.

    Parameters
    ----------
    key : array, shape (2,), int32
        A key; the same one gives the same numbers.
    shape : sequence of int
        S.
    dtype : dtype
        float16, bfloat16, float32 or float64.
    xp : namespace
        The Array API namespace of `key`.

    Returns
    -------
    array, shape S, of `dtype`
        With u, v being elements 2 j and 2 j + 1 of :func:`random_uniform`, element 2 j is
        sqrt(-2 log u) cos(2 pi v) and element 2 j + 1 is sqrt(-2 log u) sin(2 pi v) [1]_. Half precision is rounded
        from float32. No number is further from 0 than 5.8 in float32, and 8.6 in float64.

    Raises
    ------
    TypeError
        If `dtype` is not real floating; and as :func:`random_bits`.
    ValueError
        As :func:`random_bits`.

    References
    ----------
    .. [1] G. E. P. Box, M. E. Muller, A note on the generation of random normal deviates, Ann. Math. Statist. 29,
       1958.
    """
    sizes, wide = as_shape(shape), _wide(dtype, xp)
    count = prod(sizes)
    uniform = random_uniform(key, ((count + 1) // 2, 2), wide, xp)
    radius = xp.sqrt(xp.log(uniform[:, 0]) * -2.0)
    angle = uniform[:, 1] * (2.0 * pi)
    normal = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
    return xp.astype(xp.reshape(xp.reshape(normal, (-1,))[:count], sizes), dtype)


def _threefry(key: Any, high: Any, low: Any, xp: Any) -> tuple[Any, Any]:
    """Apply the bijection to counters of shape (N,), N words each."""
    first, second = key[:1], key[1:]
    keys = (first, second, xp.bitwise_xor(xp.bitwise_xor(first, second), _full(_PARITY, key, xp)))
    # Nothing here has no axis: NumPy warns when its scalars wrap around, and not when its arrays do.
    high, low = high + first, low + second
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            high = high + low
            left = xp.bitwise_left_shift(low, _full(rotation, key, xp))
            low = xp.bitwise_xor(high, xp.bitwise_or(left, _shifted(low, 32 - rotation, xp)))
        high = high + keys[(group + 1) % 3]
        low = low + (keys[(group + 2) % 3] + (group + 1))
    return high, low


def _shifted(words: Any, bits: int, xp: Any) -> Any:
    """Shift to the right and fill with zeros, at least one; the standard's shift fills with the sign."""
    filled = xp.bitwise_right_shift(words, _full(bits, words, xp))
    return xp.bitwise_and(filled, _full(2 ** (32 - bits) - 1, words, xp))


def _full(word: int, like: Any, xp: Any) -> Any:
    return xp.full((1,), word, dtype=xp.int32, device=device_of(like))


def _words(name: str, number: SupportsIndex) -> list[int]:
    """Split an integer into its words (high, low), as int32 holds them."""
    try:
        whole = index(number)
    except TypeError:
        raise TypeError(message(f"{name} must be an integer", **{name: number})) from None
    if not 0 <= whole < 2**64:
        raise ValueError(message(f"{name} must be in [0, 2^64)", **{name: whole}))
    return [word - 2**32 if word >= 2**31 else word for word in divmod(whole, 2**32)]


def _wide(dtype: Any, xp: Any) -> Any:
    """Choose the dtype that is drawn in."""
    # NumPy's own names for dtypes are classes of scalars; an array has the dtype itself.
    name = dtype_name(xp.zeros((0,), dtype=dtype).dtype)
    if name not in ACCUMULATES_IN:
        raise TypeError(message(f"dtype must be real floating: {', '.join(ACCUMULATES_IN)}", dtype=name))
    return xp.float64 if name == "float64" else xp.float32


def _require_key(key: Any) -> None:
    shape, dtype = tuple(key.shape), dtype_name(key.dtype)
    if dtype != "int32":
        raise TypeError(message("key must be of int32", "Make it with random_key.", dtype=dtype))
    if shape != (2,):
        raise ValueError(message("key must have the shape (2,)", "Make it with random_key.", shape=shape))
