"""Training: steps as pure functions, an optimizer, runs that go on where they were killed."""

from bnspec.training._adam import Adam, AdamState
from bnspec.training._checkpoints import Run, load_checkpoint, save_checkpoint
from bnspec.training._finite import NonFiniteError, first_non_finite
from bnspec.training._fit import batch_rows, fit
from bnspec.training._step import Optimizer, Step, negative_log_likelihood, training_step

__all__ = [
    "Adam",
    "AdamState",
    "NonFiniteError",
    "Optimizer",
    "Run",
    "Step",
    "batch_rows",
    "first_non_finite",
    "fit",
    "load_checkpoint",
    "negative_log_likelihood",
    "save_checkpoint",
    "training_step",
]
