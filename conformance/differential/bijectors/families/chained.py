"""Batch normalization inside of a chain: what comes before it is exact, and what comes after it is any map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.bounds import DEFINITION
from differential.bijectors.draw import Family
from differential.bijectors.normalizer import InChain
from differential.bijectors.part import Part, kinds
from differential.bijectors.reference import Reference
from differential.bijectors.rules_table import RULES

from .asking import rounded
from .batch import CHOICES, Asking, drawn_case, mend
from .composition import one

if TYPE_CHECKING:
    from differential.bijectors.normalizer import Expectation
    from differential.bijectors.reference import Direction

    from .batch import BatchCase

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["CHAINED"]

_AFTER = ("Shift", "Scale", "ScaleMatvecDiag", "Permute", "Tanh of Invert", "Softplus of Invert")


class _InChain:
    """What a side makes: a layer, and the chains that hold it."""

    def __init__(self, side: Any, case: BatchCase, before: Part, after: Part) -> None:
        self.side, self.held = side, side.normalizer(case)
        self.before, self.after = before, after

    def bijector(self, *, training: bool, pair: Any = None) -> Any:
        """Return a chain."""
        middle = self.held.bijector(training=training, pair=pair)
        return self.side.bijectors.Chain([self.side.make(self.before), middle, self.side.make(self.after)])

    def averages(self) -> dict[str, Array]:
        """Return the running averages."""
        found: dict[str, Array] = self.held.averages()
        return found


class _Asking(Asking):
    """The questions of a chain."""

    def __init__(self, case: BatchCase, options: Options, random: np.random.Generator) -> None:
        super().__init__(case, options, random)
        size = case.shapes[-1][-1]
        factor = np.asarray(random.choice([-2.0, -1.0, 2.0]), case.dtype)
        first = (Part("Scale", {"scale": factor}), one("Permute", (size,), options, random)[0])
        self.before = Part("Chain", parts=first[: 1 + int(random.integers(2))])
        several = [str(random.choice(_AFTER)) for _ in range(options["length"])]
        self.after = Part("Chain", parts=tuple(one(kind, (size,), options, random)[0] for kind in several))
        self.x = self._image(self.after, "inverse", self.x)
        options["tanh"] = "Tanh" in kinds(self.after)

    def _image(self, part: Part, direction: Direction, x: Array) -> Array:
        reference = Reference(self.case.dtype, DEFINITION, RULES, {})
        return rounded(reference.mapped(part, direction, reference.given(x)).exact, self.case.dtype)

    def expectation(self, reference: Reference) -> Expectation:
        """Return the answers."""
        return InChain(self.case, reference, self.before, self.after)

    def shown(self, y: Array) -> Array:
        """Return the data of which the layer is given a batch."""
        return self._image(self.before, "forward", y)


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    case = drawn_case(options, random)
    asking = _Asking(case, options, random)
    return lambda side: _InChain(side, case, asking.before, asking.after), asking.questions(), case


CHAINED = Family(
    {
        **CHOICES,
        # What TFP gets wrong without a chain, too, is drawn less often.
        "axes": ("last",) * 20 + ("not last", "several, last", "several, apart"),
        "scale": (True,) * 19 + (False,),
        "gamma": ("positive",) * 19 + ("negative",),
        "steps": (1, 1, 2),
        "density": ("evaluation",) * 9 + ("training",),
        "length": (1, 1, 2),
        "log_dets": (False,) * 9 + (True,),
    },
    mend,
    _drawn,
    ("tensorflow",),
)
"""Chains around layers of tf_keras and ours, trained for a few steps on hard data, then evaluated."""
