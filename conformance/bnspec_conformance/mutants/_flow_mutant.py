"""FlowMutant: a wrong bijector or density with the public references of the bug that it repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._sound_flow import SoundFlow

__all__ = ["FlowMutant", "flow_registry"]


@dataclass(frozen=True)
class FlowMutant:
    """A wrong implementation of bijectors and densities; the attributes are those of :class:`Mutant`."""

    adapter: type[SoundFlow]
    references: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.adapter.__name__

    @property
    def defect(self) -> str:
        """What is wrong: the first line of the class's docstring."""
        return (self.adapter.__doc__ or "").partition("\n")[0]


def flow_registry() -> tuple[list[FlowMutant], Callable[..., Callable[[type[SoundFlow]], type[SoundFlow]]]]:
    """Return a list, and a decorator that enters a class into it with its references."""
    found: list[FlowMutant] = []

    def repeats(*references: str) -> Callable[[type[SoundFlow]], type[SoundFlow]]:
        def enter(adapter: type[SoundFlow]) -> type[SoundFlow]:
            found.append(FlowMutant(adapter, references))
            return adapter

        return enter

    return found, repeats
