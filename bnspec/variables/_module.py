"""Module: what has variables, its own and those of its parts, and runs as a pure function of them."""

from __future__ import annotations

from contextlib import contextmanager
from math import prod
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from bnspec.errors import message
from bnspec.variables._found import found
from bnspec.variables._scope import current, scope
from bnspec.variables._variable import Variable, copied, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np

__all__ = ["Module", "assign_all", "transaction"]


class Module:
    """Variables, found in the attributes.

    Notes
    -----
    Found are variables and modules that are attributes, or lie in containers among them, or are bound by functions
    among them: by ``functools.partial``, as the object of a method, or as a variable of an enclosing function. The
    attributes of other objects are searched where these are callable, or dataclasses.
    """

    @property
    def variables(self) -> list[Variable]:
        """All variables, each once, in the order of the attributes."""
        return _each_once(self._walk("variables", [self]))

    @property
    def trainable_variables(self) -> list[Variable]:
        """What an optimizer is to change."""
        return _each_once(self._walk("trainable_variables", [self]))

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The others."""
        trainable = self.trainable_variables
        return [variable for variable in self.variables if not _among(variable, trainable)]

    @property
    def built(self) -> bool:
        """Whether there are all variables."""
        reached: list[Module] = [self]
        _ = list(self._walk("variables", reached))
        return all(part.built for part in reached if type(part).built is not Module.built and part is not self)

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
            In the order of :attr:`variables`: of NumPy or of the variables' library, with the same shapes and dtypes.

        Raises
        ------
        TypeError, ValueError
            If their number, a shape, a dtype, a library or a device does not fit. Then nothing has changed.
        """
        self._require_built()
        variables = self.variables
        _require_count("weights", weights, variables)
        fitting = [taken(own.name, value, own.value) for own, value in zip(variables, weights, strict=True)]
        assign_all(variables, [copied(value) for value in fitting])

    def count_params(self) -> int:
        """Count the elements of all variables, the counts of batches among them.

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
        _require_count("trainable", values, variables)
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
        _require_count("trainable", values, variables)
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
        assign_all(variables, self.constrained([variable.value for variable in variables]))

    def stateless_call(
        self,
        trainable: Sequence[Any],
        non_trainable: Sequence[Any],
        *args: Any,
        method: str | Callable[..., Any] = "__call__",
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """Call a method with given values of the variables; a pure function, for compilers and for differentiation.

        Parameters
        ----------
        trainable, non_trainable : list or tuple of array
            Values of :attr:`trainable_variables` and of :attr:`non_trainable_variables`, in that order.
        *args, **kwargs
            The arguments of the method.
        method : str or callable
            The name of a method, for example ``"log_prob"``; or a function of the arguments that calls several.

        Returns
        -------
        result : object
            What the method returns.
        non_trainable : list or tuple of array
            The values after, in the kind of sequence that came.

        Raises
        ------
        TypeError, ValueError
            If the numbers of values do not fit, there are no variables yet, or as the method.
        """
        self._require_built()
        owned, others = self.trainable_variables, self.non_trainable_variables
        _require_count("trainable", trainable, owned)
        _require_count("non_trainable", non_trainable, others)
        given = dict(zip((*owned, *others), (*trainable, *non_trainable), strict=True))
        call = getattr(self, method) if isinstance(method, str) else method
        around = current() or {}
        with scope(given) as after:
            result = call(*args, **kwargs)
        if isinstance(result, GeneratorType):
            raise TypeError(
                message("a method must return its result; a generator runs when the values are gone", method=method)
            )
        for variable, value in after.items():
            if variable not in given and value is not around.get(variable):
                raise ValueError(
                    message(
                        "a call must change no variables but those of the module",
                        "Make it an attribute, or bind it by functools.partial.",
                        variable=variable.name,
                    )
                )
        values = [after[variable] for variable in others]
        return result, tuple(values) if isinstance(non_trainable, tuple) else values

    def _parts(self) -> list[Any]:
        """List the variables and modules that are held directly."""
        return found(list(vars(self).values()), (Variable, Module))

    def _walk(self, which: str, reached: list[Module]) -> Iterator[Variable]:
        """Go through what is held, each module once: they may hold each other."""
        for part in self._parts():
            if isinstance(part, Variable):
                if part.trainable or which == "variables":
                    yield part
            elif not any(part is other for other in reached):
                reached.append(part)
                own = type(part).variables is not Module.variables  # it has a list of its own
                yield from getattr(part, which) if own else part._walk(which, reached)  # noqa: SLF001 - it is this class

    def _require_built(self) -> None:
        if not self.built:
            name = getattr(self, "name", type(self).__name__)
            raise ValueError(message(f"{name} must have its variables", "Build it, or call it once on an input."))


def assign_all(variables: Sequence[Variable], values: Sequence[Any]) -> None:
    """Replace values, all or none."""
    fitting = [taken(variable.name, value, variable.value) for variable, value in zip(variables, values, strict=True)]
    for variable, value in zip(variables, fitting, strict=True):
        variable.assign(value)


@contextmanager
def transaction() -> Iterator[None]:
    """Let variables change when the block has ended, and not at all where it raises."""
    around = current() or {}
    with scope() as after:
        yield
    changed = {variable: value for variable, value in after.items() if value is not around.get(variable)}
    assign_all(list(changed), list(changed.values()))


def _each_once(variables: Iterable[Variable]) -> list[Variable]:
    several: list[Variable] = []
    for variable in variables:
        if not _among(variable, several):
            several.append(variable)
    return several


def _among(variable: Variable, several: Sequence[Variable]) -> bool:
    return any(variable is other for other in several)


def _require_count(name: str, values: Sequence[Any], variables: Sequence[Variable]) -> None:
    if len(values) != len(variables):
        names = ", ".join(variable.name for variable in variables) or "none"
        raise ValueError(message(f"{name} must be {len(variables)} arrays: {names}", count=len(values)))
