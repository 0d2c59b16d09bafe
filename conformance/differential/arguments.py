"""The arguments of the layer, and which of them a draw sets to something else than their default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .draw import Draw

__all__ = ["ARGUMENTS", "given"]

ARGUMENTS = (
    "axis (integer)",
    "axis (list)",
    "momentum",
    "epsilon",
    "center",
    "scale",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
    "fused",
    "trainable",
    "virtual_batch_size",
    "adjustment",
    "weights / mask",
    "dtype",
    "convention",
    "training",
)
"""In the order of the table."""


def given(draw: Draw) -> list[str]:
    """Name the arguments that a draw sets.

    Parameters
    ----------
    draw : Draw
        The configuration.

    Returns
    -------
    list of str
        Of `ARGUMENTS`. The convention and the mode are always given: each draw names one, and is run in both modes.
    """
    options: Mapping[str, Any] = draw.options
    several = isinstance(options["axis"], list)
    there = {
        "axis (integer)": not several and draw.axis != (draw.convention.axis % options["rank"],),
        "axis (list)": several,
        "momentum": options["momentum"] != "default",
        "epsilon": options["epsilon"] != "default",
        "center": not draw.center,
        "scale": not draw.scale,
        "renorm": draw.renorm is not None,
        "renorm_clipping": options["renorm_clipping"] != "none",
        "renorm_momentum": options["renorm_momentum"] == "drawn",
        "fused": options["fused"] is not None,
        "trainable": not options["trainable"],
        "virtual_batch_size": draw.ghosts is not None,
        "adjustment": bool(options["adjustment"]),
        "weights / mask": bool(options["weights"]),
        "dtype": draw.dtype != "float32",
        "convention": True,
        "training": True,
    }
    return [name for name in ARGUMENTS if there[name]]
