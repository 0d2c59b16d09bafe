"""Part: a bijector or a distribution as plain data, from which both sides and the exact answer are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DISTRIBUTIONS", "Part", "kinds"]

DISTRIBUTIONS = ("Normal", "MultivariateNormalDiag", "Independent", "Sample", "TransformedDistribution")
"""The kinds that are no bijectors."""


@dataclass(frozen=True, eq=False)
class Part:
    """What is made.

    Attributes
    ----------
    kind : str
        The name of its class, which TFP and bnspec share.
    arguments : mapping
        Those of the constructor by name. Parameters are NumPy arrays.
    parts : tuple of Part
        What it is made of, in the order of the constructor's arguments.
    """

    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()


def kinds(part: Part) -> set[str]:
    """Return the kinds of a part and of all that it is made of."""
    return {part.kind}.union(*(kinds(each) for each in part.parts))
