"""Elementwise bijectors from their definitions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import mpmath
import numpy as np

from ._exact import Exact, ObjectArray, elementwise
from ._multiple import Parameter, rounded, settled, wide
from ._parts import Numbers, read

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "AbsoluteValue",
    "Bijector",
    "Exp",
    "Identity",
    "Log",
    "Reciprocal",
    "Scale",
    "ScaleMatvecDiag",
    "Shift",
    "Sigmoid",
    "Softplus",
    "Tanh",
]


def _log(value: Any) -> Any:
    if value <= 0:
        raise ValueError(f"an argument must lie inside of the domain. Got a logarithm of {mpmath.nstr(value)}.")
    return mpmath.log(value)


def _softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0)


def _softplus_inverse(y: Any) -> Any:
    """log(exp(y) - 1), written so that exp does not exceed 1."""
    return y + _log(-mpmath.expm1(-y))


def _reciprocal(value: Any) -> Any:
    if not value:
        raise ValueError("an argument must lie inside of the domain. Got a division by 0.")
    return 1 / value


class Bijector:
    """An elementwise map y = f(x) with its inverse, and the logarithms of |dy/dx| and of |dx/dy|.

    Notes
    -----
    Arguments are arrays of float16, bfloat16, float32 or float64, or `Exact`, and count as the numbers they hold;
    parameters may be Python numbers too. All broadcast, and every result has the shape that this gives. Subclasses
    give three functions of mpf: the map, its inverse, and log |dy/dx| at x. log |dx/dy| at y is minus the third one at
    the inverse of y, in arithmetic of as many bits as that needs.

    A point outside of the domain, infinite results included, raises ValueError.
    """

    _forward: ClassVar[Callable[..., Any]]
    _inverse: ClassVar[Callable[..., Any]]
    _log_det: ClassVar[Callable[..., Any]]

    def _parameters(self) -> tuple[ObjectArray, ...]:
        """Return the parameters that the three functions take after x."""
        return tuple(wide(getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]

    def forward(self, x: Numbers) -> Exact:
        """Compute f(x)."""
        return settled(self._forward, wide(x), *self._parameters())

    def inverse(self, y: Numbers) -> Any:
        """Compute the x whose image is y."""
        return settled(self._inverse, wide(y), *self._parameters())

    def forward_log_det(self, x: Numbers) -> Exact:
        """Compute log |dy/dx| at x, element by element."""
        return settled(self._log_det, wide(x), *self._parameters())

    def inverse_log_det(self, y: Numbers) -> Any:
        """Compute log |dx/dy| at y, element by element."""
        return settled(lambda y, *p: -self._log_det(self._inverse(y, *p), *p), wide(y), *self._parameters())


@dataclass(frozen=True, eq=False)
class Identity(Bijector):
    """y = x."""

    _forward = staticmethod(lambda x: x)
    _inverse = staticmethod(lambda y: y)
    _log_det = staticmethod(lambda x: mpmath.mpf(0))


@dataclass(frozen=True, eq=False)
class Shift(Bijector):
    """y = x + shift."""

    shift: Parameter

    _forward = staticmethod(lambda x, shift: x + shift)
    _inverse = staticmethod(lambda y, shift: y - shift)
    _log_det = staticmethod(lambda x, shift: mpmath.mpf(0))


@dataclass(frozen=True, eq=False)
class Scale(Bijector):
    """y = scale x, or y = exp(log_scale) x; scale may be negative, and must not be 0.

    Raises
    ------
    ValueError
        Unless one of both is given.
    """

    scale: Parameter | None = None
    log_scale: Parameter | None = None

    def __post_init__(self) -> None:
        if (self.scale is None) == (self.log_scale is None):
            raise ValueError(f"either scale or log_scale must be given. Got {self}.")

    def _parameters(self) -> tuple[ObjectArray, ...]:
        if self.scale is None and self.log_scale is not None:
            return np.asarray(1, dtype=object), wide(self.log_scale)
        return np.asarray(0, dtype=object), wide(1 if self.scale is None else self.scale)

    @staticmethod
    def _forward(x: Any, logarithmic: bool, scale: Any) -> Any:
        return x * (mpmath.exp(scale) if logarithmic else scale)

    @staticmethod
    def _inverse(y: Any, logarithmic: bool, scale: Any) -> Any:
        return y * (mpmath.exp(-scale) if logarithmic else _reciprocal(scale))

    @staticmethod
    def _log_det(x: Any, logarithmic: bool, scale: Any) -> Any:
        return scale if logarithmic else _log(abs(scale))


@dataclass(frozen=True, eq=False)
class ScaleMatvecDiag(Bijector):
    """y = diag(scale_diag) x, for scale_diag of shape (*B, D) and x of shape (*S, D); sizes 1 and D do not match.

    The log-dets are the terms of the sum over the last axis, which is left to the caller.
    """

    scale_diag: Numbers

    def _check(self, x: Numbers) -> None:
        size, given = np.shape(wide(self.scale_diag))[-1:], read(x).shape[-1:]
        if not size or size != given:
            raise ValueError(f"scale_diag and x must have one size along the last axis. Got {size} and {given}.")

    def forward(self, x: Numbers) -> Exact:
        """Compute f(x)."""
        self._check(x)
        return Scale(self.scale_diag).forward(x)

    def inverse(self, y: Numbers) -> Exact:
        """Compute the x whose image is y."""
        self._check(y)
        found: Exact = Scale(self.scale_diag).inverse(y)
        return found

    def forward_log_det(self, x: Numbers) -> Exact:
        """Compute log |scale_diag| in the shape of the result."""
        self._check(x)
        return Scale(self.scale_diag).forward_log_det(x)

    def inverse_log_det(self, y: Numbers) -> Exact:
        """Compute -log |scale_diag| in the shape of the result."""
        self._check(y)
        found: Exact = Scale(self.scale_diag).inverse_log_det(y)
        return found


@dataclass(frozen=True, eq=False)
class Exp(Bijector):
    """y = exp(x)."""

    _forward = staticmethod(mpmath.exp)
    _inverse = staticmethod(_log)
    _log_det = staticmethod(lambda x: x)


@dataclass(frozen=True, eq=False)
class Log(Bijector):
    """y = log(x), x > 0."""

    _forward = staticmethod(_log)
    _inverse = staticmethod(mpmath.exp)
    _log_det = staticmethod(lambda x: -_log(x))

    def inverse_log_det(self, y: Numbers) -> Exact:
        """Compute log |dx/dy| = y: exp(y) may be beyond every number of mpmath."""
        return rounded(wide(y))


@dataclass(frozen=True, eq=False)
class Reciprocal(Bijector):
    """y = 1 / x, x not 0."""

    _forward = staticmethod(_reciprocal)
    _inverse = staticmethod(_reciprocal)
    _log_det = staticmethod(lambda x: -2 * _log(abs(x)))


@dataclass(frozen=True, eq=False)
class Sigmoid(Bijector):
    """y = low + (high - low) / (1 + exp(-x)), low < high; 0 and 1 if neither is given.

    Raises
    ------
    ValueError
        If only one of both is given.
    """

    low: Parameter | None = None
    high: Parameter | None = None

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"low and high must be given together. Got {self}.")

    def _parameters(self) -> tuple[ObjectArray, ...]:
        if self.low is None or self.high is None:
            return wide(0), wide(1)
        return wide(self.low), wide(self.high)

    @staticmethod
    def _forward(x: Any, low: Any, high: Any) -> Any:
        return low + (high - low) * mpmath.exp(-_softplus(-x))

    @staticmethod
    def _inverse(y: Any, low: Any, high: Any) -> Any:
        return _log(y - low) - _log(high - y)

    @staticmethod
    def _log_det(x: Any, low: Any, high: Any) -> Any:
        return _log(high - low) - abs(x) - 2 * mpmath.log1p(mpmath.exp(-abs(x)))


@dataclass(frozen=True, eq=False)
class Softplus(Bijector):
    """y = c log(1 + exp(x / c)) + low, c being the hinge_softness; a negative c gives values below `low`."""

    hinge_softness: Parameter = 1
    low: Parameter = 0

    @staticmethod
    def _forward(x: Any, c: Any, low: Any) -> Any:
        return c * _softplus(x * _reciprocal(c)) + low

    @staticmethod
    def _inverse(y: Any, c: Any, low: Any) -> Any:
        return c * _softplus_inverse((y - low) * _reciprocal(c))

    @staticmethod
    def _log_det(x: Any, c: Any, low: Any) -> Any:
        return -_softplus(-x * _reciprocal(c))


@dataclass(frozen=True, eq=False)
class Tanh(Bijector):
    """y = tanh(x)."""

    @staticmethod
    def _forward(x: Any) -> Any:
        part = mpmath.expm1(-2 * abs(x))
        return (-part if x > 0 else part) / (2 + part)

    @staticmethod
    def _inverse(y: Any) -> Any:
        if abs(y) >= 1:
            raise ValueError(f"an argument must lie inside of the domain. Got tanh(x) = {mpmath.nstr(y)}.")
        return (mpmath.log1p(y) - mpmath.log1p(-y)) / 2

    @staticmethod
    def _log_det(x: Any) -> Any:
        return 2 * (mpmath.log(2) - abs(x) - mpmath.log1p(mpmath.exp(-2 * abs(x))))


@dataclass(frozen=True, eq=False)
class AbsoluteValue(Bijector):
    """y = |x|, which is no bijector: each y > 0 has the preimages -y and y, of log-det 0."""

    _forward = staticmethod(abs)

    @staticmethod
    def _checked(y: Any) -> Any:
        if y < 0:
            raise ValueError(f"an absolute value must not be negative. Got {mpmath.nstr(y)}.")
        return y

    def inverse(self, y: Numbers) -> tuple[Exact, Exact]:
        """Return both preimages, (-y, y)."""
        given = elementwise(self._checked, wide(y))
        return rounded(np.asarray(elementwise(lambda value: -value, given))), rounded(given)

    def forward_log_det(self, x: Numbers) -> Exact:
        """Refuse: the map is not injective."""
        raise NotImplementedError("AbsoluteValue must not be asked for its forward log-det. It is not injective.")

    def inverse_log_det(self, y: Numbers) -> tuple[Exact, Exact]:
        """Return the log-det of both preimages, (0, 0)."""
        none = rounded(elementwise(lambda value: 0 * self._checked(value), wide(y)))
        return none, none
