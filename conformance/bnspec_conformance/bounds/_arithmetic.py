"""An arithmetic of values with errors: each operation of a formula adds what it rounds to what its operands bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._formats import FORMATS, accumulated, rounded
from ._functions import function_goal
from ._parts import Uncertain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._formats import Format, Grade

    Array = NDArray[np.float64]

__all__ = ["Arithmetic", "computed_in", "either"]


def computed_in(dtype: str) -> Format:
    """Return the format that a dtype is computed in: float32 for half precision."""
    return FORMATS["float64" if dtype == "float64" else "float32"]


def either(*ways: Uncertain) -> Array:
    """Return the largest error of several ways to compute one thing."""
    error = ways[0].error
    for way in ways[1:]:
        error = np.maximum(error, way.error)
    found: Array = np.asarray(error, dtype=np.float64)
    return found


@dataclass(frozen=True)
class Arithmetic:
    """Operations of one format.

    Parameters
    ----------
    form : Format
        The format that is computed in; u is its unit roundoff.
    softplus_of_exp : bool
        Whether log(1 + exp(a)) may be log1p of exp(a) for positive a too.

    Notes
    -----
    With |computed - exact| <= e for each operand, each method returns the exact value, as float64 sees it, and a bound
    of the computed one's error. The float64 evaluation is itself a computation of the formula, whose error is of
    the order of the bound in float64 and far less in float32; it enters where errors are multiplied by sizes, that is,
    in second order.

    - A sum, product, quotient or square root is rounded once: u (|v| + e), and `tiny` where it may be flushed to zero.
    - A function of the namespace is off by `function_goal` units in the last place of the exact result for the argument
      that it is given; such a unit is at most 2 u |v|.
    - An error is infinite where the computed value may exceed the largest number, and where the argument of a
      logarithm, or a divisor, may be 0: nothing is promised then.
    """

    form: Format
    softplus_of_exp: bool = False

    def given(self, values: Any) -> Uncertain:
        """Take numbers of the format. A subnormal one may be flushed to zero before anything is computed with it."""
        if isinstance(values, Uncertain):
            return values
        array = np.asarray(values, dtype=np.float64)
        return Uncertain(array, np.where(np.abs(array) < self.form.tiny, np.abs(array), 0.0))

    def exact(self, value: float) -> Uncertain:
        """Take a number that is not rounded, as 2."""
        return Uncertain(np.asarray(value), np.zeros(()))

    def constant(self, value: float) -> Uncertain:
        """Take a constant that is rounded to the format."""
        return Uncertain(np.asarray(value), np.asarray(self.form.roundoff * abs(value)))

    def _settle(self, value: Any, error: Any, roundings: float) -> Uncertain:
        with np.errstate(all="ignore"):
            size = np.abs(value) + error
            total = error + roundings * self.form.roundoff * size + self.form.tiny
            return Uncertain(
                value, np.where(size * (1.0 + roundings * self.form.roundoff) < self.form.largest, total, np.inf)
            )

    def _kernel(self, name: str, value: Any, error: Any) -> Uncertain:
        return self._settle(value, error, 2.0 * function_goal(name))

    def add(self, a: Uncertain, b: Uncertain) -> Uncertain:
        """Bound a + b."""
        return self._settle(a.value + b.value, a.error + b.error, 1.0)

    def negative(self, a: Uncertain) -> Uncertain:
        """Bound -a."""
        return Uncertain(-a.value, a.error)

    def subtract(self, a: Uncertain, b: Uncertain) -> Uncertain:
        """Bound a - b."""
        return self.add(a, self.negative(b))

    def multiply(self, a: Uncertain, b: Uncertain) -> Uncertain:
        """Bound a b."""
        with np.errstate(all="ignore"):
            error = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
            return self._settle(a.value * b.value, error, 1.0)

    def doubled(self, a: Uncertain, factor: float) -> Uncertain:
        """Bound a times a power of 2, which rounds nothing."""
        return Uncertain(
            factor * a.value,
            np.where(
                abs(factor) * (np.abs(a.value) + a.error) < self.form.largest,
                abs(factor) * a.error + self.form.tiny,
                np.inf,
            ),
        )

    def divide(self, a: Uncertain, b: Uncertain) -> Uncertain:
        """Bound a / b, or a product of a and the reciprocal of b, which rounds twice."""
        with np.errstate(all="ignore"):
            size = np.abs(b.value)
            value = a.value / b.value
            # (|a| + e) / (|b| - f) - |a| / |b|
            error = np.where(b.error < size, (a.error + np.abs(value) * b.error) / (size - b.error), np.inf)
            return self._settle(value, error, 2.0)

    def exp(self, a: Uncertain) -> Uncertain:
        """Bound exp(a)."""
        with np.errstate(all="ignore"):
            value = np.exp(a.value)
            # Far below every number, the error is that of the upper end, and 0 times infinity does not come up.
            error = np.where(a.error > 0.0, np.exp(a.value + a.error) * -np.expm1(-a.error), 0.0)
            return self._kernel("exp", value, error)

    def expm1(self, a: Uncertain) -> Uncertain:
        """Bound exp(a) - 1."""
        with np.errstate(all="ignore"):
            error = np.where(a.error > 0.0, np.exp(a.value + a.error) * -np.expm1(-a.error), 0.0)
            return self._kernel("expm1", np.expm1(a.value), error)

    def log(self, a: Uncertain) -> Uncertain:
        """Bound log(a): it falls by -log(1 - e / a) at most."""
        with np.errstate(all="ignore"):
            error = np.where(a.error < a.value, -np.log1p(-a.error / a.value), np.inf)
            return self._kernel("log", np.log(a.value), error)

    def log1p(self, a: Uncertain) -> Uncertain:
        """Bound log(1 + a)."""
        with np.errstate(all="ignore"):
            rest = 1.0 + a.value
            error = np.where(a.error < rest, -np.log1p(-a.error / rest), np.inf)
            return self._kernel("log1p", np.log1p(a.value), error)

    def tanh(self, a: Uncertain) -> Uncertain:
        """Bound tanh(a), whose slope is 1 / cosh^2."""
        with np.errstate(all="ignore"):
            nearest = np.maximum(np.abs(a.value) - a.error, 0.0)
            return self._kernel("tanh", np.tanh(a.value), a.error / np.cosh(nearest) ** 2)

    def sqrt(self, a: Uncertain) -> Uncertain:
        """Bound sqrt(a)."""
        with np.errstate(all="ignore"):
            value, least = np.sqrt(a.value), np.sqrt(np.maximum(a.value - a.error, 0.0))
            # value - least, without the cancellation
            error = np.where(a.error < a.value, a.error / (value + least), np.inf)
            return self._settle(value, error, 2.0)

    def softplus(self, a: Uncertain) -> Uncertain:
        """Bound log(1 + exp(a)) as max(a, 0) + log1p(exp(-|a|)), or as log1p(exp(a)) too.

        Its slope is 1 / (1 + exp(-a)), the more the larger a is. t = exp(-|a|) has a relative error of 2 goal u, which
        log1p passes on as t / (1 + t), at most log1p(t); its own error is of that size again. The sum is rounded.
        So it is with t = exp(a), whose log1p is all of the result, and which must not overflow: nobody uses it there.
        """
        with np.errstate(all="ignore"):
            part = np.log1p(np.exp(-np.abs(a.value)))
            top = a.value + a.error
            value, slope = np.maximum(a.value, 0.0) + part, np.exp(-np.logaddexp(0.0, -top))
            exp, log1p = 2.0 * function_goal("exp"), 2.0 * function_goal("log1p")
            moved = a.error * slope
            kernels = (exp + log1p) * (part + moved)
            if self.softplus_of_exp:
                kernels = np.maximum(kernels, exp * slope + log1p * (value + moved))
            error = moved + kernels * self.form.roundoff + 2.0 * self.form.tiny
            return self._settle(value, np.where(np.isfinite(top), error, np.inf), 1.0)

    def total(self, terms: Uncertain, sizes: Array, grade: Grade, axes: int, extra: float = 0.0) -> Uncertain:
        """Bound a sum over the last axes.

        Parameters
        ----------
        terms : Uncertain, shape (*S)
            The terms with their errors.
        sizes : array, shape (*S)
            At least their magnitudes: the sum of those of the parts, where a term may be summed part by part.
        grade : Grade
            How sums are computed: h additions of N terms change each by g(h) of its size.
        axes : int
            How many of the last axes.
        extra : float
            More roundings of the size of all terms, as for a product with a count in the place of equal terms.

        Returns
        -------
        Uncertain
            Of the shape that remains.
        """
        value, errors, sizes = np.broadcast_arrays(terms.value, terms.error, sizes)
        kept = value.shape[: value.ndim - axes]
        value, errors, sizes = (part.reshape(*kept, -1) for part in (value, errors, sizes))
        count = value.shape[-1]
        if count == 0:
            return Uncertain(np.zeros(kept), np.zeros(kept))
        growth = accumulated(grade.additions(count) + extra, self.form.roundoff)
        brought = errors.sum(axis=-1)
        error = brought + growth * (sizes.sum(axis=-1) + brought)
        return self._settle(value.sum(axis=-1), error, 0.0)

    def returned(self, found: Uncertain, dtype: str) -> Array:
        """Bound a result that is rounded to half precision once it is there."""
        value, error = np.broadcast_arrays(found.value, found.error)
        bound: Array = np.asarray(error, dtype=np.float64)
        if FORMATS[dtype] is not self.form:
            with np.errstate(all="ignore"):
                bound = rounded(bound, value, FORMATS[dtype])
        return np.where(np.isnan(bound), np.inf, bound)
