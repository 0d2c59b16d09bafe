"""Likeness: which known defects behave as an implementation does, where it breaks laws."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.checks import Checks
from bnspec_conformance.identify import Following
from bnspec_conformance.mutants import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.cases import Case
    from bnspec_conformance.laws import Law
    from bnspec_conformance.oracle import Exact

__all__ = ["Likeness", "likenesses"]


class Likeness(NamedTuple):
    """A known defect that behaves the same.

    Attributes
    ----------
    name : str
        Of the mutant.
    defect : str
        What is wrong with it.
    references : tuple of str
        Where the same was found in public.
    same, tried : int
        On how many of how many broken laws it gives the same numbers.
    """

    name: str
    defect: str
    references: tuple[str, ...]
    same: int
    tried: int


class _Recorded(Checks):
    """Write down what is compared, with what makes two numbers the same, and go on where it is wrong.

    Numbers that are wrong may be larger than the right ones: their errors grow with them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, Any, Any]] = []

    def close(self, what: str, seen: Any, exact: Exact, bound: np.ndarray[Any, Any], dtype: str) -> None:
        size = np.max(np.abs(exact.to_float()), initial=0.0)
        relative = np.max(bound, initial=0.0) / size if size else 0.0
        self.seen.append((what, np.array(seen), 2.0 * (bound + relative * np.abs(np.asarray(seen, np.float64)))))

    def array(self, what: str, seen: Any, shape: tuple[int, ...], dtype: str) -> None:
        self.seen.append((what, (np.shape(seen) == shape, getattr(seen, "dtype", None) == dtype), None))

    def same(self, what: str, seen: Any, expected: Any) -> None:
        self.seen.append((what, np.asarray(seen).tobytes() == np.asarray(expected).tobytes(), None))

    def true(self, what: str, condition: bool) -> None:
        self.seen.append((what, bool(condition), None))


def _record(adapter: Any, law: Law, case: Case, grade: Grade) -> tuple[list[tuple[str, Any, Any]], str]:
    """Try a law, and return what was compared and what was raised."""
    recorded, raised = _Recorded(), ""
    with np.errstate(all="ignore"):
        try:
            law.check(adapter, case, grade, recorded)
        except BaseException as error:  # noqa: BLE001 - an adapter may also try to end the process
            raised = type(error).__name__
    return recorded.seen, raised


def _alike(one: tuple[list[tuple[str, Any, Any]], str], other: tuple[list[tuple[str, Any, Any]], str]) -> bool:
    """Tell whether the same was seen, within the bounds of both."""
    if one[1] != other[1] or len(one[0]) != len(other[0]):
        return False
    for (what, seen, bound), (named, found, _) in zip(one[0], other[0], strict=True):
        if what != named:
            return False
        if bound is None or not isinstance(found, np.ndarray):
            if not np.array_equal(seen, found):
                return False
            continue
        if seen.shape != found.shape or seen.dtype != found.dtype:
            return False
        a, b = seen.astype(np.float64), found.astype(np.float64)
        with np.errstate(invalid="ignore"):
            near = np.abs(a - b) <= bound
        if not (near | (a == b) | (np.isnan(a) & np.isnan(b))).all():
            return False
    return True


def likenesses(adapter: Any, broken: Sequence[tuple[Law, Case]], grade: Grade, most: int = 3) -> list[Likeness]:
    """Look for mutants that give the same numbers.

    Parameters
    ----------
    adapter : Adapter
        Who breaks laws.
    broken : sequence of (Law, Case)
        Laws that it breaks, each with a case.
    grade : Grade
        Whose bounds say what the same number is: both may be so far from it.
    most : int
        How many to return.

    Returns
    -------
    list of Likeness
        The most alike first; of none that is alike nowhere.
    """
    theirs = [_record(adapter, law, case, grade) for law, case in broken]
    same: Counter[int] = Counter()
    for number, mutant in enumerate(MUTANTS):
        other = Following(cast("Any", mutant.adapter), adapter.convention)
        gaps = gaps_of(other)
        for (law, case), seen in zip(broken, theirs, strict=True):
            if not (law.requires | case.requires) & gaps.keys():
                same[number] += _alike(seen, _record(other, law, case, grade))
    found = [(count, number) for number, count in same.items() if count]
    found.sort(key=lambda each: (-each[0], each[1]))
    found = [each for each in found if 2 * each[0] >= found[0][0]]
    return [
        Likeness(MUTANTS[number].name, MUTANTS[number].defect, MUTANTS[number].references, count, len(broken))
        for count, number in found[:most]
    ]
