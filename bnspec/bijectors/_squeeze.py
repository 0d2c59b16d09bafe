"""Squeeze: the pixels of each small square of an image become channels."""

from __future__ import annotations

from bnspec.arrays import as_shape
from bnspec.bijectors._chain import Chain
from bnspec.bijectors._permute import Permute
from bnspec.bijectors._reshape import Reshape
from bnspec.errors import message

__all__ = ["squeeze"]


def squeeze(height: int, width: int, channels: int, factor: int = 2) -> Chain:
    """Return the bijector that trades the size of an image for channels.

    Parameters
    ----------
    height, width, channels : int
        The shape (H, W, C) of an image.
    factor : int
        f, the side of the squares.

    Returns
    -------
    Chain
        From events of shape (H, W, C) to (H / f, W / f, f^2 C), made of ``Reshape`` and ``Permute``. Channel
        (a f + b) C + c is channel c of the pixel in row a and column b of each square, as that of TensorFlow's
        ``space_to_depth``. A flow that generates images takes its ``Invert``.

    Raises
    ------
    TypeError
        If an argument is no integer.
    ValueError
        If a size is negative, the factor is below 1, or height and width are not multiples of it.

    References
    ----------
    .. [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density Estimation using Real NVP, arXiv:1605.08803, section 3.6.

    Examples
    --------
    >>> import numpy as np
    >>> from bnspec.bijectors import squeeze
    >>> image = np.asarray([[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]])[:, :, None]
    >>> squeeze(2, 4, 1).forward(image).tolist()
    [[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]]
    """
    height, width, channels, factor = as_shape([height, width, channels, factor])
    if factor < 1 or height % factor or width % factor:
        raise ValueError(
            message("height and width must be multiples of the factor", height=height, width=width, factor=factor)
        )
    # Row a of each square row lies behind the one before it: (H/f, a, W/f, b, C) as three axes, of which one is turned.
    rows, columns = height // factor, width // factor
    between = [rows, width, factor * channels]
    order = [a * columns + column for column in range(columns) for a in range(factor)]
    return Chain(
        [
            Reshape([rows, columns, factor * factor * channels], between),
            Permute(order, axis=-2),
            Reshape(between, [height, width, channels]),
        ],
        name="squeeze",
    )
