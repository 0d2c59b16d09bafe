"""What batch normalization must give as a bijector: log-dets of both modes, and the way back."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.cases import from_rows, to_rows

from ._layout import Expected, affine, flat, formats
from ._trajectory import normalizing, run, statistics, trajectory

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance.cases import Case

    Array = np.ndarray[Any, Any]

__all__ = ["inverted", "log_det"]


@cache
def log_det(case: Case, convention: Convention, grade: bounds.Grade, training: bool) -> Expected:
    """Expect the log-det of the last training batch, or of the evaluation batch after it.

    Parameters
    ----------
    case : Case
        Supplies the batches; the averages are those after all training batches.
    convention : Convention
        What is computed: in training, by the batch or by the averages after it.
    grade : Grade
        How well.
    training : bool
        Which of both.

    Returns
    -------
    Expected
        Of shape (N,): all axes but the first are summed over.
    """
    last = len(case.training) - 1
    x = case.training[last] if training else case.evaluation
    pair = case.adjustments[last] if training else None
    event = x.ndim - 1
    form, _ = formats(case)
    averaged = not training or convention.statistics == "running"
    if averaged:
        given = _averages(case, convention, grade)
        exact = _bijector(case, convention, grade).inverse_log_det(x, training=False, event_ndims=event)
        if pair is not None:
            terms = oracle.Scale(pair[0]).forward_log_det(x).fractions()
            exact = oracle.Exact.from_fractions(exact.fractions() + terms.reshape(len(x), -1).sum(axis=1))
    else:
        step = run(case, convention)[last]
        _, parts = statistics(case, convention, grade, x, None, step)
        (given,) = normalizing(case, convention, parts, step)
        bijector = _bijector(case, convention, grade)
        exact = bijector.inverse_log_det(x, training=True, event_ndims=event, adjustment=pair)
    layout = tuple(size if axis in case.axis else 1 for axis, size in enumerate(x.shape))
    gamma = None if case.gamma is None else case.gamma.astype(np.float64).reshape(-1)
    factor = None if pair is None else pair[0].astype(np.float64)
    found = bounds.batch_log_det(given, case.epsilon, gamma, x.shape, layout, event, grade, form, factor)
    return Expected(exact, bounds.Arithmetic(form).returned(found, case.output_dtype(convention)))


def inverted(case: Case, convention: Convention, grade: bounds.Grade, y: Array) -> Expected:
    """Expect what evaluation maps to y, by the averages after all training batches.

    Parameters
    ----------
    case, convention, grade
        As of :func:`log_det`.
    y : array, shape (*S)
        Finite numbers.

    Returns
    -------
    Expected
        Of shape (*S).
    """
    form, _ = formats(case)
    gamma, beta = affine(case)
    rows = to_rows(y, case.axis)
    found = bounds.denormalized(rows, _averages(case, convention, grade), case.epsilon, gamma, beta, form)
    bound = bounds.Arithmetic(form).returned(found, case.output_dtype(convention))
    return Expected(_bijector(case, convention, grade).forward(y), from_rows(bound, y.shape, case.axis))


def _bijector(case: Case, convention: Convention, grade: bounds.Grade) -> oracle.BatchBijector:
    """Take the exact averages after all training batches."""
    after = trajectory(case, convention, grade)[len(case.training) - 1]
    return oracle.BatchBijector(
        axis=case.axis,
        epsilon=case.epsilon,
        moving_mean=after.moving_mean.exact,
        moving_variance=after.moving_variance.exact,
        gamma=case.gamma,
        beta=case.beta,
        convention=convention,
    )


def _averages(case: Case, convention: Convention, grade: bounds.Grade) -> bounds.Statistics:
    """Take the same with the errors that they may have."""
    after = trajectory(case, convention, grade)[len(case.training) - 1]
    mean, variance = after.moving_mean, after.moving_variance
    mean_error, variance_error = mean.bound.reshape(-1), variance.bound.reshape(-1)
    split = np.zeros_like(mean_error)
    return bounds.Statistics(flat(mean.exact), flat(variance.exact), mean_error, variance_error, split)
