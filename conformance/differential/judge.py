"""Judge: run one side of a draw, and measure its errors as fractions of its bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from bnspec_conformance import expectation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.expectation import Expected
    from bnspec_conformance.oracle import Exact

    from .draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["Layer", "Verdict", "beyond", "finite", "judge"]


class Layer(Protocol):
    """One side: a layer that has been made, and loaded, as a draw describes it. Arrays are NumPy's."""

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Return the output in training, and keep the new state."""

    def evaluate(self, x: Array) -> Array:
        """Return the output in evaluation."""

    def read(self) -> dict[str, Array]:
        """Return the averages by name."""

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Return the gradients of x, gamma and beta, as far as it has them."""


class Verdict(NamedTuple):
    """How one side did.

    Attributes
    ----------
    ratios : dict
        The largest error of each quantity as a fraction of its bound; infinite where there is NaN and should not be.
    errors : dict
        The largest error itself, of each quantity that is out of its bound.
    silent : bool
        Whether a bound is infinite somewhere, so that nothing is promised there.
    raised : str
        The exception, if one stopped it; else empty.
    """

    ratios: dict[str, float]
    errors: dict[str, float]
    silent: bool
    raised: str

    @property
    def agrees(self) -> bool:
        """Whether everything is within its bound."""
        return not self.raised and all(ratio <= 1.0 for ratio in self.ratios.values())


def beyond(seen: Array, exact: Exact, bound: Array) -> tuple[float, float, bool]:
    """Measure an array.

    Parameters
    ----------
    seen : array, shape S
        What was computed.
    exact : Exact, shape S
        What it should be.
    bound : array, broadcastable to S
        How far it may be off; infinite where nothing is promised.

    Returns
    -------
    ratio : float
        The largest error as a fraction of its bound; infinite where there is NaN and should not be.
    error : float
        The largest error where something is promised.
    silent : bool
        Whether nothing is promised somewhere.
    """
    error = exact.error(seen)
    bound = np.broadcast_to(bound, error.shape)
    promised = np.isfinite(bound)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((error == 0) | ~promised, 0.0, error / bound)
    worst = float(np.max(np.where(np.isnan(ratio), np.inf, ratio), initial=0.0))
    return worst, float(np.max(np.where(promised, error, 0.0), initial=0.0)), not bool(promised.all())


def finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Turn ratios or errors into plain data: None is one that is not finite."""
    return {name: number if number < np.inf else None for name, number in numbers.items()}


def judge(draw: Draw, make: Any, grade: Grade, *, chained: bool) -> Verdict:
    """Run a layer through a draw.

    Parameters
    ----------
    draw : Draw
        What is run: training batches, the evaluation batch, and the gradients on the last training batch.
    make : callable
        Makes a Layer of a draw.
    grade : Grade
        Whose bounds are kept to.
    chained : bool
        Whether gradients are those of a framework.

    Returns
    -------
    Verdict
    """
    ratios: dict[str, float] = {}
    errors: dict[str, float] = {}
    silent = False

    def compare(name: str, seen: Array, expected: Expected) -> None:
        nonlocal silent
        worst, error, unpromised = beyond(np.asarray(seen).reshape(expected.exact.shape), *expected)
        silent = silent or unpromised
        ratios[name] = max(ratios.get(name, 0.0), worst)
        if worst > 1.0:
            errors[name] = max(errors.get(name, 0.0), error)

    def averages(layer: Layer, step: expectation.Step) -> None:
        found = layer.read()
        for name, expected in (
            ("moving_mean", step.moving_mean),
            ("moving_variance", step.moving_variance),
            *step.renorm.items(),
        ):
            compare(name, found[name], expected)

    try:
        steps = expectation.trajectory(draw, draw.convention, grade)
        layer = make(draw)
        for x, weights, adjustment, step in zip(draw.training, draw.weights, draw.adjustments, steps[:-1], strict=True):
            compare("y", layer.train(x.copy(), weights, adjustment), step.y)
            averages(layer, step)
        if draw.frozen:
            compare("y", layer.train(draw.evaluation.copy()), steps[-1].y)
            averages(layer, steps[-1])
        compare("y in evaluation", layer.evaluate(draw.evaluation.copy()), steps[-1].y)
        averages(layer, steps[-1])
        thawed = draw.thawed
        given = thawed.training[-1], thawed.cotangent
        for training in (True, False):
            extra = (draw.weights[-1], draw.adjustments[-1]) if training and not draw.frozen else (None, None)
            called = training or draw.frozen
            found = make(draw).gradients(*(part.copy() for part in given), called, *extra)
            wanted = expectation.gradients(thawed, draw.convention, training and not draw.frozen, grade, chained)
            for name, gradient in found.items():
                compare(f"d{name}" if training else f"d{name} in evaluation", gradient, wanted[name])
    except Exception as error:  # noqa: BLE001 - whatever a library raises is a result
        return Verdict(ratios, errors, silent, f"{type(error).__name__}: {error}"[:300])
    return Verdict(ratios, errors, silent, "")
