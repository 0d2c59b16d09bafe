"""Bounds between two results of one implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["apart"]


def apart(bound: NDArray[np.float64], other: NDArray[np.float64], factor: float = 1.0) -> NDArray[np.float64]:
    """Bound how far two results are apart whose exact values differ by a known factor and a known offset.

    Parameters
    ----------
    bound, other : array, shape S
        How far each of them may be from its own exact value.
    factor : float
        What the second's exact value is multiplied by; a power of 2.

    Returns
    -------
    array, shape S
        For the first, and the second with offset and factor undone.

    Notes
    -----
    With exact values v and f v + o, |a - v| <= b and |c - (f v + o)| <= b', the triangle inequality gives
    |a - (c - o) / f| <= b + b' / |f|. Nothing smaller holds for all sound implementations: the errors of the two may
    have opposite signs, whatever the relation, because sums are formed in another order or round elsewhere. To undo
    the offset is exact by Sterbenz's lemma, where c is within a factor of 2 of o; to undo the factor always is.
    """
    return bound + other / abs(factor)
