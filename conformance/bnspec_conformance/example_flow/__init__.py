"""Flows trained on real data on every framework: the same losses, and what they say about held-out data."""

from __future__ import annotations

from ._data import DATA, Data
from ._gaussian import gaussian
from ._models import MODELS, Model
from ._reference import Reference, reference
from ._runs import Trained, trained

__all__ = ["DATA", "MODELS", "Data", "Model", "Reference", "Trained", "gaussian", "reference", "trained"]
