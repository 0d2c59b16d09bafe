"""Stateful: what everything with variables has, whatever it computes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from bnspec.arrays import require_real_floating, shape_of
from bnspec.errors import message
from bnspec.layers._configuration import require_bools
from bnspec.layers._updates import Ledger, Update, as_list
from bnspec.layers._variables import Variable, copied, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

__all__ = ["Stateful"]


class Stateful:
    """Variables, losses and updates.

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

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copy the values of all variables to NumPy, in their order.

        Returns
        -------
        list of numpy.ndarray
        """
        return [variable.numpy() for variable in self.variables]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace the values of all variables by copies of arrays.

        Parameters
        ----------
        weights : sequence of array
            In the order of :attr:`variables`: of NumPy or of the layer's library, with the same shapes and dtypes.

        Raises
        ------
        TypeError, ValueError
            If their number, a shape, a dtype, a library or a device does not fit. Then nothing has changed.
        """
        self._require_built()
        names = list(self._variables)
        if len(weights) != len(names):
            raise ValueError(message(f"weights must be {len(names)} arrays: {', '.join(names)}", count=len(weights)))
        fitting = {
            name: taken(name, value, self._variables[name].value) for name, value in zip(names, weights, strict=True)
        }
        self._assign({name: copied(value) for name, value in fitting.items()})

    def count_params(self) -> int:
        """Count the elements of all variables, the count of batches among them.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If there are no variables yet.
        """
        self._require_built()
        return sum(prod(int(size or 0) for size in variable.shape) for variable in self.variables)

    def regularization_losses(self, trainable: Sequence[Any] | None = None) -> list[Any]:
        """Compute the penalties of the trainable variables that have a regularizer.

        Parameters
        ----------
        trainable : sequence of array, optional
            Values of :attr:`trainable_variables`, in that order; by default their own. With it, the function is pure.

        Returns
        -------
        list of array, shape ()

        Raises
        ------
        ValueError
            If their number does not fit.
        """
        variables = self.trainable_variables
        values = [variable.value for variable in variables] if trainable is None else list(trainable)
        self._require_count("trainable", values, variables)
        return [
            variable.regularizer(value)
            for variable, value in zip(variables, values, strict=True)
            if variable.regularizer is not None
        ]

    def constrained(self, trainable: Sequence[Any]) -> list[Any]:
        """Project parameters as their constraints want it.

        Parameters
        ----------
        trainable : sequence of array
            Values of :attr:`trainable_variables`, in that order. This is a pure function.

        Returns
        -------
        list of array
            Those of variables without a constraint are the same arrays.

        Raises
        ------
        ValueError
            If their number does not fit.
        """
        variables, values = self.trainable_variables, list(trainable)
        self._require_count("trainable", values, variables)
        return [
            value if variable.constraint is None else variable.constraint(value)
            for variable, value in zip(variables, values, strict=True)
        ]

    def apply_constraints(self) -> None:
        """Project the trainable variables as their constraints want it; to be called after an optimizer's step.

        Raises
        ------
        TypeError, ValueError
            If a constraint returns another shape or dtype. Then nothing has changed.
        """
        variables = self.trainable_variables
        after = self.constrained([variable.value for variable in variables])
        self._assign({variable.name: value for variable, value in zip(variables, after, strict=True)})

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
        """Replace values, all or none."""
        taken_all = {name: taken(name, value, self._variables[name].value) for name, value in values.items()}
        for name, value in taken_all.items():
            self._variables[name].assign(value)

    def _require_built(self) -> None:
        if not self.built:
            raise ValueError(
                message(f"{self.name} must have variables", "Call layer.build(input_shape, like=x), or the layer.")
            )

    def _require_count(self, name: str, values: Sequence[Any], variables: Sequence[Variable]) -> None:
        if len(values) != len(variables):
            names = ", ".join(variable.name for variable in variables) or "none"
            raise ValueError(message(f"{name} must be {len(variables)} arrays: {names}", count=len(values)))


def _evaluated(loss: Any) -> Any:
    return _require_scalar(loss()) if callable(loss) else loss


def _require_scalar(loss: Any) -> Any:
    if not hasattr(loss, "shape"):
        raise TypeError(message("a loss must be an array of shape (), or a function that returns one", loss=loss))
    require_real_floating(loss=loss)
    if shape_of(loss) != ():
        raise ValueError(message("a loss must have the shape ()", shape=shape_of(loss)))
    return loss
