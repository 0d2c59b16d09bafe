"""Judge: put the questions of a draw to one side, and measure its errors as fractions of its bounds."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from differential.judge import beyond, finite

from .draw import Answer, Asked

if TYPE_CHECKING:
    from bnspec_conformance.bounds import Grade

    from .draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["judge"]


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def judge(draw: Draw, side: Any, grade: Grade) -> dict[str, Any]:
    """Run one side.

    Parameters
    ----------
    draw : Draw
        What is asked.
    side : Side
        Who is asked.
    grade : Grade
        Whose bounds are kept to.

    Returns
    -------
    dict
        Plain data: ``agrees``; ``ratios``, quantity to its largest error as a fraction of the bound, None if that is
        not finite; ``errors``, the errors of those that are out of their bound; ``narrow``, the log-dets that have to
        be broadcast to the batch; ``silent``, whether a bound is infinite somewhere; ``raised``, the exceptions.
    """
    ratios: dict[str, float] = {}
    errors: dict[str, float] = {}
    narrow: dict[str, None] = {}
    raised: dict[str, None] = {}
    silent = False
    reference = draw.reference(grade)

    def enter(name: str, ratio: float, error: float) -> None:
        ratios[name] = max(ratios.get(name, 0.0), ratio)
        if ratio > 1.0:
            errors[name] = max(errors.get(name, 0.0), error)

    with side.context():
        try:
            asked = Asked(draw.make(side), side)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is a result
            return _side({}, {}, [], False, [f"{type(error).__name__}: {error}"[:200]])
        for question in draw.questions:
            answer = question.answer(reference)
            try:
                seen = question.ask(asked)
            except Exception as error:  # noqa: BLE001 - as above
                raised[f"{question.quantity}: {type(error).__name__}: {error}"[:200]] = None
                continue
            name = question.quantity
            if seen is None:  # the library cannot be asked
                continue
            if not isinstance(answer, Answer):
                enter(name, 0.0 if seen == answer else inf, inf)
                continue
            seen, shape = np.asarray(seen), answer.exact.shape
            if seen.dtype.name != draw.dtype:
                enter(f"dtype of {name}", inf, inf)
            if seen.shape == shape:
                *found, unpromised = beyond(seen, *answer)
                enter(name, *found)
                silent = silent or unpromised
            elif _broadcasts(seen.shape, shape):
                narrow[name] = None
                enter(name, *beyond(np.broadcast_to(seen, shape), *answer)[:2])
            else:
                enter(name, inf, inf)
    return _side(ratios, errors, list(narrow), silent, list(raised))


def _side(
    ratios: dict[str, float], errors: dict[str, float], narrow: list[str], silent: bool, raised: list[str]
) -> dict[str, Any]:
    agrees = not raised and all(ratio <= 1.0 for ratio in ratios.values())
    return {
        "agrees": agrees,
        "ratios": finite(ratios),
        "errors": finite(errors),
        "narrow": narrow,
        "silent": silent,
        "raised": raised,
    }
