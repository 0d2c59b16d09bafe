"""What a layer's arguments may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bnspec import conventions
from bnspec.arrays import ACCUMULATES_IN, dtype_name
from bnspec.batchnorm import Renorm
from bnspec.conventions import Convention
from bnspec.errors import message, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "as_convention",
    "as_dtype",
    "as_renorm",
    "require_bools",
    "require_compatible",
    "require_name",
    "serialized_convention",
]


def require_bools(**arguments: Any) -> None:
    """Refuse what is not a bool.

    Raises
    ------
    TypeError
        If an argument is none.
    """
    for name, value in arguments.items():
        if not isinstance(value, bool):
            raise TypeError(message(f"{name} must be a bool", **{name: value}))


def require_name(name: Any) -> None:
    """Refuse a name that is not a string.

    Raises
    ------
    TypeError
        If it is neither a string nor None.
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(message("name must be a string or None", name=name))


def as_convention(given: Any) -> Convention:
    """Take a convention, its name, or its fields.

    Parameters
    ----------
    given : Convention, str or mapping
        What came.

    Returns
    -------
    Convention

    Raises
    ------
    TypeError, ValueError
        If it is none of these, there is none of that name, or a field is unknown.
    """
    if isinstance(given, str):
        return conventions.named(given)
    if isinstance(given, Mapping):
        known = tuple(Convention.__dataclass_fields__)
        for name in given:
            if name not in known:
                raise ValueError(message("convention must have known fields", nearest(name, known), field=name))
        return Convention(**given)
    if not isinstance(given, Convention):
        raise TypeError(
            message(
                "convention must be a bnspec.conventions.Convention, or the name of one",
                "Take a named one, for example bnspec.conventions.TORCH.",
                convention=given,
            )
        )
    return given


def serialized_convention(convention: Convention) -> str | dict[str, Any]:
    """Return what :func:`as_convention` makes the same convention from: its name where that suffices."""
    try:
        named = conventions.named(convention.name)
    except ValueError:
        named = None
    return convention.name if named == convention else asdict(convention)


def as_dtype(given: Any) -> str | None:
    """Take the name of a dtype, or a dtype of any library.

    Parameters
    ----------
    given : str, dtype or None
        What came.

    Returns
    -------
    str or None

    Raises
    ------
    TypeError
        If it is not real floating.
    """
    if given is None:
        return None
    name: str = given.__name__ if isinstance(given, type) else dtype_name(given)
    if name not in ACCUMULATES_IN:
        raise TypeError(message(f"dtype must be real floating or None: {', '.join(ACCUMULATES_IN)}", dtype=given))
    return name


def as_renorm(clipping: Any, momentum: Any) -> Renorm:
    """Take the limits and the momentum of renormalization.

    Parameters
    ----------
    clipping : mapping or None
        Numbers, or arrays of shape (), under the keys rmax, rmin and dmax; what is missing or None has no limit.
    momentum : float
        As of :class:`bnspec.Renorm`.

    Returns
    -------
    Renorm

    Raises
    ------
    TypeError, ValueError
        If a key is unknown, or a number not as :class:`bnspec.Renorm` wants it.
    """
    if clipping is not None and not isinstance(clipping, Mapping):
        raise TypeError(message("renorm_clipping must be a dict or None", renorm_clipping=clipping))
    known = ("rmax", "rmin", "dmax")
    given = {}
    for name, value in (clipping or {}).items():
        if name not in known:
            raise ValueError(
                message("renorm_clipping must have the keys rmax, rmin and dmax", nearest(str(name), known), key=name)
            )
        if value is not None:
            given[name] = float(value) if getattr(value, "shape", None) == () else value
    return Renorm(**given, momentum=momentum)


def require_compatible(
    *, fused: Any, renorm: bool, virtual_batch_size: int | None, adjustment: Any, axes: Sequence[int]
) -> None:
    """Refuse arguments that exclude each other.

    Raises
    ------
    TypeError
        If `fused` is neither a bool nor None, or `adjustment` neither callable nor None.
    ValueError
        If there is an adjustment of virtual batches, or the fused kernel is demanded for what no library has one for.
    """
    if fused is not None and not isinstance(fused, bool):
        raise TypeError(message("fused must be a bool or None", fused=fused))
    if adjustment is not None and not callable(adjustment):
        raise TypeError(message("adjustment must be a function of a shape, or None", adjustment=adjustment))
    if adjustment is not None and virtual_batch_size is not None:
        raise ValueError(
            message(
                "adjustment and virtual_batch_size must not be given together",
                "Leave one of them out.",
                virtual_batch_size=virtual_batch_size,
            )
        )
    conflicts = {
        "renorm": renorm,
        "virtual_batch_size": virtual_batch_size is not None,
        "adjustment": adjustment is not None,
        "several axes": len(axes) > 1,
    }
    for name, present in conflicts.items():
        if fused and present:
            raise ValueError(message(f"fused=True must not be given with {name}", "Take fused=None.", fused=fused))
