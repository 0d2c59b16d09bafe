"""Findings about accuracy: the best grade that was reached, for each dtype, layout and length."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bnspec_conformance.bounds import DEFINITION, FORMATS, NAIVE, TWO_PASS

from ._cases import LAYOUTS, MOMENTUM, FromZero, in_layout, missing
from ._degenerate import NEEDED
from ._fit import misfit
from ._probe import predicted
from ._result import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Probe

__all__ = ["LENGTHS", "grades"]

LENGTHS = (4, 64, 512)
"""The numbers of elements per channel."""

# Layouts that are tried, of those that the adapter has.
_MOST = 5
# Powers of 2 of mean over deviation, at which the grades are apart, and the dtype still holds the data.
_RATIOS = {"float16": 3, "bfloat16": 1, "float32": 12, "float64": 26}
_QUANTITIES = ("y", "moving_mean", "moving_variance")


def grades(probe: Probe) -> Iterator[Finding]:
    """Measure a training step from averages of 0 against the bounds of each grade."""
    probe.require(*NEEDED, "normalizing_variance")
    for dtype in FORMATS:
        if dtype in probe.gaps:
            yield Finding("grade", dtype, "not measured", probe.gaps[dtype])
            continue
        cases = ((_case(dtype, layout, length), layout, length) for layout in LAYOUTS for length in LENGTHS)
        there = (each for each in cases if not missing(each[0], probe.gaps))
        for case, (rank, axis), length in islice(there, _MOST * len(LENGTHS)):
            yield _measured(probe, case, f"{dtype}, rank {rank}, axis {axis}, N = {length}")


def _case(dtype: str, layout: tuple[int, int], length: int) -> FromZero:
    rank, axis = layout
    return FromZero(
        id=f"identify-grade-{dtype}-{rank}-{axis}-{length}",
        shapes=(in_layout(rank, axis, length),),
        evaluation_shape=in_layout(rank, axis, 1),
        axis=(axis,),
        dtype=dtype,
        epsilon=1e-3,
        mean=2.0 ** _RATIOS[dtype],
        deviation=1.0,
        take=MOMENTUM,
    )


def _measured(probe: Probe, case: FromZero, where: str) -> Finding:
    dtype = case.dtype
    try:
        seen = probe.train(case).steps[0]
    except Exception as error:  # noqa: BLE001 - it is reported
        return Finding("grade", where, "not measured", f"raised {type(error).__name__}: {str(error)[:120]}")
    # The output is rounded to its own dtype, whichever that is.
    rule = "input" if np.asarray(seen.y).dtype.name == dtype else "parameters"
    told = {}
    for grade in (DEFINITION, TWO_PASS, NAIVE):
        wanted = predicted(case, probe.convention(output_dtype=rule), grade)[0]
        told = {name: misfit(np.asarray(getattr(seen, name)), getattr(wanted, name)) for name in _QUANTITIES}
        if max(told.values()) <= 1.0:
            reached = grade.name
            break
    else:
        reached = f"below {NAIVE.name}"
    evidence = ", ".join(f"{name} {ratio:.2g}" for name, ratio in told.items())
    return Finding("grade", where, reached, f"of the bound of {grade.name}: {evidence}")
