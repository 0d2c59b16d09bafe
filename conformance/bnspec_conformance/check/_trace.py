"""Trace: what a law asked of an adapter, call by call, so that it can be asked again without the law."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec_conformance.adapter import Config

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

__all__ = ["Call", "Traced", "address", "owner"]


class Watched(Config):
    """A configuration that knows whether its convention was asked for."""

    asked = False

    def __getattribute__(self, name: str) -> Any:
        if name == "convention":
            object.__setattr__(self, "asked", True)
        return super().__getattribute__(name)


class Call(NamedTuple):
    """One call.

    Attributes
    ----------
    layer : int
        Which layer was called, or was built; -1 for the adapter's own functions.
    method : str
        ``""`` where the adapter built a layer, ``"__call__"`` where the layer was called.
    arguments : tuple
        Copies of what was given, as it was before the call: views stay views, and what shares memory does so.
    options : dict
        Keyword arguments, likewise.
    result : object
        What came back, by identity.
    """

    layer: int
    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: Any


class Traced:
    """An adapter whose calls are written down.

    Parameters
    ----------
    adapter : Adapter
        Who answers.
    """

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter
        self.calls: list[Call] = []
        self.layers = 0

    def __call__(self, config: Config) -> Any:
        """Build a layer, and write that down."""
        number = self.layers
        self.layers += 1
        watched = Watched(**{field.name: getattr(config, field.name) for field in fields(config)})
        layer = self._adapter(watched)
        self.calls.append(Call(number, "", (watched,), {}, layer))
        return _TracedLayer(self, number, layer)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._adapter, name)
        if name in ("moments", "weighted_moments", "batch_normalization"):
            return self.written(-1, name, value)
        return value

    def written(self, layer: int, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, whose calls are written down."""

        def call(*arguments: Any, **options: Any) -> Any:
            copies = _Copies()
            kept = tuple(copies.of(value) for value in arguments)
            named = {key: copies.of(value) for key, value in options.items()}
            result = None
            try:
                result = function(*arguments, **options)
            finally:
                self.calls.append(Call(layer, name, kept, named, result))
            return result

        return call


class _TracedLayer:
    """A layer whose calls are written down."""

    def __init__(self, trace: Traced, number: int, layer: Any) -> None:
        self._trace, self._number, self._layer = trace, number, layer

    def __call__(self, *arguments: Any) -> Any:
        return self._trace.written(self._number, "__call__", self._layer)(*arguments)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._layer, name)
        if name == "compile":
            return self._compiled
        return self._trace.written(self._number, name, value) if callable(value) else value

    def _compiled(self) -> Any:
        """Compile, which makes another layer."""
        number = self._trace.layers
        self._trace.layers += 1
        layer = self._trace.written(self._number, "compile", self._layer.compile)()
        return _TracedLayer(self._trace, number, layer)


class _Copies:
    """Copies of the arguments of one call, in the same memory layout, read-only or the same object where those are."""

    def __init__(self) -> None:
        self._originals: list[Any] = []  # kept, so that no other object gets the id of one of them
        self._made: dict[int, Any] = {}

    def of(self, value: Any) -> Any:
        """Return the copy of an array, and anything else as it is."""
        if not isinstance(value, np.ndarray):
            return value
        if id(value) not in self._made:
            self._originals.append(value)
            self._made[id(value)] = self._copy(value)
        return self._made[id(value)]

    def _copy(self, value: Array) -> Array:
        memory = owner(value)
        if memory is value or not value.size:
            made = value.copy(order="K")
        else:
            whole = self.of(memory)
            # Memory with holes in it, or that is read-only to all but this view, has no such copy.
            if whole.strides != memory.strides or value.flags.writeable > whole.flags.writeable:
                return value.copy(order="K")
            # As bytes, because dtypes that NumPy does not know have no buffer.
            made = np.ndarray(
                value.shape,
                value.dtype,
                whole.ravel("K").view(np.uint8),
                address(value) - address(memory),
                value.strides,
            )
        made.flags.writeable = value.flags.writeable
        return made


def owner(value: Array) -> Array:
    """Return the array whose memory a view shows; the array itself where it is none."""
    while isinstance(value.base, np.ndarray):
        value = value.base
    return value


def address(value: Array) -> int:
    """Return where the first element is in memory."""
    return int(value.__array_interface__["data"][0])
