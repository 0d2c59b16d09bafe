"""Identify the convention of an implementation from the outside, and how precisely it computes."""

from ._cases import compared_cases, missing
from ._following import Following
from ._identify import identify
from ._result import Difference, Finding, Identification, Nearness, Observation

__all__ = [
    "Difference",
    "Finding",
    "Following",
    "Identification",
    "Nearness",
    "Observation",
    "compared_cases",
    "identify",
    "missing",
]
