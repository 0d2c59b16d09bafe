"""Runs of training, and the densities at their best steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import bnspec
from bnspec.flows import LogLikelihood, estimate_averages, log_likelihood
from bnspec.training import Run, fit
from bnspec.variables import assign_all

from ._models import OPTIMIZER, SEED

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from bnspec.distributions import TransformedDistribution

    from ._data import Data
    from ._models import Model

__all__ = ["Trained", "trained"]

NOISE = 5
"""The seed of the noise on the levels that densities are evaluated of."""


class Trained(NamedTuple):
    """What came of a run.

    Attributes
    ----------
    losses : tuple of float
        Before each step, in nats per event.
    chosen : dict of int to float
        The log-likelihood of the events for the choice of the step, by step.
    step : int
        The best of these.
    held_out : LogLikelihood
        Of the held-out events, at that step.
    samples : numpy.ndarray, shape (N, D)
        Drawn at that step.
    """

    losses: tuple[float, ...]
    chosen: dict[int, float]
    step: int
    held_out: LogLikelihood
    samples: np.ndarray[Any, Any]


def trained(
    model: Model,
    data: Data,
    framework: str,
    *,
    steps: int | None = None,
    samples: int = 0,
    progress: Callable[[], None] | None = None,
) -> Trained:
    """Train a flow in float64, and evaluate it.

    Parameters
    ----------
    model : Model
        The flow.
    data : Data
        The data set.
    framework : str
        A backend with automatic differentiation.
    steps : int, optional
        By default, as many as the data set says.
    samples : int
        How many are drawn.
    progress : callable, optional
        Called after each step.

    Returns
    -------
    Trained
        Every so many steps the running averages are estimated anew from the whole training set. The best step, by
        other events, is evaluated on those that are held out.
    """
    backend, last = bnspec.backend(framework), data.steps if steps is None else steps
    with backend.context():
        training = backend.asarray(data.divided()[0])
        noisy = [backend.asarray(data.density(part, NOISE + number)) for number, part in enumerate(data.divided())]
        flow = model.flow(data, training)
        kept: list[Run] = []

        def after(run: Run) -> None:
            if run.step % data.keep == 0 or run.step == last:
                kept.append(run)
            if progress is not None:
                progress()

        losses = fit(
            flow,
            training,
            steps=last,
            batch_size=data.batch_size,
            optimizer=OPTIMIZER,
            prepare=data.prepare,
            seed=SEED,
            compiled=framework != "torch",  # whose compiler takes minutes here
            progress=after,
        )
        chosen = {}
        for run in kept:
            _restore(flow, run, noisy[0])
            chosen[run.step] = log_likelihood(flow, noisy[1]).mean
        best = max(kept, key=lambda run: chosen[run.step])
        _restore(flow, best, noisy[0])
        drawn = backend.to_numpy(flow.sample(samples, seed=SEED))
        return Trained(losses, chosen, best.step, log_likelihood(flow, noisy[2]), drawn)


def _restore(flow: TransformedDistribution, run: Run, training: Any) -> None:
    """Go back to a step, with the averages of the whole training set."""
    variables = [*flow.trainable_variables, *flow.non_trainable_variables]
    assign_all(variables, [*run.trainable, *run.non_trainable])
    estimate_averages(flow, training)
