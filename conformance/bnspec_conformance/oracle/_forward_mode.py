"""Derivatives of batch normalization in the second oracle, by computing forward with dual numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import mpmath
import numpy as np

from ._dual import Dual, real, slope
from ._forward import Layout, height, normalize, number, precision, read, read_weights, statistics
from ._forward_averages import Averaging, shares
from ._forward_parts import Ghosts, broadcast_pair, estimate, require_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from bnspec.conventions import Convention

    from ._forward import Index, Numbers, ObjectArray

__all__ = ["Gradients", "gradients", "hessian_vector_product"]


class Gradients(NamedTuple):
    """Vector-Jacobian products of y: `x` of x's shape, `weights` of theirs, or None, the others parameter-shaped."""

    x: ObjectArray
    gamma: ObjectArray
    beta: ObjectArray
    moving_mean: ObjectArray
    moving_variance: ObjectArray
    weights: ObjectArray | None = None


class _Update(NamedTuple):
    """How a batch of one channel moves the moving statistics that normalize it: new shares, and the estimator."""

    of_mean: Any
    of_variance: Any
    estimator: str


class _Part(NamedTuple):
    """What is constant for the elements of a channel, or for those of one ghost batch in it.

    `estimator` is that of the normalizing variance; `update` is None unless moving statistics normalize in training.
    """

    cotangent: list[Any]
    epsilon: Any
    training: bool
    estimator: str = "population"
    update: _Update | None = None
    correction: tuple[Any, Any] | None = None
    adjustments: list[tuple[Any, Any]] | None = None


def _loss(variables: Sequence[Any], part: _Part) -> Any:
    """Compute ``sum(g * y)`` over the elements of one part.

    The variables are its elements, gamma, beta, the moving statistics and the weights of the elements.
    """
    n = len(part.cotangent)
    values, (gamma, beta, mean, variance), weights = variables[:n], variables[n : n + 4], variables[n + 4 :]
    if part.training:
        total, center, spread = statistics(values, weights)
        if part.update is None:
            mean, variance = center, estimate(part.estimator, spread, total, part.epsilon)
        elif real(total) > 0:
            of_mean, of_variance, estimator = part.update
            mean = mean * (1 - of_mean) + center * of_mean
            entering = estimate(estimator, spread, total, part.epsilon)
            variance = variance * (1 - of_variance) + entering * of_variance
    y = normalize(values, mean, variance, gamma, beta, part.epsilon, part.correction, part.adjustments)
    return sum((g * value for g, value in zip(part.cotangent, y, strict=True)), mpmath.mpf(0))


def _finite(indices: Sequence[Index], data: ObjectArray, cotangent: ObjectArray) -> list[Index]:
    """Keep the elements that are finite; no others may have a cotangent that is not 0."""
    for i in indices:
        if cotangent[i] and not mpmath.isfinite(data[i]):
            raise ValueError(f"where x is not finite, the cotangent must be 0. Got {float(cotangent[i])} at {i}.")
    return [i for i in indices if mpmath.isfinite(data[i])]


