"""Convention: one frozen record of the ways in which correct batch normalizations differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints

from bnspec.errors import message

__all__ = ["Convention"]


@dataclass(frozen=True, kw_only=True)
class Convention:
    """Record every field in which two correct batch normalizations may differ.

    A convention says *what* is computed. How precisely it is computed is a property of an implementation and is
    never a field here: nothing in a convention may widen a numeric bound.

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
    running_variance : {"population", "bessel", "bessel_epsilon"}
        Estimator that enters the running variance: the second moment divided by N, by N - 1, or by
        N - (1 + epsilon).
    one_element : {"update", "raise"}
        A training batch with one element per channel: normalize it (variance 0) and update, with the population's
        variance where Bessel's is not defined; or refuse it with a ValueError.
    empty_batch : {"keep", "count"}
        A training batch without elements: leave the whole state as it is, or leave the averages as they
        are and still count the batch. Writing NaN into the state is a defect, not a convention.
    source : str
        The released source that the values were read from and measured on.
    normalizing_variance : {"population", "bessel"}
        Estimator that normalizes a training batch.
    statistics : {"batch", "running"}
        What normalizes a training batch: its own statistics, or the running averages after it has entered them.
    average : {"exponential", "debiased", "debiased_mean", "first"}
        With a momentum: the exponential average; the same divided by what its weights sum to, so that the initial
        state has no share (that of both statistics, or of the mean alone); or the exponential average that starts
        from the first batch.
    initial_variance : float
        Where the running variance starts. The running mean starts at 0.
    mask : {"none", "boolean", "frequency"}
        What the library takes as weights of elements. It changes no number: a mask is the frequencies 0 and 1, and
        where a library takes none, frequencies contradict nothing.
    ghost_grouping : {"contiguous", "strided"}
        Which elements of a batch of N form ghost batch number g of G: those from g N / G on, or those whose index is
        g modulo G.
    ghost_update : {"mean", "merged", "each"}
        How ghost batches enter the running averages: once, with the mean of their means and of their variances; once,
        with the statistics of the whole batch; or each by itself, in order.
    sync : {"none", "count", "equal"}
        How replicas are weighted in synchronized statistics: not at all, each element alike, or each replica alike.
    state_dtype : {"float32", "input"}
        The dtype of parameters and state: never below float32, or the input's.
    output_dtype : {"input", "parameters", "promoted"}
        The dtype of the output: the input's, that of parameters and state, or the wider of the two.
    freeze : {"none", "parameters", "averages", "evaluation"}
        What ``trainable = False`` does to a layer in training: there is no such switch; gamma and beta leave training
        and the rest goes on; the averages stand still too, and the batch still normalizes; or the layer behaves as in
        evaluation.
    """

    name: str
    axis: int
    momentum: float | None
    epsilon: float
    momentum_weighs: Literal["old", "new"]
    running_variance: Literal["population", "bessel", "bessel_epsilon"]
    one_element: Literal["update", "raise"]
    empty_batch: Literal["keep", "count"]
    source: str
    normalizing_variance: Literal["population", "bessel"] = "population"
    statistics: Literal["batch", "running"] = "batch"
    average: Literal["exponential", "debiased", "debiased_mean", "first"] = "exponential"
    initial_variance: float = 1.0
    mask: Literal["none", "boolean", "frequency"] = "none"
    ghost_grouping: Literal["contiguous", "strided"] = "contiguous"
    ghost_update: Literal["mean", "merged", "each"] = "merged"
    sync: Literal["none", "count", "equal"] = "none"
    state_dtype: Literal["float32", "input"] = "float32"
    output_dtype: Literal["input", "parameters", "promoted"] = "input"
    freeze: Literal["none", "parameters", "averages", "evaluation"] = "none"

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            allowed = get_args(hint) if get_origin(hint) is Literal else ()
            if allowed and getattr(self, name) not in allowed:
                raise ValueError(
                    message(f"{name} must be {' or '.join(map(repr, allowed))}", **{name: getattr(self, name)})
                )
