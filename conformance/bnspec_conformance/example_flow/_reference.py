"""The run that others are compared with, and how far rounding may take them from it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import bnspec
from bnspec.arrays import common_namespace, fold_in, random_key
from bnspec.bijectors import Chain
from bnspec.training import batch_rows
from bnspec_conformance import bounds

from ._models import OPTIMIZER, SEED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.bijectors import Bijector
    from bnspec.distributions import TransformedDistribution

    from ._data import Data
    from ._models import Model

__all__ = ["STEPS", "Reference", "reference"]

STEPS = 50
_PERTURBED, _TIMES = 2.0**-36, 8


class Reference(NamedTuple):
    """A run, and its neighbours.

    Attributes
    ----------
    losses : numpy.ndarray, shape (T,)
        Before each step.
    bound : numpy.ndarray, shape (T,)
        How far another run in float64 may be from it, at each step.
    """

    losses: np.ndarray[Any, Any]
    bound: np.ndarray[Any, Any]


def reference(model: Model, data: Data, framework: str = "jax:x64", steps: int = STEPS) -> Reference:
    """Train in float64, once as it is and several times with every number perturbed at every step.

    Parameters
    ----------
    model : Model
        The flow.
    data : Data
        The data set.
    framework : str
        The backend.
    steps : int
        T.

    Returns
    -------
    Reference
        The bound is twice :func:`bnspec_conformance.bounds.training_run`, because both runs are rounded. What is
        perturbed are the values of all parameters, their gradients, and every number that one part of the flow hands to
        the next, with its gradient: sums over a batch that are 0 but for rounding, as the gradient of a shift before a
        batch normalization, must be perturbed too, because Adam divides them by their own size.
    """
    backend = bnspec.backend(framework)
    with backend.context():
        flow = model.flow(data, backend.asarray(data.divided()[0]))
        step = _compiled(flow, backend, model.batch_norm)
        runs = np.asarray([_run(flow, step, data, backend, steps, number) for number in range(_TIMES + 1)])
    sensitivity = np.abs(runs[1:] - runs[0]).max(axis=0) / _PERTURBED
    form = bounds.FORMATS["float64"]
    return Reference(runs[0], np.asarray([2.0 * bounds.training_run(float(each), form) for each in sensitivity]))


def _run(flow: TransformedDistribution, step: Any, data: Data, backend: Any, steps: int, number: int) -> list[float]:
    training = data.divided()[0]
    random = np.random.default_rng(number)

    def near(shape: Sequence[Any]) -> Any:
        signs = random.choice([-1.0, 1.0], tuple(shape))
        return backend.asarray(1.0 + (_PERTURBED if number else 0.0) * signs)

    xp = common_namespace(x=training)
    key = fold_in(random_key(SEED, xp=xp), 1, xp)
    shapes = [variable.shape for variable in flow.trainable_variables]
    values = tuple(variable.value for variable in flow.trainable_variables)
    others = tuple(variable.value for variable in flow.non_trainable_variables)
    links = len(_links(flow))
    state, losses = OPTIMIZER.init(values), []
    for count in range(steps):
        batch = training[batch_rows(SEED, count, len(training), data.batch_size)]
        if data.prepare is not None:
            batch = data.prepare(batch, fold_in(key, count, xp))
        x = backend.asarray(batch)
        nears = (*(near(batch.shape) for _ in range(links + 1)), near(batch.shape[:1]))
        factors = tuple(tuple(near(shape) for shape in shapes) for _ in range(2))
        loss, values, others, state = step(values, others, state, x, nears, factors)
        losses.append(float(backend.to_numpy(loss)))
    return losses


def _links(flow: TransformedDistribution) -> list[Bijector]:
    chain = flow.bijector
    return chain.bijectors if isinstance(chain, Chain) else [chain]


def _compiled(flow: TransformedDistribution, backend: Any, batch_norm: bool) -> Any:
    condition: dict[str, Any] = {"training": True} if batch_norm else {}

    def mean(x: Any, nears: Any) -> Any:
        """Return the loss, with the input of every link, the base and each event's share multiplied."""
        *links, base, shares = nears
        total = 0.0
        for part, near in zip(_links(flow), links, strict=True):
            known: dict[str, Any] = condition if "training" in (part.condition_names or ()) else {}
            x, log_det = part.inverse_and_log_det(x * near, event_ndims=1, **known)
            total = total + log_det
        return -common_namespace(x=x).mean((flow.distribution.log_prob(x * base) + total) * shares)

    differentiated = backend.value_and_grad(partial(_loss, flow, mean), has_aux=True)

    def step(values: Any, others: Any, state: Any, x: Any, nears: Any, factors: Any) -> Any:
        values = tuple(value * near for value, near in zip(values, factors[0], strict=True))
        (loss, others), gradients = differentiated(values, others, x, nears)
        gradients = tuple(slope * near for slope, near in zip(gradients, factors[1], strict=True))
        values, state = OPTIMIZER.step(values, gradients, state)
        return loss, tuple(flow.constrained(values)), tuple(others), state

    return backend.compile(step)


def _loss(flow: TransformedDistribution, mean: Any, values: Any, others: Any, *batch: Any) -> tuple[Any, Any]:
    return flow.stateless_call(values, others, *batch, method=mean)
