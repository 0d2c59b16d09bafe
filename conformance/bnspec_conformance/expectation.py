"""What a case must give: the oracle's exact values beside the bounds of a grade, computed once per run."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import bounds, oracle
from .cases import from_rows, to_rows

if TYPE_CHECKING:
    from bnspec.conventions import Convention

    from .cases import Case

    Array = np.ndarray[Any, Any]

__all__ = ["Expected", "Step", "gradients", "hessian_vector_product", "trajectory"]


class Expected(NamedTuple):
    """An exact value and how far a computed one may be from it."""

    exact: oracle.Exact
    bound: Array


class Step(NamedTuple):
    """What one call must give."""

    y: Expected
    moving_mean: Expected
    moving_variance: Expected


@cache
def trajectory(case: Case, convention: Convention, grade: bounds.Grade) -> tuple[Step, ...]:
    """Expect the outputs and states of the training batches, and of the evaluation batch at the end.

    Parameters
    ----------
    case : Case
        Supplies the batches. An empty one has no bound of its own, and moves no average.
    convention : Convention
        What is computed.
    grade : Grade
        How well.

    Returns
    -------
    tuple of Step
        One for each training batch, then one for the evaluation batch. The error of the state is carried
        from step to step, and into the evaluation.
    """
    batches = [*((x, True, weights) for x, weights in zip(case.training, case.weights, strict=True))]
    batches.append((case.evaluation, False, None))
    found = oracle.trajectory(
        batches,
        axis=case.axis,
        epsilon=case.epsilon,
        momentum=case.momentum(convention),
        convention=convention,
        gamma=case.gamma,
        beta=case.beta,
        moving_mean=case.moving_mean,
        moving_variance=case.moving_variance,
    )
    form, out = _formats(case)
    gamma, beta = _affine(case)
    averages = [case.moving_mean.astype(np.float64).reshape(-1), case.moving_variance.astype(np.float64).reshape(-1)]
    errors = [np.zeros_like(averages[0]), np.zeros_like(averages[1])]
    steps = []
    for (x, training, weights), step in zip(batches, found, strict=True):
        rows = to_rows(x, case.axis)
        frequencies = _frequencies(weights, x, case)
        moves = training and len(rows) > 0
        if moves:
            assert step.mean is not None  # noqa: S101 - narrows the type: the batch is not empty
            assert step.variance is not None  # noqa: S101
            given = bounds.weighted_statistics(rows, frequencies, _flat(step.mean), _flat(step.variance), grade, form)
        else:
            given = bounds.Statistics(averages[0], averages[1], errors[0], errors[1], np.zeros_like(errors[0]))
        bound = bounds.normalized(rows, given, case.epsilon, gamma, beta, form, out)
        if moves:
            share = 1.0 / step.state.num_batches if case.take is None else case.take
            total = frequencies.sum(axis=0)
            bessel = total / np.where(total > 1, total - 1, total) if convention.running_variance == "bessel" else 1.0
            batch = (given.mean, bessel * given.variance)
            batch_errors = (
                bounds.rounded(given.mean_error, batch[0], form),
                bounds.rounded(bounds.rounded(bessel * given.variance_error, batch[1], form), batch[1], form),
            )
            errors = [
                bounds.running(old, old_error, new, new_error, share, form)
                for old, old_error, new, new_error in zip(averages, errors, batch, batch_errors, strict=True)
            ]
            averages = [_flat(step.state.moving_mean), _flat(step.state.moving_variance)]
        steps.append(
            Step(
                Expected(step.y, from_rows(bound, x.shape, case.axis)),
                Expected(step.state.moving_mean, errors[0].reshape(case.parameter_shape)),
                Expected(step.state.moving_variance, errors[1].reshape(case.parameter_shape)),
            )
        )
    return tuple(steps)


@cache
def gradients(case: Case, training: bool, grade: bounds.Grade, chained: bool = False) -> dict[str, Expected]:
    """Expect the gradients on the last training batch.

    Parameters
    ----------
    case : Case
        Supplies the batch, the cotangent and the running statistics.
    training : bool
        Whether the derivative runs through the statistics of the batch.
    grade : Grade
        How well the statistics and the sums are computed.
    chained : bool
        Whether a framework differentiates, and adds in an order of its own.

    Returns
    -------
    dict
        By the names of ``bnspec.Gradients``.
    """
    x = case.training[-1]
    exact = oracle.gradients(
        x,
        case.cotangent,
        axis=case.axis,
        epsilon=case.epsilon,
        gamma=case.gamma,
        moving_mean=case.moving_mean,
        moving_variance=case.moving_variance,
        training=training,
        weights=case.weights[-1] if training else None,
    )
    form, out = _formats(case)
    gamma, _ = _affine(case)
    rows, cotangent = to_rows(x, case.axis), to_rows(case.cotangent, case.axis)
    frequencies = _frequencies(case.weights[-1], x, case)
    if training:
        given = _batch(case, rows, grade)
        limit = bounds.training_gradients(
            rows, cotangent, given, case.epsilon, gamma, grade, form, out, chained=chained, weights=frequencies
        )
    else:
        mean, variance = (to_rows(v, tuple(range(v.ndim)))[0] for v in (case.moving_mean, case.moving_variance))
        given = bounds.exact_statistics(mean, variance)
        limit = bounds.evaluation_gradients(
            rows, cotangent, given, case.epsilon, gamma, grade, form, out, chained=chained
        )
    expected = {"x": Expected(exact.x, from_rows(limit.x, x.shape, case.axis))}
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        expected[name] = Expected(getattr(exact, name), getattr(limit, name).reshape(case.parameter_shape))
    if training and exact.weights is not None:
        expected["weights"] = Expected(exact.weights, _gathered(limit, case))
    return expected


@cache
def hessian_vector_product(case: Case, grade: bounds.Grade) -> Expected:
    """Expect the derivative of the gradient of x, on the last training batch, along the case's tangent.

    Parameters
    ----------
    case : Case
        Supplies the batch, the cotangent and the tangent.
    grade : Grade
        How well the statistics and the sums are computed.

    Returns
    -------
    Expected
    """
    x = case.training[-1]
    exact = oracle.hessian_vector_product(
        x, case.cotangent, case.tangent, axis=case.axis, epsilon=case.epsilon, gamma=case.gamma
    )
    form, out = _formats(case)
    rows, cotangent, tangent = (to_rows(array, case.axis) for array in (x, case.cotangent, case.tangent))
    given = _batch(case, rows, grade)
    gamma, _ = _affine(case)
    bound = bounds.second_derivative(rows, cotangent, tangent, given, case.epsilon, gamma, grade, form, out)
    return Expected(exact, from_rows(bound, x.shape, case.axis))


def _batch(case: Case, rows: Array, grade: bounds.Grade) -> bounds.Statistics:
    """Bound the statistics of the last training batch."""
    x = case.training[-1]
    if not len(rows):
        return bounds.exact_statistics(*np.zeros((2, rows.shape[1])))
    weights = case.weights[-1]
    batch = oracle.moments(x, tuple(a for a in range(x.ndim) if a not in case.axis), weights)
    frequencies = _frequencies(weights, x, case)
    form, _ = _formats(case)
    return bounds.weighted_statistics(rows, frequencies, _flat(batch.mean), _flat(batch.variance), grade, form)


def _frequencies(weights: Array | None, x: Array, case: Case) -> Array:
    """Lay weights out as rows; ones where there are none."""
    return to_rows(np.ones(x.shape) if weights is None else np.broadcast_to(weights, x.shape), case.axis)


def _gathered(limit: bounds.GradientErrors, case: Case) -> Array:
    """Sum the bounds of the derivatives by the weights over the axes along which these are broadcast."""
    weights, x = case.weights[-1], case.training[-1]
    assert weights is not None  # noqa: S101 - narrows the type
    spread = tuple(axis for axis, size in enumerate(weights.shape) if size == 1)
    error, size = (from_rows(part, x.shape, case.axis) for part in limit.weights)
    return bounds.summed(error, size, spread, _formats(case)[0])


def _formats(case: Case) -> tuple[bounds.Format, bounds.Format]:
    """Return what is computed in, and what the output is rounded to."""
    return bounds.FORMATS[case.parameter_dtype], bounds.FORMATS[case.dtype]


def _affine(case: Case) -> tuple[Array | float, Array | float]:
    gamma = 1.0 if case.gamma is None else case.gamma.astype(np.float64).reshape(-1)
    beta = 0.0 if case.beta is None else case.beta.astype(np.float64).reshape(-1)
    return gamma, beta


def _flat(exact: oracle.Exact) -> Array:
    return np.asarray(exact.to_float()).reshape(-1)
