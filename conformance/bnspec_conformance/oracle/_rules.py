"""What a layer is told, checked once and taken exactly: the choices of a convention that the oracle computes by."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ._parts import finite

if TYPE_CHECKING:
    from bnspec.conventions import Convention

__all__ = ["Limits", "Renormalization", "Rules", "rules_of", "second_moment_divisor"]


class Renormalization(Protocol):
    """What the oracle reads of a renormalization: four floats, of which `rmax` and `dmax` may be infinite."""

    @property
    def rmin(self) -> float:
        """Least r."""

    @property
    def rmax(self) -> float:
        """Greatest r."""

    @property
    def dmax(self) -> float:
        """Greatest absolute value of d."""

    @property
    def momentum(self) -> float:
        """Of the averages that a batch is corrected by; the convention says what it multiplies."""


class Limits(NamedTuple):
    """A renormalization, exactly; None where there is no limit."""

    rmin: Fraction
    rmax: Fraction | None
    dmax: Fraction | None
    old: Fraction  # the share that the averages of renormalization keep


class Rules(NamedTuple):
    """What the oracle computes by."""

    epsilon: Fraction
    old: Fraction | None = None  # the share that an exponential average keeps; None for a cumulative one
    normalizing: str = "population"
    running: str = "population"
    statistics: str = "batch"
    average: str = "exponential"
    strided: bool = False
    update: str = "merged"
    ghost: int | None = None
    renorm: Limits | None = None


def rules_of(
    convention: Convention | None,
    *,
    epsilon: float,
    momentum: float | None = None,
    virtual_batch_size: int | None = None,
    renorm: Renormalization | None = None,
    corrected: bool = False,
) -> Rules:
    """Take what a layer is told exactly.

    Parameters
    ----------
    convention : Convention, optional
        If absent, the batch's population variance normalizes, and weights are frequencies.
    epsilon, momentum, virtual_batch_size, renorm
        As in `trajectory`.
    corrected : bool
        Whether r and d are given, which counts as renormalization.

    Returns
    -------
    Rules

    Raises
    ------
    ValueError
        If a number is not finite, the ghost batches have no element, or two parts exclude each other.
    """
    eps, size = finite("epsilon", epsilon), virtual_batch_size
    if size is not None and size < 1:
        raise ValueError(f"virtual_batch_size must be positive. Got virtual_batch_size={size}.")
    if convention is None:
        return Rules(eps, ghost=size)

    def old(name: str, value: float) -> Fraction:
        share = finite(name, value)
        return share if convention.momentum_weighs == "old" else 1 - share

    if convention.statistics == "running" and (size is not None or corrected or renorm is not None):
        raise ValueError('statistics="running" must come without ghost batches and renormalization. Got them.')
    if convention.ghost_update == "each" and size is not None and renorm is not None:
        raise ValueError('ghost_update="each" must come without renormalization. Got both.')
    limits = None
    if renorm is not None:
        rmax, dmax = (None if math.isinf(v) else finite("limit", v) for v in (renorm.rmax, renorm.dmax))
        limits = Limits(finite("rmin", renorm.rmin), rmax, dmax, old("renorm.momentum", renorm.momentum))
    return Rules(
        eps,
        None if momentum is None else old("momentum", momentum),
        convention.normalizing_variance,
        convention.running_variance,
        convention.statistics,
        convention.average,
        convention.ghost_grouping == "strided",
        convention.ghost_update,
        size,
        limits,
    )


def second_moment_divisor(kind: str, weight: Fraction, epsilon: Fraction) -> Fraction:
    """Return what an estimator of the variance divides ``sum(w * (x - mean)**2)`` by."""
    less = {"population": Fraction(0), "bessel": Fraction(1), "bessel_epsilon": 1 + epsilon}[kind]
    return weight - less if weight > less else weight
