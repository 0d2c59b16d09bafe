"""A run of training: batches drawn by counter, checkpoints, and a stop where the loss is not finite."""

from __future__ import annotations

from functools import partial
from math import isfinite
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import common_namespace, device_of, fold_in, random_key, random_uniform, shape_of
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.flows._blocks import all_finite, parts_of
from bnspec.registry import backend_of
from bnspec.training._adam import Adam
from bnspec.training._architecture import described
from bnspec.training._checkpoints import Run, leaves, load_checkpoint, save_checkpoint
from bnspec.training._finite import NonFiniteError, first_non_finite
from bnspec.training._step import negative_log_likelihood, training_step
from bnspec.variables import assign_all, scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from bnspec.distributions import TransformedDistribution
    from bnspec.training._step import Optimizer

__all__ = ["batch_rows", "fit"]


def fit(
    flow: TransformedDistribution,
    x: Any,
    *,
    steps: int,
    batch_size: int = 100,
    optimizer: Optimizer | None = None,
    prepare: Callable[[Any, Any], Any] | None = None,
    seed: int = 0,
    compiled: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    every: int = 100,
    progress: Callable[[Run], None] | None = None,
) -> tuple[float, ...]:
    """Train a flow by maximum likelihood on batches of a data set.

    Parameters
    ----------
    flow : TransformedDistribution
        Its variables are made, where they are not, and hold the result.
    x : array, shape (N, *event), real floating
        The training set.
    steps : int
        How many steps the run has, those before a checkpoint included, and not fewer than these.
    batch_size : int
        B, at most N: 100 in [1]_. The last N % B events of each epoch are left out.
    optimizer : Optimizer, optional
        By default, :class:`bnspec.training.Adam`.
    prepare : callable, optional
        Called as ``prepare(batch, key)``, it returns what the flow has the density of; for example
        ``lambda batch, key: dequantized(batch, 256, key)``. The key is that of the step.
    seed : int
        In [0, 2^64): of the order of the events and of the keys.
    compiled : bool
        Whether the backend's compiler compiles the step.
    checkpoint : path, optional
        A safetensors file, in a folder that is there. Where it is there itself, the run goes on from it, to the same
        bytes as one that was not interrupted; it is written after every so many steps and at the end.
    every : int
        How many steps lie between two checkpoints.
    progress : callable, optional
        Called with the :class:`Run` after each step.

    Returns
    -------
    tuple of float
        The loss before each step, in nats per event, those before a checkpoint included.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; if data are not finite or a part of the flow refuses them, as
        :class:`bnspec.flows.Levels` does, before the first step; if the checkpoint is of another architecture or of
        other settings. Then nothing has changed.
    NonFiniteError
        If a loss is not finite; or, where a checkpoint is to be written and at the end, a variable or the state of the
        optimizer is not. Then the variables are what they were before the call, and the last checkpoint, which is
        finite, is kept.

    References
    ----------
    .. [1] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation,
       arXiv:1705.07057.
    """
    last, size, between = (
        as_ndims(*each) for each in (("steps", steps, 1), ("batch_size", batch_size, 1), ("every", every, 1))
    )
    count = shape_of(x)[0] if shape_of(x) else None
    if count is None or count < size:
        raise ValueError(message("batch_size must be at most the number of events", batch_size=size, shape=shape_of(x)))
    if checkpoint is not None and not Path(checkpoint).parent.is_dir():
        raise ValueError(message("checkpoint must lie in a folder that is there", checkpoint=str(checkpoint)))
    key = fold_in(random_key(seed, xp=common_namespace(x=x), device=device_of(x)), 1, common_namespace(x=x))
    seed = index(seed)  # Python's, which JSON can hold
    _require_data(flow, x if prepare is None else prepare(x, key))
    chosen = Adam() if optimizer is None else optimizer
    settings = {"seed": seed, "batch_size": size, "events": count, "optimizer": _optimizer(chosen)}
    trainable = tuple(variable.value for variable in flow.trainable_variables)
    others = tuple(variable.value for variable in flow.non_trainable_variables)
    run = Run(0, trainable, others, chosen.init(trainable), ())
    if checkpoint is not None and Path(checkpoint).exists():
        run = load_checkpoint(checkpoint, flow, run, settings)
        if run.step > last:
            raise ValueError(
                message(
                    "steps must be at least those of the checkpoint", steps=last, path=str(checkpoint), file=run.step
                )
            )
    step = training_step(flow, partial(negative_log_likelihood, flow), chosen, compiled=compiled)
    xp = common_namespace(x=x)
    while run.step < last:
        rows = xp.asarray(batch_rows(seed, run.step, count, size), dtype=xp.int32, device=device_of(x))
        batch = xp.take(x, rows, axis=0)
        if prepare is not None:
            batch = prepare(batch, fold_in(key, run.step, xp))
        done = step(run.trainable, run.non_trainable, run.optimizer, batch)
        loss = float(backend_of(x).to_numpy(done.loss))
        if not isfinite(loss):
            raise _failed(flow, run, loss, batch, checkpoint)
        run = Run(run.step + 1, done.trainable, done.non_trainable, done.optimizer, (*run.losses, loss))
        if progress is not None:
            progress(run)
        if run.step == last or (checkpoint is not None and run.step % between == 0):
            if not all_finite([*run.trainable, *run.non_trainable, *leaves(run.optimizer)]):
                raise _failed(flow, run, loss, batch, checkpoint)  # the next loss would not be finite, or no step done
            if checkpoint is not None:
                save_checkpoint(checkpoint, flow, run, settings)
    assign_all([*flow.trainable_variables, *flow.non_trainable_variables], [*run.trainable, *run.non_trainable])
    return run.losses


