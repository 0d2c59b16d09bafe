"""Chain: bijectors one after the other, the last first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import broadcast_shapes, common_namespace, device_of
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._contract import applied
from bnspec.bijectors._parts import accepted, joined_names, numbered, require_bijectors, require_known
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.variables import common_like

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Chain"]


class Chain(Bijector):
    """Apply bijectors one after the other, the last first: ``Chain([f, g]).forward(x)`` is f(g(x)).

    Parameters
    ----------
    bijectors : sequence of Bijector, optional
        The parts. Without any, the chain is the identity.
    validate_args : bool
        Whether the parts check values, those of parts included; they do where they were told so themselves, too.
    name : str, optional
        By default, ``"chain_of_f_of_g"``.

    Raises
    ------
    TypeError
        If a part is no bijector, or parts have parameters of several libraries or dtypes.

    Notes
    -----
    A condition reaches every part that takes a condition of that name. A mapping under the name of a part holds
    conditions of that part alone, as in TFP.
    """

    def __init__(
        self, bijectors: Sequence[Bijector] | None = None, validate_args: bool = False, name: str | None = None
    ) -> None:
        parts = require_bijectors("bijectors", [] if bijectors is None else bijectors)
        need = shift = 0
        for part in reversed(parts):
            need = max(need, part.forward_min_event_ndims - shift)
            shift += part.inverse_min_event_ndims - part.forward_min_event_ndims
        self._chained = parts
        super().__init__(
            forward_min_event_ndims=need,
            inverse_min_event_ndims=need + shift,
            is_constant_jacobian=all(part.is_constant_jacobian for part in parts),
            validate_args=validate_args,
            parameters={"bijectors": tuple(parts), "validate_args": validate_args, "name": name},
            name=name or ("chain_of_" + "_of_".join(part.name for part in parts) if parts else "identity"),
        )
        _, self._dtype = common_like(numbered(parts))

    @property
    def bijectors(self) -> list[Bijector]:
        """The parts."""
        return list(self._chained)

    @property
    def is_injective(self) -> bool:
        """Whether all parts are."""
        return all(part.is_injective for part in self._chained)

    @property
    def is_affine(self) -> bool:
        """Whether all parts are."""
        return all(part.is_affine for part in self._chained)

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        found: Any = True
        for part in self._chained:
            own = part._is_increasing(like, accepted(part, condition, self._chained))
            if own is None:
                return None
            found = own == found  # two maps that fall make one that rises
        return found

    def _linear_part(self, direction: str, x: Any, condition: dict[str, Any]) -> Any:
        for part in self._in_order(direction):
            x = part._linear_part(direction, x, accepted(part, condition, self._chained))
        return x

    def _in_order(self, direction: str) -> list[Bijector]:
        """List the parts as they run."""
        return self._chained if direction == "inverse" else self._chained[::-1]

    def _own_condition_names(self) -> frozenset[str] | None:
        return joined_names(self._chained)

    def _conditions(self, given: dict[str, Any]) -> dict[str, Any]:
        return require_known(self._chained, super()._conditions(given))

    def _like(self) -> Any:
        return common_like(numbered(self._chained))[0]

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        for part in reversed(self._chained):
            shape = part.forward_event_shape(shape)
        return shape

    def _inverse_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        for part in self._chained:
            shape = part.inverse_event_shape(shape)
        return shape

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        shape: tuple[int | None, ...] = ()
        for part in reversed(self._chained):
            shape = broadcast_shapes(shape, part.parameter_batch_shape(event_ndims))
            event_ndims = as_ndims("event_ndims", part.forward_event_ndims(event_ndims), 0)
        return shape

    def _has(self, direction: str) -> bool:
        return True

    def mapped(self, direction: str, x: Any, condition: dict[str, Any], *, validate: bool = False) -> tuple[Any, Any]:
        """Run the parts, whose log-dets wait until they are asked for; see :meth:`Bijector.mapped`."""
        waiting = []
        validate = validate or self.validate_args
        xp = common_namespace(x=x)
        ndims = getattr(self, f"{direction}_min_event_ndims")
        self._require_rank(x, ndims)
        for part in self._in_order(direction):
            own = accepted(part, condition, self._chained)
            if direction == "inverse" and not part.is_injective:
                raise NotImplementedError(
                    message("all parts of a chain must be injective for an inverse", "Take them apart.", part=part.name)
                )
            if part.is_injective:
                x, log_det = part.mapped_with_log_det(direction, x, ndims, own, validate=validate)
                waiting.append(log_det)
            else:  # there is no log-det to wait for
                x, _ = part.mapped(direction, x, own, validate=validate)
            ndims = getattr(part, f"{direction}_event_ndims")(ndims)

        def total() -> Any:
            found: Any = xp.zeros((), dtype=x.dtype, device=device_of(x))
            for log_det in waiting:
                found = found + log_det()
            return found

        return x, total


@applied.register(Bijector)
def _(value: Bijector, bijector: Bijector, name: str | None, kwargs: dict[str, Any]) -> Chain:
    if isinstance(value, Chain):
        kept = {key: value._parameters[key] for key in ("validate_args", "name")}
        given = {} if name is None else {"name": name}
        return Chain([bijector, *value.bijectors], **{**kept, **given, **kwargs})
    return Chain([bijector, value], name=name, **kwargs)
