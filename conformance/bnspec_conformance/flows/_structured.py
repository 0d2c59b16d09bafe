"""Maps of structures: numbers and vectors side by side, alone and one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._catalogue import made
from ._parts import Chained, Elementwise, Inverted, Joint, Permuted, Reshaped

if TYPE_CHECKING:
    from ._catalogue import Maker
    from ._entry import Draw, Entry

__all__ = ["STRUCTURED"]


def alone(draw: Draw) -> Joint:
    """Map numbers beside numbers."""
    return Joint((Elementwise("Exp"), Elementwise("Scale", {"scale": draw.factors((3,))})))


def joined(draw: Draw) -> Chained:
    """Map numbers and vectors side by side, in two steps and the inverse of one; the numbers end above -0.9."""
    return Chained(
        (
            Joint((Elementwise("Shift", {"shift": draw.uniform(-0.9, -0.6, ())}), Reshaped((2, 2), (4,)))),
            Inverted(Joint((Elementwise("Log"), Elementwise("Scale", {"scale": draw.factors((4,))})))),
            Joint((Elementwise("Scale", {"scale": draw.factors(())}), Permuted((2, 0, 3, 1)))),
        )
    )


ROWS: dict[str, Maker] = {
    "joint map": lambda d: {
        "part": alone(d),
        "x": (d.normal((2, 3)), d.normal((2, 3), -0.7)),
        "event_ndims": (0,),
    },
    "chain of joint maps": lambda d: {
        "part": joined(d),
        "x": (d.normal((2, 3)), d.normal((2, 3, 4), -0.7)),
        "event_ndims": (0,),
    },
    "inverse of a chain of joint maps": lambda d: {
        "part": Inverted(joined(d)),
        "x": (d.uniform(2.5, 9.0, (2, 3)), d.normal((2, 3, 2, 2))),
        "event_ndims": (0,),
    },
}
"""From id to what makes the fields of an entry; the ranks of events are beyond those of each array."""

STRUCTURED: dict[str, Entry] = made(ROWS, {"float64": ("chain of joint maps",)})
"""From id to entry."""
