"""Flows of images: masks by permutations, squares of pixels as channels, and batch normalization between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.bijectors import channel_permutation, checkerboard_permutation

from ._catalogue import conditioner, made, normalization
from ._parts import Chained, Coupled, Inverted, Permuted, Reshaped, Squeezed

if TYPE_CHECKING:
    from ._catalogue import Maker
    from ._entry import Draw, Entry

__all__ = ["IMAGES"]


def masked(draw: Draw, shape: tuple[int, ...], order: tuple[int, ...], stays: int) -> tuple[Any, ...]:
    """Return a coupling of images of which the first units in an order stay, as parts of a chain."""
    size = len(order)
    flat, turn = Reshaped((size,), shape), Permuted(order)
    network = conditioner(draw, stays, 3, 2 * (size - stays))
    return Inverted(flat), Inverted(turn), Coupled(size, network, num_masked=stays), turn, flat


def flow(draw: Draw, rows: int, *, training: bool = False) -> Chained:
    """Return a scale of a multi-scale flow: images of (4, 2, 1) by checkerboards, and of (2, 1, 4) by channels."""

    def batch(*shape: int) -> Any:
        return normalization(draw, (-1,), (rows, *shape), training=training)

    return Chained(
        (
            *masked(draw, (4, 2, 1), checkerboard_permutation(4, 2, 1), 4),
            batch(4, 2, 1),
            *masked(draw, (4, 2, 1), checkerboard_permutation(4, 2, 1, odd=True), 4),
            Inverted(Squeezed(4, 2, 1)),
            *masked(draw, (2, 1, 4), channel_permutation(2, 1, 4, 2), 4),
            batch(2, 1, 4),
        )
    )


ROWS: dict[str, Maker] = {
    "squeeze": lambda d: {"part": Squeezed(4, 6, 2), "x": d.normal((2, 4, 6, 2)), "event_ndims": (3, 4)},
    "squeeze by three": lambda d: {"part": Squeezed(3, 6, 1, 3), "x": d.normal((2, 3, 6, 1)), "event_ndims": (3,)},
    "image flow": lambda d: {"part": flow(d, 3), "x": d.normal((3, 2, 1, 4)), "event_ndims": (3, 4)},
    "image flow in training": lambda d: {
        "part": flow(d, 4, training=True),
        "x": d.normal((4, 2, 1, 4)),
        "event_ndims": (3,),
    },
}
"""From id to what makes the fields of an entry."""

IMAGES: dict[str, Entry] = made(ROWS, {"float64": ("image flow",)})
"""From id to entry."""
