"""Bijectors whose parameters a function computes: what it may return, and the map that this means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import ACCUMULATES_IN, common_namespace, device_of, dtype_name, shape_of, sizes_of
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._reduction import summed
from bnspec.bijectors._signatures import names_after
from bnspec.errors import message
from bnspec.variables import as_parameter, first_array, resolved

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Conditioned", "affine_map", "map_through", "require_one", "shown"]


class Conditioned(Bijector):
    """A bijector that calls a function, ``shift_and_log_scale_fn`` or ``bijector_fn``, in each of its methods.

    Parameters
    ----------
    shift_and_log_scale_fn, bijector_fn : callable or None
        Exactly one of them.
    placed : int
        With how many arguments it is called besides the conditions.
    **contract
        What :class:`Bijector` takes; its parameters need not name the two functions.

    Raises
    ------
    TypeError
        If what is given is not callable.
    ValueError
        If both are given, or none.
    """

    def __init__(
        self,
        shift_and_log_scale_fn: Callable[..., Any] | None,
        bijector_fn: Callable[..., Bijector] | None,
        *,
        placed: int,
        parameters: dict[str, Any],
        **contract: Any,
    ) -> None:
        functions = {"shift_and_log_scale_fn": shift_and_log_scale_fn, "bijector_fn": bijector_fn}
        require_one(**functions)
        self._affine = bijector_fn is None
        self._fn: Any = shift_and_log_scale_fn if bijector_fn is None else bijector_fn
        self._placed = placed
        if not callable(self._fn):
            which = "shift_and_log_scale_fn" if self._affine else "bijector_fn"
            raise TypeError(message(f"{which} must be callable", **{which: self._fn}))
        super().__init__(parameters={**functions, **parameters}, **contract)

    def _own_condition_names(self) -> frozenset[str] | None:
        """Find what the function takes besides its first arguments; a network says so itself."""
        if hasattr(self._fn, "condition_names"):
            told: frozenset[str] = self._fn.condition_names
            return told
        try:
            return names_after(self._placed, self._fn)
        except ValueError:  # functions that are not written in Python may have none
            return None

    def _like(self) -> Any:
        return first_array(one for one in self.variables if dtype_name(one.dtype) in ACCUMULATES_IN)


def affine_map(direction: str, x: Any, made: Any, event_ndims: int) -> tuple[Any, Callable[[], Any]]:
    """Scale and shift, or undo it.

    Parameters
    ----------
    direction : {"forward", "inverse"}
        Which way.
    x : array, shape (*B, *E)
        What is mapped.
    made : tuple or list
        What the function returned: shift and log_scale, broadcastable to x. Either may be None.
    event_ndims : int
        The rank of E, at least 1.

    Returns
    -------
    y : array
    log_det : callable without arguments
        Returns the log-det, broadcastable to the batch of y.

    Raises
    ------
    TypeError
        If it is no pair, or a part is no parameter.
    ValueError
        If a part does not fit the event.
    """
    if not (isinstance(made, (tuple, list)) and len(made) == 2):
        raise TypeError(message("shift_and_log_scale_fn must return a pair (shift, log_scale)", came=shown(made)))
    parts = zip(("shift", "log_scale"), made, strict=True)
    shift, log_scale = (_fitted(name, given, x, event_ndims) for name, given in parts)
    xp = common_namespace(x=x)
    if direction == "forward":
        scaled = x if log_scale is None else x * xp.exp(log_scale)
        y = scaled if shift is None else scaled + shift
    else:
        centred = x if shift is None else x - shift
        y = centred if log_scale is None else centred * xp.exp(-log_scale)

    def log_det() -> Any:
        if log_scale is None:
            return xp.zeros((), dtype=x.dtype, device=device_of(x))
        sizes = sizes_of(log_scale)
        front = sizes[: max(len(sizes) - event_ndims, 0)]
        total = summed(xp.broadcast_to(log_scale, (*front, *sizes_of(x)[-event_ndims:])), event_ndims, xp)
        return total if direction == "forward" else -total

    return y, log_det


def map_through(direction: str, x: Any, made: Any, event_ndims: int, *, most: int = 0) -> tuple[Any, Callable[[], Any]]:
    """Let a bijector map, which a function returned.

    Parameters
    ----------
    direction : {"forward", "inverse"}
        Which way.
    x : array, shape (*B, *E)
        What is mapped.
    made : Bijector
        Injective, and keeps rank and shape of an event.
    event_ndims : int
        The rank of E, over which the log-det is summed.
    most : {0, 1}
        The highest rank of its smallest event.

    Returns
    -------
    y : array
    log_det : callable without arguments

    Raises
    ------
    TypeError
        If it is no bijector.
    ValueError
        If it is not as described.
    """
    if not isinstance(made, Bijector):
        raise TypeError(message("bijector_fn must return a Bijector", came=shown(made)))
    ranks = made.forward_min_event_ndims, made.inverse_min_event_ndims
    if ranks not in ((0, 0), (most, most)) or not made.is_injective:
        raise ValueError(
            message(
                f"bijector_fn must return a bijector of {'scalars or vectors' if most else 'scalars'} that keeps the "
                "rank, and is injective",
                bijector=made.name,
                forward_min_event_ndims=ranks[0],
                inverse_min_event_ndims=ranks[1],
                is_injective=made.is_injective,
            )
        )
    y, log_det = made.mapped_with_log_det(direction, x, event_ndims, {})
    before, after = shape_of(x)[-event_ndims:], shape_of(y)[-event_ndims:]
    if any(size not in (None, own) for size, own in zip(after, before, strict=True)):
        raise ValueError(
            message("bijector_fn must return a bijector that keeps the number of units", x=shape_of(x), y=shape_of(y))
        )
    return y, log_det


def shown(made: Any) -> str:
    """Show what a function returned."""
    kind = f"{type(made).__module__}.{type(made).__qualname__}"
    return f"{kind} of {len(made)}" if isinstance(made, (tuple, list)) else kind


def require_one(**given: Any) -> None:
    """Refuse both, and neither."""
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(message(f"exactly one of {' and '.join(given)} must be given", **given))


def _fitted(name: str, given: Any, x: Any, event_ndims: int) -> Any:
    """Take what the function returned for x."""
    found = resolved(name, as_parameter(name, given), like=x)
    if found is None:
        return None
    shape, wanted = shape_of(found), shape_of(x)
    pairs = list(zip(shape[::-1], wanted[::-1], strict=False))
    larger = any(size not in (own, 1, None) for size, own in pairs[:event_ndims])
    if larger or any(size not in (own, 1, None) and own not in (1, None) for size, own in pairs):
        raise ValueError(
            message(f"{name} must be broadcastable to the units that are transformed", shape=shape, units=wanted)
        )
    return found
