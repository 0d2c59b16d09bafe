"""What the Array API standard leaves out and a specification still needs, one method each.

Special functions, the end of a gradient, a bounded loop and a triangular solve. Whoever asks for a method has an array,
and ``bnspec.registry.backend_of`` finds its backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf, nan, pi, sqrt
from typing import TYPE_CHECKING, Any

from bnspec.arrays import accumulation_dtype, dtype_name, require_real_floating
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Beyond", "leading", "leaves", "mapped", "refined_erfinv"]


class Beyond(ABC):
    """The functions outside the standard; half precision is computed in float32 and rounded once."""

    @abstractmethod
    def namespace(self) -> Any:
        """Return the Array API namespace that the arrays of this backend belong to."""

    def erf(self, x: Any) -> Any:
        """Return the error function.

        Parameters
        ----------
        x : array, shape S, real floating
            Any values; the infinities are mapped to -1 and 1.

        Returns
        -------
        array, shape S
            2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, in the dtype of `x`.

        Raises
        ------
        TypeError
            If `x` is not real floating.
        """
        return self._widened(self._erf, x=x)

    def erfinv(self, x: Any) -> Any:
        """Return the inverse of the error function.

        Parameters
        ----------
        x : array, shape S, real floating
            Values in [-1, 1].

        Returns
        -------
        array, shape S
            y with erf(y) = x, in the dtype of `x`; -inf and inf at -1 and 1, NaN outside.

        Raises
        ------
        TypeError
            If `x` is not real floating.
        """
        return self._widened(self._erfinv, x=x)

    def lgamma(self, x: Any) -> Any:
        """Return the logarithm of the absolute value of the gamma function.

        Parameters
        ----------
        x : array, shape S, real floating
            Any values.

        Returns
        -------
        array, shape S
            log |gamma(x)|, in the dtype of `x`; inf at 0, -1, -2, ... and at both infinities.

        Raises
        ------
        TypeError
            If `x` is not real floating.

        Notes
        -----
        The error is small beside the sum of 1, the value and x digamma(x), not beside the value: near the zeros 1
        and 2 some frameworks keep no correct digit.
        """
        return self._widened(self._lgamma, x=x)

    def stop_gradient(self, x: Any) -> Any:
        """Return the same values, through which nothing is differentiated.

        Parameters
        ----------
        x : array, shape S
            Any array.

        Returns
        -------
        array, shape S
            `x`; its derivative is 0.
        """
        return x

    def triangular_solve(self, a: Any, b: Any, *, lower: bool = True) -> Any:
        """Solve a X = b by substitution.

        Parameters
        ----------
        a : array, shape (*B, N, N), real floating
            Triangular matrices. The other triangle is not read.
        b : array, shape (*B, N, K), of the dtype of `a`
            Right-hand sides.
        lower : bool, optional
            Whether the lower triangle is the one that is read.

        Returns
        -------
        array, shape (*B, N, K)
            X, not finite where a diagonal element is 0.

        Raises
        ------
        TypeError
            If `a` and `b` are not of one real floating dtype.
        ValueError
            If the shapes do not match; the batch axes are not broadcast.
        """
        require_real_floating(a=a, b=b)
        if dtype_name(a.dtype) != dtype_name(b.dtype):
            raise TypeError(
                message(
                    "a and b must be of one dtype", "Convert one of them.", a=dtype_name(a.dtype), b=dtype_name(b.dtype)
                )
            )
        left, right = tuple(a.shape), tuple(b.shape)
        fits = len(left) == len(right) >= 2 and _same(left[-1:], left[-2:-1]) and _same(left[:-1], right[:-1])
        if not fits:
            raise ValueError(message("a and b must have the shapes (*B, N, N) and (*B, N, K)", a=left, b=right))
        return self._widened(lambda a, b: self._triangular_solve(a, b, lower=bool(lower)), a=a, b=b)

    def scan(self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
        """Apply a step to slices of arrays in turn, each with what the step before it left.

        Parameters
        ----------
        step : callable
            Maps (carry, x) to (carry, y). The carry keeps its structure, its shapes and its dtypes.
        carry : array or nested tuple of arrays
            What the first step gets.
        xs : array or nested tuple of arrays, each of shape (N, ...)
            N >= 1 is the number of steps, known without running; x is made of the slices ``[i, ...]``.

        Returns
        -------
        carry : array or nested tuple of arrays
            What the last step left.
        ys : array or nested tuple of arrays, each of shape (N, ...)
            Every y, stacked along a new leading axis.

        Raises
        ------
        ValueError
            If the leading sizes differ, are not known, or are 0.
        """
        ys = []
        for i in range(leading(xs)):
            carry, y = step(carry, mapped(lambda leaf, i=i: leaf[i, ...], xs))
            ys.append(y)
        return carry, mapped(lambda *parts: self._stack(parts), *ys)

    def _stack(self, arrays: tuple[Any, ...]) -> Any:
        return self.namespace().stack(arrays)

    def _widened(self, kernel: Callable[..., Any], **arrays: Any) -> Any:
        """Call a kernel in float32 or float64, and round to the dtype that came."""
        require_real_floating(**arrays)
        xp = self.namespace()
        given = tuple(arrays.values())
        dtype, wide = given[0].dtype, accumulation_dtype(xp, *given)
        if dtype == wide:
            return kernel(*given)
        return xp.astype(kernel(*(xp.astype(array, wide) for array in given)), dtype)

    @abstractmethod
    def _erf(self, x: Any) -> Any:
        """Return erf of float32 or float64."""

    @abstractmethod
    def _erfinv(self, x: Any) -> Any:
        """Return the inverse of erf of float32 or float64."""

    @abstractmethod
    def _lgamma(self, x: Any) -> Any:
        """Return log |gamma| of float32 or float64."""

    @abstractmethod
    def _triangular_solve(self, a: Any, b: Any, *, lower: bool) -> Any:
        """Solve a X = b in float32 or float64; the shapes match."""


def mapped(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply a function to the arrays of nested tuples of one structure, place by place.

    Parameters
    ----------
    function : callable
        Of as many arrays as there are trees.
    *trees : array or nested tuple of arrays
        All of the structure of the first.

    Returns
    -------
    object or nested tuple of objects
        The results, in the same structure; a named tuple stays one.
    """
    first = trees[0]
    if not isinstance(first, tuple):
        return function(*trees)
    parts = (mapped(function, *places) for places in zip(*trees, strict=True))
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def leaves(tree: Any) -> list[Any]:
    """List the arrays of a nested tuple.

    Parameters
    ----------
    tree : array or nested tuple of arrays
        Any structure.

    Returns
    -------
    list of array
        From left to right.
    """
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple) else [tree]


