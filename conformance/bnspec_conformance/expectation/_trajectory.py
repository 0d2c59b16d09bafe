"""What training and evaluation must give, step by step: outputs and states."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec_conformance import bounds, oracle
from bnspec_conformance.bounds import Uncertain

from ._layout import Expected, affine, as_rows, flat, formats, frequencies, groups, joined

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec_conformance.cases import Case

    Array = np.ndarray[Any, Any]

__all__ = ["Step", "corrections", "entering", "initial", "moved", "normalizing", "run", "statistics", "trajectory"]

_AVERAGES = ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev")


class Step(NamedTuple):
    """What one call must give; the last is a name and an expectation for each average of renormalization."""

    y: Expected
    moving_mean: Expected
    moving_variance: Expected
    renorm: dict[str, Expected]


@cache
def run(case: Case, convention: Convention, *, alone: bool = False) -> tuple[oracle.Step, ...]:
    """Run the training batches and the evaluation through the oracle, or the last training batch alone.

    That is exact, so that all grades share it.
    """
    if alone and len(case.training) == 1:
        return run(case, convention)[:1]
    batches: list[Any] = [*zip(case.training, [True] * len(case.training), case.weights, case.adjustments, strict=True)]
    batches = batches[-1:] if alone else [*batches, (case.evaluation, False)]
    stddev, mean, spread = case.renorm_state if case.renorm else (None, None, None)
    steps = oracle.trajectory(
        batches,
        axis=case.axis,
        epsilon=case.epsilon,
        momentum=case.momentum(convention),
        convention=convention,
        gamma=case.gamma,
        beta=case.beta,
        moving_mean=case.moving_mean,
        moving_variance=case.moving_variance,
        virtual_batch_size=case.ghosts,
        renorm=case.renorm_of(convention),
        moving_stddev=stddev,
        renorm_mean=mean,
        renorm_stddev=spread,
    )
    return tuple(steps)


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
    weights = [*case.weights, None]
    adjustments = [*case.adjustments, None]
    state = initial(case)
    steps = []
    for number, (step, x) in enumerate(zip(run(case, convention), (*case.training, case.evaluation), strict=True)):
        training = number < len(case.training)
        if training and step.groups:
            bound, state = _trained(case, convention, grade, x, weights[number], adjustments[number], step, state)
        else:
            form, out = formats(case, convention)
            mean, variance = state["moving_mean"], state["moving_variance"]
            given = bounds.Statistics(mean.value, variance.value, mean.error, variance.error, np.zeros_like(mean.error))
            rows = as_rows(x, slice(None), case)
            limit = bounds.normalized(rows, given, case.epsilon, *affine(case), form, out)
            limit = limit + _folded(case, grade, rows, given, (_affine_step(case),), form)
            bound = joined([limit], x, [slice(None)], case)
        exact = {name: part for name, part in step.state._asdict().items() if name in state}
        expected = {
            name: Expected(part, state[name].error.reshape(case.parameter_shape)) for name, part in exact.items()
        }
        renorm = {name: expected[name] for name in _AVERAGES[2:] if name in expected}
        steps.append(Step(Expected(step.y, bound), expected["moving_mean"], expected["moving_variance"], renorm))
    return tuple(steps)


def corrections(
    case: Case, step: oracle.Step, mean: bounds.Statistics, state: dict[str, Uncertain], convention: Convention
) -> tuple[Uncertain, Uncertain]:
    """Bound r and d, from the statistics that they are computed from and the averages before."""
    form, _ = formats(case, convention)
    assert step.correction is not None  # noqa: S101 - narrows the type
    return bounds.correction(
        Uncertain(mean.mean, mean.mean_error),
        Uncertain(mean.variance, mean.variance_error),
        mean.split,
        state["renorm_mean"],
        state["renorm_stddev"],
        case.epsilon,
        (flat(step.correction[0]), flat(step.correction[1])),
        form,
    )


def initial(case: Case) -> dict[str, Uncertain]:
    """Take the averages as they are loaded, without errors."""
    loaded = (case.moving_mean, case.moving_variance, *(case.renorm_state if case.renorm else ()))
    vectors = (array.astype(np.float64).reshape(-1) for array in loaded)
    return {name: Uncertain(value, np.zeros_like(value)) for name, value in zip(_AVERAGES, vectors, strict=False)}


def statistics(
    case: Case, convention: Convention, grade: bounds.Grade, x: Array, weights: Array | None, step: oracle.Step
) -> tuple[list[Any], list[bounds.Statistics]]:
    """Bound the population statistics of each ghost batch."""
    form, _ = formats(case, convention)
    spread = frequencies(weights, x)
    selected = groups(x, case, convention)
    found = [
        bounds.weighted_statistics(
            as_rows(x, group, case), as_rows(spread, group, case), flat(part.mean), flat(part.variance), grade, form
        )
        for group, part in zip(selected, step.groups, strict=True)
    ]
    return selected, found


def entering(
    case: Case,
    convention: Convention,
    grade: bounds.Grade,
    x: Array,
    weights: Array | None,
    step: oracle.Step,
    parts: list[bounds.Statistics],
) -> bounds.Statistics:
    """Bound the mean and the population variance that enter the averages at once."""
    form, _ = formats(case, convention)
    shares = np.stack([flat(part.weight) for part in step.groups])
    if len(parts) == 1:
        return parts[0]
    if convention.ghost_update == "each":
        return parts[0]._replace(
            mean_error=np.max([part.mean_error for part in parts], axis=0),
            variance_error=np.max([part.variance_error for part in parts], axis=0),
        )
    entry = step.entries[0]
    mean, variance = flat(entry.mean), flat(entry.variance)
    if convention.ghost_update == "merged":
        spread = as_rows(frequencies(weights, x), slice(None), case)
        whole = bounds.weighted_statistics(as_rows(x, slice(None), case), spread, mean, variance, grade, form)
        return bounds.merged(tuple(parts), shares, whole, grade, form)
    present = (shares > 0).astype(np.float64)
    means, errors = np.stack([part.mean for part in parts]), np.stack([part.mean_error for part in parts])
    mean_error = bounds.averaged(means, errors, present, mean, grade, form)
    variances = np.stack([part.variance for part in parts])
    errors = np.stack([part.variance_error for part in parts])
    variance_error = bounds.averaged(variances, errors, present, variance, grade, form)
    return bounds.Statistics(mean, variance, mean_error, variance_error, mean_error)


def normalizing(
    case: Case, convention: Convention, parts: list[bounds.Statistics], step: oracle.Step
) -> list[bounds.Statistics]:
    """Turn population variances into those that normalize a batch."""
    if convention.normalizing_variance == "population":
        return parts
    form, _ = formats(case, convention)
    found = []
    for part, group in zip(parts, step.groups, strict=True):
        factor = _ratio(flat(group.normalizing), part.variance)
        error = bounds.estimated(part.variance_error, factor, factor * part.variance, form, inexact=False)
        found.append(part._replace(variance=factor * part.variance, variance_error=error))
    return found


def _ratio(estimate: Array, population: Array) -> Array:
    """Return what a population variance is multiplied by; 1 where it is 0."""
    there = population > 0
    return np.where(there, estimate / np.where(there, population, 1.0), 1.0)


def _trained(
    case: Case,
    convention: Convention,
    grade: bounds.Grade,
    x: Array,
    weights: Array | None,
    adjustment: tuple[Array, Array] | None,
    step: oracle.Step,
    state: dict[str, Uncertain],
) -> tuple[Array, dict[str, Uncertain]]:
    """Bound the output of a training batch, and the state after it."""
    form, out = formats(case, convention)
    selected, parts = statistics(case, convention, grade, x, weights, step)
    entered = entering(case, convention, grade, x, weights, step, parts)
    after = moved(case, convention, grade, step, entered, state)
    gamma, beta = affine(case)
    last = [_affine_step(case)]
    given = normalizing(case, convention, parts, step)
    if convention.statistics == "running":
        mean, variance = after["moving_mean"], after["moving_variance"]
        given = [bounds.Statistics(mean.value, variance.value, mean.error, variance.error, np.zeros_like(mean.error))]
    found = []
    for group, part in zip(selected, given, strict=True):
        rows = as_rows(x, group, case)
        steps = list(last)
        if adjustment is not None:
            pair = (as_rows(np.broadcast_to(each, x.shape), group, case) for each in adjustment)
            steps.insert(0, tuple(Uncertain(each, 0.0) for each in pair))  # type: ignore[arg-type]
        if case.renorm is not None:
            steps.insert(0, corrections(case, step, entered, state, convention))
        if len(steps) == 1:
            limit = bounds.normalized(rows, part, case.epsilon, gamma, beta, form, out)
        else:
            limit = bounds.transformed(rows, part, case.epsilon, tuple(steps), form, out)
        found.append(limit + _folded(case, grade, rows, part, tuple(steps), form))
    return joined(found, x, selected, case), after


def _affine_step(case: Case) -> tuple[Uncertain, Uncertain]:
    gamma, beta = affine(case)
    return Uncertain(gamma, 0.0), Uncertain(beta, 0.0)


def _folded(
    case: Case,
    grade: bounds.Grade,
    rows: Array,
    given: bounds.Statistics,
    steps: tuple[tuple[Uncertain, Uncertain], ...],
    form: bounds.Format,
) -> Array | float:
    """Bound what folding adds, where the mean is folded."""
    if isinstance(grade, bounds.Algorithm) and grade.folded:
        return bounds.folded(rows, given, case.epsilon, steps, form)
    return 0.0


def moved(
    case: Case,
    convention: Convention,
    grade: bounds.Grade,
    step: oracle.Step,
    entered: bounds.Statistics,
    state: dict[str, Uncertain],
) -> dict[str, Uncertain]:
    """Bound the averages after a training batch."""
    form, _ = formats(case, convention)
    usual = 6 if convention.average == "exponential" or case.take is None else 20
    keep = None if case.take is None else 1.0 - case.take
    both = ("moving_mean", "moving_variance", "moving_stddev")
    debiased = {"debiased": both, "debiased_mean": both[:1]}
    after = dict(state)
    for entry in step.entries:
        divided = bounds.share_roundings(grade, keep, entry.num_batches, usual)
        mean, variance, estimate = flat(entry.mean), flat(entry.variance), flat(entry.estimate)
        factor = _ratio(estimate, variance)
        mean_error = bounds.rounded(entered.mean_error, mean, form)
        inexact = convention.running_variance == "bessel_epsilon"
        estimated = bounds.estimated(entered.variance_error, factor, estimate, form, inexact=inexact)
        estimated = bounds.rounded(estimated, estimate, form)
        arriving = {
            "moving_mean": (Uncertain(mean, mean_error), entry.take_mean),
            "moving_variance": (Uncertain(estimate, estimated), entry.take_variance),
        }
        if case.renorm is not None:
            del arriving["moving_variance"]
            signed = bounds.may_be_negative(grade)
            spread = bounds.root(Uncertain(variance, entered.variance_error), case.epsilon, form, signed=signed)
            running = bounds.root(Uncertain(estimate, estimated), case.epsilon, form, signed=signed)
            arriving["moving_stddev"] = (running, entry.take_variance)
            arriving["renorm_mean"] = (Uncertain(mean, mean_error), case.renorm.momentum)
            arriving["renorm_stddev"] = (spread, case.renorm.momentum)
        for name, (new, share) in arriving.items():
            old = after[name]
            roundings = divided if name in debiased.get(convention.average, ()) else usual
            error = bounds.running(old.value, old.error, new.value, new.error, share, form, roundings)
            error = error + bounds.coarse_share(grade, share, old, new)
            value = (1.0 - share) * old.value + share * new.value
            moves = entry.present.reshape(-1)
            after[name] = Uncertain(np.where(moves, value, old.value), np.where(moves, error, old.error))
        if case.renorm is not None:
            error = bounds.squared(after["moving_stddev"], case.epsilon, form)
            after["moving_variance"] = Uncertain(state["moving_variance"].value, error)
    exact = step.state._asdict()
    return {name: Uncertain(flat(exact[name]), part.error) for name, part in after.items()}
