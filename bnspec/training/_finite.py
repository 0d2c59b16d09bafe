"""Where the first value of a flow appears that is not finite."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from bnspec.errors import message
from bnspec.flows._blocks import all_finite, parts_of, told
from bnspec.variables import scope

if TYPE_CHECKING:
    from bnspec.distributions import TransformedDistribution

__all__ = ["NonFiniteError", "first_non_finite"]


class NonFiniteError(ArithmeticError):
    """The loss of a step of training is not finite, or a variable or the state of the optimizer after steps is not.

    Attributes
    ----------
    step : int
        How many steps there were before: the number of the step whose loss it is, counted from 0.
    part : str
        Where the first value appears that is not finite.
    """

    def __init__(self, step: int, loss: float, part: str, kept: str) -> None:
        required = (
            "the variables and the state of the optimizer must be finite after a step"
            if isfinite(loss)
            else "the loss must be finite"
        )
        super().__init__(
            message(
                required,
                kept or "Nothing was kept; give a checkpoint, and try a smaller learning rate.",
                step=step,
                loss=loss,
                part=part,
            )
        )
        self.step = step
        self.part = part


def first_non_finite(flow: TransformedDistribution, x: Any, *, training: bool = True) -> str:
    """Tell where the first value appears that is not finite, from the data to the base.

    Parameters
    ----------
    flow : TransformedDistribution
        What is looked at. No variable changes.
    x : array, shape (N, *event), real floating
        A batch.
    training : bool
        Whether batch normalizations normalize by the batch.

    Returns
    -------
    str
        What it is: the data, a variable, the output or the log-det of a part, or the base; empty where all is finite.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    parts = parts_of(flow)
    if not all_finite([x]):
        return "the data"
    with scope():
        for number, part in enumerate(parts):
            called = f"part {number}, {part.name}"
            for variable in part.variables:
                if not all_finite([variable.value]):
                    return f"{called}: its variable {variable.name}"
            x, log_det = part.inverse_and_log_det(x, **told(part, training=training))
            for what, value in (("output", x), ("log-det", log_det)):
                if not all_finite([value]):
                    return f"{called}: its {what}"
        base: Any = flow
        while hasattr(base, "distribution"):
            base = base.distribution
        return "" if all_finite([base.log_prob(x)]) else f"the base, {base.name}: its density"
