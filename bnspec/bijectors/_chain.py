"""Chain: bijectors one after the other, the last first."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from bnspec.arrays import broadcast_shapes, common_namespace, device_of
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._contract import applied
from bnspec.bijectors._parts import accepted, joined_names, numbered, require_bijectors, require_known
from bnspec.bijectors._shapes import as_ndims
from bnspec.bijectors._structures import flattened, packed, structured_inputs
from bnspec.errors import message
from bnspec.variables import common_needs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    ValueError
        If a part takes a structure of another form than the part before it returns.

    Notes
    -----
    Parts that map structures, such as :class:`JointMap`, make a chain that maps structures of that form. The log-det is
    one array, the sum over the arrays of the structure and over the parts.

    A condition reaches every part that takes a condition of that name. A mapping under the name of a part holds
    conditions of that part alone, as in TFP.
    """

    def __init__(
        self, bijectors: Sequence[Bijector] | None = None, validate_args: bool = False, name: str | None = None
    ) -> None:
        parts = require_bijectors("bijectors", [] if bijectors is None else bijectors, structured=True)
        before, after = _ranks(parts)
        self._chained = parts
        self._is_structured = not isinstance(before, int)
        super().__init__(
            forward_min_event_ndims=before,
            inverse_min_event_ndims=after,
            is_constant_jacobian=all(part.is_constant_jacobian for part in parts),
            validate_args=validate_args,
            parameters={"bijectors": tuple(parts), "validate_args": validate_args, "name": name},
            name=name or ("chain_of_" + "_of_".join(part.name for part in parts) if parts else "identity"),
        )
        needs = self._needs()  # refused here where parts have parameters of several libraries
        self._dtype = None if self._is_structured else needs[0][1]

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
        return None if self._is_structured else self._needs()[0][0]

    def _needs(self) -> list[tuple[Any, Any]]:
        names = numbered(self._chained)
        columns = zip(*(part._needs() for part in self._chained), strict=True)
        return [common_needs(dict(zip(names, column, strict=True))) for column in columns] or [(None, None)]

    def _as_min_ndims(self, name: str, ndims: Any) -> Any:
        return ndims

    def _inputs(self, name: str, given: Any) -> tuple[Any, Callable[[Any], Any]]:
        if not self._is_structured:
            return super()._inputs(name, given)
        return structured_inputs(name, given, self.forward_min_event_ndims, self._needs())

    def _moved(self, direction: str, shape: Any) -> Any:
        return self._through("_moved", direction, shape) if self._is_structured else super()._moved(direction, shape)

    def _moved_array(self, direction: str, shape: Any) -> Any:
        if not self._is_structured:
            return super()._moved_array(direction, shape)
        return self._through("_moved_array", direction, shape)

    def _risen(self, direction: str, ndims: Any) -> Any:
        return self._through("_risen", direction, ndims) if self._is_structured else super()._risen(direction, ndims)

    def _typed(self, dtype: Any) -> Any:
        if not self._is_structured:
            return super()._typed(dtype)
        for part in self._chained:
            dtype = part._typed(dtype)
        return dtype

    def _through(self, hook: str, direction: str, given: Any) -> Any:
        """Let one part after the other say what it makes of it."""
        for part in self._in_order(direction):
            given = getattr(part, hook)(direction, given)
        return given

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        moved: tuple[Any, ...] = self._through("_moved", "forward", shape)
        return moved

    def _inverse_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        moved: tuple[Any, ...] = self._through("_moved", "inverse", shape)
        return moved

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
        ndims = getattr(self, f"{direction}_min_event_ndims")
        if self._is_structured:  # there is no log-det without the ranks of events
            return self._run(direction, x, ndims, condition, validate=validate)[0], None
        self._require_rank(x, ndims)
        y, waiting = self._run(direction, x, ndims, condition, validate=validate)
        xp = common_namespace(x=y)

        def total() -> Any:
            found: Any = xp.zeros((), dtype=y.dtype, device=device_of(y))
            for log_det in waiting:
                found = found + log_det()
            return found

        return y, total

    def mapped_with_log_det(
        self, direction: str, x: Any, event_ndims: Any, condition: dict[str, Any], *, validate: bool = False
    ) -> tuple[Any, Callable[[], Any]]:
        """Run the parts, which sum over the arrays of a structure; see :meth:`Bijector.mapped_with_log_det`."""
        if not self._is_structured:
            return super().mapped_with_log_det(direction, x, event_ndims, condition, validate=validate)
        self._require_log_det(direction)
        ndims = getattr(self, f"{direction}_min_event_ndims") if event_ndims is None else event_ndims
        y, waiting = self._run(direction, x, ndims, condition, validate=validate)
        return y, lambda: reduce(add, [log_det() for log_det in waiting])

    def _run(
        self, direction: str, x: Any, ndims: Any, condition: dict[str, Any], *, validate: bool
    ) -> tuple[Any, list[Callable[[], Any]]]:
        """Run the parts, and list what computes the log-dets of those that are injective."""
        waiting = []
        validate = validate or self.validate_args
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
        return x, waiting


def _ranks(parts: list[Bijector]) -> tuple[Any, Any]:
    """Find the ranks of the smallest event that all parts map, and of what it is mapped to."""
    if not parts:
        return 0, 0
    need = parts[0].forward_min_event_ndims
    for part, after in zip(parts[1:], parts, strict=False):
        form = part.inverse_min_event_ndims
        asked = (
            f"what {part.name} returns must have the form of what {after.name} takes",
            "Use a JointMap of that form.",
        )
        returned = flattened(*asked, need, form)
        if not all(isinstance(rank, int) for rank in returned):  # a structure where an array is taken
            raise ValueError(message(*asked, form=need, given=form))
        need = part.inverse_event_ndims(packed(form, form, map(max, flattened(*asked, need, need), returned)))
    reached = need
    for part in reversed(parts):
        reached = part.forward_event_ndims(reached)
    return need, reached


@applied.register(Bijector)
def _(value: Bijector, bijector: Bijector, name: str | None, kwargs: dict[str, Any]) -> Chain:
    if isinstance(value, Chain):
        kept = {key: value._parameters[key] for key in ("validate_args", "name")}
        given = {} if name is None else {"name": name}
        return Chain([bijector, *value.bijectors], **{**kept, **given, **kwargs})
    return Chain([bijector, value], name=name, **kwargs)
