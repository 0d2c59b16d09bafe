"""Updates and losses, and which of them depend on which inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ledger", "Update", "as_list"]

Item = TypeVar("Item")


class Update:
    """Something that is done once it is called.

    Parameters
    ----------
    action : callable
        What is done, without arguments.
    inputs : sequence of array
        What it depends on.
    name : str, optional
        What it is called.

    Raises
    ------
    TypeError
        If the action is not callable.

    Notes
    -----
    An update that depends on inputs belongs to one batch: it counts once, however often it is called, and then lets go
    of the batch. One without inputs is done at every call. An update whose action raises has not been done.
    """

    def __init__(self, action: Callable[[], Any], inputs: tuple[Any, ...] = (), name: str | None = None) -> None:
        if not callable(action):
            raise TypeError(message("an update must be callable without arguments", update=action))
        self.name = name
        self.inputs = inputs
        self._once = bool(inputs)
        self._action: Callable[[], Any] | None = action

    @property
    def pending(self) -> bool:
        """Whether a call would still do something."""
        return self._action is not None

    def __call__(self) -> None:
        """Do it."""
        if self._action is None:
            return
        self._action()
        if self._once:
            self._action, self.inputs = None, ()

    def __repr__(self) -> str:
        return f"Update(name={self.name!r}, pending={self.pending}, inputs={len(self.inputs)})"


class Ledger(Generic[Item]):
    """Things in their order, each with the inputs that it depends on."""

    def __init__(self) -> None:
        self._entries: list[tuple[Item, tuple[Any, ...]]] = []

    def add(self, item: Item, inputs: tuple[Any, ...]) -> None:
        """Add a thing."""
        self._entries.append((item, inputs))

    def keep(self, wanted: Callable[[Item], bool]) -> None:
        """Forget the things that are not wanted any more."""
        self._entries = [entry for entry in self._entries if wanted(entry[0])]

    def all(self) -> list[Item]:
        """List the things."""
        return [item for item, _ in self._entries]

    def of(self, inputs: Any) -> list[Item]:
        """List the things that depend on one of some arrays, these themselves; with None, those that depend on none."""
        if inputs is None:
            return [item for item, own in self._entries if not own]
        asked = as_list(inputs)
        return [item for item, own in self._entries if any(one is other for one in own for other in asked)]


def as_list(given: Any) -> list[Any]:
    """Take one thing, several, or None for nothing."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]
