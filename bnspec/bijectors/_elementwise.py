"""Maps of each number by itself, accurate towards both ends of their domains."""

from __future__ import annotations

from math import log
from typing import Any

from bnspec.arrays import common_namespace
from bnspec.bijectors._affine import no_change
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._domain import require_all

__all__ = ["AbsoluteValue", "Exp", "Log", "Reciprocal", "Tanh", "magnitude"]


class _Elementwise(Bijector):
    """A map of numbers without parameters."""

    def __init__(self, validate_args: bool = False, name: str | None = None) -> None:
        super().__init__(
            forward_min_event_ndims=0,
            validate_args=validate_args,
            parameters={"validate_args": validate_args, "name": name},
            name=name,
        )


class Exp(_Elementwise):
    """Map by y = exp(x).

    Parameters
    ----------
    validate_args : bool
        Whether ``inverse`` refuses what is not positive.
    name : str, optional
        By default, ``"exp"``.
    """

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        return common_namespace(x=x).exp(x), x

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        x = common_namespace(y=y).log(y)
        return x, -x

    def _validate(self, direction: str, x: Any) -> None:
        if direction == "inverse":
            require_all("y must be positive", x > 0.0)


class Log(_Elementwise):
    """Map by y = log(x).

    Parameters
    ----------
    validate_args : bool
        Whether ``forward`` refuses what is not positive.
    name : str, optional
        By default, ``"log"``.
    """

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        y = common_namespace(x=x).log(x)
        return y, -y

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        return common_namespace(y=y).exp(y), y

    def _validate(self, direction: str, x: Any) -> None:
        if direction == "forward":
            require_all("x must be positive", x > 0.0)


class Reciprocal(_Elementwise):
    """Map by y = 1 / x, which is its own inverse.

    Parameters
    ----------
    validate_args : bool
        Whether zeros are refused.
    name : str, optional
        By default, ``"reciprocal"``.
    """

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        xp = common_namespace(x=x)
        return 1.0 / x, lambda: -2.0 * xp.log(xp.abs(x))

    _inverse_and_log_det = _forward_and_log_det

    def _validate(self, direction: str, x: Any) -> None:
        require_all("the input of a reciprocal must not be zero", x != 0.0)


class Tanh(_Elementwise):
    """Map by y = tanh(x).

    Parameters
    ----------
    validate_args : bool
        Whether ``inverse`` refuses what is not in (-1, 1).
    name : str, optional
        By default, ``"tanh"``.

    Notes
    -----
    The log-det 2 (log 2 - |x| - log(1 + exp(-2 |x|))) keeps its digits where 1 - tanh(x)^2 is 0. With a = |y|, the
    inverse is sign(y) log(1 + 2 a / (1 - a)) / 2, and its log-det log(1 + a^2 / ((1 - a) (1 + a))).
    """

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        xp = common_namespace(x=x)

        def log_det() -> Any:
            size = magnitude(x, xp)
            decayed = xp.exp(-size)
            # Not exp(-2 |x|): 2 |x| may overflow.
            return 2.0 * (log(2.0) - size - xp.log1p(decayed * decayed))

        return xp.tanh(x), log_det

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        xp = common_namespace(y=y)
        size = magnitude(y, xp)
        rest = 1.0 - size
        # Neither atanh nor log1p of what is negative: in float64, XLA's lose 7 bits around -0.4. What is added to 1
        # keeps its digits near 0, where -log1p(y) - log1p(-y) cancels.
        half = 0.5 * xp.log1p(2.0 * size / rest)
        return xp.where(y >= 0.0, half, -half), lambda: xp.log1p(size * (size / (rest * (1.0 + size))))

    def _validate(self, direction: str, x: Any) -> None:
        if direction == "inverse":
            require_all("y must be in (-1, 1)", (x > -1.0) & (x < 1.0))


class AbsoluteValue(_Elementwise):
    """Map by y = |x|, which has two inverses.

    Parameters
    ----------
    validate_args : bool
        Whether ``inverse`` refuses what is negative.
    name : str, optional
        By default, ``"absolute_value"``.

    Notes
    -----
    ``inverse`` returns ``(-y, y)``, and its log-dets are a pair of zeros of the shape of the batch. There is no
    log-det of ``forward``.
    """

    @property
    def is_injective(self) -> bool:
        """False: x and -x have one output."""
        return False

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        return common_namespace(x=x).abs(x), None

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        return (-y, y), (no_change(y), no_change(y))

    def _validate(self, direction: str, x: Any) -> None:
        if direction == "inverse":
            require_all("y must not be negative", x >= 0.0)


def magnitude(x: Any, xp: Any) -> Any:
    """Return |x| with the derivative 1 at 0, where that of ``abs`` is 0 and cancels no other one-sided derivative.

    Parameters
    ----------
    x : array, shape S
    xp : namespace

    Returns
    -------
    array, shape S
    """
    return xp.where(x >= 0.0, x, -x)
