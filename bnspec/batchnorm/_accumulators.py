"""Accumulators: debiased averages as Caffe, Haiku and Equinox store them."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import common_namespace, detached, require_real_floating, shape_of
from bnspec.batchnorm._convert import configured
from bnspec.batchnorm._history import averages
from bnspec.batchnorm._keeping import number_of
from bnspec.batchnorm._values import State, take
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._definition import BatchNorm
    from bnspec.batchnorm._history import Average
    from bnspec.conventions import Convention

__all__ = ["Accumulators"]


class Accumulators(NamedTuple):
    """Sums over batches, each batch weighted by a power of the momentum, and the sum of those weights.

    Attributes
    ----------
    mean, variance : array, shape K
        The sums: m times the old sum, plus the batch's statistics times the weight of a new batch. They start at 0.
    weight : float or array, shape ()
        The same sum over the weights alone; or None, where it follows from the momentum and the number of batches with
        1 - m as the weight of a new batch.
    num_batches : array, shape (), integer, or None
        How many batches entered; None where it is not known.

    Notes
    -----
    ======================  ===================  ===================  ==============  ===========
    library                 mean                 variance             weight          num_batches
    ======================  ===================  ===================  ==============  ===========
    Caffe                   blobs[0]             blobs[1]             blobs[2]        not stored
    Haiku, two averages     hidden               hidden               None            counter
    Equinox, mode="batch"   hidden_mean          hidden_var           None            counter
    ======================  ===================  ===================  ==============  ===========

    The weight of a new batch is 1 in Caffe, so that blobs[2] goes towards 1 / (1 - m), and 1 - m in the others.
    Equinox's hidden_var starts at 1 and not at 0. What it evaluates with is the quotient all the same, and that is
    what :meth:`state` gives; what its batches had is :func:`bnspec.convert`'s to find, from an exponential average.

    Examples
    --------
    >>> import numpy as np
    >>> import bnspec
    >>> caffe = bnspec.BatchNorm(momentum=0.5, convention=bnspec.conventions.CAFFE)
    >>> blobs = bnspec.Accumulators(np.asarray([4.5]), np.asarray([3.0]), 1.5, None)
    >>> blobs.state(caffe)[:2]
    (array([3.]), array([2.]))
    """

    mean: Any
    variance: Any
    weight: Any
    num_batches: Any

    @classmethod
    def of(cls, state: State, spec: BatchNorm | Convention, *, batch_weight: float | None = None) -> Accumulators:
        """Turn running statistics into sums.

        Parameters
        ----------
        state : State
            Debiased running statistics.
        spec : BatchNorm or Convention
            What they belong to; its averages are debiased. Convert to it first where they are not.
        batch_weight : float, optional
            The weight of a new batch: 1 for Caffe. The default is 1 - m.

        Returns
        -------
        Accumulators
            Of the same dtype, with a float as the weight.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described, or `num_batches` is None.
        """
        state = take(State, state, "state")
        average, number = _debiased(configured("spec", spec)), _required(state.num_batches)
        share = average.take or 0.0
        batch_weight = share if batch_weight is None else batch_weight
        if not (isfinite(batch_weight) and batch_weight > 0):
            raise ValueError(
                message(
                    "batch_weight must be finite and positive",
                    "Where the momentum keeps all of the old value, 1 - m is 0: give batch_weight=1.0.",
                    batch_weight=batch_weight,
                )
            )
        weight = batch_weight * (average.batch_share(number) / share if share else number)
        common_namespace(moving_mean=state.moving_mean, moving_variance=state.moving_variance)
        require_real_floating(moving_mean=state.moving_mean, moving_variance=state.moving_variance)
        mean, variance = (detached(value) * weight for value in (state.moving_mean, state.moving_variance))
        return cls(mean, variance, weight, state.num_batches)

    def state(self, spec: BatchNorm | Convention) -> State:
        """Turn the sums into running statistics.

        Parameters
        ----------
        spec : BatchNorm or Convention
            What the statistics are for; its averages are debiased. Convert from it where others are wanted.

        Returns
        -------
        State
            Of the same dtype, with `num_batches` as it came. Without any batch it holds the initial values.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described, or `weight` and `num_batches` are both None.
        """
        spec = configured("spec", spec)
        average, weight = _debiased(spec), self.weight
        common_namespace(mean=self.mean, variance=self.variance)
        require_real_floating(mean=self.mean, variance=self.variance)
        if weight is None:
            weight = average.batch_share(_required(self.num_batches))
        elif shape_of(weight) if hasattr(weight, "shape") else ():
            raise ValueError(message("weight must be one number", "Take blobs[2][0] of Caffe.", shape=shape_of(weight)))
        if not (isfinite(float(weight)) and float(weight) >= 0):
            raise ValueError(message("weight must be finite and not negative", weight=float(weight)))
        if float(weight) == 0.0:
            values = (0.0 * detached(self.mean), 0.0 * detached(self.variance) + spec.convention.initial_variance)
        else:
            values = (detached(self.mean) / float(weight), detached(self.variance) / float(weight))
        return State(*values, self.num_batches)


def _debiased(spec: BatchNorm) -> Average:
    """Return the exponential average that a debiased one divides."""
    found = averages(spec)
    if spec.renorm is not None or spec.convention.average != "debiased" or spec.momentum is None:
        raise ValueError(
            message(
                "spec must have debiased averages, a momentum, and no renormalization",
                "Convert to such a convention first, or from it afterwards.",
                average=spec.convention.average,
                momentum=spec.momentum,
                renorm=spec.renorm,
            )
        )
    return found["moving_variance"]._replace(kind="exponential")


def _required(num_batches: Any) -> int:
    number = number_of(num_batches)
    if number is None:
        raise ValueError(message("num_batches must say how many batches entered", num_batches=None))
    return number
