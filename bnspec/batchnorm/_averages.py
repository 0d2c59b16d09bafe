"""Running averages: how the statistics of a batch enter the state."""

from __future__ import annotations

from math import log1p
from typing import Any, Literal, NamedTuple

__all__ = ["Kind", "Shares", "shares"]

Kind = Literal["exponential", "debiased", "first"]


class Shares(NamedTuple):
    """The weights of the average before and of the batch, which sum to 1.

    Attributes
    ----------
    keep, take : float or array, shape ()
        That of the average before, and that of the batch.
    """

    keep: Any
    take: Any

    def average(self, old: Any, batch: Any) -> Any:
        """Move an average towards the statistics of a batch.

        Parameters
        ----------
        old, batch : array, shape K
            The average before, and the statistics of the batch.

        Returns
        -------
        array, shape K
            The average after.
        """
        return old * self.keep + batch * self.take


def shares(
    momentum: float | None,
    weighs: Literal["old", "new"],
    kind: Kind,
    number: Any,
    dtype: Any,
    xp: Any,
) -> Shares:
    """Return the weights with which a batch enters an average.

    Parameters
    ----------
    momentum : float or None
        In [0, 1]; None averages all batches with equal weight, however many elements each had.
    weighs : {"old", "new"}
        Which of the two momentum multiplies; the other one is multiplied by ``1 - momentum``.
    kind : {"exponential", "debiased", "first"}
        With m the weight of the old value, the batch takes ``1 - m``; ``(1 - m) / (1 - m^n)``; or all where it is the
        first, else ``1 - m``.
    number : array, shape (), integer
        Which batch this is, counted from 1.
    dtype : dtype
        The dtype of the average.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    Shares

    Notes
    -----
    The debiased average is usually kept as a sum that starts at 0, h = m h + (1 - m) b, and read as h / (1 - m^n) [2]_.
    The same number follows from the last one read: its weight is what the batch's leaves of 1. ``1 - m^n`` is
    formed as -expm1(n log m), without cancellation where m is near 1. With m = 1 it is the limit, 1 / n.

    References
    ----------
    .. [1] ``torch.nn.BatchNorm1d`` with ``momentum=None`` for the equal weights.
    .. [2] D. P. Kingma and J. Ba, Adam, arXiv:1412.6980, section 3.
    """
    if momentum is None:
        take = 1.0 / xp.astype(number, dtype)
        return Shares(1.0 - take, take)
    keep, take = (momentum, 1.0 - momentum) if weighs == "old" else (1.0 - momentum, momentum)
    if kind == "exponential" or keep == 0.0 or take == 1.0:
        return Shares(keep, take)
    count = xp.astype(number, dtype)
    if kind == "first":
        one, first = xp.ones_like(count), count == 1
        return Shares(xp.where(first, one * 0.0, one * keep), xp.where(first, one, one * take))
    part = 1.0 / count if take == 0.0 else -take / xp.expm1(count * log1p(-take))
    # The first batch leaves nothing of the initial state, however its share is rounded.
    part = xp.where(count == 1, xp.ones_like(part), part)
    return Shares(1.0 - part, part)
