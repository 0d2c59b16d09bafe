"""Stateful: what everything with variables has, whatever it computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import require_real_floating, shape_of
from bnspec.errors import message
from bnspec.layers._configuration import require_bools
from bnspec.layers._updates import Ledger, Update, as_list
from bnspec.variables import Module, Variable, assign_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Stateful"]


class Stateful(Module):
    """A module whose variables have names of their own, with losses and updates.

    Parameters
    ----------
    name : str
        The name of the layer.
    trainable : bool
        Whether an optimizer is to change its parameters.
    """

    def __init__(self, name: str, trainable: bool) -> None:
        self.name = name
        self.trainable = trainable
        self._variables: dict[str, Variable] = {}
        self._losses: Ledger[Any] = Ledger()
        self._updates: Ledger[Update] = Ledger()

    @property
    def trainable(self) -> bool:
        """Whether an optimizer is to change the parameters; may be set at any time."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        require_bools(trainable=trainable)
        self._trainable = trainable

    @property
    def built(self) -> bool:
        """Whether there are variables."""
        return bool(self._variables)

    @property
    def variables(self) -> list[Variable]:
        """All variables, the trainable ones first."""
        return list(self._variables.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """What an optimizer is to change: nothing where the layer is not trainable."""
        return [variable for variable in self.variables if variable.trainable and self.trainable]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The others."""
        return [variable for variable in self.variables if not (variable.trainable and self.trainable)]

    @property
    def weights(self) -> list[Variable]:
        """The same as :attr:`variables`."""
        return self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The same as :attr:`trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The same as :attr:`non_trainable_variables`."""
        return self.non_trainable_variables

    @property
    def losses(self) -> list[Any]:
        """The penalties of the regularizers, computed now, and the losses that were added."""
        return self.regularization_losses() + [_evaluated(loss) for loss in self._losses.all()]

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add losses to :attr:`losses`, where they stay until :meth:`clear_losses`.

        Parameters
        ----------
        losses : array of shape (), callable without arguments, or a list of them
            A callable is called whenever the losses are asked for.
        inputs : array or list of array, optional
            What they depend on.

        Raises
        ------
        TypeError, ValueError
            If a loss is no real floating array of shape ().
        """
        several = as_list(losses)
        for loss in several:
            if not callable(loss):
                _require_scalar(loss)
        for loss in several:
            self._losses.add(loss, tuple(as_list(inputs)))

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """List the losses that depend on some inputs.

        Parameters
        ----------
        inputs : array, list of array, or None
            The arrays themselves, not equal ones. None asks for the losses that depend on no inputs, which the
            regularizers' are.

        Returns
        -------
        list of array, shape ()
        """
        own = self.regularization_losses() if inputs is None else []
        return own + [_evaluated(loss) for loss in self._losses.of(inputs)]

    def clear_losses(self) -> None:
        """Forget the losses that were added."""
        self._losses = Ledger()

    @property
    def updates(self) -> list[Update]:
        """The updates that are still to be run; each is called without arguments."""
        self._updates.keep(lambda update: update.pending)
        return self._updates.all()

    def add_update(self, updates: Callable[[], Any] | Sequence[Callable[[], Any]], inputs: Any = None) -> None:
        """Add updates to :attr:`updates`. The layer does not run them.

        Parameters
        ----------
        updates : callable without arguments, or a list of them
            With inputs each counts once, and without each time that it is called.
        inputs : array or list of array, optional
            What they depend on.

        Raises
        ------
        TypeError
            If an update is not callable.
        """
        arrays = tuple(as_list(inputs))
        made = [update if isinstance(update, Update) else Update(update, arrays) for update in as_list(updates)]
        for update in made:
            self._updates.add(update, arrays or update.inputs)

    def get_updates_for(self, inputs: Any) -> list[Update]:
        """List the updates that depend on some inputs and are still to be run.

        Parameters
        ----------
        inputs : array, list of array, or None
            The arrays themselves, not equal ones. None asks for the updates that depend on no inputs.

        Returns
        -------
        list of Update
        """
        self._updates.keep(lambda update: update.pending)
        return self._updates.of(inputs)

    def clear_updates(self) -> None:
        """Forget the updates that have not been run, and the batches that they hold."""
        self._updates = Ledger()

    def _assign(self, values: dict[str, Any]) -> None:
        """Replace values by name, all or none."""
        assign_all([self._variables[name] for name in values], list(values.values()))


def _evaluated(loss: Any) -> Any:
    return _require_scalar(loss()) if callable(loss) else loss


def _require_scalar(loss: Any) -> Any:
    if not hasattr(loss, "shape"):
        raise TypeError(message("a loss must be an array of shape (), or a function that returns one", loss=loss))
    require_real_floating(loss=loss)
    if shape_of(loss) != ():
        raise ValueError(message("a loss must have the shape ()", shape=shape_of(loss)))
    return loss
