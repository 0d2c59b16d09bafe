"""Normalization by given statistics, and its derivatives."""

from __future__ import annotations

from math import isfinite
from numbers import Real
from typing import Any

from bnspec.arrays import accumulation_dtype, common_namespace, fits, require_real_floating, shape_of, sizes_of
from bnspec.errors import message

__all__ = ["batch_normalization", "inverse_deviation", "normalize", "require_epsilon", "slope"]


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str | None = None,
) -> Any:
    """Normalize by given statistics: ``scale * (x - mean) / sqrt(variance + variance_epsilon) + offset``.

    Parameters
    ----------
    x : array, shape (*S, C), real floating
        The data.
    mean, variance : array, shape (C,), or of x's rank with x's size or 1 on each axis
        The statistics.
    offset, scale : array, shaped as `mean` may be, or None
        beta and gamma; None leaves them out.
    variance_epsilon : float
        Finite and not negative; added to the variance inside the square root.
    name : str, optional
        Accepted for TensorFlow's sake; names nothing here.

    Returns
    -------
    array, shape (*S, C), of x's dtype
        Computed in float32, or in float64 where any of the arrays is. NaN and infinities spread within
        their own channel only. An empty `x` gives an empty output.

    Raises
    ------
    TypeError
        If an array is not real floating, or is of another library than `x`.
    ValueError
        If a shape or `variance_epsilon` is not as described, or two arrays are on different devices.

    Notes
    -----
    The mean is subtracted first. ``tf.nn.batch_normalization`` computes ``x * inv + (offset - mean * inv)``,
    which is off by 7 to 12 percent on x = 4096 + {-3, -1, 1, 3} / 2048.

    References
    ----------
    .. [1] ``tf.nn.batch_normalization``, whose argument names and shapes these are.
    """
    epsilon = require_epsilon("variance_epsilon", variance_epsilon)
    parameters = {"mean": mean, "variance": variance, "offset": offset, "scale": scale}
    for key in ("mean", "variance"):
        if parameters[key] is None:
            raise TypeError(message(f"{key} must be an array", **{key: None}))
    xp = common_namespace(x=x, **parameters)
    require_real_floating(x=x, **parameters)
    shape = shape_of(x)
    for key, value in parameters.items():
        if value is not None:
            _require_parameter(key, shape_of(value), shape)
    dtype = accumulation_dtype(xp, x, *parameters.values())
    m, v, beta, gamma = (None if p is None else _laid(xp.astype(p, dtype), x, xp) for p in parameters.values())
    y = normalize(xp.astype(x, dtype) - m, inverse_deviation(v, epsilon, xp), gamma, beta)
    return xp.astype(y, x.dtype)


def inverse_deviation(variance: Any, epsilon: float, xp: Any) -> Any:
    """Return ``1 / sqrt(variance + epsilon)``, of the variance's shape."""
    return 1.0 / xp.sqrt(variance + epsilon)


def normalize(
    centred: Any,
    inverse: Any,
    gamma: Any,
    beta: Any,
    correction: tuple[Any, Any] | None = None,
    adjustment: tuple[Any, Any] | None = None,
) -> Any:
    """Scale and shift what is centred already.

    Parameters
    ----------
    centred : array, shape S
        ``x - mean``. Folding the mean into the offset instead loses all digits that it has in common with x.
    inverse : array, broadcastable to S
        ``1 / sqrt(variance + epsilon)``.
    gamma, beta : array, broadcastable to S, or None
        The affine parameters.
    correction, adjustment : pair of arrays, broadcastable to S, or None
        r and d of renormalization, and the scale and bias that follow it.

    Returns
    -------
    array, shape S
        The output, ``((centred * inverse * r + d) * scale + bias) * gamma + beta``.
    """
    steps = [(None, None) if pair is None else pair for pair in (correction, adjustment)]
    y, factor = centred, inverse
    for scale, offset in (*steps, (gamma, beta)):
        factor = scale if factor is None else slope(factor, scale)
        if offset is not None:
            y = (y if factor is None else y * factor) + offset
            factor = None
    return y if factor is None else y * factor


def slope(inverse: Any, gamma: Any) -> Any:
    """Return ``gamma / sqrt(variance + epsilon)``; gamma None is 1."""
    return inverse if gamma is None else inverse * gamma


def require_epsilon(name: str, epsilon: Any) -> float:
    """Take an epsilon that is a finite number of at least 0.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    epsilon : object
        What came.

    Returns
    -------
    float
        The same number.

    Raises
    ------
    TypeError
        If it is not a real number; an array is none.
    ValueError
        If it is negative, infinite or NaN.
    """
    if isinstance(epsilon, bool) or not isinstance(epsilon, Real):
        raise TypeError(message(f"{name} must be a real number", **{name: epsilon}))
    if not isfinite(epsilon) or epsilon < 0:
        raise ValueError(message(f"{name} must be finite and not negative", **{name: epsilon}))
    return float(epsilon)


def _laid(parameter: Any, x: Any, xp: Any) -> Any:
    """Lay a parameter against an input of unknown sizes, so that what does not fit is an error when the call runs."""
    if None not in (*shape_of(parameter), *shape_of(x)):
        return parameter
    sizes = sizes_of(x)
    return xp.reshape(parameter, sizes[-1:]) if len(shape_of(parameter)) == 1 else xp.broadcast_to(parameter, sizes)


def _require_parameter(name: str, given: tuple[Any, ...], shape: tuple[Any, ...]) -> None:
    last = len(given) == 1 and fits(shape[-1:], given)
    full = len(given) == len(shape) and fits(given, [1 if g == 1 else s for g, s in zip(given, shape, strict=True)])
    if not shape or not (last or full):
        raise ValueError(
            message(
                f"{name} must be one-dimensional with the size of x's last axis, or have x's rank and on "
                "each axis x's size or 1",
                x=shape,
                **{name: given},
            )
        )
