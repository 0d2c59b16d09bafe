"""The points at which the functions of a namespace are differentiated: ordinary ones, edges and kinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bnspec_conformance.standard.suite import UNKNOWN_DIMENSIONS, XLA

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["CASES", "GradientCase"]

Array = np.ndarray[Any, Any]
_INF, _NAN = float("inf"), float("nan")


@dataclass(frozen=True, eq=False)
class GradientCase:
    """A function at one point.

    Attributes
    ----------
    function : str
        Its name in the standard.
    at : str
        What is special about the point; empty for an ordinary one.
    call : callable
        Maps a namespace and the arrays to one array.
    arrays : tuple of numpy.ndarray
        By all of which it is differentiated, in float64.
    kind : {"ordinary", "edge", "kink"}
        At a kink there is no derivative, and frameworks choose.
    known : tuple of float or None
        The derivatives by each array where differences cannot find them, before the weights.
    longdouble : callable or None
        The function in NumPy's long double, where NumPy's own does not take it.
    elementwise : bool
        Whether mpmath differentiates it, element by element.
    absent : str
        A mode in which TensorFlow cannot run it.
    """

    function: str
    at: str
    call: Callable[..., Any]
    arrays: tuple[Array, ...]
    kind: Literal["ordinary", "edge", "kink"] = "ordinary"
    known: tuple[float, ...] | None = None
    longdouble: Callable[..., Any] | None = None
    elementwise: bool = False
    absent: str = ""

    @property
    def id(self) -> str:
        """The function and what is special; two ordinary cases of one function may share it."""
        return f"{self.function}, {self.at}" if self.at else self.function


_REAL = frozenset(
    [
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "cos",
        "cosh",
        "exp",
        "expm1",
        "hypot",
        "log",
        "log10",
        "log1p",
        "log2",
        "logaddexp",
        "pow",
        "sin",
        "sinh",
        "sqrt",
        "tan",
        "tanh",
    ]
)


def _named(name: str) -> Callable[..., Any]:
    return lambda xp, *arrays: getattr(xp, name)(*arrays)


def _at(name: str, *values: Any, at: str = "", kind: Any = "ordinary", known: Any = None) -> GradientCase:
    arrays = tuple(np.asarray(value, dtype=np.float64) for value in values)
    alike = len({array.shape for array in arrays}) == 1
    return GradientCase(
        name, at, _named(name), arrays, kind, known, elementwise=name in _REAL and alike and known is None
    )


def _of(name: str, call: Callable[..., Any], *arrays: Any, at: str = "", **options: Any) -> GradientCase:
    return GradientCase(name, at, call, tuple(np.asarray(array, dtype=np.float64) for array in arrays), **options)


def _matrix(*shape: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng([seed, *shape]).normal(0.3, 1.0, shape)


def _logdet(a: Array) -> Array:
    """Eliminate without pivots; the matrices here do not need them."""
    a = a.copy()
    total = a[..., 0, 0] * 0
    for k in range(a.shape[-1]):
        total = total + np.log(np.abs(a[..., k, k]))
        factors = a[..., k + 1 :, k] / a[..., k, k, None]
        a[..., k + 1 :, :] -= factors[..., None] * a[..., None, k, :]
    return np.asarray(total)


_UNARY: dict[str, list[float]] = {
    "abs": [-2.3, 1.7],
    "acos": [-0.7, 0.2, 0.9],
    "acosh": [1.3, 4.0, 50.0],
    "asin": [-0.7, 1e-12, 0.6],
    "asinh": [-30.0, 1e-9, 0.4],
    "atan": [-3.0, 1e-9, 0.8],
    "atanh": [-0.9, 1e-9, 0.4, 0.45],
    "ceil": [-1.3, 0.4, 2.7],
    "cos": [-2.0, 0.3, 1e5],
    "cosh": [-20.0, 1e-5, 0.7, 1.2],
    "exp": [-5.0, 0.2, 3.0],
    "expm1": [-2.0, 1e-9, 0.3, 12.0],
    "floor": [-1.3, 0.4, 2.7],
    "log": [1e-9, 0.4, 3e7],
    "log10": [1e-9, 0.4, 3e7],
    "log1p": [-0.9, -0.4, 1e-9, 3.0],
    "log2": [1e-9, 0.4, 3e7],
    "negative": [-1.5, 2.0],
    "positive": [-1.5, 2.0],
    "reciprocal": [-0.7, 1e-3, 30.0],
    "round": [-1.3, 0.4, 2.7],
    "sign": [-1.3, 0.4],
    "sin": [-2.0, 1e-9, 1e5],
    "sinh": [-20.0, 1e-9, 0.7, 1.2],
    "sqrt": [1e-3, 0.4, 3e7],
    "square": [-1.5, 1e-3],
    "tan": [-2.0, 1e-9, 0.7],
    "tanh": [-3.0, 1e-9, 0.5, 0.6, 12.0],
    "trunc": [-1.3, 0.4, 2.7],
}

_BINARY: dict[str, tuple[list[float], list[float]]] = {
    "add": ([-1.2, 3.0], [0.4, 2.0]),
    "atan2": ([-1.2, 3.0, 0.2], [0.4, -2.0, 9.0]),
    "copysign": ([-1.2, 3.0, 2.0], [0.4, -2.0, 1.0]),
    "divide": ([-1.2, 3.0], [0.4, -2.0]),
    "floor_divide": ([-1.2, 3.0], [0.5, -2.1]),
    "hypot": ([-1.2, 3.0, 1e200], [0.4, -2.0, 2e200]),
    "logaddexp": ([-1.2, 3.0, 700.0], [0.4, -2.0, -700.0]),
    "maximum": ([-1.2, 3.0], [0.4, -2.0]),
    "minimum": ([-1.2, 3.0], [0.4, -2.0]),
    "multiply": ([-1.2, 3.0], [0.4, -2.0]),
    "pow": ([1.2, 3.0, 0.3], [0.4, -2.0, 2.5]),
    "remainder": ([-1.2, 3.1, 7.3, -5.2], [0.5, -2.0, 2.1, -0.7]),
    "subtract": ([-1.2, 3.0], [0.4, -2.0]),
}

_X, _Y = _matrix(3, 4), _matrix(3, 4, seed=2)
_ROW, _COLUMN = np.abs(_matrix(1, 4)) + 0.1, np.abs(_matrix(3, 1)) + 0.2
_ZERO = np.asarray([[1.5, 0.0, -0.7, 2.0], [0.0, 1.1, 0.0, 0.4], [0.9, -1.3, 0.6, 1.7]])
_PLACES = [[1, 0, 3], [2, 2, -1], [0, 1, 2]]

_ORDINARY = (
    *(_at(name, values) for name, values in _UNARY.items()),
    *(_at(name, *values) for name, values in _BINARY.items()),
    *(_at(name, _ROW, _COLUMN, at="broadcast") for name in ("add", "divide", "hypot", "logaddexp", "pow", "remainder")),
    _of("clip", lambda xp, x: xp.clip(x, -0.5, 0.9), _X),
    _of("where", lambda xp, x, y: xp.where(x > y, x, y * y), _X, _Y),
    _of("sum", lambda xp, x: xp.sum(x, axis=1, keepdims=True), _X),
    _of("prod", lambda xp, x: xp.prod(x, axis=1), _X),
    _of("mean", lambda xp, x: xp.mean(x, axis=0), _X),
    _of("max", lambda xp, x: xp.max(x, axis=0), _X),
    _of("min", lambda xp, x: xp.min(x, axis=1), _X),
    _of("var", lambda xp, x: xp.var(x, axis=1, correction=1), _X),
    _of("std", lambda xp, x: xp.std(x, axis=1), _X),
    _of("cumulative_sum", lambda xp, x: xp.cumulative_sum(x, axis=1, include_initial=True), _X),
    _of("cumulative_prod", lambda xp, x: xp.cumulative_prod(x, axis=1), _X),
    _of("diff", lambda xp, x, y: xp.diff(x, axis=0, n=2, append=y), _X, _Y),
    _of("concat", lambda xp, x, y: xp.concat([x, y], axis=1), _X, _Y),
    _of("stack", lambda xp, x, y: xp.stack([x, y], axis=1), _X, _Y),
    _of("unstack", lambda xp, x: xp.unstack(x, axis=1)[2], _X, absent=UNKNOWN_DIMENSIONS),
    _of("reshape", lambda xp, x: xp.reshape(x, (2, 6)), _X),
    _of("expand_dims", lambda xp, x: xp.expand_dims(x, axis=1), _X),
    _of("squeeze", lambda xp, x: xp.squeeze(x, axis=0), _ROW),
    _of("permute_dims", lambda xp, x: xp.permute_dims(x, (1, 0)), _X),
    _of("moveaxis", lambda xp, x: xp.moveaxis(x, 0, 1), _X),
    _of("matrix_transpose", lambda xp, x: xp.matrix_transpose(x), _X),
    _of("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, 3, 4)), _COLUMN),
    _of("broadcast_arrays", lambda xp, x, y: xp.broadcast_arrays(x, y)[1], _X, _COLUMN),
    _of("flip", lambda xp, x: xp.flip(x, axis=1), _X),
    _of("roll", lambda xp, x: xp.roll(x, (2, -1), axis=(0, 1)), _X),
    _of("tile", lambda xp, x: xp.tile(x, (2, 1, 3)), _X),
    _of("repeat", lambda xp, x: xp.repeat(x, 3, axis=0), _X),
    _of("tril", lambda xp, x: xp.tril(x, k=-1), _X),
    _of("triu", lambda xp, x: xp.triu(x), _X),
    _of("take", lambda xp, x: xp.take(x, xp.asarray([2, 0, 2]), axis=1), _X),
    _of("take_along_axis", lambda xp, x: xp.take_along_axis(x, xp.asarray(_PLACES), axis=1), _X),
    _of("sort", lambda xp, x: xp.sort(x, axis=1, descending=True), _X),
    _of("matmul", lambda xp, x, y: xp.matmul(x, xp.matrix_transpose(y)), _X, _Y),
    _of("matmul", lambda xp, x, y: xp.matmul(x, y), _matrix(2, 3, 4), _matrix(4), at="stack and vector"),
    _of("tensordot", lambda xp, x, y: xp.tensordot(x, y, axes=((1, 0), (0, 2))), _matrix(2, 3, 4), _matrix(3, 4, 2)),
    _of("vecdot", lambda xp, x, y: xp.vecdot(x, y, axis=-1), _X, _Y),
    _of(
        "linalg.slogdet",
        lambda xp, x: xp.linalg.slogdet(x)[1],
        _matrix(2, 3, 3) + 3 * np.eye(3),
        longdouble=_logdet,
        absent=XLA,
    ),
)

_EDGES = (
    _of("cumulative_prod", lambda xp, x: xp.cumulative_prod(x, axis=1), _ZERO, at="no, one and two zeros", kind="edge"),
    _of(
        "cumulative_prod",
        lambda xp, x: xp.cumulative_prod(x, axis=0, include_initial=True),
        _ZERO,
        at="zeros, other axis",
        kind="edge",
    ),
    _of("prod", lambda xp, x: xp.prod(x, axis=1), _ZERO, at="no, one and two zeros", kind="edge"),
    _at("hypot", [0.0], [0.0], at="origin", kind="edge"),
    _at("hypot", [3.0, 0.0], [0.0, -2.0], at="on the axes", kind="edge"),
    _at("logaddexp", [0.7, -30.0], [0.7, -30.0], at="equal arguments", kind="edge"),
    _at("logaddexp", [-_INF], [0.4], at="-inf and a number", kind="edge", known=(0.0, 1.0)),
    _at("logaddexp", [0.4], [_INF], at="a number and inf", kind="edge", known=(0.0, 1.0)),
    _at("pow", [0.0, 0.0], [2.0, 3.0], at="base 0, exponents 2 and 3", kind="edge"),
    _of("pow", lambda xp, x: xp.pow(x, 3.0), [-1.5, -0.2], at="negative base, fixed exponent", kind="edge"),
    _at("atan2", [0.0, 1.3, -0.4], [1.2, 0.0, 0.0], at="on the axes", kind="edge"),
    _at("sqrt", [1e-300, 1e-20], at="near 0", kind="edge"),
    _at("sqrt", [0.0], at="0", kind="edge", known=(_INF,)),
    _at("log1p", [-1.0], at="-1", kind="edge", known=(_INF,)),
    _at("tanh", [0.0, -15.0, 18.5], at="0 and near saturation", kind="edge"),
    _at("tanh", [400.0, -800.0], at="saturated", kind="edge"),
    _at("sinh", [0.0, 1.0, -709.0], at="0, 1 and large", kind="edge"),
    _at("cosh", [0.0, -1.0, 709.0], at="0, 1 and large", kind="edge"),
    _at("expm1", [0.0, -800.0], at="0 and saturated", kind="edge"),
    _of("var", lambda xp, x: xp.var(x, axis=0), np.full((4, 2), 1.7), at="constant", kind="edge"),
    _of(
        "where",
        lambda xp, x, y: xp.where(x == x, x * x, y),
        [0.4, -2.0],
        [_NAN, _NAN],
        at="NaN in the branch not chosen",
        kind="edge",
    ),
    _of("remainder", lambda xp, x: xp.remainder(x, 1.5), [200.3, -1e-3], at="large quotients", kind="edge"),
)

_KINKS = (
    _at("abs", [0.0], at="0", kind="kink"),
    _at("sign", [0.0], at="0", kind="kink"),
    _at("maximum", [0.6], [0.6], at="tie", kind="kink"),
    _at("minimum", [0.6], [0.6], at="tie", kind="kink"),
    _of("clip", lambda xp, x: xp.clip(x, -0.5, 0.9), [-0.5, 0.9], at="at the bounds", kind="kink"),
    _of("max", lambda xp, x: xp.max(x), [0.3, 0.9, 0.9], at="tie", kind="kink"),
    _of("min", lambda xp, x: xp.min(x), [0.3, 0.3, 0.9], at="tie", kind="kink"),
    _of("std", lambda xp, x: xp.std(x), [1.5, 1.5, 1.5], at="constant", kind="kink"),
    _at("logaddexp", [-_INF], [-_INF], at="both -inf", kind="kink"),
    _at("logaddexp", [_INF], [_INF], at="both inf", kind="kink"),
    _at("atan2", [0.0], [0.0], at="origin", kind="kink"),
    _at("remainder", [3.0], [1.5], at="a multiple", kind="kink"),
    _at("floor", [2.0], at="an integer", kind="kink"),
    _at("pow", [0.0], [0.0], at="0 and 0", kind="kink"),
)

CASES = (*_ORDINARY, *_EDGES, *_KINKS)
"""Every case, kinks last."""
