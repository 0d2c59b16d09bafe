"""Conventions: the ways in which correct batch normalizations differ, one frozen value per library."""

from bnspec.conventions._convention import Convention
from bnspec.conventions._named import KERAS, TORCH

__all__ = ["KERAS", "TORCH", "Convention"]