def batch_rows(seed: int, step: int, count: int, batch_size: int) -> list[int]:
    """Return which events make the batch of a step.

    Parameters
    ----------
    seed : int
        In [0, 2^64).
    step : int
        Counted from 0.
    count, batch_size : int
        N and B.

    Returns
    -------
    list of int
        B of 0 to N - 1: in each epoch of N // B steps, an order drawn anew, the same on every backend.
    """
    xp = common_namespace(key=np.zeros(0))
    epoch, place = divmod(step, count // batch_size)
    key = fold_in(fold_in(random_key(seed, xp=xp), 0, xp), epoch, xp)
    order = xp.argsort(random_uniform(key, (count,), xp.float64, xp), stable=True)
    return [int(row) for row in order[place * batch_size : (place + 1) * batch_size]]


def _require_data(flow: TransformedDistribution, x: Any) -> None:
    """Refuse data that a part refuses or that are not finite; make the variables where nobody has."""
    parts_of(flow)
    found = first_non_finite(flow, x)
    if found:
        raise ValueError(
            message("all data must have a finite density before training", "Scale or clip the data.", first=found)
        )


def _optimizer(optimizer: Optimizer) -> Any:
    """Describe an optimizer, whose attributes are what it steps by, so that JSON can hold it."""
    return {"class": type(optimizer).__qualname__, **described(getattr(optimizer, "__dict__", {}))}


def _failed(
    flow: TransformedDistribution, run: Run, loss: float, batch: Any, checkpoint: str | PathLike[str] | None
) -> NonFiniteError:
    """Find out where it went wrong, with the values that it went wrong with."""
    variables = [*flow.trainable_variables, *flow.non_trainable_variables]
    values = [*run.trainable, *run.non_trainable]
    with scope(dict(zip(variables, values, strict=True))):
        if isfinite(loss) and all_finite(values):
            part = "the state of the optimizer"
        else:
            part = first_non_finite(flow, batch) or "the mean of the densities"
    kept = (
        f"The last good checkpoint is {str(checkpoint)!r}."
        if checkpoint is not None and Path(checkpoint).exists()
        else ""
    )
    return NonFiniteError(run.step, loss, part, kept)
