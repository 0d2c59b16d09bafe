"""What a conversion keeps: the output of evaluation, or what the statistics mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import dtype_name, shape_of
from bnspec.batchnorm._history import UNCHANGED, averages, change
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._definition import BatchNorm

__all__ = ["number_of", "same_output", "same_statistics"]

_ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def number_of(num_batches: Any) -> int | None:
    """Read a count of batches.

    Parameters
    ----------
    num_batches : array, shape (), integer, or None
        Of a state.

    Returns
    -------
    int or None

    Raises
    ------
    TypeError, ValueError
        If it is no integer array of shape (), or negative.
    """
    if num_batches is None:
        return None
    if shape_of(num_batches) != () or dtype_name(num_batches.dtype) not in ("int32", "int64"):
        raise TypeError(
            message(
                "num_batches must be an integer array of shape (), or None",
                shape=shape_of(num_batches),
                dtype=dtype_name(num_batches.dtype),
            )
        )
    number = int(num_batches)
    if number < 0:
        raise ValueError(message("num_batches must not be negative", num_batches=number))
    return number


def same_output(given: dict[str, Any], source: BatchNorm, target: BatchNorm, xp: Any) -> dict[str, Any]:
    """Copy the averages; the variance and epsilon keep their sum, and so does the stddev, which is its root.

    Parameters
    ----------
    given : dict of str to array
        The averages by their field, in the dtype of the computation.
    source, target : BatchNorm
        The configurations.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    dict of str to array

    Raises
    ------
    ValueError
        If a variance would be negative.
    """
    found = dict(given)
    if source.epsilon != target.epsilon:
        found["moving_variance"] = shifted = given["moving_variance"] + (source.epsilon - target.epsilon)
        if xp.any(shifted < 0):
            raise ValueError(
                message(
                    "moving_variance + source's epsilon must not be below target's epsilon in any channel",
                    "Give the target the source's epsilon.",
                    least=-float(xp.max(-given["moving_variance"])),
                    source=source.epsilon,
                    target=target.epsilon,
                )
            )
    if target.renorm is None:
        return {name: found[name] for name in ("moving_mean", "moving_variance")}
    if source.renorm is None:
        stddev = xp.sqrt(given["moving_variance"] + source.epsilon)
        found |= {"moving_stddev": stddev, "renorm_mean": given["moving_mean"], "renorm_stddev": stddev}
    return found


def same_statistics(
    given: dict[str, Any],
    dtypes: dict[str, str],
    source: BatchNorm,
    target: BatchNorm,
    number: int | None,
    count: float | None,
    xp: Any,
) -> dict[str, Any]:
    """Map each average; with renormalization the variance follows from its stddev.

    Parameters
    ----------
    given : dict of str to array
        The averages by their field, in the dtype of the computation.
    dtypes : dict of str to str
        The dtypes that they were stored in.
    source, target : BatchNorm
        The configurations.
    number : int or None
        How many batches entered.
    count : float or None
        How many elements per channel each had.
    xp : namespace
        The namespace of the arrays.

    Returns
    -------
    dict of str to array
        What needs no change is the same object.

    Raises
    ------
    ValueError
        As of :func:`bnspec.batchnorm._history.change`; or if the averages are of other quantities, or can not be of
        the source.
    """
    _require_same_quantities(source, target)
    before, after, found = averages(source), averages(target), {}
    for name, value in given.items():
        if name == "moving_variance" and source.renorm is not None:
            continue
        step = change(before[name], after[name], number, count)
        if step == UNCHANGED:
            found[name] = value
            continue
        left, positive = value - step.removed, name not in ("moving_mean", "renorm_mean")
        # Each update rounds what is left of the initial value at most four times.
        slack = 4.0 * ((number or 0) + 2) * _ROUNDOFF[dtypes[name]] * step.removed
        below = left < -slack
        if xp.any(below | (left > slack) if number == 0 else below & positive):
            raise ValueError(
                message(
                    f"{name} must {'be' if number == 0 else 'hold'} the initial value {before[name].initial} "
                    f"after num_batches={number} as the source has it",
                    "Give the number of batches and the initial_variance that belong to these statistics.",
                    removed=step.removed,
                    least=-float(xp.max(-value)),
                )
            )
        if positive:
            left = xp.where(left < 0, xp.zeros_like(left), left)
        found[name] = left * step.scale + step.added
    if source.renorm is not None:
        found["moving_variance"] = _from_stddev(given, found, target, number, xp)
    return found


def _from_stddev(given: dict[str, Any], found: dict[str, Any], target: BatchNorm, number: int | None, xp: Any) -> Any:
    if found["moving_stddev"] is given["moving_stddev"]:
        return given["moving_variance"]
    stddev = found["moving_stddev"]
    if number == 0:
        return xp.full_like(stddev, target.convention.initial_variance)
    variance = stddev * stddev - target.epsilon
    return xp.where(variance < 0, xp.zeros_like(variance), variance)


def _require_same_quantities(source: BatchNorm, target: BatchNorm) -> None:
    """Refuse averages of different things: of other groups of elements, or of roots."""

    def grouped(spec: BatchNorm) -> Any:
        update = spec.convention.ghost_update
        if spec.virtual_batch_size is None or update == "merged":
            return None
        return spec.virtual_batch_size, update, spec.convention.ghost_grouping

    def rooted(spec: BatchNorm) -> Any:
        return spec.renorm and (spec.convention.running_variance, spec.epsilon)

    for what, quantity in (("ghost batches", grouped), ("stddev of renormalization", rooted)):
        if quantity(source) != quantity(target):
            raise ValueError(
                message(
                    f"source and target must have the same {what}",
                    "Averages of one do not determine those of the other: take keep='output'.",
                    source=quantity(source),
                    target=quantity(target),
                )
            )