class _Options(NamedTuple):
    """How a batch is normalized, whichever numbers are differentiated by; pairs and momentum as they were read."""

    epsilon: Any
    training: bool
    convention: Convention | None
    momentum: Any
    num_batches: int
    virtual_batch_size: int | None
    correction: tuple[ObjectArray, ObjectArray] | None
    adjustment: tuple[ObjectArray, ObjectArray] | None

    @classmethod
    def of(
        cls,
        epsilon: float,
        training: bool,
        convention: Convention | None,
        momentum: float | None,
        num_batches: int,
        virtual_batch_size: int | None,
        *pairs: tuple[Numbers, Numbers] | None,
    ) -> _Options:
        """Read options; those that evaluation does not know are dropped there."""
        if not training:
            return cls(number(epsilon), False, None, None, 0, None, None, None)
        correction, adjustment = (None if pair is None else (read(pair[0]), read(pair[1])) for pair in pairs)
        given = virtual_batch_size is not None, correction is not None, adjustment is not None
        require_parts(convention, *given, entering=False)
        factor = None if momentum is None else number(momentum)
        return cls(number(epsilon), True, convention, factor, num_batches, virtual_batch_size, correction, adjustment)

    @property
    def running(self) -> bool:
        """Whether a training batch is normalized by the moving statistics after it has entered them."""
        return self.training and self.convention is not None and self.convention.statistics == "running"

    def precision(self, degree: int, layout: Layout, weights: ObjectArray, *others: ObjectArray) -> int:
        """Choose the bits to compute with, from the degree that suffices without any part."""
        cut = max(Ghosts.of(layout, self.virtual_batch_size, self.convention).groups, 1)
        size = height(self.epsilon, *others) + cut * (height(weights, weights) + layout.elements.bit_length())
        pairs = [pair for pair in (self.correction, self.adjustment) if pair is not None]
        size += sum(height(*pair) for pair in pairs)
        if self.running and self.convention is not None:
            size += Averaging.of(self.convention, self.momentum).height(self.num_batches + 1)
        ordinary = self.convention is None or self.convention.normalizing_variance == "population"
        if pairs or self.running or self.virtual_batch_size is not None or not ordinary:
            degree += 8
        return precision(degree, size)

    def parts(
        self, layout: Layout, data: ObjectArray, cotangent: ObjectArray
    ) -> Iterator[tuple[Index, list[Index], list[Index], _Part]]:
        """Yield what is normalized by one mean and variance, with what is constant in it.

        Before that come the place of the channel, the indices of all elements, and those of the finite ones, to which
        the cotangent and the adjustments belong.
        """
        ghosts = Ghosts.of(layout, self.virtual_batch_size, self.convention)
        pair = None if self.adjustment is None else broadcast_pair(self.adjustment, layout.shape)
        estimator = "population" if self.convention is None else self.convention.normalizing_variance
        r, d = (layout.fit("a correction", part) for part in self.correction or (None, None))
        update = None
        if self.running and self.convention is not None:
            kinds = Averaging.of(self.convention, self.momentum)
            of_mean, of_variance = (shares(kind, kinds.factor, self.num_batches, 1)[1] for kind in kinds[:2])
            update = _Update(of_mean, of_variance, self.convention.running_variance)
        for place, channel in layout.channels():
            corrected = None if self.correction is None else (r[place], d[place])
            for indices in ghosts.split(channel):
                finite = _finite(indices, data, cotangent)
                adjusted = None if pair is None else [(pair[0][i], pair[1][i]) for i in finite]
                of_part = [cotangent[i] for i in finite]
                options = self.epsilon, self.training, estimator, update, corrected, adjusted
                yield place, indices, finite, _Part(of_part, *options)


def gradients(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    moving_mean: Numbers,
    moving_variance: Numbers,
    training: bool,
    weights: npt.NDArray[Any] | None = None,
    convention: Convention | None = None,
    momentum: float | None = None,
    num_batches: int = 0,
    virtual_batch_size: int | None = None,
    correction: tuple[Numbers, Numbers] | None = None,
    adjustment: tuple[Numbers, Numbers] | None = None,
) -> Gradients:
    """Compute the derivatives of ``sum(cotangent * y)``, each by one forward pass with a dual number in its place.

    Parameters
    ----------
    x, cotangent : array, shape (*S)
        Input, and the numbers that weigh the elements of y.
    axis, epsilon, gamma
        As in `trajectory`.
    moving_mean, moving_variance : array
        Parameter-shaped: the statistics in evaluation; in training, those before the batch under
        ``statistics="running"``, and else not read.
    training : bool
        Whether `x` itself is normalized by its statistics, or by what they make of the moving ones, and these are
        differentiated through.
    weights : array, x's rank with size 1 or x's size per axis, optional
        Frequencies, as in `trajectory`. In evaluation, nothing but their shape is read.
    convention : Convention, optional
        As in `trajectory`; without one, the population's variance normalizes, and ghost batches are contiguous.
    momentum, num_batches
        As in `trajectory`; read under ``statistics="running"`` alone.
    virtual_batch_size : int, optional
        As in `trajectory`.
    correction : pair of arrays, optional
        The correction (r, d) of renormalization, parameter-shaped; constants.
    adjustment : pair of arrays, optional
        As in `trajectory`; constants. Evaluation reads neither of the two pairs.

    Returns
    -------
    Gradients
        An absent gamma is 1, and its gradient is returned all the same. The derivatives by weights, summed over
        the axes along which these have size 1, are 0 in evaluation.

    Raises
    ------
    ValueError
        If a number is not finite, a shape does not fit, a weight is negative, ``variance + epsilon`` is not
        positive, an element that is NaN or infinite (and of weight 0) has a cotangent that is not 0, or parts have no
        meaning together.

    Notes
    -----
    An element of weight 0 has in its own gradient only the direct term. By such a weight there is a derivative
    all the same, for weights from 0 upwards, but where the element is NaN or infinite: there it is NaN, and the
    element adds nothing to any other derivative. In a channel, or a ghost batch in it, whose weights are all 0, the
    statistics count as constants, and moving ones stay. A weight shared by several elements has the sum, NaN if one
    is NaN.
    """
    options = _Options.of(
        epsilon, training, convention, momentum, num_batches, virtual_batch_size, correction, adjustment
    )
    given = read_weights(weights if training else None, np.shape(x))
    w = np.broadcast_to(given, np.shape(x))
    data, g = read(x, where=w), read(cotangent)
    layout = Layout(data.shape, axis)
    if g.shape != data.shape:
        raise ValueError(f"cotangent must have the shape {data.shape} of x. Got shape={g.shape}.")
    moving = [read(part) if not training or options.running else None for part in (moving_mean, moving_variance)]
    parameters = [
        layout.fit("gamma", None if gamma is None else read(gamma), 1),
        layout.fit("beta", None),
        layout.fit("moving_mean", moving[0]),
        layout.fit("moving_variance", moving[1]),
    ]
    zero, nan = mpmath.mpf(0), mpmath.mpf("nan")
    of_x = np.full(data.shape, zero, dtype=object)
    of_parameters = [np.full(layout.kept, zero, dtype=object) for _ in parameters]
    of_weights = None if weights is None else np.full(np.shape(weights), zero, dtype=object)
    seen = training and of_weights is not None
    degree = 14 if of_weights is None else 16
    with mpmath.workprec(options.precision(degree, layout, given, data, g, *parameters)):
        for place, indices, finite, part in options.parts(layout, data, g):
            n = len(finite)
            variables = [*(data[i] for i in finite), *(p[place] for p in parameters), *(w[i] for i in finite)]
            by_weights = seen and any(variables[n + 4 :])
            found = [zero] * len(variables)
            for k in range((len(variables) if by_weights else n + 4) if indices else 0):
                seeded = [*variables[:k], Dual(variables[k], mpmath.mpf(1)), *variables[k + 1 :]]
                found[k] = slope(_loss(seeded, part))
            for i, value in zip(finite, found, strict=False):
                of_x[i] = value
            for of_parameter, value in zip(of_parameters, found[n : n + 4], strict=True):
                of_parameter[place] += value
            if seen and of_weights is not None:
                known = dict(zip(finite, found[n + 4 :], strict=True))
                for i in indices:
                    of_weights[tuple(np.minimum(i, np.subtract(of_weights.shape, 1)))] += known.get(i, nan)
    return Gradients._make([of_x, *(part.reshape(layout.parameter) for part in of_parameters), of_weights])


