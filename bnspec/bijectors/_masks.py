"""Masks of images as permutations: what a coupling layer leaves alone comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec.arrays import as_shape
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["channel_permutation", "checkerboard_permutation"]


def checkerboard_permutation(height: int, width: int, channels: int, *, odd: bool = False) -> tuple[int, ...]:
    """Return the order in which the white squares of a checkerboard come before the black ones.

    Parameters
    ----------
    height, width, channels : int
        The shape (H, W, C) of an image, which is flattened in row-major order.
    odd : bool
        Whether the squares with odd row + column come first, rather than those with even; to take turns.

    Returns
    -------
    tuple of int
        A permutation of H W C. The first ceil(H W / 2) C units are those of the even squares, or the first
        floor(H W / 2) C those of the odd ones: the ``num_masked`` of a coupling layer.

    Raises
    ------
    TypeError, ValueError
        If a size is no integer, or negative.

    References
    ----------
    .. [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density Estimation using Real NVP, arXiv:1605.08803, figure 3.

    Examples
    --------
    >>> from bnspec.bijectors import checkerboard_permutation
    >>> checkerboard_permutation(2, 3, 1)
    (0, 2, 4, 1, 3, 5)

    A coupling layer on images of shape (H, W, C), of which the even squares are left alone::

        flatten = Reshape([H * W * C], [H, W, C])
        permute = Permute(checkerboard_permutation(H, W, C))
        couple = RealNVP(num_masked=(H * W + 1) // 2 * C, shift_and_log_scale_fn=...)
        Chain([Invert(flatten), Invert(permute), couple, permute, flatten])
    """
    first = 1 if odd else 0
    return _ordered(height, width, channels, lambda row, column, channel: (row + column) % 2 == first)


def channel_permutation(height: int, width: int, channels: int, num_masked: int) -> tuple[int, ...]:
    """Return the order in which some channels of all pixels come before the others.

    Parameters
    ----------
    height, width, channels : int
        The shape (H, W, C) of an image, which is flattened in row-major order.
    num_masked : int
        How many channels come first; a negative number takes them from the end.

    Returns
    -------
    tuple of int
        A permutation of H W C. The first H W abs(num_masked) units are the ``num_masked`` of a coupling layer.

    Raises
    ------
    TypeError, ValueError
        If an argument is no integer, a size is negative, or there are not so many channels.

    Examples
    --------
    >>> from bnspec.bijectors import channel_permutation
    >>> channel_permutation(1, 2, 3, 1)
    (0, 3, 1, 2, 4, 5)
    """
    (count,) = as_shape([abs(num_masked)])
    if count > channels:
        raise ValueError(message("num_masked must not exceed the channels", num_masked=num_masked, channels=channels))
    start = channels - count if num_masked < 0 else 0
    return _ordered(height, width, channels, lambda row, column, channel: start <= channel < start + count)


def _ordered(height: int, width: int, channels: int, first: Callable[[int, int, int], bool]) -> tuple[int, ...]:
    """Sort the units of an image, those first for which a function of row, column and channel is true."""
    height, width, channels = as_shape([height, width, channels])
    units = [(row, column, channel) for row in range(height) for column in range(width) for channel in range(channels)]
    return tuple(sorted(range(len(units)), key=lambda unit: not first(*units[unit])))
