"""Explanation: what a broken law is about, on the smallest input that shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.bounds import GRADES
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.identify import Following
from bnspec_conformance.mutants import Complete

from ._attempt import adapter_of, case_of, quiet, raised
from ._likeness import likenesses
from ._smaller import smallest
from ._snippet import snippet
from ._trace import Traced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec_conformance.cases import Case
    from bnspec_conformance.laws import Law

    from ._attempt import Request
    from ._likeness import Likeness

__all__ = ["Explanation", "explain", "resemble"]

_RATIOS = (0.0, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)
"""Means, in deviations, at which a failure is looked for."""

_TRIES = 5
"""How often a failure is tried again: what fails now and then is not explained by its numbers."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a broken law is about.

    Attributes
    ----------
    law, sentence, effect : str
        Its name, what it demands, and what follows in practice where it is broken.
    case : str
        On which case it was broken first.
    message : str
        What must be so, and what came, on the smallest input.
    smaller : str
        The input in words.
    multiple : float or None
        The error as a multiple of the bound.
    begins : str
        From which mean on, in deviations, the law is broken, where that decides.
    snippet : str
        A program that shows it again.
    tried, failed : int
        How often it was tried again on that input, and how often it was broken in the same way.
    """

    law: str
    sentence: str
    effect: str
    case: str
    message: str = ""
    smaller: str = ""
    multiple: float | None = None
    begins: str = ""
    snippet: str = ""
    tried: int
    failed: int

    @property
    def reproduced(self) -> bool:
        """Whether it was broken every time."""
        return self.failed == self.tried


def _broken(adapter: Any, law: Law, case: Case, grade: str) -> BaseException | None:
    """Try a law without a word about gaps, and return what it raised."""
    try:
        law.check(adapter, case, GRADES[grade], Checks())
    except BaseException as error:  # noqa: BLE001 - an adapter may also try to end the process
        return error
    return None


def explain(request: Request, law: str, case: str | Case) -> Explanation:
    """Find the smallest input on which a law is broken, and say what that means.

    Parameters
    ----------
    request : Request
        Who broke it.
    law : str
        ``group.name``.
    case : str or Case
        On what.

    Returns
    -------
    Explanation
    """
    found, given = case_of(law, case)
    with quiet():
        adapter = adapter_of(request.path, request.convention)
        sound = Following(cast("Any", Complete), adapter.convention)
        able = not (found.requires | given.requires) & gaps_of(sound).keys()
        gaps = gaps_of(adapter)

        kind = type(_broken(adapter, found, given, request.grade))

        def broken(other: Case) -> bool:
            if other.requires & gaps.keys():
                return False
            # What breaks the law for a sound implementation too is no case of that law.
            sound_too = _broken(sound, found, other, request.grade) is not None
            return not sound_too and type(_broken(adapter, found, other, request.grade)) is kind

        small = smallest(given, broken, request.seed) if able and kind is not type(None) and broken(given) else given
        traced = Traced(adapter)
        error = _broken(traced, found, small, request.grade)
        others = [_broken(adapter, found, small, request.grade) for _ in range(_TRIES - 1)]
        failed = sum(each is not None and type(each) is type(error or each) for each in (error, *others))
        about = Explanation(
            law=law, sentence=found.sentence, effect=found.effect, case=given.id, tried=_TRIES, failed=failed
        )
        if error is None or not about.reproduced:
            return about
        begins = _begins(adapter, sound, found, small, request.grade) if able else ""
    miss = error.miss if isinstance(error, LawBroken) else None
    message = str(error) if isinstance(error, LawBroken) else raised(found, error)
    return replace(
        about,
        message=message,
        smaller=_words(small),
        multiple=None if miss is None else miss.multiple,
        begins=begins,
        snippet=snippet(request.path, traced.calls, miss, message),
    )


def _begins(adapter: Any, sound: Any, law: Law, case: Case, grade: str) -> str:
    """Say from which mean on, in deviations, a law is broken, where it is not always, and is so every time."""

    def at(ratio: float) -> bool | None:
        other = replace(case, draw=None, mean=ratio * case.deviation)
        if _broken(sound, law, other, grade) is not None:
            return None
        return _broken(adapter, law, other, grade) is not None

    seen = {_RATIOS[0]: at(_RATIOS[0])}
    if seen[_RATIOS[0]]:
        return ""
    seen |= {ratio: at(ratio) for ratio in _RATIOS[1:]}
    wrong = [ratio for ratio, bad in seen.items() if bad]
    if not wrong:
        return ""
    below = max(ratio for ratio in seen if ratio < wrong[0])
    if any(at(ratio) is not seen[ratio] for ratio in (below, wrong[0]) for _ in range(_TRIES)):
        return ""
    return f"it begins where the mean is {wrong[0]:g} standard deviations from 0; at {below:g} it is not seen"


def _words(case: Case) -> str:
    batches = ", ".join(str(batch.shape) for batch in case.training)
    take = "cumulative averages" if case.take is None else f"a share of {case.take:g} for each new batch"
    parts = (
        f"{case.dtype}, training batches of shape {batches}, feature axis {case.axis}, epsilon {case.epsilon:g}, {take}"
    )
    more = [
        text
        for text, there in (
            (f"ghost batches of {case.ghosts}", case.ghosts is not None),
            ("renormalization", case.renorm is not None),
            ("frequency weights", bool(case.weighted)),
            ("an adjustment", bool(case.adjusted)),
        )
        if there
    ]
    return ", ".join([parts, *more])


def resemble(request: Request, broken: Sequence[tuple[str, str | Case]]) -> list[Likeness]:
    """Look for known defects that behave the same.

    Parameters
    ----------
    request : Request
        Who broke laws.
    broken : sequence of (law, case)
        Which, and on what.

    Returns
    -------
    list of Likeness
    """
    given = [case_of(law, case) for law, case in broken]
    with quiet():
        return likenesses(adapter_of(request.path, request.convention), given, GRADES[request.grade])
