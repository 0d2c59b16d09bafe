"""Affine coupling: one part of a vector scales and shifts the other."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import mpmath
import numpy as np

from ._exact import Exact, ObjectArray, elementwise
from ._multiple import rounded, settled_array, total_over, wide
from ._parts import Numbers, read

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AffineCoupling", "Conditioned", "dense", "dense_conditioner", "halves", "masked_count", "squeezed"]


class Conditioned(NamedTuple):
    """The two outputs of a conditioner; either may be absent."""

    shift: Exact | None
    log_scale: Exact | None


def masked_count(fraction_masked: float, size: int) -> int:
    """Return D times a fraction, rounded toward zero, for the decimal number that prints as the float.

    Parameters
    ----------
    fraction_masked : float
        Inside of (-1, 1): 0.29 means 29/100, and not the binary number below it.
    size : int
        D, the size of the event.

    Returns
    -------
    int
        The number of units that condition; negative where they are the last ones. 0 is the same for both signs.
    """
    if not -1 < fraction_masked < 1:
        raise ValueError(f"fraction_masked must be inside of (-1, 1). Got fraction_masked={fraction_masked}.")
    return int(Fraction(repr(float(fraction_masked))) * size)


def halves(num_masked: int, size: int) -> tuple[slice, slice]:
    """Return where the units that condition are, and where those that are transformed are.

    Parameters
    ----------
    num_masked : int
        n: the first n units condition; if negative, the last -n.
    size : int
        D, the size of the event.
    """
    if abs(num_masked) >= size:
        raise ValueError(f"num_masked must be smaller than the event size {size}. Got num_masked={num_masked}.")
    if num_masked < 0:
        return slice(size + num_masked, size), slice(0, size + num_masked)
    return slice(0, num_masked), slice(num_masked, size)


@dataclass(frozen=True, eq=False)
class AffineCoupling:
    """y1 = x1 exp(log_scale) + shift for the transformed units, y0 = x0 for those that condition.

    Parameters
    ----------
    num_masked : int
        As of `halves`.
    shift, log_scale : array, broadcastable to (*S, D - |n|), optional
        What the conditioner gave for x0, which is y0; 0 if absent.

    Notes
    -----
    Vectors have the shape (*S, D), log-dets the shape (*S): the sum of log_scale over all transformed units.
    """

    num_masked: int
    shift: Numbers | None = None
    log_scale: Numbers | None = None

    def _parts(self, x: Numbers) -> tuple[ObjectArray, slice, ObjectArray, ObjectArray]:
        data = wide(x)
        moved = halves(self.num_masked, data.shape[-1])[1]
        shape = data[..., moved].shape
        none = np.full(shape, mpmath.mpf(0), dtype=object)

        def spread(values: Numbers | None) -> ObjectArray:
            return none if values is None else np.broadcast_to(wide(values), shape)

        return data, moved, spread(self.shift), spread(self.log_scale)

    def forward(self, x: Numbers) -> Exact:
        """Compute y."""
        data, moved, shift, log_scale = self._parts(x)

        def compute() -> ObjectArray:
            y = data.copy()
            y[..., moved] = data[..., moved] * elementwise(mpmath.exp, log_scale) + shift
            return y

        return settled_array(compute)

    def inverse(self, y: Numbers) -> Exact:
        """Compute x."""
        data, moved, shift, log_scale = self._parts(y)

        def compute() -> ObjectArray:
            x = data.copy()
            x[..., moved] = (data[..., moved] - shift) * elementwise(lambda s: mpmath.exp(-s), log_scale)
            return x

        return settled_array(compute)

    def forward_log_det(self, x: Numbers) -> Exact:
        """Compute the log-det of the map."""
        log_scale = self._parts(x)[3]
        return settled_array(lambda: total_over(log_scale, 1))

    def inverse_log_det(self, y: Numbers) -> Exact:
        """Compute the log-det of its inverse."""
        log_scale = self._parts(y)[3]
        return settled_array(lambda: total_over(elementwise(lambda s: -s, log_scale), 1))


def dense(
    x: Numbers, layers: Sequence[tuple[Numbers, Numbers | None]], activation: Literal["relu", "tanh"] = "relu"
) -> Exact:
    """Compute a dense network: x W + b for each layer, and an activation after each but the last.

    Parameters
    ----------
    x : array, shape (*S, I)
        The input.
    layers : sequence of (array, shape (I, O); array, shape (O,), or None)
        Kernels and biases, in order.
    activation : {"relu", "tanh"}
        What follows a hidden layer.

    Returns
    -------
    Exact
        Shape (*S, O of the last layer).
    """
    data, weights = wide(x), [(wide(w), None if b is None else wide(b)) for w, b in layers]
    function: Any = {"relu": lambda v: max(v, mpmath.mpf(0)), "tanh": mpmath.tanh}[activation]

    def compute() -> ObjectArray:
        values = data
        for k, (kernel, bias) in enumerate(weights):
            if k:
                values = elementwise(function, values)
            shape = (*values.shape[:-1], kernel.shape[1])
            if values.shape[-1]:
                values = np.asarray(np.dot(values, kernel), dtype=object)
            else:
                values = np.full(shape, mpmath.mpf(0), dtype=object)
            if bias is not None:
                values = np.asarray(values + bias, dtype=object)
        return values

    return settled_array(compute) if layers else rounded(data)


def dense_conditioner(
    x0: Numbers,
    layers: Sequence[tuple[Numbers, Numbers | None]],
    activation: Literal["relu", "tanh"] = "relu",
    *,
    shift_only: bool = False,
) -> Conditioned:
    """Compute the shift and the log of the scale that a dense network gives for the units that condition.

    Parameters
    ----------
    x0 : array, shape (*S, |n|)
        The units that condition.
    layers, activation
        As of `dense`.
    shift_only : bool
        Whether all outputs are the shift; else the first half is, and the second is the log of the scale.

    Returns
    -------
    Conditioned
        Each of shape (*S, D - |n|).
    """
    found = dense(x0, layers, activation)
    if shift_only:
        return Conditioned(found, None)
    size = found.shape[-1]
    if size % 2:
        raise ValueError(f"the network must have an even number of outputs. Got {size}.")
    values = read(found)
    half = size // 2
    return Conditioned(
        Exact(values.numerators[..., :half], values.bits), Exact(values.numerators[..., half:], values.bits)
    )


def squeezed(x: ObjectArray, factor: int, direction: str) -> ObjectArray:
    """Lay out images anew, pixel by pixel: squares of f x f pixels as channels, or back.

    Parameters
    ----------
    x : array, shape (*S, H, W, C), any dtype
        Images.
    factor : int
        f.
    direction : {"forward", "inverse"}
        Which way.

    Returns
    -------
    array, shape (*S, H / f, W / f, f^2 C), or back
        Channel (a f + b) C + c is channel c of row a and column b of a square.
    """
    height, width, channels = x.shape[-3:]
    shape = (height // factor, width // factor, channels * factor**2)
    if direction == "inverse":
        shape = (height * factor, width * factor, channels // factor**2)
    found = np.empty((*x.shape[:-3], *shape), dtype=x.dtype)
    large, small = (x, found) if direction == "forward" else (found, x)
    for row, column, channel in np.ndindex(*large.shape[-3:]):
        place = row % factor * factor + column % factor
        at = (..., row // factor, column // factor, place * large.shape[-1] + channel)
        if direction == "forward":
            small[at] = large[..., row, column, channel]
        else:
            large[..., row, column, channel] = small[at]
    return found
