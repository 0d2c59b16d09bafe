"""Sigmoid and Softplus: maps of all numbers onto an interval and onto a half-line."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from bnspec.arrays import common_namespace
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._domain import require_all
from bnspec.bijectors._elementwise import magnitude
from bnspec.errors import message
from bnspec.variables import as_parameter, require_broadcastable, resolved

__all__ = ["Sigmoid", "Softplus"]

# Where exp(-x) is 0 in float64 too: what is beyond changes nothing, and its quotients may overflow.
_FAR = 1000.0


class Sigmoid(Bijector):
    """Map onto an interval: y = low + (high - low) / (1 + exp(-x)).

    Parameters
    ----------
    low, high : number, nested list, array or Variable, shape broadcastable with that of x, optional
        The ends of the interval; by default 0 and 1.
    validate_args : bool
        Whether ``inverse`` refuses what is not in (low, high), and ends that are not in order are refused.
    name : str, optional
        By default, ``"sigmoid"``.

    Raises
    ------
    TypeError
        If an argument is none of these, or not real floating.
    ValueError
        If only one of them is given, their shapes do not broadcast, or they are numbers and not in order.

    Notes
    -----
    With s = exp(-|x|) / (1 + exp(-|x|)), y is low + (high - low) s to the left and high - (high - low) s to the
    right: it never leaves the interval, and approaches each end with all digits. The log-det is
    log(high - low) - |x| - 2 log(1 + exp(-|x|)).
    """

    def __init__(self, low: Any = None, high: Any = None, validate_args: bool = False, name: str | None = None) -> None:
        if (low is None) != (high is None):
            raise ValueError(message("low and high must be given together", "Give both, or none.", low=low, high=high))
        self._low, self._high = as_parameter("low", low), as_parameter("high", high)
        require_broadcastable(low=self._low, high=self._high)
        if isinstance(low, (int, float)) and isinstance(high, (int, float)):  # torch's compiler takes it for known
            wrong = low >= high
        else:
            known = all(isinstance(end, (Real, list, tuple)) for end in (low, high))
            wrong = known and bool(np.any(np.asarray(low) >= np.asarray(high)))
        if wrong:
            raise ValueError(message("low must be below high", low=low, high=high))
        super().__init__(
            forward_min_event_ndims=0,
            validate_args=validate_args,
            parameters={"low": low, "high": high, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def low(self) -> Any:
        """The lower end, as it was given."""
        return self._low

    @property
    def high(self) -> Any:
        """The upper end, as it was given."""
        return self._high

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        xp, low, high = self._ends(x)
        size = magnitude(x, xp)
        decayed = xp.exp(-size)
        share = (high - low) * (decayed / (1.0 + decayed))
        y = xp.where(x >= 0.0, high - share, low + share)
        return y, lambda: xp.log(high - low) - size - 2.0 * xp.log1p(decayed)

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        xp, low, high = self._ends(y)
        above, below = xp.log(y - low), xp.log(high - y)
        return above - below, lambda: xp.log(high - low) - above - below

    def _validate(self, direction: str, x: Any) -> None:
        _, low, high = self._ends(x)
        require_all("low must be below high", low < high)
        if direction == "inverse":
            require_all("y must be between low and high", (low < x) & (x < high))

    def _ends(self, x: Any) -> tuple[Any, Any, Any]:
        low = resolved("low", 0.0 if self._low is None else self._low, x)
        high = resolved("high", 1.0 if self._high is None else self._high, x)
        return common_namespace(x=x), low, high


class Softplus(Bijector):
    """Map onto a half-line: y = c log(1 + exp(x / c)) + low.

    Parameters
    ----------
    hinge_softness : number, nested list, array or Variable, shape broadcastable with that of x, optional
        The c; by default 1. A negative one maps onto what is below `low`.
    low : number, nested list, array or Variable, shape broadcastable with that of x, optional
        The end of the half-line; by default 0.
    validate_args : bool
        Whether a softness of zero is refused, and by ``inverse`` what is not beyond `low`.
    name : str, optional
        By default, ``"softplus"``.

    Raises
    ------
    TypeError
        If an argument is none of these, or not real floating.
    ValueError
        If their shapes do not broadcast.

    Notes
    -----
    For positive c, y is max(x, 0) + c log(1 + exp(-|x| / c)) + low. The log-det is -log(1 + exp(-x / c)). With
    t = (y - low) / c, the inverse is c (t + log(1 - exp(-t))), and its log-det -log(1 - exp(-t)).
    """

    def __init__(
        self, hinge_softness: Any = None, low: Any = None, validate_args: bool = False, name: str | None = None
    ) -> None:
        self._softness = as_parameter("hinge_softness", hinge_softness)
        self._low = as_parameter("low", low)
        require_broadcastable(hinge_softness=self._softness, low=self._low)
        super().__init__(
            forward_min_event_ndims=0,
            validate_args=validate_args,
            parameters={"hinge_softness": hinge_softness, "low": low, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def hinge_softness(self) -> Any:
        """The softness, as it was given."""
        return self._softness

    @property
    def low(self) -> Any:
        """The end of the half-line, as it was given."""
        return self._low

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        xp, softness, low = self._values(x)
        size = magnitude(x, xp)
        wide = size if softness is None else xp.minimum(size, _FAR * xp.abs(softness)) / xp.abs(softness)
        bend = xp.log1p(xp.exp(-wide))
        rising = x >= 0.0 if softness is None else (x >= 0.0) == (softness > 0.0)
        straight = xp.where(rising, x, xp.zeros_like(x))
        y = straight + bend if softness is None else straight + softness * bend

        def log_det() -> Any:
            # log(1 + exp(-x / c)) is the function itself at the other sign, in units of c.
            falling = xp.where(rising, xp.zeros_like(size), size)
            return -((falling if softness is None else falling / xp.abs(softness)) + bend)

        return y if low is None else y + low, log_det

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        xp, softness, low = self._values(y)
        above = y if low is None else y - low
        shape = above if softness is None else above / softness
        bend = xp.log(-xp.expm1(-shape))
        return above + (bend if softness is None else softness * bend), lambda: -bend

    def _validate(self, direction: str, x: Any) -> None:
        _, softness, low = self._values(x)
        above = x if low is None else x - low
        if softness is not None:
            require_all("hinge_softness must not be zero", softness != 0.0)
            above = above / softness
        if direction == "inverse":
            require_all("y must be beyond low", above > 0.0)

    def _values(self, x: Any) -> tuple[Any, Any, Any]:
        return (
            common_namespace(x=x),
            resolved("hinge_softness", self._softness, x),
            resolved("low", self._low, x),
        )
