"""Entry: a bijector of the catalogue with the points that it is tried at, drawn from its own name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import numpy as np

from bnspec_conformance import bounds
from bnspec_conformance.bounds import Arithmetic, computed_in

from ._followed import followed
from ._parts import Part, normalizations, ranks
from ._way import Followed, Way, given

if TYPE_CHECKING:
    from bnspec_conformance.oracle import Exact

    Array = np.ndarray[Any, Any]

__all__ = ["Draw", "Entry", "Expected", "cast", "expected"]


class Expected(NamedTuple):
    """An exact value and how far a computed one may be from it."""

    exact: Exact
    bound: Array


class Draw:
    """Numbers of one dtype, from a generator that a name seeds.

    Parameters
    ----------
    name : str
        The name.
    dtype : str
        That of all arrays.
    """

    def __init__(self, name: str, dtype: str) -> None:
        self.dtype = dtype
        self.random = np.random.default_rng(crc32(name.encode()))

    def array(self, values: Any) -> Array:
        """Round numbers to the dtype."""
        return cast(np.asarray(values, dtype=np.float64), self.dtype)

    def normal(self, shape: tuple[int, ...], mean: float = 0.4, deviation: float = 1.3) -> Array:
        """Draw normal numbers, off the standard ones."""
        return self.array(self.random.normal(mean, deviation, shape))

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> Array:
        """Draw uniform numbers."""
        return self.array(self.random.uniform(low, high, shape))

    def factors(self, shape: tuple[int, ...]) -> Array:
        """Draw factors of both signs, none of size 1."""
        return self.array(self.random.uniform(0.4, 0.9, shape) * self.random.choice([-1.0, 1.0, 2.5, -2.5], shape))


@dataclass(frozen=True, eq=False)
class Entry:
    """A bijector that is tried.

    Attributes
    ----------
    id : str
        The key in the catalogue.
    part : Part
        What it is, its parameters numbers of `dtype`.
    dtype : str
        Of inputs and outputs.
    x : array, shape (*batch, *event), or tuple of array
        Where ``forward`` is tried.
    outputs : array, shape (*batch, *event'), or None
        Where ``inverse`` is tried; by default the exact images of x, rounded.
    event_ndims : tuple of int
        The ranks of an event of x over which log-dets are summed.
    smooth : bool
        Whether both directions are well conditioned at these points, so that what needs both is tried.
    context : array, optional
        The condition of that name.
    """

    id: str
    part: Part
    dtype: str
    x: Any
    outputs: Any = None
    event_ndims: tuple[int, ...] = (0, 1, 2)
    smooth: bool = True
    context: Array | None = None

    @property
    def requires(self) -> frozenset[str]:
        """The capabilities that are needed."""
        return frozenset({self.dtype})

    @property
    def conditions(self) -> dict[str, Array]:
        """The keyword arguments of every method."""
        return {} if self.context is None else {"context": self.context}

    @property
    def structured(self) -> bool:
        """Whether inputs are tuples."""
        return isinstance(self.x, tuple)

    @property
    def training(self) -> bool:
        """Whether the inverse normalizes by the batch."""
        return any(part.by_batch for part in normalizations(self.part))

    @property
    def least(self) -> int:
        """The rank of the smallest event of x."""
        return ranks(self.part)[0]

    @property
    def risen(self) -> int:
        """How much larger the rank of an event is after than before."""
        before, after = ranks(self.part)
        return after - before

    @cached_property
    def y(self) -> Any:
        """Where ``inverse`` is tried."""
        if self.outputs is not None:
            return self.outputs
        found, _ = self.follow(bounds.DEFINITION, "forward", self.x, self.event_ndims[0])
        if self.structured:
            return tuple(cast(each.exact.to_float(), self.dtype) for each in found)
        return cast(found.exact.to_float(), self.dtype)

    def way(self, grade: bounds.Grade) -> Way:
        """Return how it is computed in a grade."""
        return Way(grade, Arithmetic(computed_in(self.dtype), grade.softplus_of_exp), self.context)

    def follow(
        self, grade: bounds.Grade, direction: str, x: Any, event_ndims: int, way: Way | None = None
    ) -> tuple[Any, Followed]:
        """Follow a direction from an array, or from what was followed already."""
        way = way or self.way(grade)
        before = isinstance(x, Followed) or (isinstance(x, tuple) and isinstance(x[0], Followed))
        start = x if before else given(x, way)
        return followed(self.part, direction, start, event_ndims, way)

    def settled(self, found: Any) -> Any:
        """Turn what was followed into what a result of the dtype must be."""
        if isinstance(found, tuple) and not isinstance(found, Followed):
            return tuple(self.settled(each) for each in found)
        error = Arithmetic(computed_in(self.dtype)).returned(found.uncertain, self.dtype)
        return Expected(found.exact, np.broadcast_to(error, found.shape))


@cache
def expected(entry: Entry, grade: bounds.Grade, direction: str, event_ndims: int) -> tuple[Any, Expected]:
    """Expect the value and the log-det of a direction at the points of an entry.

    Parameters
    ----------
    entry : Entry
        Of the catalogue.
    grade : Grade
        How well.
    direction : {"forward", "inverse"}
        Which way.
    event_ndims : int
        The rank of an event of what comes in.

    Returns
    -------
    value : Expected, or tuple of them
    log_det : Expected
    """
    value, log_det = entry.follow(grade, direction, entry.x if direction == "forward" else entry.y, event_ndims)
    return entry.settled(value), entry.settled(log_det)


def cast(values: Any, dtype: str) -> Array:
    """Round to a dtype, bfloat16 included."""
    if dtype == "bfloat16":
        import ml_dtypes  # noqa: PLC0415 - an extra; entries of this dtype are skipped without it

        return np.asarray(values).astype(ml_dtypes.bfloat16)
    return np.asarray(values).astype(dtype)
