"""Frequency weights in training: what they delete, and how their derivative is gathered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import blocked_sum, is_known, sizes_of, to_rows

if TYPE_CHECKING:
    from bnspec.batchnorm._ghosts import Ghosts

__all__ = ["Weighting", "gathered"]


class Weighting(NamedTuple):
    """The weights of one call, laid against the input.

    Attributes
    ----------
    frequencies : array, of the cut shape
        The weights, broadcast to the input.
    lost : array, of the cut shape, boolean
        What is deleted and is not finite: it has no output that could be differentiated.
    """

    frequencies: Any
    lost: Any

    @classmethod
    def of(cls, weights: Any, x: Any, ghosts: Ghosts, xp: Any) -> Weighting:
        """Lay weights against an input.

        Parameters
        ----------
        weights : array, broadcastable to S
            Checked already.
        x : array, of the cut shape
            The input, in the dtype of the computation.
        ghosts : Ghosts
            How the batch is cut.
        xp : namespace
            The namespace of the arrays.

        Returns
        -------
        Weighting
        """
        weights = xp.astype(weights, x.dtype)
        frequencies = ghosts.grouped(xp.broadcast_to(weights, ghosts.whole.shape), xp)
        return cls(frequencies, xp.logical_and(frequencies == 0, xp.logical_not(xp.isfinite(x))))


def gathered(terms: Any, weights: Any, xp: Any) -> Any:
    """Sum what belongs to elements over the axes along which weights are broadcast.

    Parameters
    ----------
    terms : array, shape S
        One term for each element.
    weights : array, broadcastable to S, of its rank
        The weights.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    array, of the weights' shape

    Notes
    -----
    An axis of size s on which the weights have w, 1 or s, is laid out as (w, s / w), which needs not be known.
    """
    given, shape, spread = sizes_of(weights), [], []
    for size, whole in zip(given, sizes_of(terms), strict=True):
        shape.append(size)
        if not is_known(size) or size != whole:
            spread.append(len(shape))
            shape.append(whole if is_known(size) and size == 1 else whole // xp.maximum(size, 1))
    return blocked_sum(to_rows(xp.reshape(terms, tuple(shape)), tuple(spread), xp), xp) if spread else terms
