"""Running averages: how the statistics of a batch enter the state."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["cumulative_average", "exponential_average"]


def exponential_average(old: Any, batch: Any, momentum: float, weighs: Literal["old", "new"]) -> Any:
    """Move an average towards the statistics of a batch.

    Parameters
    ----------
    old, batch : array, shape K
        The average before, and the statistics of the batch.
    momentum : float
        In [0, 1].
    weighs : {"old", "new"}
        Which of the two momentum multiplies; the other one is multiplied by ``1 - momentum``.

    Returns
    -------
    array, shape K
        The average after.
    """
    keep = momentum if weighs == "old" else 1.0 - momentum
    take = 1.0 - momentum if weighs == "old" else momentum
    return old * keep + batch * take


def cumulative_average(old: Any, batch: Any, number: Any) -> Any:
    """Average the statistics of all batches with equal weight, however many elements each had.

    Parameters
    ----------
    old, batch : array, shape K
        The average before, and the statistics of the batch.
    number : array, shape ()
        Which batch this is, counted from 1, as floating point.

    Returns
    -------
    array, shape K
        The average after; after the first batch, that batch's statistics.

    References
    ----------
    .. [1] ``torch.nn.BatchNorm1d`` with ``momentum=None``.
    """
    share = 1.0 / number
    return old * (1.0 - share) + batch * share
