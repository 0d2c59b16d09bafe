"""Bounds of derivatives by automatic differentiation: of elementwise maps, and of products of them.

Automatic differentiation sums, over the paths from an output to an input, the products of the partial derivatives on the
path, each a computed number. Forward and reverse mode do so in another order; with the sum of the sizes of the paths
in the place of the size of the sum, a bound holds for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._formats import accumulated
from ._parts import Uncertain

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ._arithmetic import Arithmetic

    Array = NDArray[np.float64]

__all__ = ["Slope", "contracted", "elementwise_slope", "joined", "stepped", "tanh_step"]


class Slope(NamedTuple):
    """A derivative.

    Attributes
    ----------
    value : array
        As float64 sees it.
    error : array
        How far a computed one may be off.
    size : array
        At least the sum of the sizes of its paths, as exact and as computed.
    """

    value: Any
    error: Any
    size: Any


def stepped(partial: Uncertain, slope: Slope, r: Arithmetic) -> Slope:
    """Bound one more factor on each path: a product, and a place in a sum, are rounded."""
    factor = np.abs(partial.value) + partial.error
    size = factor * slope.size
    error = np.abs(partial.value) * slope.error + partial.error * slope.size + 2.0 * r.form.roundoff * size
    return Slope(partial.value * slope.value, error + r.form.tiny, size + r.form.tiny)


def joined(r: Arithmetic, *slopes: Slope) -> Slope:
    """Bound a sum over ways to one place."""
    value, error, size = (sum(each) for each in zip(*slopes, strict=True))
    return Slope(value, error + accumulated(len(slopes), r.form.roundoff) * size, size)


def contracted(kernel: Array, slope: Slope, r: Arithmetic) -> Slope:
    """Bound a product with a kernel.

    Parameters
    ----------
    kernel : array, shape (I, O)
        Numbers of the format.
    slope : Slope, shape (*S, I, K)
        Of the I inputs by K variables.
    r : Arithmetic
        Of the format.

    Returns
    -------
    Slope, shape (*S, O, K)

    Notes
    -----
    Forward mode sums I terms, and reverse mode O, where the path passes.
    """
    across = kernel.T
    size = np.abs(across) @ slope.size
    growth = accumulated(max(kernel.shape) + 1, r.form.roundoff)
    error = np.abs(across) @ slope.error + growth * size + 2.0 * max(kernel.shape) * r.form.tiny
    return Slope(across @ slope.value, error, size)


class _Dual(NamedTuple):
    value: Uncertain
    slope: Slope


class _Duals:
    """The operations of an `Arithmetic`, each with its partial derivatives as frameworks compute them."""

    def __init__(self, r: Arithmetic) -> None:
        self.r = r
        self.one = r.exact(1.0)

    def _along(self, value: Uncertain, partial: Uncertain, a: _Dual) -> _Dual:
        return _Dual(value, stepped(partial, a.slope, self.r))

    def number(self, given: Any) -> Uncertain:
        return self.r.given(given)

    def scaled(self, a: _Dual, factor: Uncertain) -> _Dual:
        return self._along(self.r.multiply(a.value, factor), factor, a)

    def shared(self, a: _Dual, divisor: Uncertain) -> _Dual:
        return self._along(self.r.divide(a.value, divisor), self.r.divide(self.one, divisor), a)

    def moved(self, a: _Dual, by: Uncertain) -> _Dual:
        return _Dual(self.r.add(a.value, by), a.slope)

    def negative(self, a: _Dual) -> _Dual:
        return self._along(self.r.negative(a.value), self.r.exact(-1.0), a)

    def size(self, a: _Dual) -> _Dual:
        """|x|, whose derivative is 1 or -1."""
        sign = Uncertain(np.where(a.value.value >= 0.0, 1.0, -1.0), np.zeros_like(a.value.value))
        return self._along(Uncertain(np.abs(a.value.value), a.value.error), sign, a)

    def add(self, a: _Dual, b: _Dual) -> _Dual:
        return _Dual(self.r.add(a.value, b.value), joined(self.r, a.slope, b.slope))

    def divide(self, a: _Dual, b: _Dual) -> _Dual:
        r = self.r
        found = r.divide(a.value, b.value)
        first = stepped(r.divide(self.one, b.value), a.slope, r)
        second = stepped(r.negative(r.divide(found, b.value)), b.slope, r)
        return _Dual(found, joined(r, first, second))

    def exp(self, a: _Dual) -> _Dual:
        found = self.r.exp(a.value)
        return self._along(found, found, a)

    def log(self, a: _Dual) -> _Dual:
        return self._along(self.r.log(a.value), self.r.divide(self.one, a.value), a)

    def log1p(self, a: _Dual) -> _Dual:
        return self._along(self.r.log1p(a.value), self.r.divide(self.one, self.r.add(self.one, a.value)), a)

    def where(self, condition: Any, a: _Dual) -> _Dual:
        """Take a where a condition holds, and 0 elsewhere."""
        kept = [np.where(condition, part, 0.0) for part in (*a.value, *a.slope)]
        return _Dual(Uncertain(*kept[:2]), Slope(*kept[2:]))


def tanh_step(y: Uncertain, slope: Slope, r: Arithmetic) -> Slope:
    """Bound the way through tanh, whose partial derivative is 1 - y^2, or (1 - y) (1 + y), of its computed result."""
    return stepped(r.subtract(r.exact(1.0), r.multiply(y, y)), slope, r)


def _shift(direction: str, d: _Duals, x: _Dual, shift: Any) -> _Dual:
    return x


def _scale(direction: str, d: _Duals, x: _Dual, scale: Any = None, log_scale: Any = None) -> _Dual:
    """Multiply, or divide."""
    forward = direction == "forward"
    if log_scale is None:
        return d.scaled(x, d.number(scale)) if forward else d.shared(x, d.number(scale))
    logarithm = d.number(log_scale)
    return d.scaled(x, d.r.exp(logarithm if forward else d.r.negative(logarithm)))


def _scale_diag(direction: str, d: _Duals, x: _Dual, scale_diag: Any) -> _Dual:
    return _scale(direction, d, x, scale_diag)


def _exp(direction: str, d: _Duals, x: _Dual) -> _Dual:
    return d.exp(x) if direction == "forward" else d.log(x)


def _log(direction: str, d: _Duals, x: _Dual) -> _Dual:
    return d.log(x) if direction == "forward" else d.exp(x)


def _sigmoid(direction: str, d: _Duals, x: _Dual, low: Any = 0.0, high: Any = 1.0) -> _Dual:
    """Take w t / (1 + t) with t = exp(-|x|) and the width w off one end; or log(y - low) - log(high - y)."""
    r, low, high = d.r, d.number(low), d.number(high)
    if direction == "inverse":
        below, above = d.moved(x, r.negative(low)), d.moved(d.negative(x), high)
        return d.add(d.log(below), d.negative(d.log(above)))
    t = d.exp(d.negative(d.size(x)))
    share = d.scaled(d.divide(t, d.moved(t, d.one)), r.subtract(high, low))
    away = Uncertain(np.where(x.value.value >= 0.0, -1.0, 1.0), np.zeros_like(x.value.value))
    return d.scaled(share, away)


def _softplus(direction: str, d: _Duals, x: _Dual, hinge_softness: Any = 1.0, low: Any = 0.0) -> _Dual:
    """Take max(x, 0) + c log1p(exp(-|x| / c)), the bend of a negative c downwards."""
    if direction == "inverse":
        raise NotImplementedError(direction)
    c = d.number(hinge_softness)
    wide = d.shared(d.size(x), Uncertain(np.abs(c.value), c.error))
    bend = d.scaled(d.log1p(d.exp(d.negative(wide))), c)
    return d.add(d.where((x.value.value >= 0.0) == (c.value > 0.0), x), bend)


def _tanh(direction: str, d: _Duals, x: _Dual) -> _Dual:
    if direction == "inverse":
        raise NotImplementedError(direction)
    found = d.r.tanh(x.value)
    return _Dual(found, tanh_step(found, x.slope, d.r))


_FORMULAS: dict[str, Callable[..., _Dual]] = {
    "Shift": _shift,
    "Scale": _scale,
    "ScaleMatvecDiag": _scale_diag,
    "Exp": _exp,
    "Log": _log,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Tanh": _tanh,
}


def elementwise_slope(name: str, direction: str, x: Uncertain, r: Arithmetic, **parameters: Any) -> Slope:
    """Bound the derivative of a bijector of numbers, differentiated as it is computed.

    Parameters
    ----------
    name : str
        The name of its class in the oracle.
    direction : {"forward", "inverse"}
        Which way.
    x : Uncertain, shape (*S)
        Where, with the error that it brings.
    r : Arithmetic
        Of the format that is computed in.
    **parameters : array
        As of the class in the oracle.

    Returns
    -------
    Slope, shape (*S)

    Raises
    ------
    NotImplementedError
        If there is no formula, as for the inverses of softplus and tanh.

    Notes
    -----
    The formula of the definition is followed operation by operation. Each adds to every path a partial derivative
    that is computed of the operation's computed operands or result, a product, and a place in a sum.
    """
    if name not in _FORMULAS:
        raise NotImplementedError(name)
    with np.errstate(all="ignore"):
        value = np.asarray(x.value, dtype=np.float64)
        one = np.ones_like(value)
        start = _Dual(Uncertain(value, np.broadcast_to(x.error, value.shape)), Slope(one, np.zeros_like(value), one))
        found = _FORMULAS[name](direction, _Duals(r), start, **parameters).slope
        return Slope(*(np.broadcast_to(part, value.shape) for part in found))
