"""Normal numbers from uniform ones, by the polar form of Box and Muller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mpmath
import numpy as np

from ._exact import Exact, elementwise
from ._multiple import settled_array, wide

if TYPE_CHECKING:
    from ._exact import ObjectArray
    from ._parts import Numbers

__all__ = ["polar_normals"]


def polar_normals(uniform: Numbers) -> Exact:
    """Compute sqrt(-2 log u) cos(2 pi v) and sqrt(-2 log u) sin(2 pi v).

    Parameters
    ----------
    uniform : array, shape (N, 2)
        Pairs (u, v), in (0, 1].

    Returns
    -------
    Exact
        Shape (N, 2). Where u is 1, both are 0.
    """
    numbers = wide(uniform)
    u, v = numbers[:, 0], numbers[:, 1]

    def compute() -> ObjectArray:
        radius = elementwise(lambda u: mpmath.sqrt(-2 * mpmath.log(u)), u)
        # cospi and sinpi are exact where the wave is 0
        waves = (elementwise(lambda v, f=f: f(2 * v), v) for f in (mpmath.cospi, mpmath.sinpi))
        return np.stack([np.asarray(radius * wave, dtype=object) for wave in waves], axis=-1)

    return settled_array(compute)
