"""Constraints: what an optimizer's step is followed by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import accumulation_dtype, as_axes, common_namespace
from bnspec.layers._objects import Configured, Table, require_number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CONSTRAINTS", "MaxNorm", "MinMaxNorm", "NonNeg", "Positive", "UnitNorm"]

FUZZ = 1e-7
"""What Keras adds to a norm before it divides by it; a zero stays a zero."""


class NonNeg(Configured):
    """Replace what is negative by 0."""

    def __call__(self, value: Any) -> Any:
        """Return the projected parameter.

        Parameters
        ----------
        value : array, shape K
            A parameter.

        Returns
        -------
        array, shape K
        """
        xp = common_namespace(value=value)
        return xp.where(value < 0, xp.zeros_like(value), value)


class Positive(NonNeg):
    """Replace what is negative by 0, and add a small number: ``relu(value) + minimum``.

    Parameters
    ----------
    minimum : float
        The number.

    Raises
    ------
    TypeError
        If it is none.

    Notes
    -----
    It is what the batch normalization bijector of TFP lets gamma be projected by. A second projection adds the
    minimum again.
    """

    fields: tuple[str, ...] = ("minimum",)

    def __init__(self, minimum: float = 1e-6) -> None:
        self.minimum = require_number("minimum", minimum)

    def __call__(self, value: Any) -> Any:
        """Return the projected parameter.

        Parameters
        ----------
        value : array, shape K
            A parameter.

        Returns
        -------
        array, shape K
        """
        return super().__call__(value) + self.minimum


class MinMaxNorm(Configured):
    """Scale so that the norm lies between two limits.

    Parameters
    ----------
    min_value, max_value : float
        The limits.
    rate : float
        How far it is moved towards them: 1 is all the way.
    axis : int or sequence of int
        The axes along which the norm is formed.

    Raises
    ------
    TypeError
        If an argument is not as described.

    Notes
    -----
    With n = sqrt(sum(v^2)): v (rate clip(n, min, max) + (1 - rate) n) / (1e-7 + n), as Keras has it.
    """

    fields: tuple[str, ...] = ("min_value", "max_value", "rate", "axis")

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        self.min_value = require_number("min_value", min_value)
        self.max_value = require_number("max_value", max_value)
        self.rate = require_number("rate", rate)
        axes = as_axes("axis", axis)
        self.axis = axes[0] if len(axes) == 1 else axes

    def __call__(self, value: Any) -> Any:
        """Return the projected parameter.

        Parameters
        ----------
        value : array, shape K
            A parameter.

        Returns
        -------
        array, shape K
        """
        xp = common_namespace(value=value)
        wide = xp.astype(value, accumulation_dtype(xp, value))  # float16 holds neither squares nor FUZZ
        norm = xp.sqrt(xp.sum(wide * wide, axis=self.axis, keepdims=True))
        return xp.astype(wide * (self._wanted(norm, xp) / (norm + FUZZ)), value.dtype)

    def _wanted(self, norm: Any, xp: Any) -> Any:
        limited = xp.clip(norm, self.min_value, self.max_value)
        return limited * self.rate + norm * (1.0 - self.rate)


class MaxNorm(MinMaxNorm):
    """Scale so that the norm is at most a limit.

    Parameters
    ----------
    max_value : float
        The limit.
    axis : int or sequence of int
        The axes along which the norm is formed.

    Raises
    ------
    TypeError
        If an argument is not as described.

    Notes
    -----
    With n = sqrt(sum(v^2)): v min(n, max) / (1e-7 + n), as Keras has it.
    """

    fields = ("max_value", "axis")

    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0) -> None:
        super().__init__(0.0, max_value, 1.0, axis)


class UnitNorm(MinMaxNorm):
    """Scale so that the norm is 1.

    Parameters
    ----------
    axis : int or sequence of int
        The axes along which the norm is formed.

    Raises
    ------
    TypeError
        If the axis is not as described.

    Notes
    -----
    With n = sqrt(sum(v^2)): v / (1e-7 + n), as Keras has it.
    """

    fields = ("axis",)

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        super().__init__(1.0, 1.0, 1.0, axis)


_NAMES: dict[str, Callable[[], Configured]] = {
    "non_neg": NonNeg,
    "positive": Positive,
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "unit_norm": UnitNorm,
}

CONSTRAINTS = Table("a constraint", (NonNeg, Positive, MaxNorm, MinMaxNorm, UnitNorm), _NAMES)
