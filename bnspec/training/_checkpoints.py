"""Runs in files: everything that the next step depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec.arrays import dtype_name, shape_of
from bnspec.errors import message
from bnspec.layers._serialization import Stored, read, write
from bnspec.training._architecture import described, difference

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

    from bnspec.variables import Module, Variable

__all__ = ["Run", "leaves", "load_checkpoint", "save_checkpoint"]

FORMAT = "bnspec.training 1"


class Run(NamedTuple):
    """The state of a run between two steps.

    Attributes
    ----------
    step : int
        How many steps there were; with the seed, the counter of all random numbers that are to come.
    trainable, non_trainable : tuple of array
        The values of the variables.
    optimizer : object
        The state of the optimizer: arrays, in nested tuples.
    losses : tuple of float
        Before each step.
    """

    step: int
    trainable: tuple[Any, ...]
    non_trainable: tuple[Any, ...]
    optimizer: Any
    losses: tuple[float, ...]


def save_checkpoint(path: str | PathLike[str], module: Module, run: Run, settings: dict[str, Any]) -> None:
    """Write the state of a run to a safetensors file.

    Parameters
    ----------
    path : path
        The file; one that is there is replaced when the new one is complete.
    module : Module
        What is trained; its architecture is written, too.
    run : Run
        The state.
    settings : dict
        What else the run follows from, such as its seed: what JSON can hold.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    arrays = {name: Stored.of(array) for name, array in _named(module, run)}
    arrays["losses"] = Stored("float64", np.asarray(run.losses, dtype=np.float64))
    write(path, arrays, {"step": run.step, **_about(module, settings)}, FORMAT)


def load_checkpoint(path: str | PathLike[str], module: Module, like: Run, settings: dict[str, Any]) -> Run:
    """Read the state of a run of the same architecture and settings.

    Parameters
    ----------
    path : path
        What :func:`save_checkpoint` wrote, on any backend.
    module : Module
        What is to be trained on.
    like : Run
        A state of this module and optimizer, which gives shapes, dtypes, library and device.
    settings : dict
        As of :func:`save_checkpoint`.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If the file is damaged, of another architecture or other settings, or if other variables were trained; the
        message names the first difference.
    OSError
        If it cannot be read.
    """
    arrays, about = read(path, FORMAT)
    ours = _about(module, settings)
    found = difference(ours, {key: about[key] for key in ours})
    wanted = dict(_named(module, like))
    if found is None:
        shapes = {name: f"{dtype_name(each.dtype)} {list(shape_of(each))}" for name, each in wanted.items()}
        saved = {name: f"{each.dtype} {list(each.values.shape)}" for name, each in arrays.items() if name != "losses"}
        found = difference(shapes, saved)
    if found is not None:
        where, own, other = found
        raise ValueError(
            message(
                "the checkpoint must be of the same architecture and settings",
                "Make the same flow, or give another path.",
                path=str(path),
                difference=where,
                ours=own,
                file=other,
            )
        )
    values = {name: arrays[name].restored(array) for name, array in wanted.items()}
    by_variable = {variable: values.pop(name) for name, variable in _variables(module)}
    trainable = tuple(by_variable[variable] for variable in module.trainable_variables)
    non_trainable = tuple(by_variable[variable] for variable in module.non_trainable_variables)
    optimizer = _rebuilt(like.optimizer, iter(values.values()))
    losses = tuple(float(loss) for loss in arrays["losses"].values)
    return Run(about["step"], trainable, non_trainable, optimizer, losses)


def _about(module: Module, settings: dict[str, Any]) -> dict[str, Any]:
    """Describe what a run is of."""
    trainable = set(module.trainable_variables)
    which = {name: variable in trainable for name, variable in _variables(module)}
    return {"architecture": described(module), "trainable": which, "settings": settings}


def _variables(module: Module) -> list[tuple[str, Variable]]:
    """List the variables, each with a name of its own, whether it is trained or not."""
    return [(f"{number:04d} {variable.name}", variable) for number, variable in enumerate(module.variables)]


def _named(module: Module, run: Run) -> Iterator[tuple[str, Any]]:
    """Go through the arrays of a state, each with a name of its own."""
    trainable, others = module.trainable_variables, module.non_trainable_variables
    values = {
        **dict(zip(trainable, run.trainable, strict=True)),
        **dict(zip(others, run.non_trainable, strict=True)),
    }
    for name, variable in _variables(module):
        yield name, values[variable]
    for number, value in enumerate(leaves(run.optimizer)):
        yield f"optimizer {number:04d}", value


def leaves(nested: Any) -> list[Any]:
    """List the arrays in nested tuples."""
    return [leaf for part in nested for leaf in leaves(part)] if isinstance(nested, tuple) else [nested]


def _rebuilt(nested: Any, values: Iterator[Any]) -> Any:
    """Put values in the places of the leaves of nested tuples."""
    if not isinstance(nested, tuple):
        return next(values)
    parts = [_rebuilt(part, values) for part in nested]
    return type(nested)(*parts) if hasattr(nested, "_fields") else tuple(parts)
