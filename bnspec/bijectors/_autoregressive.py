"""Masked autoregressive flow: each unit is scaled and shifted by functions of those before it."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace, device_of, shape_of
from bnspec.bijectors._conditioned import Conditioned, affine_map, map_through, shown
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.registry import backend_of
from bnspec.variables import has_values, resolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec.bijectors._base import Bijector

__all__ = ["MaskedAutoregressiveFlow"]


class MaskedAutoregressiveFlow(Conditioned):
    """Scale and shift each unit of an event by functions of the units before it in some order.

    Parameters
    ----------
    shift_and_log_scale_fn : callable, optional
        Called as ``fn(y, **condition)`` with outputs y of ``forward``. It returns a pair (shift, log_scale), either of
        which may be None, or an array whose last axis holds these two. What it returns for a unit must depend on those
        units of y alone that come before it, as what :class:`AutoregressiveNetwork` returns does.
    bijector_fn : callable, optional
        Called in the same way instead. It returns a :class:`Bijector` of scalars.
    is_constant_jacobian : bool
        Whether the log-det does not depend on the input: without a scale, it does not.
    validate_args : bool
        Accepted for TFP's sake: what can be checked always is.
    unroll_loop : bool
        Whether ``forward`` is written out pass by pass inside of a compiler too, rather than as a loop.
    event_ndims : int
        The rank of the smallest event, at least 1.
    name : str, optional
        By default, ``"masked_autoregressive_flow"``.

    Raises
    ------
    TypeError
        If `event_ndims` is no integer, `unroll_loop` no bool, or a function is not callable.
    ValueError
        If both functions are given, or none; if `event_ndims` is below 1.

    Notes
    -----
    ``inverse``, the direction of densities, calls the function once: x = (y - shift(y)) exp(-log_scale(y)), with the
    log-det -sum(log_scale(y)) [1]_.

    ``forward``, the direction of samples, begins with y = 0 and maps x by what the function returns for y, as often as
    an event has units, D; the size of an event must be known. Each pass settles the next unit in the order. The log-det
    is that of the last pass, whose parameters no longer depend on what it settles. The units that are not settled yet
    have values that mean nothing, and are replaced by 0 where they overflow. Where a settled unit of a finite x
    overflows, what comes after it is not known: all finite units of that event, and its log-det, become NaN.

    An inverse autoregressive flow [2]_, whose samples take one call and whose densities take D, is ``Invert`` of this.

    References
    ----------
    .. [1] G. Papamakarios, T. Pavlakou, I. Murray, Masked autoregressive flow for density estimation,
       arXiv:1705.07057.
    .. [2] D. P. Kingma et al., Improving variational inference with inverse autoregressive flow, arXiv:1606.04934.
    """

    def __init__(
        self,
        shift_and_log_scale_fn: Callable[..., Any] | None = None,
        bijector_fn: Callable[..., Bijector] | None = None,
        is_constant_jacobian: bool = False,
        validate_args: bool = False,
        unroll_loop: bool = False,
        event_ndims: int = 1,
        name: str | None = None,
    ) -> None:
        if not isinstance(unroll_loop, bool):
            raise TypeError(message("unroll_loop must be a bool", unroll_loop=unroll_loop))
        self._rank = as_ndims("event_ndims", event_ndims, 1)
        self._unroll_loop = unroll_loop
        super().__init__(
            shift_and_log_scale_fn,
            bijector_fn,
            placed=1,
            forward_min_event_ndims=self._rank,
            is_constant_jacobian=is_constant_jacobian,
            validate_args=validate_args,
            parameters={
                "is_constant_jacobian": is_constant_jacobian,
                "validate_args": validate_args,
                "unroll_loop": unroll_loop,
                "event_ndims": self._rank,
                "name": name,
            },
            name=name,
        )

    def _inverse_and_log_det(self, y: Any, **condition: Any) -> tuple[Any, Any]:
        return self._mapped_by("inverse", y, y, condition)

    def _forward_and_log_det(self, x: Any, **condition: Any) -> tuple[Any, Any]:
        event = shape_of(x)[-self._rank :]
        sizes = [size for size in event if size is not None]
        if len(sizes) < len(event):
            raise ValueError(
                message("the size of an event must be known", "Trace with known last axes.", shape=shape_of(x))
            )
        between = max(prod(sizes) - 2, 0)
        xp = common_namespace(x=x)
        if prod(sizes) < 2:
            return self._mapped_by("forward", x, xp.zeros_like(x), condition)
        axes = tuple(range(-self._rank, 0))
        known = xp.all(xp.isfinite(x), axis=axes, keepdims=True)
        # The first pass gives y the batch of the conditions, and makes the variables of a network; the last has the
        # log-det. A loop may change neither a shape nor a variable.
        y = self._settled(x, known, xp.zeros_like(x), condition)
        if self._unroll_loop or has_values(x):
            for _ in range(between):
                y = self._settled(x, known, y, condition)
        elif between:

            def step(y: Any, count: Any) -> tuple[Any, Any]:
                return self._settled(x, known, y, condition), count

            passes = xp.zeros((between,), dtype=x.dtype, device=device_of(x))
            y, _ = backend_of(x).scan(step, y, passes)
        y, log_det = self._mapped_by("forward", x, y, condition)
        lost = known & xp.any(~xp.isfinite(y), axis=axes, keepdims=True)
        nan = xp.asarray(float("nan"), dtype=x.dtype, device=device_of(x))
        every = xp.squeeze(lost, axis=axes)
        return xp.where(lost & xp.isfinite(y), nan, y), lambda: xp.where(every, nan, log_det())

    def _settled(self, x: Any, known: Any, y: Any, condition: dict[str, Any]) -> Any:
        """Pass once, with 0 for each unit that overflows in an event of which x is finite: no other unit may see it."""
        made, xp = self._fn(y, **condition), common_namespace(x=x)
        found = self._mapped_as("forward", x, made)[0]
        kept = xp.isfinite(found) | ~known
        if not self._affine:
            return xp.where(kept, found, xp.zeros_like(found))
        # The parameters are replaced, since a derivative that is not finite would not vanish by being multiplied by 0.
        none = xp.zeros_like(found)
        pair = (
            None if part is None else xp.where(kept, resolved("part", part, like=x), none) for part in _as_pair(made)
        )
        return self._mapped_as("forward", xp.where(kept, x, none), tuple(pair))[0]

    def _mapped_by(self, direction: str, x: Any, y: Any, condition: dict[str, Any]) -> tuple[Any, Any]:
        """Map by what the function returns for y."""
        return self._mapped_as(direction, x, self._fn(y, **condition))

    def _mapped_as(self, direction: str, x: Any, made: Any) -> tuple[Any, Any]:
        """Map by what the function returned."""
        if not self._affine:
            return map_through(direction, x, made, self._rank)
        return affine_map(direction, x, _as_pair(made), self._rank)


def _as_pair(made: Any) -> Any:
    """Take an array whose last axis holds shift and log_scale as a pair."""
    if isinstance(made, (tuple, list)):
        return made
    if not hasattr(made, "dtype") or not hasattr(made, "shape") or not shape_of(made) or shape_of(made)[-1] != 2:
        raise TypeError(
            message(
                "shift_and_log_scale_fn must return a pair (shift, log_scale), or an array whose last axis holds both",
                "Take params=2 for a network, or return None for what there is not.",
                came=f"{shown(made)} of shape {shape_of(made)}" if hasattr(made, "shape") else shown(made),
            )
        )
    return made[..., 0], made[..., 1]
