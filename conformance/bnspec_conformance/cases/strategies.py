"""Cases drawn by Hypothesis: any rank, axes, dtype, condition, epsilon and momentum within reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from bnspec import Renorm

from ._case import Case

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cases"]


@st.composite
def cases(draw: Any, dtypes: Sequence[str] = ("float32", "float64"), *, parts: bool = False) -> Case:
    """Draw a case with one to three training batches.

    Parameters
    ----------
    draw : callable
        Hypothesis' own.
    dtypes : sequence of str
        The dtypes to draw from.
    parts : bool
        Whether there may be ghost batches, renormalization, weights or an adjustment.

    Returns
    -------
    strategy of Case
        Means of up to 10,000 deviations, deviations from 1e-6 to 1e6, epsilon from far below to far above the
        variance, at least two elements per channel.
    """
    rank = draw(st.integers(2, 4))
    several = rank > 2 and draw(st.integers(0, 5)) == 0
    axis = tuple(sorted(draw(st.permutations(range(rank)))[: 2 if several else 1]))
    sizes = [draw(st.integers(1, 3)) for _ in range(rank)]
    reduced = [a for a in range(rank) if a not in axis]
    ghosts = draw(st.integers(2, 4)) if parts and reduced[0] == 0 and draw(st.booleans()) else None
    shapes = []
    for _ in range(draw(st.integers(1, 3))):
        sizes[reduced[0]] = ghosts * draw(st.integers(1, 3)) if ghosts else draw(st.integers(2, 12))
        shapes.append(tuple(sizes))
    deviation = 10.0 ** draw(st.floats(-6.0, 6.0))
    ratio = draw(st.sampled_from([0.0, 0.5, 3.0, 100.0, 1e4]))
    return Case(
        id=f"drawn-{draw(st.integers(0, 2**32 - 1))}",
        shapes=tuple(shapes),
        axis=axis,
        dtype=draw(st.sampled_from(list(dtypes))),
        mean=ratio * deviation * draw(st.sampled_from([-1.0, 1.0])),
        deviation=deviation,
        epsilon=deviation**2 * 10.0 ** draw(st.floats(-6.0, 2.0)),
        take=draw(st.one_of(st.none(), st.floats(0.0, 1.0))),
        center=draw(st.booleans()),
        scale=draw(st.booleans()),
        ghosts=ghosts,
        **(draw(_around(ghosts, rows=reduced[0] == 0)) if parts else {}),
    )


@st.composite
def _around(draw: Any, ghosts: int | None, *, rows: bool) -> dict[str, Any]:
    """Draw what surrounds normalization; ghost batches go without an adjustment, and so do weights.

    Weights differ from row to row, and where these are channels, some would be without any.
    """
    limited = st.builds(
        Renorm,
        rmin=st.floats(0.0, 1.0),
        rmax=st.one_of(st.just(float("inf")), st.floats(1.0, 4.0)),
        dmax=st.one_of(st.just(float("inf")), st.floats(0.0, 5.0)),
        momentum=st.floats(0.0, 1.0),
    )
    weighted = draw(st.sampled_from(["", "rows", "elements"])) if rows else ""
    adjusted = "" if weighted or ghosts else draw(st.sampled_from(["", "features", "elements"]))
    return {"weighted": weighted, "adjusted": adjusted, "renorm": draw(st.one_of(st.none(), limited))}
