"""Bounds of the bijectors with parts: batch normalization, affine coupling, and the network that conditions it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._arithmetic import Arithmetic
from ._formats import accumulated
from ._parts import Uncertain, root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._formats import Format, Grade
    from ._statistics import Statistics

    Array = NDArray[np.float64]

__all__ = ["batch_log_det", "coupled", "coupled_log_det", "denormalized", "dense_network"]


def batch_log_det(
    given: Statistics,
    epsilon: float,
    gamma: Array | None,
    shape: tuple[int, ...],
    layout: tuple[int, ...],
    event_ndims: int,
    grade: Grade,
    form: Format,
    factor: Any = None,
) -> Uncertain:
    """Bound the log-det of normalization, log |gamma| + log |a| - log(variance + epsilon) / 2, summed over events.

    Parameters
    ----------
    given : Statistics
        The statistics that it is taken of, with their errors, C channels.
    epsilon : float
        Added to the variance.
    gamma : array, shape (C,), optional
        Its term is dropped where it is absent.
    shape : tuple of int
        (*S), the shape of the data.
    layout : tuple of int
        The shape in which the channels broadcast to (*S): size 1 except along the feature axes, C elements.
    event_ndims : int
        How many of the last axes are summed over; 0 bounds the terms of the elements.
    grade : Grade
        How sums are computed.
    form : Format
        What is computed in.
    factor : array, broadcastable to (*S), optional
        a, the scale of an adjustment.

    Returns
    -------
    Uncertain
        Of the shape (*S) without its last `event_ndims` axes; the log-det of de-normalization has the same bound.

    Notes
    -----
    epsilon is rounded, and so is s = variance + epsilon, whose relative error p moves the logarithm by -log(1 - p);
    each logarithm has the error of its kernel. Instead, log(|gamma| / sqrt(s)) rounds root (2 u) and quotient (2 u),
    which the logarithm takes for absolute errors, 4 u together; its kernel's error is no larger than the two of the
    parts and that of log(1 + 4 u). The terms may be summed part by part, so that the sizes of the parts count; equal
    terms may be multiplied by their number, in 2 roundings.
    """
    r, u = Arithmetic(form), form.roundoff
    moved = given.variance_error + u * epsilon
    s = given.variance + epsilon
    logarithm = r.log(Uncertain(s, moved + u * (s + moved)))
    half = r.doubled(logarithm, 0.5)
    value, error, size = -half.value, half.error, np.abs(half.value)
    if gamma is not None:
        part = r.given(np.abs(gamma))
        part = r.log(part)
        size = size + np.abs(part.value)
        both = r.add(Uncertain(value, error), part)
        value, error = both.value, both.error + u * size
    error = error + 4.0 * u
    terms = Uncertain(value.reshape(layout), error.reshape(layout))
    size = size.reshape(layout)
    if factor is not None:
        part = r.log(r.given(np.abs(factor)))
        size = size + np.abs(part.value)
        terms = r.add(terms, part)
        terms = Uncertain(terms.value, terms.error + u * size)
    value, error, size = (np.broadcast_to(part, shape) for part in (terms.value, terms.error, size))
    if not event_ndims:
        return Uncertain(value, error)
    return r.total(Uncertain(value, error), size, grade, event_ndims, extra=2.0)


def denormalized(
    rows: Any,
    given: Statistics,
    epsilon: float,
    gamma: Array | float,
    beta: Array | float,
    form: Format,
    *,
    folded: bool = False,
) -> Uncertain:
    """Bound (x - beta) sqrt(variance + epsilon) / gamma + mean.

    Parameters
    ----------
    rows : array, shape (N, C), or Uncertain
        x, of the format, or what another bijector gave.
    given : Statistics
        The moving statistics.
    epsilon : float
        Added to the variance.
    gamma, beta : array, shape (C,), or float
        The affine parameters; 1 and 0 where there are none.
    form : Format
        What is computed in.
    folded : bool
        Whether it is x r + (mean - beta r) with r = sqrt(variance + epsilon) / gamma.

    Returns
    -------
    Uncertain
        Of shape (N, C).

    Notes
    -----
    The difference, the product with the root over gamma, and the sum are rounded in turn. Where beta is folded into the
    mean, both products with r are rounded, and so are the inner and the outer difference; r is one and the same, so
    that its error counts by |x - beta|.
    """
    r = Arithmetic(form)
    deviation = root(Uncertain(given.variance, given.variance_error), epsilon, form)
    rescale = r.divide(deviation, r.given(gamma))
    x, offset, mean = r.given(rows), r.given(beta), Uncertain(given.mean, given.mean_error)
    found = r.add(r.multiply(r.subtract(x, offset), rescale), mean)
    if not folded:
        return found
    known = Uncertain(rescale.value, 0.0)
    apart = r.add(r.multiply(x, known), r.subtract(mean, r.multiply(offset, known)))
    return Uncertain(found.value, found.error + (1.0 + 8.0 * form.roundoff) * apart.error)


def coupled(x: Any, shift: Any, log_scale: Any, form: Format, *, inverse: bool = False) -> Uncertain:
    """Bound x exp(log_scale) + shift, or (y - shift) exp(-log_scale), of the units that are transformed.

    Parameters
    ----------
    x : array, shape (*S, D - |n|), or Uncertain
        The units.
    shift, log_scale : array, broadcastable to x, or Uncertain, or None
        What the conditioner gives, with its errors.
    form : Format
        What is computed in.
    inverse : bool
        Which of both.

    Returns
    -------
    Uncertain

    Notes
    -----
    An error e of log_scale changes the scale by a factor of exp(e). A quotient by exp(log_scale) has two more
    roundings than the product.
    """
    r, found = Arithmetic(form), Arithmetic(form).given(x)
    if not inverse:
        if log_scale is not None:
            found = r.multiply(found, r.exp(r.given(log_scale)))
        return found if shift is None else r.add(found, r.given(shift))
    if shift is not None:
        found = r.subtract(found, r.given(shift))
    if log_scale is not None:
        value, error = r.multiply(found, r.exp(r.negative(r.given(log_scale))))
        found = Uncertain(value, error + 2.0 * form.roundoff * (np.abs(value) + error))
    return found


def coupled_log_det(log_scale: Any, shape: tuple[int, ...], grade: Grade, form: Format) -> Uncertain:
    """Bound the sum of log_scale over the units that are transformed, of which `shape` is (*S, D - |n|)."""
    r = Arithmetic(form)
    found = r.given(np.zeros(shape) if log_scale is None else log_scale)
    terms = Uncertain(np.broadcast_to(found.value, shape), np.broadcast_to(found.error, shape))
    return r.total(terms, np.abs(terms.value), grade, 1)


def dense_network(
    x: Any,
    layers: Sequence[tuple[Array, Array | None]],
    form: Format,
    activation: Literal["relu", "tanh"] = "relu",
) -> Uncertain:
    """Bound a dense network: x W + b for each layer, and an activation after each but the last.

    Parameters
    ----------
    x : array, shape (*S, I), or Uncertain
        The input.
    layers : sequence of (array, shape (I, O); array, shape (O,), or None)
        Kernels and biases.
    form : Format
        What is computed in.
    activation : {"relu", "tanh"}
        relu moves no value further than its argument was moved.

    Returns
    -------
    Uncertain
        Of shape (*S, O of the last layer).

    Notes
    -----
    A product of a row of length I with a column has the error g(I) of the sum of the sizes of its terms, in any order
    of summation [1]_; the bias is one more term. Products that a device takes in fewer bits than the format has are
    outside this bound.

    .. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, section 3.5.
    """
    r = Arithmetic(form)
    found = r.given(x)
    for k, (kernel, bias) in enumerate(layers):
        if k:
            found = r.tanh(found) if activation == "tanh" else Uncertain(np.maximum(found.value, 0.0), found.error)
        weights, length = r.given(kernel), len(kernel)
        value = found.value @ weights.value
        upper = (np.abs(found.value) + found.error) @ (np.abs(weights.value) + weights.error)
        error = found.error @ (np.abs(weights.value) + weights.error) + np.abs(found.value) @ weights.error
        if bias is not None:
            value, upper = value + bias, upper + np.abs(bias)
        error = error + accumulated(length + 1, form.roundoff) * upper + 2.0 * length * form.tiny
        found = Uncertain(value, np.where(upper + error < form.largest, error, np.inf))
    return found
