"""The density after training: averages of the whole training set, and the log-likelihood with its standard error."""

from __future__ import annotations

from functools import reduce
from math import isfinite, log, nan, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import accumulation_dtype, as_axes, common_namespace, detached, resolve_axes, shape_of
from bnspec.batchnorm import Moments
from bnspec.bijectors import BatchNormalization, Bijector
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.flows._blocks import all_finite, parts_of, takes_training, told
from bnspec.registry import backend_of
from bnspec.variables import assign_all, scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bnspec.distributions import Distribution, TransformedDistribution
    from bnspec.variables import Variable

__all__ = ["LogLikelihood", "estimate_averages", "log_likelihood"]

_BESSEL = {"population": 0.0, "bessel": 1.0}


class LogLikelihood(NamedTuple):
    """The mean of the log-density over events, in nats.

    Attributes
    ----------
    mean : float
        -inf where the density of an event is 0, as of every event that is not finite.
    standard_error : float
        Of the mean: the standard deviation over events, by N - 1, divided by sqrt(N). NaN where the mean is not finite.
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
        If an argument is not as described; if a batch normalization lies within a part of another kind, where nobody
        knows what it is given, or one layer is in the chain twice, which would need two averages; if there are fewer
        data than the estimator of the variance needs, or an average is not finite. Then nothing has changed.

    Notes
    -----
    At the end of training, the averages are of values that older parameters gave, and weigh the last batches most. In
    [1]_, the statistics of the whole training set take their place. What a layer is given depends on the averages of
    the layers before it, in the order of ``inverse``: the data pass through the flow once, and the moments of each
    layer, merged from batches, become its averages before they pass it. The estimator of the variance is that of the
    layer's convention. Counts of batches stay. The averages are numbers: no gradient passes them.

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
    layers = [part.batchnorm for part in parts if isinstance(part, BatchNormalization)]
    for number, layer in enumerate(layers):
        if any(layer is other for other in layers[:number]):
            raise ValueError(
                message("a layer must be in the flow's chain once", "Give each link its own.", layer=layer.name)
            )
    count = _require_events(flow, x, 1)
    changed: dict[Variable, Any] = {}
    with scope():  # until all is known, nothing changes
        batches = list(_batches(x, count, batch_size))
        for part in parts:
            if isinstance(part, BatchNormalization):
                _ = _passed(part, batches[0])  # makes the variables where nobody has
                changed |= _estimated(part, batches, count)
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
        If an argument is not as described, or ``log_prob`` does not return one number for each event.
    """
    count = _require_events(distribution, x, 2)
    if distribution.batch_shape != ():
        raise ValueError(
            message("the distribution must have no batch of its own", batch_shape=distribution.batch_shape)
        )
    condition = told(distribution, training=False)
    found = []
    for batch in _batches(x, count, batch_size):
        density = detached(distribution.log_prob(batch, **condition))
        if shape_of(density) != shape_of(batch)[:1]:
            raise ValueError(
                message("log_prob must be one number for each event", x=shape_of(batch), log_prob=shape_of(density))
            )
        found.append(density)
    if not all_finite(found):  # their deviations from a mean would be NaN, and NumPy would warn of them
        return LogLikelihood(sum(_non_finite(found)), nan, count)
    whole = reduce(Moments.merge, (Moments.of(density, 0) for density in found))
    return LogLikelihood(float(whole.mean), sqrt(float(whole.variance(1.0)) / count), count)


def _require_events(distribution: Distribution, x: Any, least: int) -> int:
    """Count events, and refuse what are none of a distribution, or too few."""
    shape, event = shape_of(x), distribution.event_shape
    count = shape[0] if shape else None
    if count is None or count < least or shape[1:] != event:
        raise ValueError(
            message(
                f"x must have events of the distribution along its first axis, {least} or more", x=shape, event=event
            )
        )
    return count


def _batches(x: Any, count: int, batch_size: int) -> Iterator[Any]:
    size = as_ndims("batch_size", batch_size, 1)
    for start in range(0, count, size):
        yield detached(x[start : min(start + size, count), ...])


def _non_finite(arrays: list[Any]) -> list[float]:
    """List the values that are not finite."""
    wide = (
        common_namespace(x=each).astype(each, accumulation_dtype(common_namespace(x=each), each)) for each in arrays
    )
    return [value for each in wide for value in backend_of(each).to_numpy(each).tolist() if not isfinite(value)]


def _passed(part: Bijector, x: Any) -> Any:
    return detached(part.inverse(x, **told(part, training=False)))


def _estimated(part: BatchNormalization, batches: list[Any], count: int) -> dict[Variable, Any]:
    """Return the averages of a layer that is given these batches."""
    layer = part.batchnorm
    rank = len(shape_of(batches[0]))
    kept = resolve_axes("axis", as_axes("axis", layer.spec.axis), shape_of(batches[0]))
    axes = tuple(axis for axis in range(rank) if axis not in kept)
    whole = reduce(Moments.merge, (Moments.of(batch, axes) for batch in batches))
    kind = layer.spec.convention.running_variance
    correction = _BESSEL[kind] if kind in _BESSEL else 1.0 + layer.spec.epsilon
    variance = whole.variance(correction)
    if not all_finite([whole.mean, variance]):
        raise ValueError(
            message(
                "averages must be finite",
                f"The data must be finite, and more than {correction} for each channel.",
                part=part.name,
                events=count,
            )
        )
    xp = common_namespace(x=whole.mean)
    values = zip((layer.moving_mean, layer.moving_variance), (whole.mean, variance), strict=True)
    return {own: xp.astype(xp.reshape(value, own.shape), own.dtype) for own, value in values}
