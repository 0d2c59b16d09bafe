"""Autoregressive flows of the catalogue."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ._parts import Autoregressive, Inverted

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._entry import Draw

    Maker = Callable[[Draw], dict[str, Any]]

__all__ = ["AUTOREGRESSIVE", "autoregressive"]


def autoregressive(size: int, *hidden: int, conditional: int = 0, first: bool = False, **more: Any) -> Any:
    """Return an autoregressive flow that draws its network.

    Parameters
    ----------
    size : int
        D.
    *hidden : int
        Units of the hidden layers.
    conditional : int
        The size of the condition; 0 for none.
    first : bool
        Whether the first layer alone takes it.
    **more
        Other arguments.

    Returns
    -------
    callable
        Makes the part of what draws.
    """

    def make(draw: Draw) -> Autoregressive:
        outputs = size * (2 if more.get("outputs", "both") == "both" else 1)
        layers = []
        for number, (before, after) in enumerate(pairwise((size, *hidden, outputs))):
            takes = conditional and (number == 0 or not first)
            kernel, bias = draw.normal((before, after), 0.1, 0.6), draw.normal((after,), 0.2, 0.4)
            layers.append((kernel, bias, draw.normal((conditional, after), 0.1, 0.5) if takes else None))
        return Autoregressive(size, tuple(layers), **more)

    return make


def of(part: Any, size: int = 5, context: int = 0, **more: Any) -> Maker:
    """Return an entry of three vectors; its condition has as many."""

    def make(draw: Draw) -> dict[str, Any]:
        found = {"part": part(draw), "x": draw.normal((3, size)), "event_ndims": (1, 2), **more}
        return {**found, "context": draw.normal((3, context), -0.9)} if context else found

    return make


AUTOREGRESSIVE: dict[str, Maker] = {
    "masked autoregressive flow": of(autoregressive(5, 6, 4)),
    "autoregressive flow, right to left": of(autoregressive(5, 6, order="right-to-left"), event_ndims=(1,)),
    "autoregressive flow, another order": of(autoregressive(5, 6, 5, order=(3, 1, 5, 2, 4), activation="relu")),
    "autoregressive flow, no hidden layer": of(autoregressive(4), size=4, event_ndims=(1,)),
    "autoregressive flow, narrow": of(autoregressive(7, 3, 6), size=7, event_ndims=(1,)),
    "autoregressive flow of one unit": of(autoregressive(1, 3), size=1, event_ndims=(1,)),
    "autoregressive flow of shifts": of(autoregressive(5, 6, outputs="shift"), event_ndims=(1,)),
    "autoregressive flow of scales": of(autoregressive(5, 6, outputs="log_scale"), event_ndims=(1,)),
    "autoregressive flow through a bijector": of(autoregressive(5, 6, through_bijector=True)),
    "conditional autoregressive flow": of(autoregressive(4, 6, 5, conditional=2), size=4, context=2, event_ndims=(1,)),
    "conditional autoregressive flow, first layer": of(
        autoregressive(4, 6, conditional=2, first=True), size=4, context=2, event_ndims=(1,)
    ),
    "inverse autoregressive flow": of(lambda draw: Inverted(autoregressive(5, 6)(draw))),
}
"""From id to what makes the fields of an entry."""
