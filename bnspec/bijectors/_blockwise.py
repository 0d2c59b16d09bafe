"""Blockwise: bijectors beside one another along the last axis."""

from __future__ import annotations

from itertools import accumulate
from operator import index
from typing import TYPE_CHECKING, Any

from bnspec.arrays import broadcast_shapes, common_namespace, device_of, shape_of, sizes_of
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._integers import as_integers
from bnspec.bijectors._parts import accepted, joined_names, numbered, require_bijectors, require_known
from bnspec.bijectors._shapes import OTHER
from bnspec.errors import message
from bnspec.variables import common_like

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Blockwise"]


class Blockwise(Bijector):
    """Map blocks of the last axis, each by a bijector of its own.

    Parameters
    ----------
    bijectors : sequence of Bijector
        The parts, of scalars or vectors.
    block_sizes : sequence of int, optional
        How many elements each of them maps; by default one each.
    validate_args : bool
        Whether the parts check values; they do where they were told so themselves, too.
    name : str, optional
        By default, ``"blockwise"``.

    Raises
    ------
    TypeError
        If a part is no bijector, a size is no integer, or parts have parameters of several libraries or dtypes.
    ValueError
        If there is no part, there are not as many sizes as parts, a size is negative, or a part maps matrices or
        changes ranks. At a call, if the last axis has not as many elements as the blocks together.
    NotImplementedError
        If a part is not injective.

    Notes
    -----
    The log-det is the sum over the parts. Conditions reach the parts as those of :class:`Chain`.
    """

    def __init__(
        self,
        bijectors: Sequence[Bijector],
        block_sizes: Sequence[int] | None = None,
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        parts = require_bijectors("bijectors", bijectors)
        if not parts:
            raise ValueError(message("bijectors must not be empty"))
        for part in parts:
            ranks = part.forward_min_event_ndims, part.inverse_min_event_ndims
            if max(ranks) > 1 or ranks[0] != ranks[1]:
                raise ValueError(
                    message("bijectors must map scalars to scalars, or vectors to vectors", part=part.name, ranks=ranks)
                )
            if not part.is_injective:
                raise NotImplementedError(message("bijectors must be injective", part=part.name))
        sizes = (1,) * len(parts) if block_sizes is None else as_integers("block_sizes", block_sizes)
        if len(sizes) != len(parts) or any(size < 0 for size in sizes):
            raise ValueError(
                message("block_sizes must be one size for each of the bijectors", block_sizes=sizes, parts=len(parts))
            )
        self._blocks = parts
        self._sizes = {
            "forward": sizes,
            "inverse": tuple(
                index(part._moved("forward", (size,))[-1]) for part, size in zip(parts, sizes, strict=True)
            ),
        }
        super().__init__(
            forward_min_event_ndims=1,
            is_constant_jacobian=all(part.is_constant_jacobian for part in parts),
            validate_args=validate_args,
            parameters={
                "bijectors": parts,
                "block_sizes": None if block_sizes is None else sizes,
                "validate_args": validate_args,
                "name": name,
            },
            name=name,
        )
        _, self._dtype = common_like(numbered(parts))

    @property
    def bijectors(self) -> list[Bijector]:
        """The parts."""
        return list(self._blocks)

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """How many elements each of them maps."""
        return self._sizes["forward"]

    @property
    def is_affine(self) -> bool:
        """Whether all parts are."""
        return all(part.is_affine for part in self._blocks)

    def _linear_part(self, direction: str, x: Any, condition: dict[str, Any]) -> Any:
        blocks = [
            part._linear_part(direction, block, accepted(part, condition, self._blocks))
            for part, block in self._split(direction, x)
        ]
        xp = common_namespace(x=x)
        return xp.concat(_of_one_batch(blocks, xp), axis=-1)

    def _own_condition_names(self) -> frozenset[str] | None:
        return joined_names(self._blocks)

    def _conditions(self, given: dict[str, Any]) -> dict[str, Any]:
        return require_known(self._blocks, super()._conditions(given))

    def _like(self) -> Any:
        return common_like(numbered(self._blocks))[0]

    def _has(self, direction: str) -> bool:
        return True

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._joined_shape(shape, "forward", "inverse")

    def _inverse_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        return self._joined_shape(shape, "inverse", "forward")

    def _parameter_batch_shape(self, event_ndims: int) -> tuple[int | None, ...]:
        return broadcast_shapes(*(part.parameter_batch_shape(event_ndims) for part in self._blocks))

    def _joined_shape(self, shape: tuple[Any, ...], before: str, after: str) -> tuple[Any, ...]:
        if isinstance(shape[-1], int) and shape[-1] != sum(self._sizes[before]):
            raise ValueError(
                message(
                    f"the last axis must have the {sum(self._sizes[before])} elements of the blocks",
                    shape=shape,
                    block_sizes=self._sizes[before],
                )
            )
        return (*shape[:-1], sum(self._sizes[after]))

    def mapped(self, direction: str, x: Any, condition: dict[str, Any], *, validate: bool = False) -> tuple[Any, Any]:
        """Run the parts on their blocks; see :meth:`Bijector.mapped`."""
        self._require_rank(x, 1)
        self._joined_shape(shape_of(x), direction, direction)
        xp = common_namespace(x=x)
        if shape_of(x)[-1] is None:  # the layout fails once the call runs, where slices would be short
            x = xp.reshape(x, (*sizes_of(x)[:-1], sum(self._sizes[direction])))
        mapped: list[Any] = []
        waiting = []
        for part, given in self._split(direction, x):
            own = accepted(part, condition, self._blocks)
            checked = validate or self.validate_args
            block, log_det = part.mapped_with_log_det(direction, given, 1, own, validate=checked)
            wanted = self._sizes[OTHER[direction]][len(mapped)]
            if shape_of(block)[-1] not in (None, wanted):
                raise ValueError(
                    message(
                        f"the parameters of {part.name} must not be larger than its block",
                        shape=shape_of(block),
                        size=wanted,
                    )
                )
            mapped.append(block)
            waiting.append(log_det)

        def total() -> Any:
            found = waiting[0]()
            for log_det in waiting[1:]:
                found = found + log_det()
            return found

        return xp.concat(_of_one_batch(mapped, xp), axis=-1), total

    def _split(self, direction: str, x: Any) -> list[tuple[Bijector, Any]]:
        """Pair the parts with their blocks."""
        ends = list(accumulate(self._sizes[direction]))
        return [(part, x[..., start:end]) for part, start, end in zip(self._blocks, [0, *ends], ends, strict=False)]


def _of_one_batch(blocks: list[Any], xp: Any) -> list[Any]:
    """Broadcast blocks to the batch that they have together, where parameters have given some of them a larger one."""
    if len({shape_of(block)[:-1] for block in blocks}) == 1:
        return blocks
    batch = xp.zeros((), dtype=blocks[0].dtype, device=device_of(blocks[0]))
    for block in blocks:
        batch = batch + xp.zeros(sizes_of(block)[:-1], dtype=block.dtype, device=device_of(block))
    return [xp.broadcast_to(block, (*sizes_of(batch), sizes_of(block)[-1])) for block in blocks]