def leading(xs: Any) -> int:
    """Return the size of the leading axis that all arrays share.

    Parameters
    ----------
    xs : array or nested tuple of arrays
        What is scanned.

    Returns
    -------
    int
        N >= 1.

    Raises
    ------
    ValueError
        If there is no such axis, the sizes differ, or the size is not known or 0.
    """
    shapes = [tuple(leaf.shape) for leaf in leaves(xs)]
    sizes = {shape[0] if shape else None for shape in shapes}
    size = sizes.pop() if len(sizes) == 1 else None
    if not size:
        raise ValueError(
            message(
                "xs must have one leading size, known and at least 1",
                "Give each array of xs a row a step.",
                shapes=shapes,
            )
        )
    return int(size)


def refined_erfinv(
    x: Any, start: Callable[[Any], Any], erf: Callable[[Any], Any], erfc: Callable[[Any], Any], xp: Any
) -> Any:
    """Take one Newton step from a framework's inverse of erf, which loses digits towards -1 and 1.

    Parameters
    ----------
    x : array, shape S, float32 or float64
        Any values.
    start : callable
        Approximates the inverse to half of the digits, in (-1, 1).
    erf, erfc : callable
        The error function and its complement.
    xp : namespace
        Needs abs, exp, sign and where.

    Returns
    -------
    array, shape S
        The inverse; -inf and inf at -1 and 1, NaN outside.

    Notes
    -----
    erf(y) - x has no correct digit where x is near 1, and (1 - x) - erfc(y) has: 1 - x is exact from 1/2 on, and the
    relative error e of erfc moves y by e / (2 y^2) of itself. The step squares the relative error of the start,
    times y^2.
    """
    size = xp.abs(x)
    inside = size < 1.0
    # Nothing that is not finite is computed: it would reach the gradient through the branch not taken.
    safe = xp.where(inside, x, xp.zeros_like(x))
    y = start(safe)
    excess = xp.where(xp.abs(safe) < 0.5, erf(y) - safe, xp.sign(safe) * ((1.0 - xp.abs(safe)) - erfc(xp.abs(y))))
    root = y - excess * (sqrt(pi) / 2.0) * xp.exp(y * y)
    # Constants, because a product with them would have a gradient of 0 inf.
    zero = xp.zeros_like(x)
    return xp.where(inside, root, xp.where(size == 1.0, xp.where(x > 0.0, zero + inf, zero - inf), zero + nan))


def _same(left: tuple[int | None, ...], right: tuple[int | None, ...]) -> bool:
    """Compare sizes as far as they are known."""
    return all(one == other or None in (one, other) for one, other in zip(left, right, strict=True))
