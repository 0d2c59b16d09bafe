"""Batch normalization as a bijector, whose inverse normalizes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

from ._exact import Exact, ObjectArray, combine_times_root, elementwise
from ._multiple import settled_array, total_over
from ._normalizer import Adjusted, Adjustment, adjusted, estimated
from ._parts import Layout, Numbers, batch_statistics, finite, fit, inverse_square, layout_of, read, read_fractions
from ._rules import rules_of

if TYPE_CHECKING:
    from bnspec.conventions import Convention

__all__ = ["BatchBijector"]


class _Given(NamedTuple):
    """What one call computes by."""

    data: Exact
    layout: Layout
    gain: ObjectArray  # fractions of the kept shape, as `offset`
    offset: ObjectArray


def _logarithm(value: Fraction) -> Any:
    return mpmath.log(mpmath.mpf(value.numerator) / value.denominator)


@dataclass(frozen=True, eq=False)
class BatchBijector:
    """Map normalized x to data y; the inverse normalizes y.

    Parameters
    ----------
    axis : tuple of int
        The feature axes, negative ones counted from the end.
    epsilon : float
        Added to the variance; taken exactly.
    moving_mean, moving_variance : array, parameter shape
        The parameter shape is (C,) for one axis; for more, it has the rank of y and size 1 on all other axes.
    gamma, beta : array, parameter shape, optional
        1 and 0 if absent. gamma may be negative, and must not be 0.
    convention : Convention, optional
        Its normalizing variance is that of training; the population variance if absent.

    Notes
    -----
    With mean and v the statistics of the minibatch in training, else the moving ones:

    - inverse: ``x = (((y - mean) / sqrt(v + epsilon)) a + b) gamma + beta``, a and b being an adjustment, which only
      training has, else 1 and 0;
    - its log-det: ``log |gamma| + log |a| - log(v + epsilon) / 2`` for each element, statistics held fixed;
    - forward, always by the moving statistics: ``y = (x - beta) sqrt(v + epsilon) / gamma + mean``.

    A log-det of the last n axes is the sum over them of the terms of every element, and has the shape that remains.
    """

    axis: tuple[int, ...]
    epsilon: float
    moving_mean: Numbers
    moving_variance: Numbers
    gamma: Numbers | None = None
    beta: Numbers | None = None
    convention: Convention | None = None

    def _read(self, values: Numbers) -> _Given:
        data = read(values)
        layout = layout_of(data.shape, self.axis)
        gain = fit("gamma", read_fractions(self.gamma), layout, 1)
        if any(value == 0 for value in gain.ravel().tolist()):
            raise ValueError("gamma must not be 0. Got a channel where it is.")
        return _Given(data, layout, gain, fit("beta", read_fractions(self.beta), layout))

    def _statistics(self, given: _Given, training: bool) -> tuple[ObjectArray, ObjectArray]:
        """Mean and 1 / (variance + epsilon), fractions of the kept shape."""
        epsilon = finite("epsilon", self.epsilon)
        if not training:
            mean = fit("moving_mean", read_fractions(self.moving_mean), given.layout)
            variance = fit("moving_variance", read_fractions(self.moving_variance), given.layout)
            return mean, inverse_square(variance, epsilon)
        if given.layout.elements == 0:
            raise ValueError(f"a batch must have elements. Got shape={given.data.shape}.")
        batch = batch_statistics(given.data, given.layout)
        kind = rules_of(self.convention, epsilon=self.epsilon).normalizing
        return batch.mean, inverse_square(estimated(batch, kind, epsilon)[1], epsilon)

    @staticmethod
    def _adjusted(given: _Given, adjustment: Adjustment | None, training: bool) -> Adjusted | None:
        if adjustment is not None and not training:
            raise ValueError("an adjustment must come with training. Got one without.")
        return adjusted(adjustment, given.data.shape)

    def inverse(self, y: Numbers, *, training: bool, adjustment: Adjustment | None = None) -> Exact:
        """Normalize.

        Parameters
        ----------
        y : array, shape (*S), real floating
            Finite numbers.
        training : bool
            Whether the statistics are those of y.
        adjustment : tuple of array, optional
            a and b, each broadcastable to (*S); only in training.

        Returns
        -------
        Exact
            Shape (*S).

        Raises
        ------
        ValueError
            If gamma or the adjustment's a is 0, ``variance + epsilon`` is not positive, the batch has no elements, or
            a shape does not fit.
        """
        given = self._read(y)
        mean, square = self._statistics(given, training)
        factor, addend = np.broadcast_to(given.gain, given.data.shape), given.offset
        pair = self._adjusted(given, adjustment, training)
        if pair is not None:
            factor = np.asarray(factor * pair.factor.fractions(), dtype=object)
            addend = np.asarray(given.gain * pair.addend.fractions() + given.offset, dtype=object)
        # One integer per element: y - mean in units that are common to a channel.
        unit = elementwise(lambda m: Fraction(1, m.denominator << given.data.bits), mean)
        centred = elementwise(
            lambda n, m: n * m.denominator - (m.numerator << given.data.bits), given.data.numerators, mean
        )
        terms = [(centred, np.asarray(factor * unit, dtype=object))]
        return combine_times_root(terms, square, np.broadcast_to(addend, given.data.shape))

    def forward(self, x: Numbers) -> Exact:
        """De-normalize by the moving statistics.

        Parameters
        ----------
        x : array, shape (*S), real floating
            Finite numbers.

        Returns
        -------
        Exact
            Shape (*S).
        """
        given = self._read(x)
        mean, square = self._statistics(given, training=False)
        shifted = np.asarray(given.data.fractions() - given.offset, dtype=object)
        bits = max(value.denominator.bit_length() - 1 for value in [Fraction(1), *shifted.ravel().tolist()])
        integers = elementwise(lambda value: (value * (1 << bits)).numerator, shifted)
        factor = elementwise(lambda gain: Fraction(1, 1 << bits) / gain, given.gain)
        addend = np.broadcast_to(mean, given.data.shape)
        return combine_times_root([(integers, factor)], elementwise(lambda s: 1 / s, square), addend)

    def _log_det(
        self, values: Numbers, event_ndims: int, training: bool, adjustment: Adjustment | None, sign: int
    ) -> Exact:
        given = self._read(values)
        square = self._statistics(given, training)[1]
        pair = self._adjusted(given, adjustment, training)
        # log |gamma a| - log(s) / 2 = log((gamma a)**2 / s) / 2
        ratio = np.asarray(given.gain * given.gain * square, dtype=object)
        if pair is not None:
            if any(value == 0 for value in pair.factor.numerators.ravel().tolist()):
                raise ValueError("a of an adjustment must not be 0. Got an element that is.")
            ratio = np.asarray(ratio * pair.factor.fractions() ** 2, dtype=object)

        def compute() -> ObjectArray:
            terms = elementwise(lambda value: sign * _logarithm(value) / 2, ratio)
            return total_over(np.broadcast_to(terms, given.data.shape), event_ndims)

        return settled_array(compute)

    def inverse_log_det(
        self, y: Numbers, *, training: bool, event_ndims: int = 0, adjustment: Adjustment | None = None
    ) -> Exact:
        """Compute the log-det of normalization.

        Parameters
        ----------
        y, training, adjustment
            As of `inverse`, whose statistics are those of the log-det.
        event_ndims : int
            How many of the last axes are summed over; 0 leaves the terms of the elements.

        Returns
        -------
        Exact
            Shape (*S) without the last `event_ndims` axes.
        """
        return self._log_det(y, event_ndims, training, adjustment, 1)

    def forward_log_det(self, x: Numbers, *, event_ndims: int = 0) -> Exact:
        """Compute the log-det of de-normalization, in the shape of :meth:`inverse_log_det`."""
        return self._log_det(x, event_ndims, False, None, -1)
