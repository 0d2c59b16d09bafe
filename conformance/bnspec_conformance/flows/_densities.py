"""Densities: distributions that are tried, with points, nodes of a quadrature, and what they must give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bnspec.arrays import random_key, random_uniform
from bnspec.registry import backend
from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import Arithmetic, Uncertain, computed_in
from bnspec_conformance.oracle import Exact

from ._catalogue import conditioner, flow, normalization
from ._entry import Draw, Expected, cast
from ._followed import followed
from ._parts import Chained, Coupled, Elementwise, Inverted, Part, normalizations
from ._way import Followed, Way, added, exact_of, given, total

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

__all__ = ["DENSITIES", "SEED", "DensityEntry", "Nodes", "density_of"]

SEED = 2**40 + 7
"""The seed of every draw of the laws; both of its words are used."""


class Nodes(NamedTuple):
    """A quadrature: points of the dtype of an entry, and weights."""

    points: Array
    weights: Array


@dataclass(frozen=True, eq=False)
class DensityEntry:
    """A distribution that is tried.

    Attributes
    ----------
    id : str
        The key in the catalogue.
    base : {"Normal", "MultivariateNormalDiag", "Independent", "Sample"}
        The class; the last two are of Normal, and have vectors as events.
    loc, scale : array
        Parameters of the normal variables; scale_diag of the second class.
    part : Part or None
        What transforms draws.
    dtype : str
        Of values.
    base_points : array, shape (*S, *event)
        Points of the base, at whose images the density is tried.
    nodes : Nodes or None
        A quadrature of the density, where the dimension is one or two.
    size : int
        What a Sample has.
    """

    id: str
    base: Literal["Normal", "MultivariateNormalDiag", "Independent", "Sample"]
    loc: Array
    scale: Array
    part: Part | None
    dtype: str
    base_points: Array
    nodes: Nodes | None = None
    size: int = 0

    @property
    def requires(self) -> frozenset[str]:
        """The capabilities that are needed."""
        return frozenset({self.dtype})

    @property
    def training(self) -> bool:
        """Whether the inverse normalizes by the batch."""
        return self.part is not None and any(part.by_batch for part in normalizations(self.part))

    @property
    def event_ndims(self) -> int:
        """The rank of an event."""
        return 0 if self.base == "Normal" else 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of an event, which no part changes."""
        if self.base == "Sample":
            return (self.size,)
        shape = np.broadcast_shapes(self.loc.shape, self.scale.shape)
        return shape[len(shape) - self.event_ndims :]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape of the batch of the base."""
        shape = np.broadcast_shapes(self.loc.shape, self.scale.shape)
        return shape if self.base == "Sample" else shape[: len(shape) - self.event_ndims]

    @cached_property
    def values(self) -> Array:
        """Where the density is tried."""
        found, _ = self.mapped("forward", self.base_points, self.way(bounds.DEFINITION))
        return cast(found.exact.to_float(), self.dtype)

    def way(self, grade: bounds.Grade) -> Way:
        """Return how it is computed in a grade."""
        return Way(grade, Arithmetic(computed_in(self.dtype), grade.softplus_of_exp))

    def mapped(self, direction: str, x: Any, way: Way) -> tuple[Followed, Followed]:
        """Follow the transformation."""
        start = x if isinstance(x, Followed) else given(x, way)
        if self.part is None:
            shape = start.shape[: len(start.shape) - self.event_ndims]
            return start, Followed(Exact(np.zeros(shape, dtype=object), 0), np.zeros(shape))
        return followed(self.part, direction, start, self.event_ndims, way)

    def density(self, values: Any, way: Way) -> Followed:
        """Follow the logarithm of the density."""
        x, log_det = self.mapped("inverse", values, way)
        form = way.arithmetic.form
        loc, scale = (part.astype(np.float64) for part in (self.loc, self.scale))
        if self.base == "MultivariateNormalDiag":
            exact = oracle.MultivariateNormalDiag(self.loc, self.scale).log_prob(x.exact)
            found = bounds.normal_diag_log_prob(x.uncertain, loc, scale, way.grade, form)
            own = Followed(exact, found.error)
        else:
            exact = oracle.Normal(self.loc, self.scale).log_prob(x.exact)
            found = bounds.normal("log_prob", x.uncertain, loc, scale, form)
            own = total(Followed(exact, np.broadcast_to(found.error, exact.shape)), self.event_ndims, way)
        return added([own, log_det], own.shape, way)

    def draws(self, shape: tuple[int, ...], seed: int, way: Way) -> tuple[Followed, Followed]:
        """Follow draws: loc + scale z, z the normal numbers of a seed, and what the transformation makes of them."""
        size = (*shape, *self.batch_shape, *self.event_shape)
        exact, error = normal_numbers(int(np.prod(size)), seed, computed_in(self.dtype) is bounds.FORMATS["float64"])
        if self.base == "Sample":  # draws each of its elements for all draws before the next
            size = (*self.event_shape, *shape)
            exact = exact_of(exact, lambda n: np.moveaxis(n.reshape(size), 0, -1))
            error = np.moveaxis(error.reshape(size), 0, -1)
            size = exact.shape
        z = Uncertain(exact.to_float().reshape(size), error.reshape(size))
        r = way.arithmetic
        found = r.add(r.given(self.loc), r.multiply(r.given(self.scale), z))
        affine = oracle.Scale(self.scale).forward(exact.reshape(size))
        base = Followed(oracle.Shift(self.loc).forward(affine), np.asarray(found.error))
        return base, self.mapped("forward", base, way)[0]

    def settled(self, found: Followed) -> Expected:
        """Turn what was followed into what a result of the dtype must be."""
        error = Arithmetic(computed_in(self.dtype)).returned(found.uncertain, self.dtype)
        return Expected(found.exact, np.broadcast_to(error, found.shape))


@cache
def density_of(entry: DensityEntry, grade: bounds.Grade, *, at_nodes: bool = False) -> Followed:
    """Follow the logarithm of the density at the points of an entry, or at its nodes."""
    return entry.density(entry.nodes.points if at_nodes and entry.nodes else entry.values, entry.way(grade))


@cache
def normal_numbers(count: int, seed: int, double: bool) -> tuple[Exact, Array]:
    """Compute the normal numbers of a seed from its uniform ones, exactly, with the bound of computed ones."""
    xp = backend("numpy").namespace()
    dtype = xp.float64 if double else xp.float32
    pairs = random_uniform(random_key(seed, xp=xp), ((count + 1) // 2, 2), dtype, xp)
    exact = oracle.polar_normals(pairs)
    error = bounds.normals(pairs.astype(np.float64), bounds.FORMATS["float64" if double else "float32"])
    picked = Exact(exact.numerators.reshape(-1)[:count], exact.bits)
    return picked, error.reshape(-1)[:count]


def line(draw: Draw, to: Callable[[Array], Array], slope: Callable[[Array], Array], width: float = 9.0) -> Nodes:
    """Lay trapezoids along a line t that `to` maps onto the domain."""
    t, step = np.linspace(-width, width, 121, retstep=True)
    return Nodes(draw.array(to(t)), slope(t) * step)


def plane(draw: Draw, centre: tuple[float, float], width: float) -> Nodes:
    """Lay a grid over the plane."""
    t, step = np.linspace(-width, width, 41, retstep=True)
    points = np.stack(np.meshgrid(t + centre[0], t + centre[1], indexing="ij"), axis=-1).reshape(-1, 2)
    return Nodes(draw.array(points), np.full(len(points), step * step))


def _normal(draw: Draw) -> dict[str, Any]:
    return {"base": "Normal", "loc": draw.array(0.6), "scale": draw.array(1.3), "base_points": draw.normal((7,))}


def _pair(draw: Draw, base: str = "MultivariateNormalDiag", **more: Any) -> dict[str, Any]:
    loc, scale = draw.array([0.6, -0.3]), draw.array([1.3, 0.7])
    return {"base": base, "loc": loc, "scale": scale, "base_points": draw.normal((5, 2)), "part": None, **more}


def _of_normal(part: Part | None, nodes: Callable[[Draw], Nodes]) -> Callable[[Draw], dict[str, Any]]:
    return lambda draw: {**_normal(draw), "part": part, "nodes": nodes(draw)}


def _four(draw: Draw, base: str, part: Part, **more: Any) -> dict[str, Any]:
    own = {"loc": draw.normal((4,)), "scale": draw.uniform(0.6, 1.7, (4,))}
    return {"base": base, **own, "part": part, "base_points": draw.normal((5, 4)), **more}


def _scaled(draw: Draw) -> Part:
    shift, scale = (Elementwise(n, {n.lower(): draw.array(v)}) for n, v in (("Shift", 1.75), ("Scale", -0.6)))
    return Chained((shift, scale))


def _coupling(draw: Draw, *, network: bool = False) -> Part:
    return Coupled(2, conditioner(draw, 1, 3, 2, network=network), num_masked=1)


ROWS: dict[str, Callable[[Draw], dict[str, Any]]] = {
    "normal": _of_normal(None, lambda d: line(d, lambda t: 0.6 + 1.3 * t, lambda t: 1.3 + 0.0 * t)),
    "log-normal": _of_normal(Elementwise("Exp"), lambda d: line(d, np.exp, np.exp)),
    "logit-normal": _of_normal(
        Elementwise("Sigmoid"), lambda d: line(d, lambda t: 1 / (1 + np.exp(-t)), lambda t: 1 / (2 + 2 * np.cosh(t)))
    ),
    "inverse of log": _of_normal(Inverted(Elementwise("Log")), lambda d: line(d, np.exp, np.exp)),
    "softplus of normal": _of_normal(Elementwise("Softplus"), lambda d: line(d, np.exp, np.exp, 6.0)),
    "affine normal": lambda d: {
        **_normal(d), "part": _scaled(d), "nodes": line(d, lambda t: 1.4 + 0.8 * t, lambda t: 0.8 + 0.0 * t)
    },
    "batch of normals": lambda d: {
        "base": "Normal", "loc": d.normal((2, 1)), "scale": d.uniform(0.6, 1.7, (3,)), "part": Elementwise("Tanh"),
        "base_points": d.normal((4, 2, 3), 0.2, 0.7),
    },
    "diagonal normal": lambda d: {**_pair(d), "nodes": plane(d, (0.6, -0.3), 8.0)},
    "independent normals": lambda d: {**_pair(d, "Independent"), "nodes": plane(d, (0.6, -0.3), 8.0)},
    "sample of normals": lambda d: {
        **_pair(d, "Sample"), "loc": d.array(0.6), "scale": d.array(1.3), "size": 2, "nodes": plane(d, (0.6, 0.6), 10.0)
    },
    "real nvp": lambda d: {**_pair(d), "part": _coupling(d), "nodes": plane(d, (0.8, 0.0), 9.0)},
    "batch norm": lambda d: {
        **_pair(d), "part": normalization(d, (-1,), (5, 2)), "nodes": plane(d, (0.5, 2.0), 12.0),
    },
    "batch norm in training": lambda d: _four(
        d, "MultivariateNormalDiag", normalization(d, (-1,), (5, 4), training=True)
    ),
    "flow": lambda d: _four(d, "MultivariateNormalDiag", flow(training=False)(d)),
    "flow in training": lambda d: _four(d, "Independent", flow(training=True)(d)),
}  # fmt: skip
"""From id to what makes the fields of an entry."""

ALSO = ("log-normal", "affine normal", "real nvp", "flow in training")
"""Those that are tried in float64 too."""


def _made() -> dict[str, DensityEntry]:
    found = {}
    for dtype, names in (("float32", tuple(ROWS)), ("float64", ALSO)):
        for name in names:
            key = name if dtype == "float32" else f"{name}, {dtype}"
            found[key] = DensityEntry(key, dtype=dtype, **ROWS[name](Draw(f"density of {name}", dtype)))
    return found


DENSITIES: dict[str, DensityEntry] = _made()
"""Every distribution by its id."""
