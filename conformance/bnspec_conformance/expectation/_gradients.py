"""What derivatives must be, on the last training batch."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import NAIVE, Uncertain
from bnspec_conformance.cases import from_rows, to_rows

from ._layout import Expected, affine, as_rows, flat, formats, frequencies, joined
from ._trajectory import corrections, entering, initial, moved, normalizing, run, statistics

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance.cases import Case

    Array = np.ndarray[Any, Any]

__all__ = ["gradients", "hessian_vector_product"]


@cache
def gradients(
    case: Case, convention: Convention, training: bool, grade: bounds.Grade, chained: bool = False
) -> dict[str, Expected]:
    """Expect the gradients on the last training batch, as the first one after the state was loaded.

    Parameters
    ----------
    case : Case
        Supplies the batch, the cotangent, and the state.
    convention : Convention
        What is computed.
    training : bool
        The mode.
    grade : Grade
        How well.
    chained : bool
        Whether a framework differentiates by the chain rule.

    Returns
    -------
    dict of Expected
        By the names of ``bnspec.Gradients``.
    """
    return _training(case, convention, grade, chained) if training else _evaluation(case, grade, chained)


def _evaluation(case: Case, grade: bounds.Grade, chained: bool) -> dict[str, Expected]:
    x = case.training[-1]
    exact = oracle.gradients(x, case.cotangent, training=False, **_given(case))
    form, out = formats(case)
    gamma, _ = affine(case)
    mean, variance = (value.astype(np.float64).reshape(-1) for value in (case.moving_mean, case.moving_variance))
    given = bounds.exact_statistics(mean, variance)
    rows, cotangent = to_rows(x, case.axis), to_rows(case.cotangent, case.axis)
    limit = bounds.evaluation_gradients(rows, cotangent, given, case.epsilon, gamma, grade, form, out, chained=chained)
    if isinstance(grade, bounds.Algorithm):
        ones = np.ones_like(rows)
        _, by_sum = bounds.through_sums(rows, cotangent, ones, given, case.epsilon, gamma, grade, form)
        limit = limit._replace(gamma=limit.gamma + by_sum)
    exact = exact._replace(weights=None)
    return _expected(case, exact, limit, from_rows(limit.x, x.shape, case.axis))


def _training(case: Case, convention: Convention, grade: bounds.Grade, chained: bool) -> dict[str, Expected]:
    x, weights, adjustment = case.training[-1], case.weights[-1], case.adjustments[-1]
    step = run(case, convention, alone=True)[0]
    exact = oracle.gradients(
        x,
        case.cotangent,
        training=True,
        weights=weights,
        convention=convention,
        momentum=case.momentum(convention),
        virtual_batch_size=case.ghosts,
        correction=step.correction,
        adjustment=adjustment,
        **_given(case),
    )
    if not step.groups:
        none = np.zeros(int(np.prod(case.parameter_shape)))
        limit = bounds.GradientErrors(none, none, none, none, none, (np.zeros(x.shape), np.zeros(x.shape)))
        return _expected(case, exact, limit, np.zeros(x.shape))
    form, out = formats(case)
    gamma, _ = affine(case)
    selected, parts = statistics(case, convention, grade, x, weights, step)
    state = initial(case)
    entered = entering(case, convention, grade, x, weights, step, parts)
    correction = None if case.renorm is None else corrections(case, step, entered, state, convention)
    r: Any = Uncertain(1.0, 0.0) if correction is None else correction[0]
    running = convention.statistics == "running"
    normal, kind = normalizing(case, convention, parts, step), str(convention.normalizing_variance)
    options: dict[str, Any] = {}
    if running:
        normal, kind, options = _moved_statistics(case, convention, grade, step, entered, state)
    dy = case.cotangent.astype(np.float64)
    scale, bias = (1.0, 0.0) if adjustment is None else adjustment
    adjusted, biased = np.broadcast_to(dy * scale, x.shape), np.broadcast_to(dy * bias, x.shape)
    spread = frequencies(weights, x)
    found = [
        bounds.training_gradients(
            as_rows(x, group, case),
            as_rows(adjusted, group, case),
            part,
            case.epsilon,
            gamma * r.value,
            grade,
            form,
            out,
            chained=chained,
            weights=as_rows(spread, group, case),
            freedom=_freedom(flat(whole.weight), kind, case.epsilon),
            gain_error=r.error / np.maximum(np.abs(r.value), form.tiny),
            adjusted=adjustment is not None,
            **options,
        )
        for group, part, whole in zip(selected, normal, step.groups, strict=True)
    ]
    if isinstance(grade, bounds.Algorithm):
        for number, (group, part) in enumerate(zip(selected, normal, strict=True)):
            by_x, by_sum = bounds.through_sums(
                as_rows(x, group, case),
                as_rows(adjusted, group, case),
                as_rows(spread, group, case),
                part,
                case.epsilon,
                np.abs(gamma) * (np.abs(r.value) + r.error),
                grade,
                form,
            )
            found[number] = found[number]._replace(x=found[number].x + by_x, gamma=found[number].gamma + by_sum)
    limit = found[0]
    if len(found) > 1 or correction is not None or adjustment is not None:
        cotangents = [as_rows(adjusted, group, case) for group in selected]
        units = [
            (as_rows(x, group, case) - part.mean) / np.sqrt(part.variance + case.epsilon)
            for group, part in zip(selected, normal, strict=True)
        ]
        by_gamma, by_beta = bounds.parameter_gradients(
            _sum([c * z for c, z in zip(cotangents, units, strict=True)], [each.gamma for each in found]),
            _sum(cotangents, [each.beta for each in found]),
            correction,
            np.abs(to_rows(biased, case.axis)).sum(axis=0),
            len(to_rows(x, case.axis)),
            NAIVE if chained else grade,
            form,
        )
        if adjustment is not None:
            sizes = np.abs(to_rows(dy, case.axis)).sum(axis=0)
            by_beta = by_beta + bounds.accumulated(grade.additions(len(x)) + 8, form.roundoff) * sizes
        limit = limit._replace(gamma=by_gamma, beta=by_beta)
    if running:
        rows, cotangent = as_rows(x, slice(None), case), as_rows(adjusted, slice(None), case)
        kept = bounds.evaluation_gradients(
            rows, cotangent, normal[0], case.epsilon, gamma, grade, form, out, chained=chained
        )
        # They are those of evaluation, times what the averages keep, which is rounded as in `bounds.running`.
        rounding = bounds.accumulated(28, form.roundoff)
        limit = limit._replace(
            moving_mean=kept.moving_mean + rounding * np.abs(flat(exact.moving_mean)),
            moving_variance=kept.moving_variance + rounding * np.abs(flat(exact.moving_variance)),
        )
    x_bound = joined([each.x for each in found], x, selected, case)
    error, size = (joined([each.weights[n] for each in found], x, selected, case) for n in (0, 1))
    return _expected(case, exact, limit._replace(weights=(error, size)), x_bound)


def _moved_statistics(
    case: Case,
    convention: Convention,
    grade: bounds.Grade,
    step: oracle.Step,
    entered: bounds.Statistics,
    state: dict[str, Uncertain],
) -> tuple[list[bounds.Statistics], str, dict[str, Any]]:
    """Bound the averages that the batch has moved and is normalized by, and say how it moved them."""
    form, _ = formats(case)
    after = moved(case, convention, grade, step, entered, state)
    mean, variance = after["moving_mean"], after["moving_variance"]
    none = np.zeros_like(mean.error)
    normal = bounds.Statistics(mean.value, variance.value, mean.error, variance.error, none)
    entry = step.entries[0]
    estimate = flat(entry.estimate)
    factor = estimate / np.maximum(flat(entry.variance), form.tiny)
    inexact = convention.running_variance == "bessel_epsilon"
    error = bounds.estimated(entered.variance_error, factor, estimate, form, inexact=inexact)
    own = entered._replace(variance=estimate, variance_error=error)
    return [normal], convention.running_variance, {"own": own, "takes": (entry.take_mean, entry.take_variance)}


def _freedom(weight: Array, kind: str, epsilon: float) -> Array:
    """Return what a second moment is divided by; the weight where that would not be positive."""
    correction = {"population": 0.0, "bessel": 1.0, "bessel_epsilon": 1.0 + epsilon}[kind]
    return np.where(weight > correction, weight - correction, np.where(weight == 0, 1.0, weight))


def _sum(terms: list[Array], errors: list[Array]) -> tuple[Uncertain, Array]:
    """Add the sums of ghost batches, and the sizes of all terms."""
    value = sum(each.sum(axis=0) for each in terms)
    return Uncertain(value, sum(errors)), sum(np.abs(each).sum(axis=0) for each in terms)


def _given(case: Case) -> dict[str, Any]:
    return {
        "axis": case.axis,
        "epsilon": case.epsilon,
        "gamma": case.gamma,
        "moving_mean": case.moving_mean,
        "moving_variance": case.moving_variance,
    }


def _expected(case: Case, exact: oracle.Gradients, limit: bounds.GradientErrors, x_bound: Array) -> dict[str, Expected]:
    """Put each exact gradient beside its bound."""
    expected = {"x": Expected(exact.x, x_bound)}
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        expected[name] = Expected(getattr(exact, name), getattr(limit, name).reshape(case.parameter_shape))
    weights = case.weights[-1]
    if weights is not None and exact.weights is not None:
        spread = tuple(axis for axis, size in enumerate(weights.shape) if size == 1)
        expected["weights"] = Expected(exact.weights, bounds.summed(*limit.weights, spread, formats(case)[0]))
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
    form, out = formats(case)
    rows, cotangent, tangent = (to_rows(array, case.axis) for array in (x, case.cotangent, case.tangent))
    batch = oracle.moments(x, tuple(axis for axis in range(x.ndim) if axis not in case.axis))
    given = bounds.batch_statistics(rows, flat(batch.mean), flat(batch.variance), grade, form)
    gamma, _ = affine(case)
    bound = bounds.second_derivative(rows, cotangent, tangent, given, case.epsilon, gamma, grade, form, out)
    return Expected(exact, from_rows(bound, x.shape, case.axis))
