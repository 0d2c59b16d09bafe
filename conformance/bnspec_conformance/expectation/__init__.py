"""What a case must give: the oracle's exact values beside the bounds of a grade, computed once per run."""

from ._bijection import inverted, log_det
from ._gradients import gradients, hessian_vector_product
from ._layout import Expected
from ._trajectory import Step, run, trajectory

__all__ = ["Expected", "Step", "forget", "gradients", "hessian_vector_product", "inverted", "log_det", "trajectory"]


def forget() -> None:
    """Drop what was computed, where no later case has it in common."""
    for cached in (run, trajectory, gradients, hessian_vector_product, log_det):
        cached.cache_clear()
