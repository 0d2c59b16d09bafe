"""Sample: several independent draws of one distribution as one event."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from bnspec.arrays import blocked_sum, common_namespace, shape_of, sizes_of, to_rows
from bnspec.distributions._base import Distribution, as_sample_shape
from bnspec.distributions._part import Extended, require_distribution

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import SupportsIndex

__all__ = ["Sample"]


class Sample(Extended):
    """Draw several times, and take the draws for one event.

    Parameters
    ----------
    distribution : Distribution
        Of batch shape B and event shape E.
    sample_shape : int or sequence of int
        S, how many draws make an event. It is of shape (*S, *E), and the batch is still B.
    validate_args : bool
        Accepted for TFP's sake; the distribution checks its own parameters.
    name : str, optional
        By default, ``"Sample"`` and the name of the distribution.

    Raises
    ------
    TypeError
        If an argument is not as described.
    ValueError
        If a size is negative.

    Notes
    -----
    Log-densities are summed over S, entropies are multiplied by its product.
    """

    def __init__(
        self,
        distribution: Distribution,
        sample_shape: SupportsIndex | Sequence[int] = (),
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        require_distribution(distribution)
        self._sizes = as_sample_shape(sample_shape)
        super().__init__(
            distribution,
            parameters={
                "distribution": distribution,
                "sample_shape": sample_shape,
                "validate_args": validate_args,
                "name": name,
            },
            validate_args=validate_args,
            name=name,
        )

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """How many draws make an event."""
        return self._sizes

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The batch of the distribution."""
        return self._distribution.batch_shape

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The draws, and the event of each."""
        return (*self._sizes, *self._distribution.event_shape)

    def _total(self, of_parts: Any, like: Any) -> Any:
        return of_parts * float(prod(self._sizes))

    def _drawn(self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]) -> Any:
        return self._arranged(self._distribution._drawn(key, self._inner(shape), like, condition), like)

    def _drawn_with_log_prob(
        self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]
    ) -> tuple[Any, Any]:
        x, log_prob = self._distribution._drawn_with_log_prob(key, self._inner(shape), like, condition)
        return self._arranged(x, like), self._summed(log_prob)

    def _log_prob(self, x: Any, condition: dict[str, Any]) -> Any:
        """Move S to the front, where the batch of the distribution is broadcast behind it."""
        xp = common_namespace(x=x)
        batch, event = len(self.batch_shape), len(self._distribution.event_shape)
        sizes = sizes_of(x)
        before = len(sizes) - len(self._sizes) - event
        x = xp.reshape(x, ((1,) * (batch - before) + sizes)) if before < batch else x
        rank = len(shape_of(x))
        first = rank - event - len(self._sizes)
        order = (*range(first, rank - event), *range(first), *range(rank - event, rank))
        return self._summed(self._distribution._log_prob(xp.permute_dims(x, order), condition))

    def _inner(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Put S in front of the batch; :meth:`_arranged` and :meth:`_summed` take it from there."""
        return (*self._sizes, *shape)

    def _arranged(self, x: Any, like: Any) -> Any:
        """Move S from the front to before the event."""
        count, rank = len(self._sizes), len(shape_of(x))
        end = rank - len(self._distribution.event_shape)
        order = (*range(count, end), *range(count), *range(end, rank))
        return common_namespace(like=like).permute_dims(x, order)

    def _summed(self, log_prob: Any) -> Any:
        """Sum over S, which is in front."""
        if not self._sizes:
            return log_prob
        xp = common_namespace(x=log_prob)
        return blocked_sum(to_rows(log_prob, tuple(range(len(self._sizes))), xp), xp)

    def _of_event(self, of_parts: Any) -> Any:
        """Give a statistic of the distribution, of shape (*B, *E), the axes S."""
        xp = common_namespace(x=of_parts)
        sizes = sizes_of(of_parts)
        end = len(sizes) - len(self._distribution.event_shape)
        spread = xp.reshape(of_parts, (*sizes[:end], *([1] * len(self._sizes)), *sizes[end:]))
        return xp.broadcast_to(spread, (*sizes[:end], *self._sizes, *sizes[end:]))