def hessian_vector_product(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    tangent: npt.NDArray[Any],
    *,
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    moving_mean: Numbers | None = None,
    moving_variance: Numbers | None = None,
    weights: npt.NDArray[Any] | None = None,
    convention: Convention | None = None,
    momentum: float | None = None,
    num_batches: int = 0,
    virtual_batch_size: int | None = None,
    correction: tuple[Numbers, Numbers] | None = None,
    adjustment: tuple[Numbers, Numbers] | None = None,
) -> ObjectArray:
    """Differentiate ``sum(cotangent * y)`` in training twice: along a tangent of x, and by each element of x.

    Parameters
    ----------
    x, cotangent, tangent : array, shape (*S)
        Input, weights of the elements of y, and direction.
    axis, epsilon, gamma
        As in `trajectory`.
    moving_mean, moving_variance : array, optional
        Parameter-shaped, and required under ``statistics="running"``, where batches enter them; else not read.
    weights : array, x's rank with size 1 or x's size per axis, optional
        Frequencies, as in `trajectory`; they stay fixed.
    convention, momentum, num_batches, virtual_batch_size, correction, adjustment
        As in `gradients`.

    Returns
    -------
    array, shape (*S), object
        0 where x is NaN or infinite.

    Raises
    ------
    ValueError
        As from `gradients`; if the tangent does not fit x; or if moving statistics are required and absent.
    """
    options = _Options.of(epsilon, True, convention, momentum, num_batches, virtual_batch_size, correction, adjustment)
    given = read_weights(weights, np.shape(x))
    w = np.broadcast_to(given, np.shape(x))
    data, g, u = read(x, where=w), read(cotangent), read(tangent)
    layout = Layout(data.shape, axis)
    if not data.shape == g.shape == u.shape:
        raise ValueError(f"cotangent and tangent must have the shape {data.shape} of x. Got {g.shape}, {u.shape}.")
    statistics_given = moving_mean, moving_variance
    if options.running and any(part is None for part in statistics_given):
        raise ValueError("statistics='running' requires moving_mean and moving_variance.")
    center, spread = (
        layout.fit("moving statistics", read(part) if options.running and part is not None else None)
        for part in statistics_given
    )
    gain = layout.fit("gamma", None if gamma is None else read(gamma), 1)
    zero, one = mpmath.mpf(0), mpmath.mpf(1)
    found = np.full(data.shape, zero, dtype=object)
    with mpmath.workprec(options.precision(24, layout, given, data, g, u, gain, center, spread)):
        for place, _, finite, part in options.parts(layout, data, g):
            moving = [Dual(data[i], u[i]) for i in finite]
            for i in finite:
                seeded = [Dual(value, one if i == j else zero) for j, value in zip(finite, moving, strict=True)]
                variables = [*seeded, gain[place], zero, center[place], spread[place], *(w[j] for j in finite)]
                found[i] = slope(slope(_loss(variables, part)))
    return found
