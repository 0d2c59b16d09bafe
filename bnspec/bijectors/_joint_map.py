"""JointMap: bijectors on the parts of a structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bnspec.arrays import accumulation_dtype, common_namespace, fits, shape_of
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._parts import accepted, joined_names, require_bijectors, require_known
from bnspec.bijectors._structures import structured_inputs
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["JointMap"]


class JointMap(Bijector):
    """Map the parts of a structure, each by a bijector of its own.

    Parameters
    ----------
    bijectors : list, tuple or dict of Bijector
        The parts. One may be a JointMap, for a structure within.
    validate_args : bool
        Whether the parts check values; they do where they were told so themselves, too.
    name : str, optional
        By default, ``"joint_map"``.

    Raises
    ------
    TypeError
        If it is no such structure, or a part is no bijector.
    ValueError
        If it is empty.

    Notes
    -----
    Inputs, outputs, shapes, dtypes and ranks are structures of the form of `bijectors`, and so are
    ``forward_min_event_ndims`` and ``inverse_min_event_ndims``; ``dtype`` is None, because each part has its own. The
    log-det is one array, the sum over the parts: what is left of each input in front of its event must have one shape.
    A part's condition is as in :class:`Chain`.
    """

    def __init__(
        self,
        bijectors: Sequence[Bijector] | Mapping[str, Bijector],
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        if not isinstance(bijectors, (list, tuple, Mapping)):
            raise TypeError(message("bijectors must be a list, a tuple or a dict of bijectors", bijectors=bijectors))
        self._keys = tuple(bijectors) if isinstance(bijectors, Mapping) else None
        self._is_list = isinstance(bijectors, list)
        held = bijectors.values() if isinstance(bijectors, Mapping) else bijectors
        self._joined = require_bijectors("bijectors", held, structured=True)
        if not self._joined:
            raise ValueError(message("bijectors must not be empty"))
        super().__init__(
            forward_min_event_ndims=self._built([part.forward_min_event_ndims for part in self._joined]),
            inverse_min_event_ndims=self._built([part.inverse_min_event_ndims for part in self._joined]),
            is_constant_jacobian=all(part.is_constant_jacobian for part in self._joined),
            validate_args=validate_args,
            parameters={"bijectors": self._built(self._joined), "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def bijectors(self) -> Any:
        """The parts, in their structure."""
        return self._built(self._joined)

    @property
    def is_injective(self) -> bool:
        """Whether all parts are."""
        return all(part.is_injective for part in self._joined)

    def mapped(self, direction: str, x: Any, condition: dict[str, Any], *, validate: bool = False) -> tuple[Any, Any]:
        """Run the parts; there is no log-det without the ranks of events; see :meth:`Bijector.mapped`."""
        self._require_direction(direction)
        checked = validate or self.validate_args
        found = [
            part.mapped(direction, leaf, accepted(part, condition, self._joined), validate=checked)[0]
            for part, leaf in self._each("x", x)
        ]
        return self._built(found), None

    def mapped_with_log_det(
        self, direction: str, x: Any, event_ndims: Any, condition: dict[str, Any], *, validate: bool = False
    ) -> tuple[Any, Callable[[], Any]]:
        """Run the parts, whose log-dets wait until they are asked for; see :meth:`Bijector.mapped_with_log_det`."""
        self._require_direction(direction)
        ranks = getattr(self, f"{direction}_min_event_ndims") if event_ndims is None else event_ndims
        checked = validate or self.validate_args
        pairs = [
            part.mapped_with_log_det(direction, leaf, rank, accepted(part, condition, self._joined), validate=checked)
            for (part, leaf), (_, rank) in zip(self._each("x", x), self._each("event_ndims", ranks), strict=True)
        ]
        return self._built([y for y, _ in pairs]), lambda: _added([log_det() for _, log_det in pairs])

    def _own_condition_names(self) -> frozenset[str] | None:
        return joined_names(self._joined)

    def _conditions(self, given: dict[str, Any]) -> dict[str, Any]:
        return require_known(self._joined, super()._conditions(given))

    def _has(self, direction: str) -> bool:
        return True

    def _as_min_ndims(self, name: str, ndims: Any) -> Any:
        return ndims

    def _needs(self) -> list[tuple[Any, Any]]:
        return [need for part in self._joined for need in part._needs()]

    def _inputs(self, name: str, given: Any) -> tuple[Any, Callable[[Any], Any]]:
        return structured_inputs(name, given, self.forward_min_event_ndims, self._needs())

    def _moved(self, direction: str, shape: Any) -> Any:
        return self._built([part._moved(direction, leaf) for part, leaf in self._each("shape", shape)])

    def _moved_array(self, direction: str, shape: Any) -> Any:
        return self._built([part._moved_array(direction, leaf) for part, leaf in self._each("shape", shape)])

    def _risen(self, direction: str, ndims: Any) -> Any:
        if ndims is None:
            return None
        return self._built([part._risen(direction, leaf) for part, leaf in self._each("event_ndims", ndims)])

    def _typed(self, dtype: Any) -> Any:
        dtypes = self._built([None for _ in self._joined]) if dtype is None else dtype
        return self._built([part._typed(leaf) for part, leaf in self._each("dtype", dtypes)])

    def _require_direction(self, direction: str) -> None:
        if direction == "inverse" and not self.is_injective:
            raise NotImplementedError(message(f"all parts of {self.name} must be injective for an inverse"))

    def _built(self, leaves: list[Any]) -> Any:
        """Put what belongs to the parts into their structure."""
        if self._keys is not None:
            return dict(zip(self._keys, leaves, strict=True))
        return leaves if self._is_list else tuple(leaves)

    def _each(self, name: str, given: Any) -> list[tuple[Bijector, Any]]:
        """Pair the parts with what belongs to them in a structure."""
        if self._keys is not None:
            same = isinstance(given, Mapping) and set(given) == set(self._keys)
            leaves = [given[key] for key in self._keys] if same else []
        else:
            same = isinstance(given, (list, tuple)) and len(given) == len(self._joined)
            leaves = list(given) if same else []
        if not same:
            form = self._built([part.name for part in self._joined])
            raise ValueError(
                message(f"{name} must be a structure of the form of the bijectors", form=form, given=given)
            )
        return list(zip(self._joined, leaves, strict=True))


def _added(log_dets: list[Any]) -> Any:
    """Add log-dets of one shape, in the widest of their dtypes."""
    xp = common_namespace(**{f"log-det of part {number}": each for number, each in enumerate(log_dets)})
    shapes = [shape_of(each) for each in log_dets]
    if not all(fits(shape, shapes[0]) for shape in shapes):
        raise ValueError(
            message("all parts must have one batch", "Raise event_ndims, or broadcast the inputs.", batches=shapes)
        )
    wide = accumulation_dtype(xp, *log_dets)
    found = xp.astype(log_dets[0], wide)
    for each in log_dets[1:]:
        found = found + xp.astype(each, wide)
    return found
