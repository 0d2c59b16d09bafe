"""A step of training as one pure function: loss, gradients, optimizer, constraints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bnspec.arrays import common_namespace
from bnspec.errors import message
from bnspec.flows._blocks import told
from bnspec.registry import backend_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bnspec.distributions import Distribution
    from bnspec.variables import Module

__all__ = ["Optimizer", "Step", "negative_log_likelihood", "training_step"]


class Optimizer(Protocol):
    """What steps are taken by; :class:`bnspec.training.Adam` is one."""

    def init(self, values: Sequence[Any]) -> Any:
        """Return the state before the first step: arrays, in nested tuples."""

    def step(self, values: Sequence[Any], gradients: Sequence[Any], state: Any) -> tuple[Sequence[Any], Any]:
        """Return the values and the state after a step."""


class Step(NamedTuple):
    """What a step of training returns.

    Attributes
    ----------
    loss : array, shape ()
        Before the step, penalties included.
    trainable : tuple of array
        The values of the trainable variables after the step, as their constraints want them.
    non_trainable : tuple of array
        The others: the running averages, after the batch.
    optimizer : object
        The state of the optimizer.
    """

    loss: Any
    trainable: tuple[Any, ...]
    non_trainable: tuple[Any, ...]
    optimizer: Any


def training_step(
    module: Module,
    loss: Callable[..., Any],
    optimizer: Optimizer,
    *,
    compiled: bool = True,
) -> Callable[..., Step]:
    """Make the function that takes one step of training.

    Parameters
    ----------
    module : Module
        What is trained, with its variables made.
    loss : callable
        Called with a batch, it calls methods of the module in training, and returns an array of shape ().
    optimizer : Optimizer
        For example :class:`bnspec.training.Adam`.
    compiled : bool
        Whether the backend's compiler compiles it.

    Returns
    -------
    callable
        ``step(trainable, non_trainable, state, *batch)`` returns a :class:`Step`. It is pure: values of variables come
        and go, and the module's own stay as they are. The first three are what the last step returned; at the
        beginning, the tuples of the values of the variables, and ``optimizer.init(trainable)``.

    Raises
    ------
    ValueError
        If the module has no variables yet, or none that is trainable.
    NotImplementedError
        If the backend has no automatic differentiation, or no compiler.

    Notes
    -----
    The loss is computed once: its value, its gradients, and the running averages come of one call. The penalties of
    regularizers are added to it. Constraints are applied after the optimizer's step, within the function.
    """
    variables = module.trainable_variables
    if not variables:
        raise ValueError(message("module must have trainable variables", "Call it once on an input, or build it."))
    backend = backend_of(variables[0].value)
    differentiated = backend.value_and_grad(partial(_loss, module, loss), has_aux=True)
    step = partial(_step, module, differentiated, optimizer)
    return backend.compile(step) if compiled else step


def negative_log_likelihood(flow: Distribution, x: Any) -> Any:
    """Return the mean of -log_prob over a batch, in training.

    Parameters
    ----------
    flow : Distribution
        Whose batch normalizations, if it has some, normalize by the batch.
    x : array, shape (N, *event)
        The batch.

    Returns
    -------
    array, shape ()
    """
    return -common_namespace(x=x).mean(flow.log_prob(x, **told(flow, training=True)))


def _loss(
    module: Module, loss: Callable[..., Any], trainable: tuple[Any, ...], others: tuple[Any, ...], *batch: Any
) -> tuple[Any, tuple[Any, ...]]:
    value, after = module.stateless_call(trainable, tuple(others), *batch, method=loss)
    for penalty in module.regularization_losses(trainable):
        value = value + penalty
    return value, after


def _step(
    module: Module,
    differentiated: Callable[..., Any],
    optimizer: Optimizer,
    trainable: Sequence[Any],
    others: Sequence[Any],
    state: Any,
    *batch: Any,
) -> Step:
    (value, after), gradients = differentiated(tuple(trainable), tuple(others), *batch)
    moved, state = optimizer.step(tuple(trainable), gradients, state)
    return Step(value, tuple(module.constrained(moved)), tuple(after), state)
