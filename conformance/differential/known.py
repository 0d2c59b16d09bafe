"""The known failures of released libraries, and how a failure is recognized as one of them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .judge import Verdict

__all__ = ["Known", "explanation", "known", "not_as_listed"]

_PATH = Path(__file__).with_name("known.toml")


@dataclass(frozen=True, kw_only=True)
class Known:
    """One known failure.

    Attributes
    ----------
    name : str
        Identifies it.
    originals : tuple of str
        Who has it.
    version : str
        The release that it was found in.
    when : mapping
        Options to the value, or the list of values, with which it may appear.
    quantities : tuple of str
        What may then be out of its bound; empty if an exception is raised.
    raises : str
        A regular expression that the exception matches; empty if quantities are off.
    what : str
        What happens.
    reference : str
        Where it was reported, or where the source says so.
    probe : mapping
        Options with which it must appear, beside `when`.
    draw : int, optional
        Which draw with these options the probe is, where not every one is of a shape that shows it.
    """

    name: str
    originals: tuple[str, ...]
    version: str
    when: Mapping[str, Any]
    what: str
    reference: str
    quantities: tuple[str, ...] = ()
    raises: str = ""
    probe: Mapping[str, Any]
    draw: int | None = None

    def applies(self, options: Mapping[str, Any]) -> bool:
        """Tell whether it may appear with these options."""
        return all(
            options[name] in (wanted if isinstance(wanted, list) else [wanted]) for name, wanted in self.when.items()
        )

    def explains(self, options: Mapping[str, Any], verdict: Verdict) -> bool:
        """Tell whether a failure with these options is this one."""
        return bool(explanation([self], options, verdict))

    @property
    def forced(self) -> dict[str, Any]:
        """The options of the draw in which it must appear."""
        first = {name: wanted[0] if isinstance(wanted, list) else wanted for name, wanted in self.when.items()}
        return {**first, **self.probe}


def known(original: str, path: Path = _PATH) -> list[Known]:
    """List the known failures of an original.

    Parameters
    ----------
    original : str
        Its name.
    path : Path
        Of the list.

    Returns
    -------
    list of Known
    """
    found = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["known"]:
        listed = {name: tuple(entry.pop(name, ())) for name in ("originals", "quantities")}
        made = Known(**{"probe": {}, **entry, **listed})
        if original in made.originals:
            found.append(made)
    return found


def explanation(failures: list[Known], options: Mapping[str, Any], verdict: Verdict) -> str:
    """Name the known failures that explain a verdict, joined by "and".

    Parameters
    ----------
    failures : list of Known
        Those of the original.
    options : mapping
        Those of the draw.
    verdict : Verdict
        A failure.

    Returns
    -------
    str
        Empty if what is off, or what was raised, is not all explained. One name, if one explains everything.
    """
    there = [failure for failure in failures if failure.applies(options)]
    off = {name for name, ratio in verdict.ratios.items() if not ratio <= 1.0}
    if verdict.raised:
        raising = next((each.name for each in there if each.raises and re.search(each.raises, verdict.raised)), "")
        others = explanation(failures, options, verdict._replace(raised="")) if raising and off else ""
        return "" if off and not others else " and ".join(name for name in (raising, others) if name)
    for each in there:
        if off <= set(each.quantities):
            return each.name
    there = [each for each in there if off & set(each.quantities)]
    return " and ".join(each.name for each in there) if off <= {q for each in there for q in each.quantities} else ""


def not_as_listed(name: str, probes: Iterable[Mapping[str, Any]], version: str) -> list[str]:
    """List the known failures that are no longer what the list says.

    Parameters
    ----------
    name : str
        Of the original.
    probes : iterable of mapping
        What was seen of each: ``name``, ``appears``, and the ``version`` that it was found in.
    version : str
        Of the original, as it is now.

    Returns
    -------
    list of str
    """
    lines = []
    for probe in probes:
        if not probe["appears"]:
            lines.append(f"{name}: the known failure {probe['name']} does not appear")
        if probe["version"] != version:
            lines.append(f"{name}: {probe['name']} was found in {probe['version']}, not in {version}")
    return lines
