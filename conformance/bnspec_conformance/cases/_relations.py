"""Cases in pairs: what one gives follows from what the other gives, whatever both are."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ._case import Case

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = [
    "COMPANIONS",
    "COUNTED",
    "EXACT_OFFSETS",
    "IMAGES",
    "REORDERED",
    "REPEATED",
    "SCALED",
    "STATES",
    "as_rows_of_pixels",
    "backwards",
    "elsewhere",
    "repeated",
    "scaled",
    "shifted",
]


def _coarse(shape: tuple[int, ...], number: int) -> Array:
    """Skewed data that are multiples of 1/64 and below 64: to add a few thousand is exact in float32."""
    spread = 1.0 + np.arange(shape[-1]) / 2.0
    noise = np.random.default_rng([*shape, number]).gamma(2.0, 1.0, shape)
    return np.round(64.0 * np.minimum(1.5 + spread * noise, 60.0)) / 64.0


# The averages become those of the batch, wherever they were, so that they move by what the data move by.
EXACT_OFFSETS = (
    Case(id="offset", shapes=((9, 4), (5, 4)), axis=(1,), take=1.0, draw=_coarse),
    Case(id="offset-images", shapes=((2, 3, 4, 3),), axis=(3,), take=1.0, epsilon=0.3, draw=_coarse),
)

SCALED = (
    Case(id="scale", shapes=((7, 3), (5, 3)), axis=(1,), epsilon=0.4),
    Case(id="scale-channels-first", shapes=((3, 4, 2, 3),), axis=(1,), take=0.2),
)

REORDERED = (
    Case(id="order", shapes=((7, 3), (9, 3)), axis=(1,)),
    Case(id="order-images", shapes=((3, 5, 4, 2),), axis=(3,), take=0.2),
)

REPEATED = (
    Case(id="repeated", shapes=((7, 3), (9, 3)), axis=(1,), weighted="counts"),
    Case(id="repeated-images", shapes=((6, 2, 3, 2),), axis=(3,), take=0.2, weighted="counts"),
)

IMAGES = (
    Case(id="one-pixel-last", shapes=((7, 1, 1, 3), (5, 1, 1, 3)), axis=(3,)),
    Case(id="one-pixel-first", shapes=((7, 3, 1, 1), (5, 3, 1, 1)), axis=(1,)),
    Case(id="one-step", shapes=((6, 3, 1),), axis=(1,), take=0.2),
    Case(id="pixels", shapes=((3, 2, 4, 3),), axis=(3,), take=0.2),
)

STATES = (
    Case(id="state", shapes=((7, 3), (5, 3)), axis=(1,)),
    Case(id="state-images", shapes=((2, 3, 2, 3),), axis=(3,), epsilon=0.3),
)

COMPANIONS = (
    Case(id="companions", shapes=((6, 3),), axis=(1,)),
    Case(id="companions-images", shapes=((4, 3, 2, 3),), axis=(1,)),
)

COUNTED = (
    Case(id="counted", shapes=((7, 3), (7, 3)), axis=(1,), take=0.2),
    Case(id="counted-cumulative", shapes=((7, 3), (7, 3)), axis=(1,), take=None),
)


def _batches(case: Case) -> tuple[Array, ...]:
    return (*case.training, case.evaluation)


@cache
def shifted(case: Case, by: float) -> Case:
    """Add a number to all data.

    Parameters
    ----------
    case : Case
        Its data plus `by` are representable, and its averages become those of the batch.
    by : float
        What is added.

    Returns
    -------
    Case
    """
    batches = _batches(case)
    return replace(case, draw=lambda _, number: batches[number].astype(np.float64) + by)


@cache
def scaled(case: Case, factor: float) -> Case:
    """Multiply the data and the running mean by a factor, the running variance and epsilon by its square.

    Parameters
    ----------
    case : Case
        Its data are random.
    factor : float
        A power of 2, so that every product is exact.

    Returns
    -------
    Case
    """
    return replace(
        case, mean=factor * case.mean, deviation=factor * case.deviation, epsilon=factor * factor * case.epsilon
    )


@cache
def repeated(case: Case) -> Case:
    """Repeat each row of the training batches as often as its weight says, and drop the weights.

    Parameters
    ----------
    case : Case
        Its weights are whole numbers, one for each row.

    Returns
    -------
    Case
    """
    pairs = zip(case.training, case.weights, strict=True)
    batches = [np.repeat(x, np.asarray(weights).reshape(-1).astype(int), axis=0) for x, weights in pairs]
    return replace(
        case,
        weighted="",
        shapes=tuple(batch.shape for batch in batches),
        evaluation_shape=case.evaluation.shape,
        draw=lambda _, number: (*batches, case.evaluation)[number],
    )


@cache
def as_rows_of_pixels(case: Case) -> Case:
    """Lay the elements of each channel out as one column.

    Parameters
    ----------
    case : Case
        It has one feature axis.

    Returns
    -------
    Case
        Of rank 2.
    """
    batches = [np.moveaxis(x, case.axis[0], -1).reshape(-1, *case.parameter_shape) for x in _batches(case)]
    shapes = tuple(batch.shape for batch in batches)
    return replace(
        case, shapes=shapes[:-1], evaluation_shape=shapes[-1], axis=(1,), draw=lambda _, number: batches[number]
    )


@cache
def backwards(case: Case) -> Case:
    """Train on the batches from the last to the first.

    Parameters
    ----------
    case : Case
        Its training batches have one shape.

    Returns
    -------
    Case
    """
    batches = (*case.training[::-1], case.evaluation)
    return replace(case, draw=lambda _, number: batches[number])


@cache
def elsewhere(case: Case, take: float, by: float) -> Case:
    """Keep the data, and load averages that are elsewhere, with another momentum.

    Parameters
    ----------
    case : Case
        Any.
    take : float
        The weight of a new batch in the averages.
    by : float
        How many deviations the running mean is moved by; the running variance has 1 + `by` times its size.

    Returns
    -------
    Case
    """
    batches = _batches(case)
    mean, deviation = case.mean + by * case.deviation, case.deviation * np.sqrt(1.0 + by)
    return replace(case, take=take, mean=mean, deviation=deviation, draw=lambda _, number: batches[number])
