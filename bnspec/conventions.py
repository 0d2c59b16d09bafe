"""Conventions: the ways in which correct batch normalizations differ, one frozen value per library.

A convention says *what* is computed. How precisely it is computed is a property of an implementation and
is never a field here: nothing in a convention may widen a numeric bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from bnspec.errors import message

__all__ = ["KERAS", "TORCH", "Convention"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """Record every field in which two correct batch normalizations may differ.

    Parameters
    ----------
    name : str
        The name under which the convention is reported.
    axis : int
        Default feature axis.
    momentum : float or None
        Default momentum of the running averages; ``None`` is the cumulative average.
    epsilon : float
        Default number added to the variance, always inside the square root.
    momentum_weighs : {"old", "new"}
        What momentum multiplies: with ``"old"``, ``new = momentum * old + (1 - momentum) * batch``;
        with ``"new"``, ``new = (1 - momentum) * old + momentum * batch``.
    running_variance : {"population", "bessel"}
        Estimator that enters the running variance: divided by N, or by N - 1. The variance that
        normalizes a training batch is always the population variance.
    one_element : {"update", "raise"}
        A training batch with one element per channel: normalize it (variance 0) and update, dividing by
        ``max(N - 1, 1)`` where the estimator is Bessel's; or refuse it with a ValueError.
    empty_batch : {"keep", "count"}
        A training batch without elements: leave the whole state as it is, or leave the averages as they
        are and still count the batch. Writing NaN into the state is a defect, not a convention.
    source : str
        The released source that the values were read from and measured on.
    """

    name: str
    axis: int
    momentum: float | None
    epsilon: float
    momentum_weighs: Literal["old", "new"]
    running_variance: Literal["population", "bessel"]
    one_element: Literal["update", "raise"]
    empty_batch: Literal["keep", "count"]
    source: str

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            allowed = get_args(hint) if get_origin(hint) is Literal else ()
            if allowed and getattr(self, name) not in allowed:
                raise ValueError(
                    message(f"{name} must be {' or '.join(map(repr, allowed))}", **{name: getattr(self, name)})
                )


KERAS = Convention(
    name="KERAS",
    axis=-1,
    momentum=0.99,
    epsilon=1e-3,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="keras 3.15.1, keras/src/layers/normalization/batch_normalization.py",
)
"""Keras 3, except that an empty batch leaves the state alone (Keras 3.15.1 writes NaN into it)."""

TORCH = Convention(
    name="TORCH",
    axis=1,
    momentum=0.1,
    epsilon=1e-5,
    momentum_weighs="new",
    running_variance="bessel",
    one_element="raise",
    empty_batch="count",
    source="torch 2.13.0, torch/nn/modules/batchnorm.py and torch/nn/functional.py",
)
"""``torch.nn.BatchNorm1d``, ``2d`` and ``3d``; ``momentum=None`` is torch's cumulative average."""
