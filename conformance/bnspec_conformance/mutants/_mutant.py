"""Mutant: a wrong implementation with the public references of the bug that it repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._sound import Sound

__all__ = ["Mutant", "registry"]


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation.

    Attributes
    ----------
    adapter : type
        The adapter.
    references : tuple of str
        Where the same defect has been in public: ``owner/repository#number``, ``owner/repository@commit``, or a release
        in which it was seen; after a comma, in what the mutant differs. The owner is left out where it is not known.
    """

    adapter: type[Sound]
    references: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.adapter.__name__

    @property
    def defect(self) -> str:
        """What is wrong: the first line of the class's docstring."""
        return (self.adapter.__doc__ or "").partition("\n")[0]


def registry() -> tuple[list[Mutant], Callable[..., Callable[[type[Sound]], type[Sound]]]]:
    """Return a list, and a decorator that enters a class into it with its references."""
    found: list[Mutant] = []

    def repeats(*references: str) -> Callable[[type[Sound]], type[Sound]]:
        def enter(adapter: type[Sound]) -> type[Sound]:
            found.append(Mutant(adapter, references))
            return adapter

        return enter

    return found, repeats
