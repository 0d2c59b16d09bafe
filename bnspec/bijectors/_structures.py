"""Structures of arrays: lists, tuples and dicts of them, of the form of a bijector's minimal ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnspec.arrays import dtype_name
from bnspec.errors import message
from bnspec.variables import widened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["flattened", "packed", "structured_inputs"]


def flattened(required: str, cure: str, form: Any, given: Any) -> list[Any]:
    """List the leaves of a structure.

    Parameters
    ----------
    required, cure : str
        What must have the form, and how it comes to, for the message.
    form : int or structure of int
        Where an integer lies, there is a leaf.
    given : object
        The structure. A list may be there for a tuple, and a tuple for a list.

    Returns
    -------
    list
        In the order of the form.

    Raises
    ------
    ValueError
        If the structure has another form.
    """
    found = _leaves(form, given)
    if found is None:
        raise ValueError(message(required, cure, form=form, given=given))
    return found


def packed(form: Any, structure: Any, leaves: Iterable[Any]) -> Any:
    """Put leaves into a structure; the opposite of :func:`flattened`.

    Parameters
    ----------
    form : int or structure of int
        Where an integer lies, there is a leaf.
    structure : object
        One of that form, which has the lists, tuples and dicts of the result.
    leaves : iterable
        In the order of the form.

    Returns
    -------
    object
    """
    return _packed(form, structure, iter(leaves))


def structured_inputs(
    name: str, given: Any, form: Any, needs: list[tuple[Any, Any]]
) -> tuple[Any, Callable[[Any], Any]]:
    """Turn the leaves of an input into arrays of the dtype of the computation; and what turns results back.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : structure of array or numbers
        What came.
    form : structure of int
        What it must have.
    needs : list of pair
        For each leaf an array that gives numbers their library, and the dtype that arrays must have; either may be
        None.

    Returns
    -------
    x : structure of array
    back : callable
        Rounds a structure of results, or a log-det, to the dtypes of the input.
    """
    asked = f"{name} must be a structure of the form of the bijectors", "Give an array for each rank of the form."
    leaves = flattened(*asked, form, given)
    pairs = [widened(name, leaf, *need) for leaf, need in zip(leaves, needs, strict=True)]

    def back(result: Any) -> Any:
        if isinstance(result, (list, tuple, Mapping)):
            leaves = flattened(*asked, form, result)
            return packed(form, result, [one(leaf) for (_, one), leaf in zip(pairs, leaves, strict=True)])
        rounded = [one(result) for _, one in pairs]  # the log-det: of the inputs' dtype, where they have one
        return rounded[0] if len({dtype_name(each.dtype) for each in rounded}) == 1 else result

    return packed(form, given, [x for x, _ in pairs]), back


def _leaves(form: Any, given: Any) -> list[Any] | None:
    if isinstance(form, int):
        return [given]
    if isinstance(form, Mapping):
        if not isinstance(given, Mapping) or set(given) != set(form):
            return None
        parts = [_leaves(form[key], given[key]) for key in form]
    else:
        if not isinstance(given, (list, tuple)) or len(given) != len(form):
            return None
        parts = [_leaves(one, part) for one, part in zip(form, given, strict=True)]
    return None if None in parts else [leaf for part in parts for leaf in part or ()]


def _packed(form: Any, structure: Any, leaves: Iterator[Any]) -> Any:
    """Put leaves where those of a structure lie."""
    if isinstance(form, int):
        return next(leaves)
    if isinstance(form, Mapping):
        return {key: _packed(form[key], structure[key], leaves) for key in form}
    parts = [_packed(one, part, leaves) for one, part in zip(form, structure, strict=True)]
    return parts if isinstance(structure, list) else tuple(parts)
