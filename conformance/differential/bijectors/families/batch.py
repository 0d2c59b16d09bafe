"""Batch normalization as a bijector: training batches, the state after each, and evaluation."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import TF_KERAS, TF_KERAS_FUSED
from differential.bijectors.draw import Answer, Family, Question
from differential.bijectors.normalizer import Expectation, density
from differential.bijectors.part import Part
from differential.draw import CHOICES as LAYERS
from differential.draw import Draw as Case
from differential.draw import draw as draw_case

from .asking import NAMES, answered

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from differential.bijectors.draw import Asked
    from differential.bijectors.reference import Direction, Reference

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["BATCH", "CHOICES", "Asking", "BatchCase", "drawn_case", "mend"]

_OF_A_LAYER = ("rank", "dtype", "center", "scale", "momentum", "epsilon", "data", "steps", "trainable", "adjustment")


class BatchCase(Case):
    """A layer with a gamma whose sign was asked for."""

    @cached_property
    def gamma(self) -> Array | None:
        """Positive, or with a negative one at least."""
        found = super().gamma
        if found is None:
            return None
        size = np.abs(found)
        if self.options["gamma"] == "negative":
            size = np.where(found < 0, found, size)
            size.flat[0] = -abs(size.flat[0])
        return size


def _fuses(options: Options) -> bool:
    axis, rank = options["axis"], options["rank"]
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if isinstance(axis, list) or options["adjustment"] or options["dtype"] != "float32" or options["fused"] is False:
        return False
    return rank in (4, 5) and axis % rank in (1, rank - 1)


def _convention(options: Options) -> Convention:
    """Name that of the kernel that tf_keras takes."""
    return TF_KERAS_FUSED if _fuses(options) else TF_KERAS


def drawn_case(options: Options, random: np.random.Generator) -> BatchCase:
    """Draw a layer with its batches."""
    rank = options["rank"]
    axis: Any = {"last": -1, "not last": 1, "several, last": [rank - 2, rank - 1], "several, apart": [1, 3]}[
        options["axes"]
    ]
    forced = {name: options[name] for name in _OF_A_LAYER}
    forced |= {"axis": axis, "fused": options["fused"], "channels": None, "gamma": options["gamma"]}
    found = draw_case(
        "BatchNormalization", _convention, LAYERS, lambda *_: None, 0, int(random.integers(2**31)), forced
    )
    return BatchCase(**{each.name: getattr(found, each.name) for each in fields(Case)})


def mend(options: Options) -> None:
    """Change options that exclude each other."""
    axes = options["axes"]
    options["rank"] = max(options["rank"], {"last": 2, "not last": 3, "several, last": 3, "several, apart": 4}[axes])
    if not options["scale"]:
        options["gamma"] = "none"
    elif options["gamma"] == "none":
        options["gamma"] = "positive"
    if not options["trainable"]:
        options["adjustment"] = False


def _numpy(asked: Asked, array: Any) -> Array:
    found: Array = np.asarray(asked.side.numpy(array))
    return found


class Asking:
    """The questions of one case.

    Parameters
    ----------
    case : BatchCase
        The layer.
    options : dict
        Those of the draw; ``log_dets`` tells whether those of training batches are asked for.
    random : Generator
        What chooses.
    """

    def __init__(self, case: BatchCase, options: Options, random: np.random.Generator) -> None:
        self.case, self.options = case, options
        event = case.shapes[-1][1:]
        dtype = case.dtype
        loc, scale = (np.asarray(random.uniform(*ends), dtype) for ends in ((-1.0, 1.0), (0.5, 2.0)))
        self.base = Part("Sample", {"sample_shape": list(event)}, (Part("Normal", {"loc": loc, "scale": scale}),))
        least = len(case.axis)
        self.ranks = sorted({least, len(event), int(random.integers(least, len(event) + 1))})
        self.x = np.asarray(random.normal(0.2, 1.1, case.evaluation.shape), dtype)

    def expectation(self, reference: Reference) -> Expectation:
        """Return the answers."""
        return Expectation(self.case, reference)

    def shown(self, y: Array) -> Array:
        """Return the data of which the layer is given a batch."""
        return y

    def questions(self) -> list[Question]:
        """Train, then evaluate; the averages are read after each step."""
        case = self.case
        least = len(case.axis)
        found = [Question("min_event_ndims", self._ranks, lambda _: (least, least))]
        for number, y in enumerate(case.training):
            found += self._step(number, y, case.adjustments[number])
        if case.frozen:
            found += self._step(-1, case.evaluation, None)
        return [*found, *self._evaluation()]

    def _ranks(self, asked: Asked) -> tuple[int, int]:
        bijector = asked.made.bijector(training=True)
        return int(bijector.forward_min_event_ndims), int(bijector.inverse_min_event_ndims)

    def _step(self, number: int, y: Array, pair: Any) -> list[Question]:
        """Ask for the log-det, which moves nothing, then for the output or the density, which move the averages."""
        training = not self.case.frozen
        ranks = self.ranks if self.options["log_dets"] else []
        found = [self._log_det("inverse", y, ndims, number, pair, called=True, batch=training) for ndims in ranks]
        if self.options["density"] == "training":
            found.append(self._log_prob(y, number, pair, called=True, batch=training))
        else:
            found.append(self._inverse(y, number, pair, called=True))
        return [*found, *self._averages(number)]

    def _evaluation(self) -> list[Question]:
        y = self.case.evaluation
        found = [self._inverse(y, -1, None, called=False)]
        for ndims in self.ranks:
            found.append(self._log_det("inverse", y, ndims, -1, None, called=False, batch=False))
            found.append(self._log_det("forward", self.x, ndims, -1, None, called=False, batch=False))
        found += [self._forward(), self._log_prob(y, -1, None, called=False, batch=False)]
        return [*found, *self._averages(-1)]

    def _sent(self, asked: Asked, y: Array) -> Any:
        return asked.side.array(self.shown(y))

    def _inverse(self, y: Array, number: int, pair: Any, *, called: bool) -> Question:
        def ask(asked: Asked) -> Array:
            return _numpy(asked, asked.made.bijector(training=called, pair=pair).inverse(self._sent(asked, y)))

        def answer(reference: Reference) -> Answer:
            return answered(self.expectation(reference).normalized(number))

        return Question("inverse in training" if called else "inverse", ask, answer)

    def _forward(self) -> Question:
        def ask(asked: Asked) -> Array:
            return _numpy(asked, asked.made.bijector(training=False).forward(asked.side.array(self.x)))

        def answer(reference: Reference) -> Answer:
            return answered(self.expectation(reference).forward(-1, self.x))

        return Question("forward", ask, answer)

    def _log_det(
        self, direction: Direction, y: Array, ndims: int, number: int, pair: Any, *, called: bool, batch: bool
    ) -> Question:
        def ask(asked: Asked) -> Array:
            method = getattr(asked.made.bijector(training=called, pair=pair), NAMES[direction])
            given = self._sent(asked, y) if direction == "inverse" else asked.side.array(y)
            return _numpy(asked, method(given, event_ndims=ndims))

        def answer(reference: Reference) -> Answer:
            found = self.expectation(reference)
            return answered(found.log_det(number, y, ndims, training=batch, forward=direction == "forward"))

        return Question(NAMES[direction] + (" in training" if called else ""), ask, answer)

    def _log_prob(self, y: Array, number: int, pair: Any, *, called: bool, batch: bool) -> Question:
        def ask(asked: Asked) -> Array:
            side = asked.side
            bijector = asked.made.bijector(training=called, pair=pair)
            distribution = side.distributions.TransformedDistribution(side.make(self.base), bijector)
            return _numpy(asked, distribution.log_prob(self._sent(asked, y)))

        def answer(reference: Reference) -> Answer:
            return answered(density(self.expectation(reference), self.base, number, y, training=batch))

        return Question("log_prob in training" if called else "log_prob", ask, answer)

    def _averages(self, number: int) -> list[Question]:
        def one(name: str) -> Question:
            def answer(reference: Reference) -> Answer:
                return self.expectation(reference).averages(number)[name]

            def ask(asked: Asked) -> Array:
                found: Array = asked.made.averages()[name].reshape(self.case.parameter_shape)
                return found

            return Question(name, ask, answer)

        return [one("moving_mean"), one("moving_variance")]


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    options["log_dets"] = True
    case = drawn_case(options, random)
    return lambda side: side.normalizer(case), Asking(case, options, random).questions(), case


CHOICES: dict[str, tuple[Any, ...]] = {
    "rank": (2, 2, 3, 4, 4),
    "axes": ("last",) * 10 + ("not last", "several, last", "several, apart"),
    "dtype": ("float32", "float32", "float64"),
    "center": (True, True, False),
    "scale": (True,) * 9 + (False,),
    "gamma": ("positive",) * 9 + ("negative",),
    "momentum": ("default", "drawn", "drawn", "drawn", "keep-all", "take-all"),
    "epsilon": ("default", "of-variance", "of-variance", "far-below", "above"),
    "data": ("usual", "usual", "few", "few", "far", "farther", "tiny", "huge", "outlier", "constant"),
    "steps": (1, 2, 3),
    "trainable": (True,) * 11 + (False,),
    "adjustment": (False,) * 9 + (True,),
    "fused": (None, False),
    "density": ("evaluation",) * 6 + ("training",),
}
"""What a layer is made of."""

BATCH = Family(CHOICES, mend, _drawn, ("tensorflow",))
"""Layers of tf_keras and ours, trained for a few steps on hard data, then evaluated."""
