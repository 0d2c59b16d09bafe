"""Checks of values, which are made where there are values."""

from __future__ import annotations

from typing import Any

from bnspec.arrays import common_namespace
from bnspec.errors import message
from bnspec.variables import has_values

__all__ = ["require_all"]


def require_all(required: str, holds: Any, cure: str = "") -> None:
    """Refuse values of which one is not as required; NaN never is.

    Parameters
    ----------
    required : str
        What is required, for the message.
    holds : array, bool
        Whether it holds, value by value.
    cure : str
        What to do, for the message.

    Raises
    ------
    ValueError
        If it does not hold everywhere. A parameter may be traced where the input is not: then nothing is checked.
    """
    xp = common_namespace(holds=holds)
    if has_values(holds) and not bool(xp.all(holds)):
        raise ValueError(message(required, cure, failing=int(xp.sum(xp.astype(xp.logical_not(holds), xp.int32)))))
