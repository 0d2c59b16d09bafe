"""Draw: one random configuration with its questions, reproducible from a seed, a family and a number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import numpy as np

from bnspec_conformance.bounds import DEFINITION

from .reference import Reference
from .rules_table import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.oracle import Exact

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["Answer", "Asked", "Draw", "Family", "Question", "draw"]

# What the oracle says of points that a rounded image may be: beyond every number, or out of the domain.
_OUTSIDE = re.compile(r"inside of the domain|must be finite|must not be negative|between 0 and 1")
_ATTEMPTS = 40


class Answer(NamedTuple):
    """The exact result of a question, and its bound."""

    exact: Exact
    bound: Array


class Asked(NamedTuple):
    """What a question is put to: an object that a side has made, and the side."""

    made: Any
    side: Any


class Question(NamedTuple):
    """One call.

    Attributes
    ----------
    quantity : str
        What the tables call its result; several questions may have one name.
    ask : callable
        Calls the object of a side, and returns a NumPy array or, if the answer is none, plain data. None where the
        library has nothing to call.
    answer : callable
        Takes the reference to the exact result, or to plain data that must be equal.
    """

    quantity: str
    ask: Callable[[Asked], Any]
    answer: Callable[[Reference], Any]


@dataclass(frozen=True, eq=False)
class Draw:
    """A configuration.

    Attributes
    ----------
    family : str
        Which one it is of.
    number : int
        Which one it is.
    options : mapping
        The names and values that were drawn, plain data.
    dtype : str
        Of all arrays.
    make : callable
        Makes what is asked, of a side.
    questions : tuple of Question
        In order; calls may change the object.
    case : Draw of a layer, optional
        What a layer is made of.
    """

    family: str
    number: int
    options: Mapping[str, Any]
    dtype: str
    make: Callable[[Any], Any]
    questions: tuple[Question, ...]
    case: Any = None
    memory: dict[Any, Any] = field(default_factory=dict)

    def reference(self, grade: Grade) -> Reference:
        """Return the answers in a grade."""
        return Reference(self.dtype, grade, RULES, self.memory)


class Family(NamedTuple):
    """What draws are made of.

    Attributes
    ----------
    choices : mapping
        Option to values; one that is repeated is drawn as often.
    mend : callable
        Changes, in place, options that exclude each other.
    drawn : callable
        Takes the options and a random generator to what makes the object of a side, the questions, and the case of a
        layer or None.
    substrates : tuple of str
        Where TFP has it.
    """

    choices: Mapping[str, tuple[Any, ...]]
    mend: Callable[[Options], None]
    drawn: Callable[[Options, np.random.Generator], tuple[Any, Any, Any]]
    substrates: tuple[str, ...] = ("tensorflow", "numpy")


def draw(name: str, family: Family, seed: int, number: int, forced: Mapping[str, Any] | None = None) -> Draw:
    """Draw a configuration.

    Parameters
    ----------
    name : str
        Of the family.
    family : Family
        What it is drawn from.
    seed, number : int
        Which draw it is.
    forced : mapping, optional
        Options that are not drawn.

    Returns
    -------
    Draw
        Of which every answer is finite: where a rounded image lies outside of the domain, the numbers are drawn again.
    """
    for attempt in range(_ATTEMPTS):
        random = np.random.default_rng([seed, crc32(name.encode()), number, attempt])
        options = {key: values[random.integers(len(values))] for key, values in family.choices.items()}
        options.update(forced or {})
        family.mend(options)
        options.update(forced or {})
        try:
            make, questions, case = family.drawn(options, random)  # which may add what it made to the options
            found = Draw(name, number, options, options["dtype"], make, tuple(questions), case)
            for question in found.questions:
                question.answer(found.reference(DEFINITION))
        except ValueError as error:
            if not _OUTSIDE.search(str(error)):
                raise
        else:
            return found
    raise ArithmeticError(f"{name} {seed} {number}: no numbers are inside of the domain")
