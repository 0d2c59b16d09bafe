"""What was identified: observations of the convention's fields, named conventions by nearness, and findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnspec.conventions import Convention

__all__ = ["Difference", "Finding", "Identification", "Nearness", "Observation"]


@dataclass(frozen=True)
class Observation:
    """One field of the convention, as it was seen from the outside.

    Attributes
    ----------
    name : str
        The field.
    fits : tuple
        The values that what was seen agrees with: one where the field is known, several where they could not be told
        apart, none where nothing was seen or no value agrees.
    evidence : str
        What was seen, with its numbers.
    reason : str
        Why the field is not observable, or what it lacks to be known; empty where it is known.
    """

    name: str
    fits: tuple[Any, ...] = ()
    evidence: str = ""
    reason: str = ""

    @property
    def known(self) -> bool:
        """Whether one value was seen; it may be None, which is a momentum."""
        return len(self.fits) == 1

    @property
    def value(self) -> Any:
        """The value that was seen, or None."""
        return self.fits[0] if self.known else None

    def allows(self, value: Any) -> bool:
        """Tell whether nothing that was seen contradicts a value."""
        # A mask is the frequencies 0 and 1, and frequencies contradict a library that takes none in no number.
        return not self.fits or value in self.fits or (self.name == "mask" and "frequency" in self.fits)


@dataclass(frozen=True)
class Difference:
    """A field in which a named convention is not what was seen."""

    field: str
    seen: tuple[Any, ...]
    named: Any


@dataclass(frozen=True)
class Nearness:
    """A named convention, and the observed fields in which it differs."""

    convention: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Finding:
    """Something beside the convention: it says how precisely an implementation computes, and widens no bound.

    Attributes
    ----------
    topic : str
        What was looked at.
    where : str
        The dtype, and the layout and length where they matter.
    value : str
        What was found; ``"not measured"`` where nothing was.
    evidence : str
        The numbers, or the reason.
    """

    topic: str
    where: str
    value: str
    evidence: str


@dataclass(frozen=True)
class Identification:
    """Everything that was seen of an implementation.

    Attributes
    ----------
    fields : tuple of Observation
        One for each field of the convention in which implementations differ, in the convention's order.
    convention : Convention or None
        What was seen, with the fields that were not observable from the nearest named convention. Its name is that of
        the nearest, with ``"-seen"`` behind it where they differ. None where no field has a value.
    nearest : tuple of Nearness
        Every named convention, the nearest first; those that differ alike in the order of ``conventions.ALL``. Empty
        where no field has a value: all are then as near.
    findings : tuple of Finding
        What was seen beside the convention.
    """

    fields: tuple[Observation, ...]
    convention: Convention | None
    nearest: tuple[Nearness, ...]
    findings: tuple[Finding, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The named conventions that differ in the fewest of the observed fields; none where no field has a value."""
        least = min((len(each.differences) for each in self.nearest), default=0)
        return tuple(each.convention for each in self.nearest if len(each.differences) == least)

    @property
    def unexplained(self) -> tuple[Observation, ...]:
        """The fields of which something was seen that agrees with no value, as after a defect."""
        return tuple(each for each in self.fields if each.evidence and not each.fits)

    def field(self, name: str) -> Observation:
        """Return the observation of a field."""
        return next(each for each in self.fields if each.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return everything as dicts, lists, strings and numbers."""
        plain = asdict(self)
        for each, observed in zip(plain["fields"], self.fields, strict=True):
            each["fits"], each["known"], each["value"] = list(observed.fits), observed.known, observed.value
        for each in plain["nearest"]:
            each["differences"] = [{**one, "seen": list(one["seen"])} for one in each["differences"]]
        return {**plain, **{name: list(plain[name]) for name in ("fields", "nearest", "findings")}}
