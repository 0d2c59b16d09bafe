"""The density after training: averages of the whole training set, and the log-likelihood with its standard error."""

from __future__ import annotations

from functools import reduce
from math import log, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import as_axes, common_namespace, resolve_axes, shape_of
from bnspec.batchnorm import Moments
from bnspec.bijectors import BatchNormalization, Bijector
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.flows._blocks import parts_of, takes_training, told
from bnspec.variables import assign_all, scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bnspec.distributions import Distribution, TransformedDistribution
    from bnspec.layers import BatchNormalization as Layer
    from bnspec.variables import Variable

__all__ = ["LogLikelihood", "estimate_averages", "log_likelihood"]

_BESSEL = {"population": 0.0, "bessel": 1.0}


class LogLikelihood(NamedTuple):
    """The mean of the log-density over events, in nats.

    Attributes
    ----------
    mean : float
    standard_error : float
        Of the mean: the standard deviation over events, by N - 1, divided by sqrt(N).
    events : int
        N, the number of events.
    """

    mean: float
    standard_error: float
    events: int

    def bits_per_dimension(self, event_size: int) -> tuple[float, float]:
        """Return -mean / (D log 2), and its standard error.

        Parameters
        ----------
        event_size : int
            D.

        Returns
        -------
        tuple of float

        Raises
        ------
        TypeError, ValueError
            If it is no integer, or not positive.

        Notes
        -----
        It is of the density of what ``log_prob`` was given. With levels to which uniform noise of [0, 1) was added, it
        bounds the number of bits that code a level from above [1]_; the flow must then hold the transformation of the
        levels, :class:`bnspec.flows.Levels`, so that its log-det is in ``log_prob``.

        References
        ----------
        .. [1] L. Theis, A. van den Oord, M. Bethge, A note on the evaluation of generative models, arXiv:1511.01844,
           section 3.1.
        """
        nats = as_ndims("event_size", event_size, 1) * log(2.0)
        return -self.mean / nats, self.standard_error / nats


def estimate_averages(flow: TransformedDistribution, x: Any, *, batch_size: int = 1000) -> None:
    """Replace the running averages of every batch normalization by the statistics of a whole data set.

    Parameters
    ----------
    flow : TransformedDistribution
        Its batch normalizations are links of its chain.
    x : array, shape (N, *event), real floating
        The data: the training set.
    batch_size : int
        How many events are computed at once. It changes the result by rounding only.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or there are no data; if a batch normalization lies within a part of
        another kind, where nobody knows what it is given. Then nothing has changed.

    Notes
    -----
    At the end of training, the averages are of values that older parameters gave, and weigh the last batches most. In
    [1]_, the statistics of the whole training set take their place. What a layer is given depends on the averages of
    the layers before it, in the order of ``inverse``: the data pass through the flow once, and the moments of each
    layer, merged from batches, become its averages before they pass it. The estimator of the variance is that of the
    layer's convention. Counts of batches stay.

    References
    ----------
    .. [1] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation,
       arXiv:1705.07057, appendix B.
    """
    parts = parts_of(flow)
    for part in parts:
        if takes_training(part) and not isinstance(part, BatchNormalization):
            raise ValueError(
                message(
                    "a batch normalization must be a link of the flow's chain",
                    "Put the parts of this one there.",
                    part=part.name,
                )
            )
    changed: dict[Variable, Any] = {}
    with scope():  # until all is known, nothing changes
        batches = list(_batches(x, batch_size))
        for part in parts:
            if isinstance(part, BatchNormalization):
                _ = _passed(part, batches[0])  # makes the variables where nobody has
                changed |= _estimated(part.batchnorm, batches)
                for variable, value in changed.items():
                    variable.assign(value)
            batches = [_passed(part, batch) for batch in batches]
    assign_all(list(changed), list(changed.values()))


def log_likelihood(distribution: Distribution, x: Any, *, batch_size: int = 1000) -> LogLikelihood:
    """Estimate the expected log-density from events, in evaluation.

    Parameters
    ----------
    distribution : Distribution
        Without a batch of its own.
    x : array, shape (N, *event), real floating
        The events, two at least.
    batch_size : int
        How many are computed at once.

    Returns
    -------
    LogLikelihood

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    count = shape_of(x)[0] if shape_of(x) else None
    if count is None or count < 2 or distribution.batch_shape != ():
        raise ValueError(
            message(
                "x must be two events or more of a distribution without a batch",
                shape=shape_of(x),
                batch_shape=distribution.batch_shape,
            )
        )
    condition = told(distribution, training=False)
    found = (Moments.of(distribution.log_prob(part, **condition), 0) for part in _batches(x, batch_size))
    whole = reduce(Moments.merge, found)
    return LogLikelihood(float(whole.mean), sqrt(float(whole.variance(1.0)) / count), count)


def _batches(x: Any, batch_size: int) -> Iterator[Any]:
    size = as_ndims("batch_size", batch_size, 1)
    shape = shape_of(x)
    if not shape or not shape[0]:
        raise ValueError(message("x must have events along its first axis", shape=shape))
    for start in range(0, shape[0], size):
        yield x[start : min(start + size, shape[0]), ...]


def _passed(part: Bijector, x: Any) -> Any:
    return part.inverse(x, **told(part, training=False))


def _estimated(layer: Layer, batches: list[Any]) -> dict[Variable, Any]:
    """Return the averages of a layer that is given these batches."""
    rank = len(shape_of(batches[0]))
    kept = resolve_axes("axis", as_axes("axis", layer.spec.axis), shape_of(batches[0]))
    axes = tuple(axis for axis in range(rank) if axis not in kept)
    whole = reduce(Moments.merge, (Moments.of(batch, axes) for batch in batches))
    kind = layer.spec.convention.running_variance
    variance = whole.variance(_BESSEL[kind] if kind in _BESSEL else 1.0 + layer.spec.epsilon)
    xp = common_namespace(x=whole.mean)
    values = zip((layer.moving_mean, layer.moving_variance), (whole.mean, variance), strict=True)
    return {own: xp.astype(xp.reshape(value, own.shape), own.dtype) for own, value in values}
