"""Batch renormalization: the correction of a training batch towards averages of its own."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from numbers import Real

from bnspec.errors import message

__all__ = ["Renorm"]


@dataclass(frozen=True, kw_only=True)
class Renorm:
    """Configure batch renormalization.

    Parameters
    ----------
    rmin, rmax : float
        Limits of the correction r; ``0 <= rmin <= rmax``.
    dmax : float
        The correction d is limited to [-dmax, dmax]; not negative.
    momentum : float
        In [0, 1]: of the averages that give r and d; what it multiplies is the convention's.

    Raises
    ------
    TypeError, ValueError
        If a number is not as described.

    References
    ----------
    .. [1] S. Ioffe, Batch Renormalization, arXiv:1702.03275, algorithm 1.
    """

    rmin: float = 0.0
    rmax: float = inf
    dmax: float = inf
    momentum: float = 0.99

    def __post_init__(self) -> None:
        for name in ("rmin", "rmax", "dmax", "momentum"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(message(f"{name} must be a real number", **{name: value}))
            object.__setattr__(self, name, float(value))
        if not 0.0 <= self.rmin <= self.rmax:
            raise ValueError(message("0 <= rmin <= rmax must hold", rmin=self.rmin, rmax=self.rmax))
        if not self.dmax >= 0.0:
            raise ValueError(message("dmax must not be negative", dmax=self.dmax))
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(message("momentum of renormalization must be in [0, 1]", momentum=self.momentum))
