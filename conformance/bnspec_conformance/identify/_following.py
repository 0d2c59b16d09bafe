"""An adapter with another convention than it states, or with one where it states none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance.adapter import Adapter, Config, Layer

__all__ = ["Following"]


class Following:
    """An adapter that is held to a convention which was identified.

    Parameters
    ----------
    adapter : Adapter
        Builds the layers; it need not have a convention.
    convention : Convention
        What it is held to, and what its layers are told.

    Examples
    --------
    ``Following(adapter, identify(adapter).convention)`` can be held to the laws.
    """

    def __init__(self, adapter: Adapter, convention: Convention) -> None:
        self.adapter, self.convention = adapter, convention
        if isinstance(adapter, type):
            self.layer = adapter

    def __call__(self, config: Config) -> Layer:
        """Build a layer."""
        return self.adapter(config)

    def __getattr__(self, name: str) -> Any:
        """Return what the adapter has: gaps, offers, and optional functions."""
        if name == "adapter":  # before there is one, as when a copy is made
            raise AttributeError(name)
        return getattr(self.adapter, name)
