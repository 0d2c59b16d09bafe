"""The dtypes of the state and of the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.bounds import FORMATS

from ._cases import CHANNELS, FromZero, cast, in_layout
from ._defaults import default_layer, default_rank
from ._fit import UNFIT
from ._probe import NotSeen, said
from ._result import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bnspec_conformance.adapter import Layer

    from ._probe import Probe

    Array = np.ndarray[Any, Any]

__all__ = ["output_dtype", "state_dtype"]


def _half(probe: Probe) -> str:
    for dtype in ("float16", "bfloat16"):
        if dtype not in probe.gaps:
            return dtype
    raise NotSeen(f"the adapter takes no half precision: {probe.gaps['float16']}")


def state_dtype(probe: Probe) -> Iterator[Observation]:
    """Observe state_dtype by reading a layer that was made for, and trained on, half precision."""
    half = _half(probe)
    probe.require_capability("default")
    rank = default_rank(probe)
    layer = default_layer(probe, rank, half)
    layer(cast(np.random.default_rng(5).normal(0.5, 1.0, (CHANNELS,) * rank), half), True)
    mean, variance = (np.asarray(part).dtype.name for part in layer.read())
    evidence = f"after a {half} batch the averages are {mean} and {variance}"
    names = {"float32": ("float32",), half: ("input",)}
    fits = names.get(mean, ()) if mean == variance else ()
    yield Observation("state_dtype", fits, evidence, "" if fits else UNFIT)


def output_dtype(probe: Probe) -> Iterator[Observation]:
    """Observe output_dtype from half precision, and from float64 in a layer that was told nothing.

    A library that was told nothing has parameters of float32 as a rule, beside which float64 input tells what its
    output follows. A layer that was told its dtype may cast its input to it.
    """
    seen: dict[str, tuple[str, str]] = {}
    lacking = []
    for dtype in ("float16", "bfloat16", "float64"):
        if dtype in probe.gaps:
            lacking.append(f"{dtype}: {probe.gaps[dtype]}")
        else:
            try:
                seen[dtype] = _by_default(probe, dtype) if dtype == "float64" else _built(probe, dtype)
            except Exception as error:  # noqa: BLE001 - a layer may refuse to mix dtypes
                lacking.append(f"{dtype}: {said(error)}")
    if not seen:
        raise NotSeen("; ".join(lacking))
    rules: dict[str, Callable[[str, str], str]] = {
        "input": lambda dtype, kept: dtype,
        "parameters": lambda dtype, kept: kept,
        "promoted": lambda dtype, kept: max(dtype, kept, key=lambda name: -FORMATS[name].roundoff),
    }
    fits = tuple(
        name for name, rule in rules.items() if all(rule(given, kept) == found for given, (kept, found) in seen.items())
    )
    evidence = "; ".join(f"{given} with a state of {kept} gives {found}" for given, (kept, found) in seen.items())
    reason = "" if len(fits) == 1 else " and ".join(map(repr, fits)) + " give the same here" if fits else UNFIT
    yield Observation("output_dtype", fits, evidence, "; ".join([reason, *lacking]) if len(fits) != 1 else "")


def _built(probe: Probe, dtype: str) -> tuple[str, str]:
    """Return the dtypes of the state and of the output of a layer that was told the dtype of its input."""
    rank, axis = probe.layout
    case = FromZero(id="identify-output", shapes=(in_layout(rank, axis, 4),), axis=(axis,), dtype=dtype)
    return _dtypes(lambda: probe.build(case), case.training[0])


def _by_default(probe: Probe, dtype: str) -> tuple[str, str]:
    """Return the same of a layer that was told nothing."""
    rank = default_rank(probe)
    x = cast(np.random.default_rng(6).normal(0.5, 1.0, (CHANNELS,) * rank), dtype)
    return _dtypes(lambda: default_layer(probe, rank, dtype), x)


def _dtypes(build: Callable[[], Layer], x: Array) -> tuple[str, str]:
    layer = build()
    state = np.asarray(layer.read()[0]).dtype.name
    try:
        y = layer(x.copy(), True)
    except Exception:  # noqa: BLE001 - a state may refuse another dtype, where evaluation does not
        y = build()(x.copy(), False)
    return state, np.asarray(y).dtype.name
