"""Regularizers: penalties of parameters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from bnspec.arrays import accumulation_dtype, common_namespace
from bnspec.errors import message
from bnspec.layers._objects import Configured, Table, require_number

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["L1", "L1L2", "L2", "REGULARIZERS"]


class L1L2(Configured):
    """Penalize ``l1 * sum(abs(v)) + l2 * sum(v^2)``.

    Parameters
    ----------
    l1, l2 : float
        The factors, not negative.

    Raises
    ------
    TypeError, ValueError
        If a factor is not as described.
    """

    fields: tuple[str, ...] = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _require_factor("l1", l1)
        self.l2 = _require_factor("l2", l2)

    def __call__(self, value: Any) -> Any:
        """Return the penalty.

        Parameters
        ----------
        value : array, shape K
            A parameter.

        Returns
        -------
        array, shape (), of the dtype of `value`
        """
        xp = common_namespace(value=value)
        flat = xp.reshape(xp.astype(value, accumulation_dtype(xp, value)), (-1,))
        penalty = xp.zeros_like(xp.sum(flat))
        if self.l1:
            penalty = penalty + xp.sum(xp.abs(flat)) * self.l1
        if self.l2:
            penalty = penalty + xp.sum(flat * flat) * self.l2
        return xp.astype(penalty, value.dtype)


class L1(L1L2):
    """Penalize ``l1 * sum(abs(v))``.

    Parameters
    ----------
    l1 : float
        The factor, not negative.

    Raises
    ------
    TypeError, ValueError
        If the factor is not as described.
    """

    fields = ("l1",)

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(L1L2):
    """Penalize ``l2 * sum(v^2)``.

    Parameters
    ----------
    l2 : float
        The factor, not negative.

    Raises
    ------
    TypeError, ValueError
        If the factor is not as described.
    """

    fields = ("l2",)

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


def _require_factor(name: str, value: Any) -> float:
    factor = require_number(name, value)
    if not factor >= 0:  # NaN is not
        raise ValueError(message(f"{name} must not be negative", **{name: value}))
    return factor


_NAMES: dict[str, Callable[[], Configured]] = {"l1": L1, "l2": L2, "l1_l2": partial(L1L2, 0.01, 0.01)}

REGULARIZERS = Table("a regularizer", (L1, L2, L1L2), _NAMES)
