"""Bounds of elementwise bijectors: a formula for each, in the arithmetic of values with errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from ._arithmetic import Arithmetic, computed_in, either
from ._functions import function_goal
from ._parts import Uncertain

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Method", "bijector", "bijector_error"]

Method: TypeAlias = Literal["forward", "inverse", "forward_log_det", "inverse_log_det"]

_LOG_TWO = float(np.log(2.0))


def _zero(x: Uncertain) -> Uncertain:
    return Uncertain(np.zeros_like(x.value), np.zeros_like(x.value))


def _identity(method: Method, r: Arithmetic, x: Uncertain) -> Uncertain:
    """Nothing is computed."""
    return x if method in {"forward", "inverse"} else _zero(x)


def _shift(method: Method, r: Arithmetic, x: Uncertain, shift: Any) -> Uncertain:
    """Bound x + shift, and y - shift."""
    if method == "forward":
        return r.add(x, r.given(shift))
    return r.subtract(x, r.given(shift)) if method == "inverse" else _zero(x)


def _scale(method: Method, r: Arithmetic, x: Uncertain, scale: Any = None, log_scale: Any = None) -> Uncertain:
    """Bound a product with scale or exp(log_scale), and a quotient, or a product with exp(-log_scale)."""
    if log_scale is not None:
        logarithm = r.given(log_scale)
        if method == "forward":
            return r.multiply(x, r.exp(logarithm))
        if method == "inverse":
            # y / exp(s) rounds twice more; where exp(s) overflows, its quotient is 0, and so is what exp(-s) gives.
            value, error = r.multiply(x, r.exp(r.negative(logarithm)))
            return Uncertain(value, error + 2.0 * r.form.roundoff * (np.abs(value) + error))
    else:
        factor = r.given(scale)
        if method == "forward":
            return r.multiply(x, factor)
        if method == "inverse":
            return r.divide(x, factor)
        logarithm = r.log(Uncertain(np.abs(factor.value), factor.error))
    return logarithm if method == "forward_log_det" else r.negative(logarithm)


def _scale_diag(method: Method, r: Arithmetic, x: Uncertain, scale_diag: Any) -> Uncertain:
    """Scale by a diagonal."""
    return _scale(method, r, x, scale_diag)


def _exp(method: Method, r: Arithmetic, x: Uncertain) -> Uncertain:
    """exp(x), log(y), x and -log(y)."""
    if method == "forward_log_det":
        return x
    if method == "forward":
        return r.exp(x)
    return r.log(x) if method == "inverse" else r.negative(r.log(x))


_OPPOSITE: dict[Method, Method] = {
    "forward": "inverse",
    "inverse": "forward",
    "forward_log_det": "inverse_log_det",
    "inverse_log_det": "forward_log_det",
}


def _log(method: Method, r: Arithmetic, x: Uncertain) -> Uncertain:
    """Take exp the other way round."""
    return _exp(_OPPOSITE[method], r, x)


def _reciprocal(method: Method, r: Arithmetic, x: Uncertain) -> Uncertain:
    """1 / x, and -2 log |x|."""
    if method in {"forward", "inverse"}:
        return r.divide(r.exact(1.0), x)
    return r.doubled(r.log(Uncertain(np.abs(x.value), x.error)), -2.0)


def _sigmoid(method: Method, r: Arithmetic, x: Uncertain, low: Any = None, high: Any = None) -> Uncertain:
    """Bound what the logistic function gives.

    With t = exp(-|x|): 1 / (1 + t) or t / (1 + t), then low + (high - low) times that. The inverse takes
    z = (y - low) / (high - low), and log(z) - log1p(-z). The log-det is log(high - low) - softplus(x) - softplus(-x);
    that of the inverse is its negative at the computed inverse. log(z) + log1p(-z) is no worse: its errors are
    those of the two parts of the inverse.
    """
    bounded = low is not None and high is not None
    width = r.subtract(r.given(high), r.given(low)) if bounded else r.exact(1.0)
    if method == "forward":
        size = Uncertain(np.abs(x.value), x.error)
        t = r.exp(r.negative(size))
        above = r.divide(r.exact(1.0), r.add(r.exact(1.0), t))
        below = r.divide(t, r.add(r.exact(1.0), t))
        positive = x.value >= 0.0
        share = Uncertain(
            np.where(positive, above.value, below.value),
            np.where(positive, above.error, below.error),
        )
        return r.add(r.given(low), r.multiply(width, share)) if bounded else share
    if method == "forward_log_det":
        total = r.add(r.softplus(x), r.softplus(r.negative(x)))
        return r.subtract(r.log(width), total) if bounded else r.negative(total)
    z = r.divide(r.subtract(x, r.given(low)), width) if bounded else x
    inverse = r.subtract(r.log(z), r.log1p(r.negative(z)))
    if method == "inverse":
        return inverse
    return r.negative(_sigmoid("forward_log_det", r, inverse, low, high))


def _softplus(method: Method, r: Arithmetic, x: Uncertain, hinge_softness: Any = None, low: Any = None) -> Uncertain:
    """Bound c softplus(x / c) + low.

    The inverse takes z = (y - low) / c and c (z + log(-expm1(-z))). The log-det is -softplus(-x / c); that of
    the inverse is its negative at the computed inverse, or -log(-expm1(-z)), which is worse for large z.
    """
    soft, offset = hinge_softness is not None, low is not None

    def quotient(value: Uncertain) -> Uncertain:
        return r.divide(value, r.given(hinge_softness)) if soft else value

    if method == "forward":
        found = r.softplus(quotient(x))
        found = r.multiply(r.given(hinge_softness), found) if soft else found
        return r.add(found, r.given(low)) if offset else found
    if method == "forward_log_det":
        return r.negative(r.softplus(r.negative(quotient(x))))
    z = quotient(r.subtract(x, r.given(low)) if offset else x)
    logarithm = r.log(r.negative(r.expm1(r.negative(z))))
    inverse = r.add(z, logarithm)
    if method == "inverse":
        return r.multiply(r.given(hinge_softness), inverse) if soft else inverse
    composed = r.softplus(r.negative(inverse))
    return Uncertain(composed.value, either(composed, logarithm))


def _tanh(method: Method, r: Arithmetic, x: Uncertain) -> Uncertain:
    """Bound tanh and its inverse.

    With a = |y|, the inverse is atanh, (log1p(a) - log1p(-a)) / 2, or log1p(2 a / (1 - a)) / 2. The log-det is
    2 (log 2 - x - softplus(-2 x)); that of the inverse is its negative at the computed inverse, -log1p(-y^2), whose
    y^2 is rounded, or log1p(a^2 / ((1 - a) (1 + a))).
    """
    if method == "forward":
        return r.tanh(x)
    if method == "forward_log_det":
        softplus = r.softplus(r.doubled(x, -2.0))
        return r.doubled(r.subtract(r.subtract(r.constant(_LOG_TWO), x), softplus), 2.0)
    value = r.doubled(r.subtract(r.log1p(x), r.log1p(r.negative(x))), 0.5)
    own = 2.0 * function_goal("atanh") * r.form.roundoff * np.abs(value.value) + x.error + r.form.tiny
    size = Uncertain(np.abs(x.value), x.error)
    below, above = r.subtract(r.exact(1.0), size), r.add(r.exact(1.0), size)
    ratio = r.doubled(r.log1p(r.divide(r.doubled(size, 2.0), below)), 0.5)
    inverse = Uncertain(value.value, np.maximum(either(value, ratio), own))
    if method == "inverse":
        return inverse
    composed = _tanh("forward_log_det", r, inverse)
    direct = r.log1p(r.negative(r.multiply(x, x)))
    ratio = r.log1p(r.multiply(size, r.divide(size, r.multiply(below, above))))
    return Uncertain(-composed.value, either(composed, direct, ratio))


def _absolute(method: Method, r: Arithmetic, x: Uncertain) -> Uncertain:
    """|x|, of which nothing is rounded; of the inverse, both preimages have this bound, and both log-dets."""
    return Uncertain(np.abs(x.value), x.error) if method in {"forward", "inverse"} else _zero(x)


_FORMULAS: dict[str, Callable[..., Uncertain]] = {
    "Identity": _identity,
    "Shift": _shift,
    "Scale": _scale,
    "ScaleMatvecDiag": _scale_diag,
    "Exp": _exp,
    "Log": _log,
    "Reciprocal": _reciprocal,
    "Sigmoid": _sigmoid,
    "Softplus": _softplus,
    "Tanh": _tanh,
    "AbsoluteValue": _absolute,
}


def bijector(name: str, method: Method, given: Any, arithmetic: Arithmetic, **parameters: Any) -> Uncertain:
    """Follow a bijector with values and errors, before they are rounded to half precision.

    Parameters
    ----------
    name : str
        The name of its class in the oracle.
    method : {"forward", "inverse", "forward_log_det", "inverse_log_det"}
        Which of its functions.
    given : array, shape (*S), or Uncertain
        Its argument: numbers of the format, or what another bijector gave.
    arithmetic : Arithmetic
        Of the format that is computed in.
    **parameters : array
        As of the class in the oracle, numbers of the format; absent ones are not computed with.

    Returns
    -------
    Uncertain
        The value, and how far a computed one may be off.
    """
    with np.errstate(all="ignore"):
        x = (
            arithmetic.given(given)
            if name != "Identity" or isinstance(given, Uncertain)
            else Uncertain(np.asarray(given, dtype=np.float64), np.zeros(np.shape(given)))
        )
        found = _FORMULAS[name](method, arithmetic, x, **parameters)
        shape = np.broadcast_shapes(
            *(np.shape(p) for p in (found.value, found.error, x.value, *parameters.values()) if p is not None)
        )
    return Uncertain(np.broadcast_to(found.value, shape), np.broadcast_to(found.error, shape))


def bijector_error(name: str, method: Method, given: Any, dtype: str, **parameters: Any) -> Array:
    """Bound the error of a bijector.

    Parameters
    ----------
    name, method, given
        As of :func:`bijector`.
    dtype : {"float16", "bfloat16", "float32", "float64"}
        Of argument, parameters and result. Half precision is computed in float32, and rounded at the end.
    **parameters : array
        As of :func:`bijector`.

    Returns
    -------
    array, shape (*S), float64
        Infinite where nothing is promised.
    """
    arithmetic = Arithmetic(computed_in(dtype))
    return arithmetic.returned(bijector(name, method, given, arithmetic, **parameters), dtype)
