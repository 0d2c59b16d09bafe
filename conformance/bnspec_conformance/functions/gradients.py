"""Gradients of the functions of a namespace against finite differences.

What is differentiated is the sum of the elements of the result with weights that differ, in float64. Elementwise
functions are differentiated by mpmath with half of 512 bits to spare; all others in NumPy's long double, by central
differences with three steps from which the two leading errors are eliminated, and with what the last elimination
changes for an estimate of the error.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import bnspec
from bnspec_conformance.bounds import function_gradient

from .accuracy import modes
from .reference import slopes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .gradient_cases import GradientCase

__all__ = ["Compared", "Slope", "compare", "differences", "gradient", "weights_of"]

_STEP = 2.0**-10


class Slope(NamedTuple):
    """The derivative by one array.

    Attributes
    ----------
    value : numpy.ndarray, shape S, float64
        The derivative.
    error : numpy.ndarray, shape S, float64
        An estimate of its error.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]


class Compared(NamedTuple):
    """A gradient held against differences.

    Attributes
    ----------
    error : float
        The largest error, relative to the sum of the largest derivative and the largest weight.
    ratio : float
        The largest error over its tolerance; at most 1 where all is well.
    """

    error: float
    ratio: float


@cache
def weights_of(case: GradientCase) -> NDArray[np.float64]:
    """Return the weights of a case, one for each element of the result, no two equal.

    Parameters
    ----------
    case : GradientCase
        The function and the point.

    Returns
    -------
    numpy.ndarray, shape S, float64
    """
    backend = bnspec.backend("numpy")
    with np.errstate(all="ignore"):
        shape = case.call(backend.namespace(), *case.arrays).shape
    count = int(np.prod(shape, dtype=np.int64))
    return (np.linspace(0.6, 1.7, count) * np.where(np.arange(count) % 3 == 1, -1.0, 1.0)).reshape(shape)


def gradient(backend: Any, case: GradientCase, mode: str = "") -> list[NDArray[Any] | None]:
    """Differentiate by automatic differentiation.

    Parameters
    ----------
    backend : Backend
        As ``bnspec.backend`` returns it.
    case : GradientCase
        The function and the point.
    mode : str, optional
        One of the backend's modes; eagerly by default.

    Returns
    -------
    list of numpy.ndarray or None
        One for each array; None where the framework says that nothing depends on it.
    """
    xp = backend.namespace()

    def loss(arrays: tuple[Any, ...], weights: Any) -> Any:
        return xp.sum(weights * case.call(xp, *arrays))

    with backend.context(), np.errstate(all="ignore"):
        differentiate = backend.value_and_grad(loss)
        call = modes(backend)[mode](lambda weights, *arrays: differentiate(arrays, weights)[1])
        found = call(backend.asarray(weights_of(case)), *(backend.asarray(array) for array in case.arrays))
        return [None if part is None else backend.to_numpy(part) for part in found]


@cache
def differences(case: GradientCase) -> tuple[Slope, ...]:
    """Differentiate by differences, or return what is known.

    Parameters
    ----------
    case : GradientCase
        The function and the point.

    Returns
    -------
    tuple of Slope
        One for each array.
    """
    weights = weights_of(case)
    if case.known is not None:
        values = (weights * np.where(known == 0.0, 0.0, known) for known in case.known)
        return tuple(Slope(value, np.zeros_like(value)) for value in values)
    if case.elementwise:
        rows = [slopes(case.function, row) for row in zip(*(array.tolist() for array in case.arrays), strict=True)]
        found = []
        for place in range(len(case.arrays)):
            value, error = np.asarray([row[place] for row in rows]).T
            found.append(Slope(weights * value, np.abs(weights) * error))
        return tuple(found)
    return tuple(_by_array(case, place, weights.astype(np.longdouble)) for place in range(len(case.arrays)))


def _by_array(case: GradientCase, place: int, weights: NDArray[Any]) -> Slope:
    """Differentiate by each element of one array in long double."""
    wide = [array.astype(np.longdouble) for array in case.arrays]
    xp = bnspec.backend("numpy").namespace()

    def moved(index: tuple[int, ...], shift: Any) -> Any:
        arrays = [*wide]
        arrays[place] = wide[place].copy()
        arrays[place][index] += shift
        return np.asarray(case.longdouble(*arrays) if case.longdouble else case.call(xp, *arrays))

    values, errors = np.zeros(wide[place].shape), np.zeros(wide[place].shape)
    with np.errstate(all="ignore"):
        for index in np.ndindex(*wide[place].shape):
            size = abs(float(wide[place][index]))
            step = np.longdouble(_STEP) * (size if 0.0 < size < np.inf else 1.0)
            plain, lost = zip(
                *(_difference(moved, index, step / 2**halvings, weights) for halvings in range(3)), strict=True
            )
            once = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(plain)]
            best = (16 * once[1] - once[0]) / 15
            values[index], errors[index] = best, abs(best - once[1]) + lost[-1]
    return Slope(values, errors)


def _difference(moved: Any, index: tuple[int, ...], step: Any, weights: NDArray[Any]) -> tuple[Any, Any]:
    """Return the central difference, and what the rounding of the results can have cost it."""
    above, below = moved(index, step), moved(index, -step)
    # What does not depend on this element, not even where it is NaN, drops out before it is rounded in a sum.
    changed = above != below
    changed &= ~(np.isnan(above) & np.isnan(below))
    slope = np.where(changed, weights * (above - below), 0.0).sum() / (2 * step)
    size = np.where(changed, np.abs(weights) * (np.abs(above) + np.abs(below)), 0.0).sum() / (2 * step)
    return slope, size * np.finfo(np.longdouble).eps


def compare(found: NDArray[Any] | None, expected: Slope, case: GradientCase) -> Compared:
    """Hold a derivative by one array against differences.

    Parameters
    ----------
    found : numpy.ndarray, shape S, or None
        None counts as zeros.
    expected : Slope
        As :func:`differences` returns it.
    case : GradientCase
        The function and the point.

    Returns
    -------
    Compared
    """
    value = np.zeros_like(expected.value) if found is None else found.astype(np.float64)
    finite = np.isfinite(expected.value)
    with np.errstate(invalid="ignore"):
        error = np.where(finite, np.abs(value - expected.value), np.where(value == expected.value, 0.0, np.inf))
    error = np.where(np.isnan(error), np.inf, error)
    size = float(np.max(np.abs(expected.value[finite]), initial=0.0)) + float(np.max(np.abs(weights_of(case))))
    return Compared(float(np.max(error)) / size, float(np.max(error / function_gradient(expected.error, size))))
