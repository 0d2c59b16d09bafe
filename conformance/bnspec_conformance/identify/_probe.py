"""The probe: an adapter behind a wall, built, loaded and called, and nothing else known of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec.conventions import KERAS, Convention
from bnspec_conformance import expectation
from bnspec_conformance.adapter import convention_for, gaps_of

from ._cases import MOMENTUM, FromZero, Loaded, in_layout, layout_of
from ._fit import LOOSEST
from ._result import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bnspec_conformance.adapter import Adapter, Layer
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.cases import Case
    from bnspec_conformance.expectation import Step

    Array = np.ndarray[Any, Any]

__all__ = ["NotSeen", "Probe", "Run", "Seen", "attempt", "directed", "predicted", "said", "step"]

COUNTS = (4, 5, 3)


class NotSeen(Exception):
    """A field or a finding cannot be observed, for the reason that the message gives."""


class Seen(NamedTuple):
    """One call in training: the output, and the averages after it."""

    y: Array
    moving_mean: Array
    moving_variance: Array


class Run(NamedTuple):
    """The calls in training, and the layer as they have left it."""

    steps: tuple[Seen, ...]
    layer: Layer


class Probe:
    """An adapter, with what is known of its convention so far.

    Parameters
    ----------
    adapter : Adapter
        It need not have a convention.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.gaps: Mapping[str, str] = _gaps(adapter)
        self.told = convention_for(adapter)
        self.known: dict[str, Any] = {}
        # Rank and position of the feature axis of the layer that is built by default, once it is known.
        self.default_axis: tuple[int, int] | None = None

    @cached_property
    def dtype(self) -> str:
        """The dtype of the probes, half precision in the last place."""
        for dtype in ("float32", "float64", "float16", "bfloat16"):
            if dtype not in self.gaps:
                return dtype
        raise NotSeen("the adapter has no dtype")

    @cached_property
    def layout(self) -> tuple[int, int]:
        """Rank and feature axis of the probes."""
        found = layout_of(self.gaps)
        if found is None:
            raise NotSeen("the adapter has no layout that is tried")
        return found  # type: ignore[no-any-return]

    def case(self, kind: type[Loaded], purpose: str, counts: tuple[int, ...] = COUNTS, **changes: Any) -> Loaded:
        """Make a case in the layout of the probes."""
        rank, axis = self.layout
        shapes = tuple(in_layout(rank, axis, count) for count in counts)
        given = {"dtype": self.dtype, "epsilon": 0.5, "take": MOMENTUM, **changes}
        return kind(id=f"identify-{purpose}", shapes=shapes, axis=(axis,), **given)

    def build(self, case: Case, momentum: float | None = MOMENTUM) -> Layer:
        """Build a layer with a momentum whose direction is not known, and load the state of a case."""
        layer = self.adapter(replace(case.config(self.told), momentum=momentum))
        layer.load(*(None if value is None else value.copy() for value in _loaded(case)))  # type: ignore[arg-type]
        return layer

    def train(self, case: Case, momentum: float | None = MOMENTUM) -> Run:
        """Train a new layer on the batches of a case."""
        layer = self.build(case, momentum)
        return Run(tuple(step(layer, x) for x in case.training), layer)

    @cached_property
    def from_zero(self) -> Run:
        """Three batches of different sizes, from averages of 0."""
        return self.train(self.case(FromZero, "steps"))

    @cached_property
    def from_loaded(self) -> Run:
        """The same from averages that are near the data."""
        return self.train(self.case(Loaded, "steps"))

    def convention(self, **changes: Any) -> Convention:
        """Return a convention of what is known, and Keras's for what is not; none refuses a batch."""
        # The output may be rounded to the dtype of the input.
        given = {**self.known, "name": "candidate", "one_element": "update", "output_dtype": "input", **changes}
        return replace(KERAS, **given)

    def require(self, *names: str) -> None:
        """Refuse what cannot be predicted before other fields are known."""
        lacking = [name for name in names if name not in self.known]
        if lacking:
            raise NotSeen(f"it cannot be predicted, as {' and '.join(lacking)} could not be observed")

    def require_capability(self, name: str) -> None:
        """Refuse what the adapter declares that it cannot do."""
        if name in self.gaps:
            raise NotSeen(self.gaps[name])


def _gaps(adapter: Adapter) -> dict[str, str]:
    """Collect the gaps; where a function builds layers and fails to build one, those of its methods are not known."""
    try:
        return gaps_of(adapter, convention=False)
    except Exception:  # noqa: BLE001 - each field reports what building its layer raises; a wrong gap raises again
        return gaps_of(adapter, convention=False, layers=False)


def _loaded(case: Case) -> tuple[Array | None, ...]:
    return case.gamma, case.beta, case.moving_mean, case.moving_variance


def step(layer: Layer, x: Array) -> Seen:
    """Train on a batch."""
    y = np.asarray(layer(x.copy(), True))
    mean, variance = layer.read()
    return Seen(y, np.array(mean), np.array(variance))


def predicted(case: Case, convention: Convention, grade: Grade = LOOSEST) -> tuple[Step, ...]:
    """Predict what a convention gives, if the momentum of the probes has its direction."""
    return expectation.trajectory(directed(case, convention), convention, grade)


def directed(case: Case, convention: Convention) -> Case:
    """Give a new batch the weight that the momentum of the probes is in a convention; equal weights stay."""
    if case.take is None:
        return case
    return replace(case, take=MOMENTUM if convention.momentum_weighs == "new" else 1.0 - MOMENTUM)


def said(error: Exception) -> str:
    """Return the reason of something that was not seen: what an adapter raised, or what it cannot do."""
    if isinstance(error, NotSeen):
        return str(error)
    return f"raised {type(error).__name__}: {str(error).partition(chr(10))[0][:160]}"


def attempt(names: tuple[str, ...], look: Callable[[], Iterator[Observation]]) -> list[Observation]:
    """Observe some fields; those that a failure leaves out are not observable because of it."""
    found: list[Observation] = []
    reason = ""
    try:
        for each in look():
            found.append(each)  # noqa: PERF402 - those before a failure stay
    except Exception as error:  # noqa: BLE001 - what a stranger's code raises is what is reported
        reason = said(error)
    there = {each.name for each in found}
    return found + [Observation(name, (), "", reason) for name in names if name not in there]
