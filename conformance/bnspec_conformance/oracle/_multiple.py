"""Numbers of as many bits as a result needs: from arrays without error, and back to `Exact`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import mpmath
import numpy as np

from ._exact import GUARD_BITS, Exact, ObjectArray, elementwise
from ._parts import Numbers, read

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Parameter", "broadcast", "rounded", "settled", "settled_array", "total_over", "wide"]

Parameter: TypeAlias = Numbers | float

LARGEST = 1100
"""What reaches 2**LARGEST is beyond every format, and is held as 2**LARGEST."""

LEAST = -1200
"""What is below 2**LEAST is below every format, and is held to 2**(LEAST - 192)."""

_FIRST, _LAST = 448, 1 << 14


def wide(values: Parameter) -> ObjectArray:
    """Take numbers without rounding, as mpf; a Python number counts at its exact value."""
    exact = read(np.asarray(values, dtype=np.float64) if isinstance(values, int | float) else values)

    def make(numerator: int) -> Any:
        return mpmath.mp.make_mpf(mpmath.libmp.from_man_exp(numerator, -exact.bits))

    return elementwise(make, exact.numerators)


def broadcast(*arrays: ObjectArray) -> tuple[ObjectArray, ...]:
    """Give arrays one shape."""
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    return tuple(np.broadcast_to(array, shape) for array in arrays)


def total_over(terms: ObjectArray, count: int) -> ObjectArray:
    """Add up the last `count` axes."""
    if not 0 <= count <= terms.ndim:
        raise ValueError(f"event_ndims must be between 0 and the rank {terms.ndim}. Got event_ndims={count}.")
    flat = terms.reshape(*terms.shape[: terms.ndim - count], -1)
    return np.asarray(np.sum(flat, axis=-1, initial=mpmath.mpf(0)), dtype=object)


def _agree(one: Any, other: Any, precision: int) -> bool:
    """Tell whether two values agree to 224 bits, or are both below 2**-1536 with enough bits to tell them from 0."""
    size = max(abs(one), abs(other))
    if size < mpmath.ldexp(1, -1536):
        return precision >= _FIRST << 3
    return bool(abs(one - other) <= mpmath.ldexp(size, -224))


def rounded(values: ObjectArray) -> Exact:
    """Round to a grid that meets the guarantee of `Exact`, but for what no format holds.

    Parameters
    ----------
    values : array, shape (*S), object
        Finite mpf.

    Returns
    -------
    Exact
        Shape (*S). A magnitude of 2**1100 or more is held as 2**1100; below 2**-1200, a number is held to 2**-1392.
    """
    bits = GUARD_BITS
    for value in values.ravel().tolist():
        if value:
            bits = max(bits, GUARD_BITS + 1 - max(int(mpmath.mag(value)), LEAST))

    def numerator(value: Any) -> Any:
        sign, mantissa, exponent, length = value._mpf_
        if exponent + length > LARGEST:
            mantissa, exponent = 1, LARGEST
        shift = exponent + bits
        if shift >= 0:
            found = int(mantissa) << shift
        else:
            found = 0 if shift + length < -1 else (int(mantissa) + (1 << (-shift - 1))) >> -shift
        return -found if sign else found

    return Exact(elementwise(numerator, values), bits)


def _finite(values: ObjectArray, shape: tuple[int, ...], places: Any) -> None:
    for place, value in zip(places, values.tolist(), strict=True):
        if not mpmath.isfinite(value):
            index = tuple(map(int, np.unravel_index(place, shape)))
            raise ValueError(f"the exact result must be finite. Got {mpmath.nstr(value)} at index {index}.")


def settled_array(compute: Callable[[], ObjectArray]) -> Exact:
    """Compute with more and more bits until two results agree.

    Parameters
    ----------
    compute : callable
        Returns an array of mpf, computed with the precision that mpmath has when it is called.

    Returns
    -------
    Exact
        To 192 bits, absolute and relative, in the sense of `rounded`.

    Raises
    ------
    ValueError
        If an element is not finite.
    ArithmeticError
        If 2**14 bits do not suffice.

    Notes
    -----
    The precision is doubled until each element agrees to 224 bits with what half of the bits gave. What cancels is
    recomputed; two wrong values that agree by chance are the only gap, for which the tests have other routes. A
    value that stays below 2**-1536 counts as settled once 3584 bits were used: by then, numbers of all formats
    can be added up without loss, so that it is no number that was lost beside a larger one.
    """
    precision = _FIRST
    with mpmath.workprec(precision):
        before = compute()
    while precision < _LAST:
        precision *= 2
        with mpmath.workprec(precision):
            now = compute()
        _finite(now.ravel(), now.shape, np.arange(now.size))
        if all(_agree(*pair, precision) for pair in zip(before.ravel().tolist(), now.ravel().tolist(), strict=True)):
            return rounded(now)
        before = now
    raise ArithmeticError(f"{_LAST} bits must suffice for a result. Got none that settled.")


def settled(function: Callable[..., Any], *arrays: ObjectArray) -> Exact:
    """Apply a function of mpf to broadcast arrays, as `settled_array` does, element by element."""
    spread = broadcast(*arrays)
    columns = [array.ravel() for array in spread]
    found = np.empty(spread[0].size, dtype=object)
    if not found.size:
        return Exact(found.reshape(spread[0].shape), GUARD_BITS)
    open_: Any = np.arange(found.size)
    precision, before = _FIRST, None
    while open_.size:
        if precision > _LAST:
            raise ArithmeticError(f"{_LAST} bits must suffice for a result. Got none that settled.")
        with mpmath.workprec(precision):
            now = elementwise(function, *(column[open_] for column in columns))
        if before is None:
            before = now
        else:
            _finite(now, spread[0].shape, open_)
            agree = [_agree(*pair, precision) for pair in zip(before.tolist(), now.tolist(), strict=True)]
            done = np.asarray(agree, dtype=bool)
            found[open_[done]] = now[done]
            open_, before = open_[~done], now[~done]
        precision *= 2
    return rounded(found.reshape(spread[0].shape))
