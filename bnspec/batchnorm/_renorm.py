"""Batch renormalization: the correction of a training batch towards averages of its own."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import detached
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._update import Entering
    from bnspec.batchnorm._values import State

__all__ = ["Correction", "Renorm", "correction"]


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


class Correction(NamedTuple):
    """What a training batch is corrected by: ``normalized * r + d``.

    Attributes
    ----------
    r, d : array, of the broadcast shape
        Constants for differentiation.
    """

    r: Any
    d: Any


def correction(renorm: Renorm, batch: Entering, state: State, epsilon: float, dtype: Any, xp: Any) -> Correction:
    """Correct towards the averages of renormalization, as they are before the batch enters them.

    Parameters
    ----------
    renorm : Renorm
        The limits.
    batch : Entering
        What the batch brings.
    state : State
        Its renorm_mean and renorm_stddev.
    epsilon : float
        Added to the variance.
    dtype : dtype
        The dtype of the computation.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    Correction
        Of shape K.

    Notes
    -----
    r = sqrt(variance + epsilon) / s and d = (mean - renorm_mean) / s, with s = max(renorm_stddev, sqrt(epsilon)).

    References
    ----------
    .. [1] Ioffe (2017), algorithm 1; the floor of s as in ``tf_keras`` 2.21, ``_renorm_correction_and_moments``.
    """
    average, scale = (xp.astype(part, dtype) for part in (state.renorm_mean, state.renorm_stddev))
    scale = xp.maximum(scale, xp.full_like(scale, sqrt(epsilon)))
    r = xp.sqrt(batch.population + epsilon) / scale
    d = ((batch.hi - average) + batch.lo) / scale
    r = _limited(r, renorm.rmin, renorm.rmax, xp)
    d = _limited(d, -renorm.dmax, renorm.dmax, xp)
    return Correction(detached(r), detached(d))


def _limited(value: Any, lowest: float, highest: float, xp: Any) -> Any:
    """Clip by comparisons, which leave NaN what it is."""
    value = xp.where(value < lowest, xp.full_like(value, lowest), value)
    return xp.where(value > highest, xp.full_like(value, highest), value)
